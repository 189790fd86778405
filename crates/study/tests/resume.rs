//! Interrupted runs end like uninterrupted ones, and damage is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pollster::FutureExt;
use scripted::{Quiz, Scripted, plan, under};
use steady_bench::Benchmark;
use steady_bench::perturb::{PERTURBATIONS, perturb};
use steady_records::Plan;
use steady_report::Outcome;
use steady_study::{Folder, StudyError, run};

static GO: AtomicBool = AtomicBool::new(false);

fn start(path: &Path, plan: &Plan, quiz: &Quiz, subject: &Scripted) -> Result<usize, StudyError> {
    run(&Folder::create(path, plan, quiz.questions())?, quiz, subject, &GO, &mut |_| ()).block_on()
}

/// What is being written stays, and what a dead process left is removed.
#[test]
fn half_written_files_of_dead_processes_are_tidied() {
    let dir = tempfile::tempdir().unwrap();
    let quiz = Quiz::new(2);
    let plan = plan(quiz.questions(), &["half"]);
    drop(Folder::create(dir.path(), &plan, quiz.questions()).unwrap());
    let places = ["plan.json.a.unfinished", "records/part-00000.parquet.b.unfinished", "timings/part-00000.jsonl.c.unfinished"];
    for name in &places {
        fs::write(dir.path().join(name), "half").unwrap();
    }
    let living = fs::File::create(dir.path().join("report.html.d.unfinished")).unwrap();
    living.lock().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    assert!(places.iter().all(|name| !dir.path().join(name).exists()));
    assert!(dir.path().join("report.html.d.unfinished").exists());
    drop(living);
    Folder::open(dir.path()).unwrap().tidy().unwrap();
    assert!(!dir.path().join("report.html.d.unfinished").exists());
}

/// A run that fails after so many groups and is started again, and who was asked the second time.
fn stopped_and_rerun(plan: &Plan, quiz: &Quiz, groups: usize) -> (tempfile::TempDir, Scripted) {
    let dir = tempfile::tempdir().unwrap();
    let first = Scripted::new(plan);
    *first.fails_after.lock().unwrap() = Some(groups);
    assert!(start(dir.path(), plan, quiz, &first).is_err());
    let second = Scripted::new(plan);
    start(dir.path(), plan, quiz, &second).unwrap();
    (dir, second)
}

/// Contents of the record parts, by name.
fn parts(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path.join("records")).unwrap().map(Result::unwrap);
    let parts = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "parquet"));
    parts.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Names of the groups that are in no part yet.
fn journal(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path.join("journal")) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_records_every_question_under_every_variant_in_order() {
    let quiz = Quiz::new(5);
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    let mut seen = Vec::new();
    let asked =
        run(&folder, &quiz, &Scripted::new(&plan), &GO, &mut |progress| seen.push((progress.done, progress.total, progress.fresh.len())))
            .block_on()
            .unwrap();
    assert_eq!(asked, 5 * 2 * 3);
    assert_eq!(seen, [(0, 30, 0), (6, 30, 6), (12, 30, 6), (18, 30, 6), (24, 30, 6), (30, 30, 6)]);
    let records = folder.records().unwrap();
    let rows: Vec<(&str, &str)> = records.iter().map(|record| (record.question.as_str(), record.acceleration.as_str())).collect();
    assert_eq!(
        rows[..7],
        [("q0-0", "none"), ("q0-0", "half"), ("q0-0", "order"), ("q0-1", "none"), ("q0-1", "half"), ("q0-1", "order"), ("q1-0", "none")]
    );
    assert_eq!(records[1].kept, Some((0..8).collect()));
    assert_eq!(records[1].kept_by_step, Some(vec![(0..12).collect(), (0..8).collect()]));
    assert_eq!((&records[0].kept, &records[0].kept_by_step), (&None, &None));
    assert_eq!((records[0].cut, records[1].cut), (Some(false), Some(true)));
    assert_eq!(folder.pairing().unwrap().cut(), [("none".to_owned(), 0, 10), ("half".to_owned(), 10, 10), ("order".to_owned(), 0, 10)]);
    assert_eq!(records[1].weight_bytes, 999);
    assert_eq!(parts(dir.path()).into_keys().collect::<Vec<_>>(), ["part-00000.parquet", "part-00001.parquet"]);
    assert_eq!(folder.timings().unwrap().len(), 30);
    let mut jsonl = Vec::new();
    folder.export_jsonl(&mut jsonl).unwrap();
    let lines: Vec<serde_json::Value> =
        jsonl.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(lines.len(), 30);
    assert_eq!(lines[1]["acceleration"], "half");
}

