//! Plans and groups as text and as bytes, some of them damaged, some of them old.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use steady_bench::world::EMBEDDED;
use steady_records::plan::questions_sha256;
use steady_records::{Answers, Growing, Plan, Record, Timing, Work, pause};

/// As `plan.json` has it, on one line.
const WRITTEN: &str = concat!(
    r#"{"format":2,"command":"","versions":{"steady":"0.1.0","burn":"0.22.1"},"#,
    r#""model":{"name":"m","architecture":"llava","sha256":"11"},"#,
    r#""accelerations":[{"spec":"none","describe":"the model as it is"},{"spec":"int8","describe":"eight bits"}],"#,
    r#""controls":[{"spec":"split","describe":"prompt in two pieces"}],"#,
    r#""benchmark":{"name":"steady-world","fingerprint":"22","size":10,"questions":10,"questions_sha256":"33"},"#,
    r#""perturbations":["none"],"prompt":"{question}","processor":{"crop":"144x144"},"decoding":{"strategy":"greedy"},"#,
    r#""precision":"f32","device":"flex","groups_per_part":8}"#
);

#[test]
fn a_plan_is_its_text_and_its_hash_the_text_s() {
    let plan = Plan::from_json(WRITTEN.as_bytes()).unwrap();
    assert_eq!(plan.to_json().unwrap().to_string(), WRITTEN);
    assert_eq!(plan.variants(), ["none", "int8", "split"]);
    let hash = HEXLOWER.encode(&Sha256::digest(WRITTEN));
    assert_eq!(plan.sha256().unwrap(), hash);
    // whoever renames the command has the same experiment
    assert_eq!(Plan { command: "steady run".into(), ..plan }.sha256().unwrap(), hash);
    let odd = WRITTEN.replace(r#""precision""#, r#""sprouts":{},"precision""#);
    let error = Plan::from_json(odd.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("unknown field `sprouts`"), "{error}");
}

/// Its answers were recorded under other names.
#[test]
fn a_plan_of_the_first_format_is_refused_by_its_number() {
    let controls = r#""controls":[{"spec":"split","describe":"prompt in two pieces"}]"#;
    let old = WRITTEN.replace(r#""format":2"#, r#""format":1"#).replace(controls, r#""noise_floor":true"#);
    let error = Plan::from_json(old.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("format: 1 is not 2"), "{error}");
}

/// Ten questions of the embedded suite, asked of the baseline and one acceleration.
fn work() -> Work {
    let (_, questions) = EMBEDDED.draw(10, &[]).unwrap();
    let mut plan = Plan::from_json(WRITTEN.as_bytes()).unwrap();
    plan.benchmark.questions_sha256 = questions_sha256(&questions).unwrap();
    Work::new(plan, questions).unwrap()
}

/// Every variant gives the right answer.
fn answers(work: &Work, group: usize) -> Answers {
    let mut answers = Answers::default();
    for &index in &work.groups()[group].questions {
        for acceleration in work.plan().variants() {
            let question = &work.questions()[index];
            answers.records.push(Record {
                question: question.id.clone(),
                family: question.family.clone(),
                image: question.image.clone(),
                perturbation: "none".into(),
                acceleration: acceleration.into(),
                answer: question.gold[0].clone(),
                output_ids: vec![1],
                cut: Some(false),
                parsed: Some(question.gold[0].clone()),
                no_answer: None,
                correct: true,
                score: 1.0,
                top_ids: vec![1],
                top_tokens: vec!["a".into()],
                top_logits: vec![2.0],
                margin: Some(1.0),
                kl: (acceleration != "none").then_some(0.5),
                visual_tokens: 144,
                kept: None,
                kept_by_step: None,
                prompt_tokens: 160,
                decoder_visual_tokens: 144.0,
                kv_bytes: 640,
                weight_bytes: 1000,
                flops: 1_000_000,
            });
            answers.timings.push(Timing {
                question: question.id.clone(),
                perturbation: "none".into(),
                acceleration: acceleration.into(),
                wall_ms: 1.0,
            });
        }
    }
    answers
}

#[test]
fn a_study_that_comes_as_bytes_is_the_study() {
    let work = work();
    let there = Work::from_bytes(&work.to_bytes().unwrap()).unwrap();
    assert_eq!(there, work);
    let mut growing = Growing::new(there);
    for group in (0..work.groups().len()).rev() {
        growing.take(&work.seal(group, &answers(&work, group)).unwrap()).unwrap();
    }
    assert_eq!((growing.done(), work.total()), (30, 30));
    let report = growing.report().unwrap().unwrap();
    assert_eq!((report.questions().len(), report.summaries()[0].dr.count, report.summaries()[0].accuracy_after.count), (10, 0, 10));
    // other questions than the plan's are noticed
    let mut other = work.plan().clone();
    other.benchmark.questions_sha256 = "44".into();
    let error = Work::from_bytes(&Work::new(other, work.questions().to_vec()).unwrap().to_bytes().unwrap()).unwrap_err().to_string();
    assert_eq!(error, "plan: these are not its questions");
}

#[test]
fn a_report_stands_sixty_times_as_long_as_it_took() {
    assert_eq!(pause(Duration::from_millis(3)), Duration::from_millis(700));
    assert_eq!(pause(Duration::from_millis(200)), Duration::from_secs(12));
    assert_eq!(pause(Duration::MAX), Duration::MAX);
}

proptest! {
    /// Bytes that were changed anywhere are refused or are harmless; none of them ends the program.
    #[test]
    fn damaged_bytes_are_survived(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let work = work();
        let damage = |mut bytes: Vec<u8>| {
            let place = at.index(bytes.len());
            bytes[place] = to;
            let kept = cut.index(bytes.len() * 2).min(bytes.len());
            bytes.truncate(kept);
            bytes
        };
        let mut growing = match Work::from_bytes(&damage(work.to_bytes().unwrap())) {
            Ok(work) => Growing::new(work),
            Err(_) => Growing::new(work.clone()),
        };
        for group in 0..work.groups().len() {
            let taken = growing.take(&damage(work.seal(group, &answers(&work, group)).unwrap()));
            prop_assert!(taken.is_ok() || taken.unwrap_err().to_string().contains("earlier run"));
        }
        drop(growing.report());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Work::from_bytes(&bytes));
        prop_assert!(Growing::new(work()).take(&bytes).is_err());
    }
}
