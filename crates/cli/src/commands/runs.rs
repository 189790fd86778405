//! Where runs are, and how they are read.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use steady_report::Report;
use steady_study::Folder;

/// Where runs go that were not told where.
pub(crate) const RUNS: &str = "steady-out";

/// The report of a run folder, or a `report.json`.
pub(crate) fn read(run: &Path) -> Result<Report> {
    if run.is_dir() {
        return Ok(Folder::open(run)?.report()?);
    }
    let text = fs::read_to_string(run).with_context(|| format!("cannot read {}", run.display()))?;
    Report::from_json(&text).with_context(|| run.display().to_string())
}

/// The runs that are meant by paths: what is a run itself, and for a folder that is none the runs in it, by their names.
pub(crate) fn meant(given: &[PathBuf]) -> Vec<PathBuf> {
    let each = |path: &PathBuf| {
        let inside = if is_run(path) { Vec::new() } else { inside(path) };
        if inside.is_empty() { vec![path.clone()] } else { inside }
    };
    given.iter().flat_map(each).collect()
}

fn is_run(path: &Path) -> bool {
    path.join("plan.json").is_file()
}

/// The runs in a folder, by their names. Shards are none.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let shards = Folder::shards_in(folder).unwrap_or_default();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = entries.filter(|path| is_run(path) && !shards.contains(path)).collect();
    runs.sort();
    runs
}

/// The newest run where runs go that were not told where.
pub(crate) fn newest() -> Result<PathBuf> {
    newest_in(Path::new(RUNS))
}

/// The folder in `runs` whose plan was written last.
fn newest_in(runs: &Path) -> Result<PathBuf> {
    let written = |folder: &Path| -> Option<SystemTime> { fs::metadata(folder.join("plan.json")).ok()?.modified().ok() };
    match inside(runs).into_iter().filter_map(|folder| Some((written(&folder)?, folder))).max() {
        Some((_, folder)) => Ok(folder),
        None => bail!("no run in {}: run `steady` first, or name a run folder or a report.json", runs.display()),
    }
}

/// Address of the `report.html` of a run folder, seen from a page in the folder `from`; `None` where there is none.
pub(crate) fn page_of(run: &Path, from: &Path) -> Option<String> {
    let page = run.join("report.html");
    let from = if from.as_os_str().is_empty() { Path::new(".") } else { from };
    let (page, from) = (page.canonicalize().ok()?, from.canonicalize().ok()?);
    let shared = page.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let down = page.components().skip(shared).filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    Some(up.chain(down).map(|part| in_address(&part)).collect::<Vec<_>>().join("/"))
}

/// A file's name in an address (RFC 3986).
fn in_address(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_is_the_one_planned_last() {
        let runs = tempfile::tempdir().unwrap();
        assert!(newest_in(runs.path()).unwrap_err().to_string().contains("no run in"));
        for (name, age) in [("new", 10), ("old", 1000)] {
            let folder = runs.path().join(name);
            fs::create_dir(&folder).unwrap();
            let plan = fs::File::create(folder.join("plan.json")).unwrap();
            plan.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        fs::create_dir(runs.path().join("no plan in it")).unwrap();
        assert_eq!(newest_in(runs.path()).unwrap(), runs.path().join("new"));
        // a folder stands for the runs in it, a run for itself
        let meant = meant(&[runs.path().to_path_buf(), runs.path().join("old"), runs.path().join("nowhere")]);
        let names: Vec<&str> = meant.iter().map(|run| run.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["new", "old", "old", "nowhere"]);
    }

    #[test]
    fn a_page_is_led_to_from_where_the_other_is() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("a b").join("run#1");
        fs::create_dir_all(&run).unwrap();
        assert_eq!(page_of(&run, dir.path()), None);
        fs::write(run.join("report.html"), "").unwrap();
        assert_eq!(page_of(&run, dir.path()).unwrap(), "a%20b/run%231/report.html");
        fs::create_dir(dir.path().join("gate")).unwrap();
        assert_eq!(page_of(&run, &dir.path().join("gate")).unwrap(), "../a%20b/run%231/report.html");
    }
}
