//! Shards, however they came about, merge into what one process leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pollster::FutureExt;
use proptest::prelude::*;
use scripted::{Quiz, Scripted, plan, under};
use steady_bench::Benchmark;
use steady_records::{Plan, Shard};
use steady_study::{Folder, Merged, StudyError, merge, run};

static GO: AtomicBool = AtomicBool::new(false);

/// A study with something to say: answers differ, and images are asked about twice.
struct Study {
    quiz: Quiz,
    plan: Plan,
}

impl Study {
    fn new(images: usize) -> Self {
        let quiz = Quiz::new(images);
        let plan = under(&["noise=20"], plan(quiz.questions(), &["half"]));
        Self { quiz, plan }
    }

    fn subject(&self) -> Scripted {
        Scripted::new(&self.plan).says("half", "q1-0", "blue").says("half", "q4-1", "green")
    }

    /// Answers a shard into a folder; with a limit only so many groups of it.
    fn answer(&self, path: &Path, shard: Shard, groups: Option<usize>) -> Folder {
        let folder = Folder::create_shard(path, &self.plan, self.quiz.questions(), shard).unwrap();
        let subject = self.subject();
        *subject.fails_after.lock().unwrap() = groups;
        let ran = run(&folder, &self.quiz, &subject, &GO, &mut |_| ()).block_on();
        assert_eq!(ran.is_err(), groups.is_some(), "{ran:?}");
        drop(folder);
        Folder::open(path).unwrap()
    }

    /// The folder of a run that was never cut.
    fn whole(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        self.answer(dir.path(), Shard::WHOLE, None);
        dir
    }
}

fn shard(number: u32, of: u32) -> Shard {
    Shard::new(number, of).unwrap()
}

/// Plan, questions and records of a folder, by their names.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let all = [list(path), list(&path.join("records"))].concat();
    let lasting = all.into_iter().filter(|file| file.is_file() && !file.ends_with(".lock"));
    lasting.map(|file| (file.strip_prefix(path).unwrap().to_path_buf(), fs::read(file).unwrap())).collect()
}

fn merged(sources: &[Folder], out: &Path) -> Merged {
    merge(sources, out).unwrap()
}

#[test]
fn shards_merge_into_the_bytes_of_one_run() {
    let study = Study::new(9);
    let whole = study.whole();
    for of in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        let sources: Vec<Folder> =
            (1..=of).map(|n| study.answer(&Folder::shard_in(dir.path(), shard(n, of)), shard(n, of), None)).collect();
        let answered: usize = sources.iter().map(|source| source.records().unwrap().len()).sum();
        assert_eq!(answered, 9 * 2 * 2 * 3, "every answer is given once");
        let merged = merged(&sources, dir.path());
        assert_eq!((merged.answers, merged.repeated), (answered, 0));
        assert_eq!(files(dir.path()), files(whole.path()), "{of} shards");
        let timings = merged.folder.timings().unwrap();
        assert_eq!(timings.len(), answered, "wall times come along");
        let whole = Folder::open(whole.path()).unwrap();
        let all = steady_records::report(whole.plan(), whole.questions(), &whole.records().unwrap()).unwrap();
        assert_eq!(whole.report().unwrap(), all, "read file by file it is what all records make");
        assert_eq!(merged.folder.report().unwrap().to_json().unwrap(), whole.report().unwrap().to_json().unwrap());
    }
}

#[test]
fn an_image_is_in_one_shard_with_all_its_questions_and_perturbations() {
    let study = Study::new(12);
    let dir = tempfile::tempdir().unwrap();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for n in 1..=3 {
        for record in study.answer(&Folder::shard_in(dir.path(), shard(n, 3)), shard(n, 3), None).records().unwrap() {
            assert_eq!(*seen.entry(record.image.clone()).or_insert(n), n, "{}", record.image);
        }
    }
    assert_eq!(seen.len(), 12);
    // and it stays there when more is asked
    let more = Study::new(30);
    for n in 1..=3 {
        let path = dir.path().join(format!("more-{n}"));
        let records = more.answer(&path, shard(n, 3), None).records().unwrap();
        assert!(records.iter().all(|record| seen.get(&record.image).is_none_or(|&before| before == n)));
    }
}