#[test]
fn wherever_it_stops_a_rerun_gives_the_same_bytes_and_asks_only_what_is_missing() {
    let quiz = Quiz::new(8); // three parts: 3 + 3 + 2 groups
    let plan = plan(quiz.questions(), &["half"]);
    let whole = tempfile::tempdir().unwrap();
    start(whole.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    for groups_before in 0..8 {
        let (dir, second) = stopped_and_rerun(&plan, &quiz, groups_before);
        assert_eq!(parts(dir.path()), parts(whole.path()), "stopped after {groups_before} groups");
        let asked_again: Vec<String> = second.asked.lock().unwrap().keys().cloned().collect();
        let missing: Vec<String> = (groups_before..8).flat_map(|image| [format!("q{image}-0"), format!("q{image}-1")]).collect();
        assert_eq!(asked_again, missing, "stopped after {groups_before} groups");
        assert!(second.asked.lock().unwrap().values().all(|&times| times == 1));
        let third = Scripted::new(&plan);
        assert_eq!(start(dir.path(), &plan, &quiz, &third).unwrap(), 0);
        assert!(third.asked.lock().unwrap().is_empty());
    }
}

#[test]
fn perturbed_images_are_groups_of_their_own() {
    let quiz = Quiz::new(3); // nine groups in three parts, which end within an image
    let plan = Plan { groups_per_part: 4, ..under(&["noise=20", "blur=1.5+jpeg=30"], plan(quiz.questions(), &["half"])) };
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(start(whole.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap(), 6 * 3 * 3);
    let records = Folder::open(whole.path()).unwrap().records().unwrap();
    let rows: Vec<(&str, &str, &str)> =
        records.iter().map(|record| (record.question.as_str(), record.perturbation.as_str(), record.acceleration.as_str())).collect();
    let of_image = |image: usize| {
        let questions = move |perturbation| (0..2).map(move |n| (format!("q{image}-{n}"), perturbation));
        ["none", "noise=20", "blur=1.5+jpeg=30"].into_iter().flat_map(questions)
    };
    let expected: Vec<(String, &str, &str)> =
        (0..3).flat_map(of_image).flat_map(|(question, p)| ["none", "half", "order"].map(|a| (question.clone(), p, a))).collect();
    assert_eq!(rows, expected.iter().map(|(question, p, a)| (question.as_str(), *p, *a)).collect::<Vec<_>>());

    for groups_before in 0..9 {
        let (dir, second) = stopped_and_rerun(&plan, &quiz, groups_before);
        assert_eq!(parts(dir.path()), parts(whole.path()), "stopped after {groups_before} groups");
        assert_eq!(second.seen.lock().unwrap().len(), 9 - groups_before, "stopped after {groups_before} groups");
    }
}

#[test]
fn every_model_sees_the_image_that_the_plan_names() {
    let quiz = Quiz::new(2);
    let plan = under(&["noise=20", "brightness=0.2+noise=20"], plan(quiz.questions(), &["half"]));
    let dir = tempfile::tempdir().unwrap();
    let subject = Scripted::new(&plan);
    start(dir.path(), &plan, &quiz, &subject).unwrap();
    // as the page's sliders do it: an amount for each perturbation, the image's id for a seed
    let slid = |image: usize, brightness: f64, noise: f64| {
        let amounts = PERTURBATIONS.map(|perturbation| match perturbation.name {
            "brightness" => brightness,
            "noise" => noise,
            _ => perturbation.neutral,
        });
        perturb(&quiz.image(&format!("image{image}")).unwrap(), &amounts, &format!("image{image}"))
    };
    let expected: Vec<_> = (0..2).flat_map(|image| [slid(image, 0.0, 0.0), slid(image, 0.0, 20.0), slid(image, 0.2, 20.0)]).collect();
    let seen = subject.seen.lock().unwrap();
    assert_eq!(*seen, expected);
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[1] != seen[4], "images and perturbations differ");
}

#[test]
fn a_plan_speaks_of_calibration_only_where_there_was_some() {
    let without = plan(Quiz::new(1).questions(), &["half"]);
    let text = serde_json::to_string(&without).unwrap();
    assert!(!text.contains("calibration"), "{text}");
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), without);
    let with = Plan { calibration: Some("7".repeat(64)), ..without.clone() };
    assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&with).unwrap()).unwrap(), with);
    assert_ne!(with.sha256().unwrap(), without.sha256().unwrap());
    assert_eq!(without.differences(&with), [format!("calibration: there nothing, asked \"{}\"", "7".repeat(64))]);
}

