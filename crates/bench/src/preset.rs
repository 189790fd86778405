//! Named sets of benchmarks, each in a folder of its own name: what is asked one after the other, with a report each.

use std::path::Path;

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::{BENCHMARKS, BenchError};

/// Several benchmarks under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchmarkPreset {
    /// Its name.
    pub name: &'static str,
    /// One line for listings.
    pub what: &'static str,
    /// Names of its benchmarks.
    pub members: &'static [&'static str],
}

/// Every preset.
pub const BENCHMARK_PRESETS: [BenchmarkPreset; 2] = [
    BenchmarkPreset {
        name: "paper10",
        what: "ten benchmarks of the kinds that \"Does Acceleration Cause Hidden Instability in Vision Language Models?\" asks (EMNLP 2025)",
        members: &["ai2d", "gqa", "mmbench-en", "mme", "mmmu", "pope", "scienceqa-img", "seed-bench", "textvqa", "vizwiz"],
    },
    BenchmarkPreset { name: "medical", what: "radiology and pathology", members: &["vqa-rad", "slake", "path-vqa"] },
];

/// What may be chosen of a preset, besides what is handed on to each benchmark.
const OPTIONS: [(&str, &str); 2] =
    [("broken", "skip: leave out rows that cannot be asked"), ("missing", "skip: leave out benchmarks that are not there")];

/// The benchmarks that `spec` stands for: those of the preset that it begins with, each as `NAME:DIR/NAME`, else itself.
///
/// # Errors
/// [`BenchError::Spec`] naming every benchmark that is not in the preset's folder, with what to fetch, unless they are left out (`missing=skip`).
pub fn benchmarks_of(spec: &str) -> Result<Vec<String>, BenchError> {
    let (name, place) = spec.split_once(':').map_or((spec, None), |(name, place)| (name, Some(place)));
    let Some(preset) = BENCHMARK_PRESETS.iter().find(|preset| preset.name == name) else { return Ok(vec![spec.to_owned()]) };
    let fail = |problem: String| Err(BenchError::Spec { spec: spec.to_owned(), problem });
    let Some(place) = place else {
        return fail(format!("say where its folders are, as {name}:DIR; they are {}", preset.members.join(", ")));
    };
    let place = Place::parse(name, place, &OPTIONS)?;
    let skip = |option: &str| match place.option(option) {
        None => Ok(false),
        Some("skip") => Ok(true),
        Some(other) => Err(BenchError::UnknownName { what: "value", found: format!("{option}={other}"), expected: "skip".to_owned() }),
    };
    let (broken, may_miss) = (if skip("broken")? { ",broken=skip" } else { "" }, skip("missing")?);
    let (there, missing): (Vec<&str>, Vec<&str>) = preset.members.iter().partition(|member| place.path.join(member).exists());
    if !missing.is_empty() && !may_miss || there.is_empty() {
        let wanted = |member: &&str| format!("\n  {member}: {}", wanted(member, &place.path));
        return fail(format!(
            "{} lacks {} of its {} benchmarks{}\nfetch them, or leave them out with `,missing=skip`",
            place.path.display(),
            missing.len(),
            preset.members.len(),
            missing.iter().map(wanted).collect::<String>()
        ));
    }
    Ok(there.into_iter().map(|member| format!("{member}:{}{broken}", place.path.join(member).display())).collect())
}

/// Which files a benchmark lies in, and the folder that they belong into.
fn wanted(member: &str, folder: &Path) -> String {
    let row = BENCHMARKS.0.iter().find(|row| row.name == member);
    match row {
        Some(BenchmarkRow { origin: Origin::Files { wanted, .. }, .. }) => {
            wanted.replace("DIR", &folder.join(member).display().to_string()).split(", and name").next().unwrap_or_default().to_owned()
        }
        _ => "not in this program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_stands_for_the_folders_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let spec = format!("medical:{}", dir.path().display());
        let error = benchmarks_of(&spec).unwrap_err().to_string();
        assert!(error.contains("lacks 3 of its 3 benchmarks\n  vqa-rad: ") && error.contains("--local-dir"), "{error}");
        assert!(error.contains(&format!("{}", dir.path().join("path-vqa").display())) && !error.contains("DIR"), "{error}");
        for member in ["slake", "vqa-rad"] {
            std::fs::create_dir(dir.path().join(member)).unwrap();
        }
        assert!(benchmarks_of(&spec).unwrap_err().to_string().contains("lacks 1 of its 3 benchmarks\n  path-vqa: "));
        let there = benchmarks_of(&format!("{spec},missing=skip,broken=skip")).unwrap();
        let of = |member: &str| format!("{member}:{},broken=skip", dir.path().join(member).display());
        assert_eq!(there, [of("vqa-rad"), of("slake")]);
        assert!(benchmarks_of(&format!("{spec},missing=ignore")).unwrap_err().to_string().contains("missing=ignore"));
        assert!(benchmarks_of("medical").unwrap_err().to_string().contains("as medical:DIR"));
        assert_eq!(benchmarks_of("file:medical:x").unwrap(), ["file:medical:x"]);
    }

    #[test]
    fn presets_are_of_benchmarks_that_there_are() {
        for preset in BENCHMARK_PRESETS {
            assert!(BENCHMARKS.find(preset.name).is_err());
            for member in preset.members {
                let chosen = BENCHMARKS.find(member).unwrap();
                assert!(matches!(chosen.row.origin, Origin::Files { .. }), "{member}");
            }
        }
        assert_eq!(BENCHMARK_PRESETS.map(|preset| preset.members.len()), [10, 3]);
    }
}