#[test]
fn what_is_missing_is_listed_and_nothing_is_written() {
    let study = Study::new(9);
    let dir = tempfile::tempdir().unwrap();
    let done = study.answer(&dir.path().join("first"), shard(1, 4), None);
    let begun = study.answer(&dir.path().join("second"), shard(2, 4), Some(1));
    let out = dir.path().join("out");
    let error = merge(&[done, begun], &out).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(error);
    assert!(!out.exists());
    assert!(merge(&[], &out).unwrap_err().to_string().contains("no shards"));
}

#[test]
fn another_plan_is_refused_and_its_fields_are_named() {
    let study = Study::new(3);
    let other = Study { plan: Plan { device: "another".into(), precision: "f16".into(), ..study.plan.clone() }, quiz: Quiz::new(3) };
    let dir = tempfile::tempdir().unwrap();
    let sources = [study.answer(&dir.path().join("a"), shard(1, 2), None), other.answer(&dir.path().join("b"), shard(2, 2), None)];
    let error = merge(&sources, &dir.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("b/plan.json") && error.contains("device: there \"another\", asked \"paper\""), "{error}");
    assert!(error.contains("precision: there \"f16\", asked \"f32\""), "{error}");
}

#[test]
fn answers_that_come_twice_are_counted_once_if_they_agree() {
    let study = Study::new(9);
    let whole = study.whole();
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    // halves and thirds of the same study, and one half again that its process did not finish
    let half = [study.answer(&place("1/2"), shard(1, 2), None), study.answer(&place("2/2"), shard(2, 2), None)];
    let third = study.answer(&place("1/3"), shard(1, 3), None);
    let again = study.answer(&place("again"), shard(2, 2), Some(1));
    let twice = third.records().unwrap().len() + again.records().unwrap().len();
    let [a, b] = half;
    let merged = merged(&[a, third, b, again], &place("out"));
    assert_eq!((merged.answers, merged.repeated), (9 * 2 * 2 * 3, twice));
    assert_eq!(files(&place("out")), files(whole.path()));
}

#[test]
fn answers_that_come_twice_and_differ_are_refused() {
    let study = Study::new(4);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other");
    let folder = Folder::create(&path, &study.plan, study.quiz.questions()).unwrap();
    run(&folder, &study.quiz, &study.subject().says("half", "q3-1", "green"), &GO, &mut |_| ()).block_on().unwrap();
    let sources = [study.answer(&dir.path().join("one"), Shard::WHOLE, None), folder];
    let error = merge(&sources, &dir.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("question q3-1, acceleration half, perturbation none is answered twice"), "{error}");
    assert!(error.contains("\"red\" in ") && error.contains("\"green\" in "), "{error}");
}

/// A run that stopped, and a shard that holds the rest of it: the first folder is made whole where it is.
#[test]
fn an_unfinished_run_is_completed_by_shards() {
    let study = Study::new(9);
    let whole = study.whole();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let stopped = study.answer(&run, Shard::WHOLE, Some(5));
    assert!(run.join("journal").exists(), "it is to stop within a part");
    let shards = [1, 2].map(|n| study.answer(&Folder::shard_in(&run, shard(n, 2)), shard(n, 2), None));
    let [one, two] = shards;
    merged(&[stopped, one, two], &run);
    assert_eq!(files(&run), files(whole.path()));
    assert!(!run.join("journal").exists());
}