#[test]
fn a_plan_names_perturbations_in_one_way_and_once() {
    let quiz = Quiz::new(1);
    let refused = |perturbations: &[&str]| {
        let plan = Plan { perturbations: perturbations.iter().map(|&text| text.to_owned()).collect(), ..plan(quiz.questions(), &[]) };
        plan.check().unwrap_err().to_string()
    };
    assert_eq!(refused(&[]), "plan: perturbations: the first must be `none`, the clean images");
    assert_eq!(refused(&["noise=20"]), "plan: perturbations: the first must be `none`, the clean images");
    assert_eq!(refused(&["none", "noise=20", "noise=20"]), "plan: perturbations: `noise=20` is asked for twice");
    assert_eq!(refused(&["none", "none"]), "plan: perturbations: `none` is asked for twice");
    assert_eq!(refused(&["none", "noise=20.0"]), "plan: perturbations: `noise=20.0` must be written `noise=20`");
    assert_eq!(refused(&["none", "noise=20+blur=1"]), "plan: perturbations: `noise=20+blur=1` must be written `blur=1+noise=20`");
    assert!(refused(&["none", "fog=1"]).starts_with("plan: perturbations: `fog=1`: there is no perturbation `fog`; there are rotation"));
    // another list is another study, and the fields say so
    let (clean, noisy) = (plan(quiz.questions(), &[]), under(&["noise=20"], plan(quiz.questions(), &[])));
    assert_ne!(clean.sha256().unwrap(), noisy.sha256().unwrap());
    assert_eq!(clean.differences(&noisy), ["perturbations: there [\"none\"], asked [\"none\",\"noise=20\"]"]);
}

/// Groups that are answered side by side arrive in any order, and where one fails, others are under way.
#[test]
fn files_do_not_tell_how_many_groups_were_answered_at_a_time() {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &["half"]);
    let whole = tempfile::tempdir().unwrap();
    start(whole.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for fails_after in [None, Some(0), Some(1), Some(4), Some(7)] {
        let dir = tempfile::tempdir().unwrap();
        let subject = Scripted { fails_after: fails_after.into(), lanes: 4, ..Scripted::new(&plan) };
        let first = threads.install(|| start(dir.path(), &plan, &quiz, &subject));
        assert_eq!(first.is_err(), fails_after.is_some());
        let second = Scripted { lanes: 4, ..Scripted::new(&plan) };
        threads.install(|| start(dir.path(), &plan, &quiz, &second)).unwrap();
        assert_eq!(parts(dir.path()), parts(whole.path()), "{fails_after:?}");
        let asked = second.asked.lock().unwrap();
        assert!(asked.values().all(|&times| times == 1) && asked.is_empty() == fails_after.is_none(), "{fails_after:?}: {asked:?}");
    }
}

#[test]
fn a_hole_in_the_middle_is_filled() {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let before = parts(dir.path());
    fs::remove_file(dir.path().join("records/part-00001.parquet")).unwrap();
    let subject = Scripted::new(&plan);
    start(dir.path(), &plan, &quiz, &subject).unwrap();
    assert_eq!(parts(dir.path()), before);
    assert_eq!(subject.asked.lock().unwrap().len(), 3 * 2);
}

#[test]
fn cancelling_keeps_what_is_committed() {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let cancel = AtomicBool::new(false);
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    let error = run(&folder, &quiz, &Scripted::new(&plan), &cancel, &mut |progress| cancel.store(progress.done >= 16, Ordering::Relaxed))
        .block_on()
        .unwrap_err();
    assert!(matches!(error, StudyError::Cancelled { done: 16, total: 32 }), "{error}");
    // three groups are a part, the fourth is kept for itself
    assert_eq!((parts(dir.path()).len(), journal(dir.path())), (1, vec!["group-00003".to_owned()]));
    let (records, timings) = (folder.records().unwrap(), folder.timings().unwrap());
    assert_eq!((records.len(), timings.len()), (16, 16));
    assert_eq!(records[12].question, "q3-0");
    assert!(folder.report().unwrap_err().to_string().contains("q4-0"), "a report is of all");
}

