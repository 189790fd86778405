//! The run folder: plan, questions, record parts, timings, and the groups of the part in the making.
//!
//! ```text
//! plan.json                            the plan; a folder belongs to one plan for good
//! questions.json                       the questions asked, with gold answers
//! records/part-00000.parquet           append-only, each written whole or not at all
//! records/part-00000.parquet.sha256    its checksum; `sha256sum -c` reads it
//! timings/part-00000.jsonl             wall times, which no two runs share
//! journal/group-00000                  an answered group whose part is not whole yet
//! ```

mod journal;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use steady_bench::Question;
use steady_records::plan::questions_sha256;
use steady_records::{Answers, CLEAN, Plan, Record, Timing, Work};
use steady_report::Report;

use crate::{StudyError, part};
pub(crate) use journal::Journal;

/// A folder that holds one study. While it is open for writing no other process can open it so.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    work: Work,
    /// Held for its lock; the system lets go of it however the process ends.
    _lock: Option<File>,
}

impl Folder {
    /// Opens `path` for running `plan`: creates it with the plan and questions in it, or checks that it holds exactly this plan.
    ///
    /// # Errors
    /// [`StudyError::Io`] if it cannot be written, [`StudyError::OtherPlan`] naming the fields if it belongs to another plan,
    /// [`StudyError::Busy`] if another process runs in it.
    pub fn create(path: &Path, plan: &Plan, questions: &[Question]) -> Result<Self, StudyError> {
        let work = Work::new(plan.clone(), questions.to_vec())?;
        fs::create_dir_all(path).map_err(StudyError::io(path, "cannot create the run folder"))?;
        let lock = lock(path)?;
        let plan_file = path.join("plan.json");
        if plan_file.exists() {
            let found = read_plan(&plan_file)?;
            let fields = found.differences(plan);
            if !fields.is_empty() {
                return Err(StudyError::OtherPlan { path: plan_file, fields });
            }
        } else if records_in(&path.join("records"))?.is_some() || path.join("journal").exists() {
            return Err(StudyError::broken(&plan_file, "is missing, but there are records that belong to it"));
        }
        for sub in ["records", "timings"] {
            let sub = path.join(sub);
            fs::create_dir_all(&sub).map_err(StudyError::io(&sub, "cannot create the folder"))?;
        }
        write_whole(&path.join("questions.json"), &json(path, &questions)?)?;
        write_whole(&plan_file, &json(path, &plan.to_json()?)?)?;
        Ok(Self { path: path.to_path_buf(), work, _lock: Some(lock) })
    }

    /// Opens a folder for reading what is recorded in it.
    ///
    /// # Errors
    /// [`StudyError::Io`] or [`StudyError::Broken`] naming the file.
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        let plan = read_plan(&path.join("plan.json"))?;
        plan.check()?;
        let questions_file = path.join("questions.json");
        let questions: Vec<Question> = read_json(&questions_file)?;
        if questions_sha256(&questions)? != plan.benchmark.questions_sha256 {
            return Err(StudyError::broken(&questions_file, "these are not the questions of the plan.json beside it"));
        }
        Ok(Self { path: path.to_path_buf(), work: Work::new(plan, questions)?, _lock: None })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan it belongs to.
    pub fn plan(&self) -> &Plan {
        self.work.plan()
    }

    /// The questions asked, in order.
    pub fn questions(&self) -> &[Question] {
        self.work.questions()
    }

    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// All records so far, in order, those of the part in the making included.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part or group.
    pub fn records(&self) -> Result<Vec<Record>, StudyError> {
        self.so_far(|part| self.read_part(part), |group| group.records)
    }

    /// All wall times so far; they are extra, so parts without any are passed over.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged file.
    pub fn timings(&self) -> Result<Vec<Timing>, StudyError> {
        self.so_far(|part| self.read_timings(part), |group| group.timings)
    }

    /// What there is of something in the order of the groups: out of the parts, and out of the groups that are in none.
    fn so_far<T>(
        &self,
        of_part: impl Fn(usize) -> Result<Vec<T>, StudyError>,
        of_group: impl Fn(Answers) -> Vec<T>,
    ) -> Result<Vec<T>, StudyError> {
        // The journal first: whoever writes meanwhile may turn it into a part.
        let (groups, parts) = (self.journal().groups()?, self.part_indices()?);
        let per_part = self.plan().groups_per_part;
        let mut chunks = BTreeMap::new();
        for part in &parts {
            chunks.insert(part * per_part, of_part(*part)?);
        }
        for group in groups.into_iter().filter(|group| !parts.contains(&(group / per_part))) {
            chunks.insert(group, of_group(self.journal().read(group)?));
        }
        Ok(chunks.into_values().flatten().collect())
    }

    /// The report of a finished run. Wall times stay out of it, so that the same plan gives the same report.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part, or [`StudyError::Records`] if answers are missing.
    pub fn report(&self) -> Result<Report, StudyError> {
        Ok(steady_records::report(self.plan(), self.questions(), &self.records()?)?)
    }

    /// Seconds that all answers about clean images took together, by acceleration, for [`Report::timed`].
    ///
    /// # Errors
    /// As [`Folder::timings`].
    pub fn seconds(&self) -> Result<HashMap<String, f64>, StudyError> {
        let mut seconds: HashMap<String, f64> = HashMap::new();
        for timing in self.timings()?.into_iter().filter(|timing| timing.perturbation == CLEAN) {
            *seconds.entry(timing.acceleration).or_default() += timing.wall_ms / 1e3;
        }
        Ok(seconds)
    }