#[test]
fn a_merge_that_was_interrupted_goes_on() {
    let study = Study::new(9);
    let whole = study.whole();
    let dir = tempfile::tempdir().unwrap();
    let sources = || [1, 2].map(|n| study.answer(&Folder::shard_in(dir.path(), shard(n, 2)), shard(n, 2), None));
    merged(&sources(), dir.path());
    let parts = files(dir.path()).into_keys().filter(|name| name.extension().is_some_and(|end| end == "parquet")).collect::<Vec<_>>();
    assert!(parts.len() > 3);
    for part in &parts {
        // as a process leaves it that is killed between any two files
        fs::remove_file(dir.path().join(part)).unwrap();
        merged(&sources(), dir.path());
        assert_eq!(files(dir.path()), files(whole.path()), "{}", part.display());
    }
    let part = dir.path().join(&parts[1]);
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[1..]).unwrap();
    assert!(merge(&sources(), dir.path()).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn a_shard_is_no_study() {
    let study = Study::new(6);
    let dir = tempfile::tempdir().unwrap();
    let path = Folder::shard_in(dir.path(), shard(2, 3));
    let folder = study.answer(&path, shard(2, 3), None);
    assert_eq!((path.file_name().unwrap().to_str(), folder.shard()), (Some("shard-2-of-3"), shard(2, 3)));
    let refused = folder.report().unwrap_err().to_string();
    assert!(refused.contains("holds shard 2/3") && refused.contains("steady merge"), "{refused}");
    let create = |asked| Folder::create_shard(&path, &study.plan, study.quiz.questions(), asked);
    assert!(matches!(create(shard(1, 3)), Err(StudyError::OtherShard { .. })));
    assert!(matches!(create(Shard::WHOLE), Err(StudyError::OtherShard { .. })));
    assert!(create(shard(2, 3)).is_ok());
    // where only shards are, their reader is told what to do
    assert_eq!(Folder::shards_in(dir.path()).unwrap(), [path.as_path()]);
    let refused = Folder::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("holds shards that are not merged: `steady merge "), "{refused}");
    assert!(Folder::shards_in(&dir.path().join("nowhere")).unwrap().is_empty());
    fs::write(path.join("shard.json"), "{\"shard\":\"4/3\"}").unwrap();
    let refused = Folder::open(&path).unwrap_err().to_string();
    assert!(refused.contains("shard.json") && refused.contains("4/3"), "{refused}");
}

#[test]
fn a_group_of_another_shard_is_refused() {
    let study = Study::new(8);
    let dir = tempfile::tempdir().unwrap();
    let journal = |n: u32| Folder::shard_in(dir.path(), shard(n, 2)).join("journal");
    for n in 1..=2 {
        study.answer(&Folder::shard_in(dir.path(), shard(n, 2)), shard(n, 2), Some(1));
    }
    for entry in fs::read_dir(journal(1)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), journal(2).join(entry.file_name())).unwrap();
    }
    let folder =
        Folder::create_shard(&Folder::shard_in(dir.path(), shard(2, 2)), &study.plan, study.quiz.questions(), shard(2, 2)).unwrap();
    let refused = [
        run(&folder, &study.quiz, &study.subject(), &GO, &mut |_| ()).block_on().unwrap_err().to_string(),
        folder.records().unwrap_err().to_string(),
    ];
    assert!(refused.iter().all(|refused| refused.contains("none of the groups of shard 2/2")), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is cut into what, stopped where, and in whatever order the folders are given: what is merged is the whole, or what lacks is said.
    #[test]
    fn any_folders_that_hold_it_all_merge_into_the_whole(
        images in 1_usize..8,
        cuts in prop::collection::vec((1_u32..4, 0_usize..4), 1..4),
        complete in any::<bool>(),
    ) {
        let study = Study::new(images);
        let whole = study.whole();
        let dir = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for (i, &(of, stop)) in cuts.iter().enumerate() {
            for n in 1..=of {
                let path = dir.path().join(format!("{i}-{n}"));
                let mine = study.answer(&path, shard(n, of), None).total();
                // some of them stop early
                if stop > 0 && n == of && !(complete && i == 0) {
                    fs::remove_dir_all(&path).unwrap();
                    let groups = mine / (2 * 3);
                    let stop = (groups > stop).then_some(stop);
                    sources.push(study.answer(&path, shard(n, of), stop));
                } else {
                    sources.push(Folder::open(&path).unwrap());
                }
            }
        }
        sources.reverse();
        let held: std::collections::BTreeSet<(String, String)> =
            sources.iter().flat_map(|source| source.records().unwrap()).map(|record| (record.question, record.perturbation)).collect();
        let out = dir.path().join("out");
        match merge(&sources, &out) {
            Ok(merged) => {
                prop_assert_eq!(merged.answers, images * 2 * 2 * 3);
                prop_assert_eq!(files(&out), files(whole.path()));
            }
            Err(error) => {
                prop_assert!(held.len() < images * 2 * 2 && error.to_string().contains("are missing"), "{}", error);
            }
        }
    }
}