/// A folder in which five of eight groups are answered: a part of three, and two groups of the next.
fn five_groups() -> (tempfile::TempDir, Quiz, Plan) {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    let subject = Scripted::new(&plan);
    *subject.fails_after.lock().unwrap() = Some(5);
    assert!(start(dir.path(), &plan, &quiz, &subject).is_err());
    assert_eq!(journal(dir.path()), ["group-00003", "group-00004"]);
    (dir, quiz, plan)
}

#[test]
fn groups_whose_part_is_whole_are_let_go_of() {
    let (dir, quiz, plan) = five_groups();
    let group = dir.path().join("journal/group-00003");
    let bytes = fs::read(&group).unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    assert!(!dir.path().join("journal").exists());
    let whole = parts(dir.path());
    // As left by a run that was killed after it wrote the part.
    fs::create_dir(dir.path().join("journal")).unwrap();
    fs::write(&group, bytes).unwrap();
    assert_eq!(Folder::open(dir.path()).unwrap().records().unwrap().len(), 8 * 2 * 3, "nothing is read twice");
    assert_eq!(start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap(), 0);
    assert!(!dir.path().join("journal").exists());
    assert_eq!(parts(dir.path()), whole);
}

#[test]
fn groups_find_their_part_wherever_it_is() {
    let (dir, quiz, plan) = five_groups();
    let first = fs::read(dir.path().join("records/part-00000.parquet")).unwrap();
    // In place of the first part its first two groups, as a run that was stopped after them keeps them.
    let shorter = tempfile::tempdir().unwrap();
    let subject = Scripted::new(&plan);
    *subject.fails_after.lock().unwrap() = Some(2);
    assert!(start(shorter.path(), &plan, &quiz, &subject).is_err());
    for group in journal(shorter.path()) {
        fs::copy(shorter.path().join("journal").join(&group), dir.path().join("journal").join(&group)).unwrap();
    }
    for file in ["records/part-00000.parquet", "records/part-00000.parquet.sha256", "timings/part-00000.jsonl"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let subject = Scripted::new(&plan);
    start(dir.path(), &plan, &quiz, &subject).unwrap();
    let asked: Vec<String> = subject.asked.lock().unwrap().keys().cloned().collect();
    assert_eq!(asked, ["q2-0", "q2-1", "q5-0", "q5-1", "q6-0", "q6-1", "q7-0", "q7-1"]);
    assert_eq!(fs::read(dir.path().join("records/part-00000.parquet")).unwrap(), first);
}

#[test]
fn no_flipped_byte_of_a_group_passes() {
    let (dir, quiz, plan) = five_groups();
    let group = dir.path().join("journal/group-00004");
    let bytes = fs::read(&group).unwrap();
    let refused = |damaged: &[u8]| {
        fs::write(&group, damaged).unwrap();
        let read = Folder::open(dir.path()).unwrap().records().unwrap_err().to_string();
        assert_eq!(start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string(), read);
        assert!(read.contains("group-00004") && read.contains("damaged") && read.contains("delete it"), "{read}");
        read
    };
    for position in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        refused(&damaged);
    }
    for length in [0, 31, 32, bytes.len() - 1] {
        refused(&bytes[..length]);
    }
    let other = fs::read(dir.path().join("journal/group-00003")).unwrap();
    assert!(refused(&other).contains("it holds group 3"));
    // as it advises
    fs::remove_file(&group).unwrap();
    let subject = Scripted::new(&plan);
    start(dir.path(), &plan, &quiz, &subject).unwrap();
    assert_eq!(subject.asked.lock().unwrap().len(), 4 * 2);
}