    /// Writes all records as JSON lines.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part, [`StudyError::Io`] if `out` cannot be written.
    pub fn export_jsonl(&self, out: &mut dyn Write) -> Result<(), StudyError> {
        for record in self.records()? {
            let line = serde_json::to_string(&record).map_err(|e| StudyError::broken(&self.path, e))?;
            writeln!(out, "{line}").map_err(StudyError::io(&self.path, "cannot export the records"))?;
        }
        Ok(())
    }

    /// Writes a file of the run (a report, say) whole or not at all.
    ///
    /// # Errors
    /// [`StudyError::Io`] naming the file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StudyError> {
        let path = self.path.join(name);
        write_whole(&path, bytes)?;
        Ok(path)
    }

    /// Indices of the parts there are, ascending. Half-written files of a killed process are noted and passed over.
    pub(crate) fn part_indices(&self) -> Result<Vec<usize>, StudyError> {
        Ok(records_in(&self.path.join("records"))?.unwrap_or_default())
    }

    pub(crate) fn read_part(&self, index: usize) -> Result<Vec<Record>, StudyError> {
        part::decode(&self.part_path(index), &self.checksum_path(index), self.work.sha256())
    }

    fn read_timings(&self, index: usize) -> Result<Vec<Timing>, StudyError> {
        let path = self.timing_path(index);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(Vec::new()) };
        text.lines().map(|line| serde_json::from_str(line).map_err(|e| StudyError::broken(&path, e))).collect()
    }

    /// The groups of the part in the making.
    pub(crate) fn journal(&self) -> Journal<'_> {
        Journal { path: self.path.join("journal"), work: &self.work }
    }

    /// Commits a part. What goes with it is written first, so that a part that exists is complete.
    pub(crate) fn write_part(&self, index: usize, records: &[Record], timings: &[Timing]) -> Result<(), StudyError> {
        let mut lines = Vec::new();
        for timing in timings {
            lines.extend(serde_json::to_vec(timing).map_err(|e| StudyError::broken(&self.timing_path(index), e))?);
            lines.push(b'\n');
        }
        write_whole(&self.timing_path(index), &lines)?;
        let path = self.part_path(index);
        let bytes = part::encode(&path, self.work.sha256(), records)?;
        write_whole(&self.checksum_path(index), part::checksum(&path, &bytes).as_bytes())?;
        write_whole(&path, &bytes)
    }

    pub(crate) fn part_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("records/part-{index:05}.parquet"))
    }

    fn checksum_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("records/part-{index:05}.parquet.sha256"))
    }

    fn timing_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("timings/part-{index:05}.jsonl"))
    }
}

/// Part indices in a records folder, `None` if there are none at all.
fn records_in(folder: &Path) -> Result<Option<Vec<usize>>, StudyError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StudyError::io(folder, "cannot list the records")(error)),
    };
    let mut indices = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StudyError::io(folder, "cannot list the records"))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(UNFINISHED) {
            tracing::warn!("{}: left half-written by an interrupted run; its questions are asked again", entry.path().display());
            continue;
        }
        // Checksums, and what desktops and file servers leave behind.
        if name.ends_with(".sha256") || name.starts_with('.') {
            continue;
        }
        let index = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet")).and_then(|digits| digits.parse().ok());
        indices
            .push(index.ok_or_else(|| StudyError::broken(&entry.path(), "is not a record part; expected names like part-00000.parquet"))?);
    }
    indices.sort_unstable();
    Ok((!indices.is_empty()).then_some(indices))
}

fn lock(path: &Path) -> Result<File, StudyError> {
    let file = path.join(".lock");
    let handle = File::create(&file).map_err(StudyError::io(&file, "cannot write into the run folder"))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => Err(StudyError::Busy { path: path.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StudyError::io(&file, "cannot lock the run folder")(error)),
    }
}

/// Ending of a file that is still being written, or whose writer was killed.
const UNFINISHED: &str = ".unfinished";

/// Writes beside the target, waits for the disk, then renames: readers see the whole file or none of it. Each writer has a file of its own, so that of
/// two that write at once the later one wins, whole.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let mut file = unfinished(&name).tempfile_in(folder).map_err(StudyError::io(path, "cannot create the file"))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(StudyError::io(file.path(), "cannot write the file"))?;
    file.persist(path).map_err(|refused| StudyError::io(path, "cannot put the finished file in place")(refused.error))?;
    // The rename itself is on disk only once the folder is; not every system can open one, and then there is nothing to wait for.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().map_err(StudyError::io(path, "cannot put the finished file in place"))?;
    }
    Ok(())
}

/// A file of any name between this one and [`UNFINISHED`], readable by whoever may read new files.
fn unfinished(name: &OsStr) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).suffix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn json(path: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>, StudyError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| StudyError::broken(path, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StudyError> {
    let bytes = fs::read(path).map_err(StudyError::io(path, "cannot read the file of the run"))?;
    serde_json::from_slice(&bytes).map_err(|e| StudyError::broken(path, e))
}

fn read_plan(path: &Path) -> Result<Plan, StudyError> {
    let bytes = fs::read(path).map_err(StudyError::io(path, "cannot read the file of the run"))?;
    Plan::from_json(&bytes).map_err(|e| StudyError::broken(path, e))
}