#[test]
fn a_group_of_another_plan_is_refused() {
    let (dir, quiz, plan) = five_groups();
    let (there, _, _) = five_groups();
    let other = Plan { precision: "f16".into(), ..plan.clone() };
    let elsewhere = tempfile::tempdir().unwrap();
    let subject = Scripted::new(&other);
    *subject.fails_after.lock().unwrap() = Some(5);
    assert!(start(elsewhere.path(), &other, &quiz, &subject).is_err());
    fs::copy(elsewhere.path().join("journal/group-00004"), dir.path().join("journal/group-00004")).unwrap();
    let error = start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string();
    assert!(error.contains("group-00004") && error.contains("other settings"), "{error}");
    // and so are groups whose plan is gone
    fs::remove_file(there.path().join("plan.json")).unwrap();
    fs::remove_dir_all(there.path().join("records")).unwrap();
    let error = start(there.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string();
    assert!(error.contains("plan.json") && error.contains("is missing"), "{error}");
}

#[test]
fn a_group_that_was_being_written_is_asked_again() {
    let (dir, quiz, plan) = five_groups();
    let group = dir.path().join("journal/group-00004");
    fs::rename(&group, dir.path().join("journal/group-00004.unfinished")).unwrap();
    assert_eq!(Folder::open(dir.path()).unwrap().records().unwrap().len(), 4 * 2 * 3);
    let subject = Scripted::new(&plan);
    start(dir.path(), &plan, &quiz, &subject).unwrap();
    assert_eq!(subject.asked.lock().unwrap().len(), 4 * 2);
    assert!(!dir.path().join("journal").exists());
    assert_eq!(parts(dir.path()).len(), 3);
}

#[test]
fn answers_that_were_cut_are_counted_whether_they_are_new_or_taken_over() {
    let quiz = Quiz::new(4);
    // of the script's answers those under "half" are cut
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    let first = Scripted::new(&plan);
    *first.fails_after.lock().unwrap() = Some(3);
    assert!(start(dir.path(), &plan, &quiz, &first).is_err());
    let mut seen = Vec::new();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    run(&folder, &quiz, &Scripted::new(&plan), &GO, &mut |progress| seen.push((progress.done, progress.cut))).block_on().unwrap();
    assert!(seen.len() > 1 && seen[0].0 > 0, "{seen:?}");
    for (done, cut) in seen {
        assert_eq!(3 * cut, done);
    }
}

#[test]
fn a_half_written_file_of_a_crash_is_passed_over() {
    let quiz = Quiz::new(4);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let part = dir.path().join("records/part-00001.parquet");
    let bytes = fs::read(&part).unwrap();
    fs::remove_file(&part).unwrap();
    fs::write(dir.path().join("records/part-00001.parquet.unfinished"), &bytes[..bytes.len() / 2]).unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    assert_eq!(fs::read(&part).unwrap(), bytes);
    assert_eq!(parts(dir.path()).len(), 2);
}

#[test]
fn a_truncated_part_is_named() {
    let quiz = Quiz::new(4);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let part = dir.path().join("records/part-00000.parquet");
    let bytes = fs::read(&part).unwrap();
    for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&part, &bytes[..length]).unwrap();
        let error = start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string();
        assert!(error.contains("part-00000.parquet") && error.contains("damaged"), "{length} bytes: {error}");
    }
}

#[test]
fn no_flipped_byte_passes() {
    let quiz = Quiz::new(1);
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let part = dir.path().join("records/part-00000.parquet");
    let bytes = fs::read(&part).unwrap();
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        fs::write(&part, &damaged).unwrap();
        let error = folder.records().unwrap_err().to_string();
        assert!(error.contains("part-00000.parquet") && error.contains("checksum"), "byte {position}: {error}");
    }
}

#[test]
fn another_plan_is_refused_and_the_fields_named() {
    let quiz = Quiz::new(2);
    let first = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &first, &quiz, &Scripted::new(&first)).unwrap();
    let mut second = first.clone();
    second.precision = "f16".into();
    second.accelerations.pop();
    let error = start(dir.path(), &second, &quiz, &Scripted::new(&second)).unwrap_err().to_string();
    assert!(error.contains("precision: there \"f32\", asked \"f16\""), "{error}");
    assert!(error.contains("accelerations: there [\"none\",\"half\"], asked [\"none\"]"), "{error}");
    assert!(!error.contains("benchmark"), "{error}");
}

#[test]
fn parts_of_another_plan_are_refused() {
    let quiz = Quiz::new(2);
    let (one, other) = (plan(quiz.questions(), &[]), Plan { precision: "f16".into(), ..plan(quiz.questions(), &[]) });
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    start(here.path(), &one, &quiz, &Scripted::new(&one)).unwrap();
    start(there.path(), &other, &quiz, &Scripted::new(&other)).unwrap();
    for file in ["records/part-00000.parquet", "records/part-00000.parquet.sha256"] {
        fs::copy(there.path().join(file), here.path().join(file)).unwrap();
    }
    let error = Folder::open(here.path()).unwrap().records().unwrap_err().to_string();
    assert!(error.contains("part-00000.parquet") && error.contains("another plan"), "{error}");
}

#[test]
fn a_part_in_the_wrong_place_is_refused() {
    let quiz = Quiz::new(6);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let part = |index: usize| dir.path().join(format!("records/part-0000{index}.parquet"));
    let copy_first_to = |index: usize| {
        fs::copy(part(0), part(index)).unwrap();
        let sum = |index: usize| part(index).with_extension("parquet.sha256");
        let line = fs::read_to_string(sum(0)).unwrap().replace("part-00000", &format!("part-0000{index}"));
        fs::write(sum(index), line).unwrap();
    };
    copy_first_to(1);
    let error = start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string();
    assert!(error.contains("part-00001.parquet") && error.contains("does not hold the questions"), "{error}");
    copy_first_to(7);
    fs::remove_file(part(1)).unwrap();
    let error = start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap_err().to_string();
    assert!(error.contains("part-00007.parquet") && error.contains("only 2 parts"), "{error}");
}

#[test]
fn two_processes_cannot_share_a_folder() {
    let quiz = Quiz::new(1);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let first = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    assert!(matches!(Folder::create(dir.path(), &plan, quiz.questions()), Err(StudyError::Busy { .. })));
    drop(first);
    assert!(Folder::create(dir.path(), &plan, quiz.questions()).is_ok());
}

/// As when two `steady report` run at once: whoever reads meanwhile finds one report or the other, whole.
#[test]
fn two_writers_never_tear_a_file() {
    let quiz = Quiz::new(1);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let file = Folder::open(dir.path()).unwrap().write("report.json", &"a".repeat(400_000).into_bytes()).unwrap();
    let writing = AtomicUsize::new(2);
    std::thread::scope(|scope| {
        for (letter, length) in [(b'a', 400_000), (b'b', 300_000)] {
            let (folder, writing) = (Folder::open(dir.path()).unwrap(), &writing);
            scope.spawn(move || {
                let written: Vec<_> = (0..25).map(|_| folder.write("report.json", &vec![letter; length])).collect();
                writing.fetch_sub(1, Ordering::Release);
                assert!(written.into_iter().all(|written| written.is_ok()));
            });
        }
        while writing.load(Ordering::Acquire) > 0 {
            let bytes = fs::read(&file).unwrap();
            assert!(
                [(b'a', 400_000), (b'b', 300_000)].iter().any(|&(byte, count)| bytes.len() == count && bytes.iter().all(|&b| b == byte)),
                "{} bytes",
                bytes.len()
            );
        }
    });
    let left: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| !name.contains("unfinished")), "{left:?}");
}

#[test]
fn changed_questions_are_noticed() {
    let quiz = Quiz::new(1);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &Scripted::new(&plan)).unwrap();
    let file = dir.path().join("questions.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"red\"", "\"blue\"")).unwrap();
    let error = Folder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("questions.json"), "{error}");
}

/// Whoever runs out of numbers has said nothing, whatever it had said by then; the others go on.
#[test]
fn logits_that_are_not_finite_are_recorded_as_unparsed() {
    let quiz = Quiz::new(2);
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    let subject = Scripted { not_finite: vec!["half"], ..Scripted::new(&plan) };
    assert_eq!(start(dir.path(), &plan, &quiz, &subject).unwrap(), 4 * 3);
    let folder = Folder::open(dir.path()).unwrap();
    let records = folder.records().unwrap();
    for record in &records {
        let lost = record.acceleration == "half";
        assert_eq!(record.no_answer.as_deref(), lost.then_some("the logits of the first token are not finite"));
        assert_eq!((record.parsed.is_none(), record.correct, record.answer.as_str()), (lost, !lost, "red"));
        assert_eq!((record.margin, record.top_logits.is_empty()), ((!lost).then_some(2.0), lost));
        assert_eq!(record.kl, (record.acceleration == "order").then_some(0.0));
    }
    // Against a baseline that says the same words every answer is broken; against its like it is the same.
    let report = folder.report().unwrap();
    assert!(report.accelerations()[0].answers.iter().all(|answer| answer.outcome == Some(Outcome::Broken) && answer.margin.is_none()));
    assert_eq!(report.noise_floor().unwrap().tally.dr().count, 0);
    let all = Scripted { not_finite: vec!["none", "half", "order"], ..Scripted::new(&plan) };
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &plan, &quiz, &all).unwrap();
    let report = Folder::open(dir.path()).unwrap().report().unwrap();
    assert!(report.accelerations()[0].answers.iter().all(|answer| answer.outcome == Some(Outcome::Same)));
}
