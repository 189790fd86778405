//! The default share: the embedded study of 300 questions under five accelerations, as a link.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use steady_bench::world::EmbeddedSuite;
use steady_bench::{BENCHMARKS, asked, suite_of};
use steady_report::share::{self, BUDGET, SuiteQuestion};
use steady_report::{AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, QuestionRow, Report};

/// Specs with how many of a thousand answers each changes: as measured once, and as hard on the link as that.
const ACCELERATIONS: [(&str, u64); 5] = [
    ("w4:rtn,g=auto", 47),
    ("int8:threshold=6", 3),
    ("divprune:keep=0.33", 343),
    ("fastv:k=2,keep=0.5", 113),
    ("random:keep=0.33,seed=7", 510),
];

/// A report of chance: the baseline is right 7 times of 10, and whatever is wrong is the gold answer of another question. A perturbation changes every
/// fifth of its answers.
fn report(questions: &[SuiteQuestion], fingerprint: &str, perturbations: &[&str]) -> Report {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let mut one_in = |of: u64| chance.next_u64() % of;
    let answer = |text: &str, asked: &SuiteQuestion, outcome| AnswerRow {
        text: format!(" {text}"),
        parsed: Some(text.to_owned()),
        correct: asked.gold.iter().any(|gold| gold == text),
        score: f32::from(u8::from(asked.gold.iter().any(|gold| gold == text))),
        margin: Some(1.0),
        kl: None,
        outcome,
        visual_tokens: 144.0,
        top: Vec::new(),
    };
    let other = |one_in: &mut dyn FnMut(u64) -> u64| questions[one_in(questions.len() as u64) as usize].gold[0].clone();
    let rows: Vec<&SuiteQuestion> = (0..=perturbations.len()).flat_map(|_| questions).collect();
    let mut baseline: Vec<String> =
        questions.iter().map(|asked| if one_in(10) < 7 { asked.gold[0].clone() } else { other(&mut one_in) }).collect();
    for row in questions.len()..rows.len() {
        let clean = baseline[row % questions.len()].clone();
        baseline.push(if one_in(5) == 0 { other(&mut one_in) } else { clean });
    }
    let became = |asked: &SuiteQuestion, before: &String, after: &String| {
        let right = |text: &String| asked.gold.contains(text);
        Outcome::of(after == before, right(before), right(after)).unwrap()
    };
    let mut column = |changed: u64| -> Vec<AnswerRow> {
        let mut answers = Vec::new();
        for (asked, before) in rows.iter().zip(&baseline) {
            let after = if one_in(1000) < changed { other(&mut one_in) } else { before.clone() };
            answers.push(answer(&after, asked, Some(became(asked, before, &after))));
        }
        answers
    };
    let cost = || CostRow {
        weight_bytes: 5_526_528,
        stored_bytes: None,
        kv_bytes: 661_613.226_7,
        visual_tokens: 144.0,
        prompt_tokens: 161.526_7,
        flops: 6.254e8,
        seconds: None,
    };
    let layers = "language_model.layers.*.mlp.down_proj, language_model.layers.*.mlp.gate_proj, language_model.layers.*.self_attn.k_proj";
    let accelerations = ACCELERATIONS
        .iter()
        .map(|&(spec, changed)| AccelerationReport {
            spec: spec.to_owned(),
            what_it_is: format!("what {spec} does, in a sentence. Here: 28 linear layers ({layers})"),
            answers: column(changed),
            first_token: None,
            cost: cost(),
        })
        .collect();
    let what_it_is = "reversed order, nothing shared".to_owned();
    let controls = vec![ControlReport { spec: "none".to_owned(), what_it_is, answers: column(0), first_token: None }];
    let named = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let plan = PlanSummary {
        model: "steady-llava".to_owned(),
        checkpoint_sha256: "ffa7ab0eb6aa7651f28bd329a45749b31b6cc0e185c9908828f8f1318bd4bfce".to_owned(),
        benchmark: "steady-world".to_owned(),
        benchmark_fingerprint: fingerprint.to_owned(),
        plan_sha256: String::new(),
        questions: questions.len(),
        perturbations: perturbations.iter().map(|&perturbation| perturbation.to_owned()).collect(),
        specs: ACCELERATIONS.iter().map(|(spec, _)| (*spec).to_owned()).collect(),
        left_out: BTreeMap::new(),
        prompt_template: "USER: <image>\n{question} ASSISTANT:".to_owned(),
        post_prompts: BTreeMap::new(),
        processor: named(&[
            ("crop", "144x144"),
            ("normalize", "mean [0.48145467, 0.4578275, 0.40821072], std [0.26862955, 0.2613026, 0.2757771]"),
        ]),
        decoding: named(&[("eos_token_ids", "[2]"), ("max_new_tokens", "64"), ("repetition_penalty", "1"), ("strategy", "greedy")]),
        precision: "f32".to_owned(),
        device: "flex, 2 threads, x86_64 avx2+fma+avx512f".to_owned(),
        versions: named(&[("burn", "0.22.1"), ("steady", "0.1.0")]),
        seeds: BTreeMap::new(),
        command_line: format!(
            "steady run --model steady-llava --bench steady-world --questions 300 --accel {}",
            ACCELERATIONS.map(|(spec, _)| spec).join(" --accel ")
        ),
    };
    let questions = rows.iter().enumerate().map(|(row, asked)| {
        let (said, clean) = (&baseline[row], &baseline[row % questions.len()]);
        let perturbation = (row / questions.len()).checked_sub(1).map(|of| perturbations[of].to_owned());
        let outcome = perturbation.is_some().then(|| became(asked, clean, said));
        QuestionRow { perturbation, ..(*asked).clone().answered(answer(said, asked, outcome)) }
    });
    let questions = questions.collect();
    Report::new(Measurements { plan, baseline_cost: cost(), questions, accelerations, controls, flagged: Vec::new() }).unwrap()
}

#[test]
fn the_default_study_fits_into_a_link_with_all_its_words() {
    let suite = EmbeddedSuite::test(30);
    let (named, questions) = (suite_of(&suite), asked(&suite));
    let shared = report(&questions, &named.fingerprint, &[]);
    let link = shared.share(Some((&named, &questions))).unwrap();
    assert!(link.payload.len() <= BUDGET && link.left_out == 0, "{} characters, {} left out", link.payload.len(), link.left_out);

    let opened = share::open(&link.payload, |wanted| (*wanted == named).then(|| questions.clone())).unwrap();
    assert_eq!(opened.report.summaries().len(), 5);
    for (opened, shared) in opened.report.summaries().iter().zip(shared.summaries()) {
        assert_eq!((opened.tally, opened.dr, opened.mcnemar, opened.ties), (shared.tally, shared.dr, shared.mcnemar, shared.ties));
        assert_eq!(opened.per_family, shared.per_family);
    }
    assert_eq!(opened.report.accelerations().len(), 5);
    for (opened, shared) in opened.report.accelerations().iter().zip(shared.accelerations()) {
        let said = |answers: &[AnswerRow]| answers.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>();
        assert_eq!(said(&opened.answers), said(&shared.answers));
    }
    let texts = |report: &Report| report.questions().iter().map(|question| question.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&opened.report), texts(&shared));
}

/// The same under two perturbations: three times the answers. All numbers are there, and what room is left is for the words of those that broke most.
#[test]
fn a_perturbed_study_keeps_to_the_budget() {
    let suite = EmbeddedSuite::test(30);
    let (named, questions) = (suite_of(&suite), asked(&suite));
    let shared = report(&questions, &named.fingerprint, &["noise=20", "blur=1+jpeg=30"]);
    let link = shared.share(Some((&named, &questions))).unwrap();
    assert!(link.payload.len() <= BUDGET, "{} characters, {} left out", link.payload.len(), link.left_out);

    let opened = share::open(&link.payload, |wanted| (*wanted == named).then(|| questions.clone())).unwrap();
    assert_eq!((opened.left_out, opened.report.questions().len()), (link.left_out, 900));
    assert_eq!(opened.report.perturbed().len(), 2);
    for (opened, shared) in opened.report.perturbed().iter().zip(shared.perturbed()) {
        assert_eq!((&opened.perturbation, opened.baseline.tally), (&shared.perturbation, shared.baseline.tally));
        assert_eq!(opened.condition.accelerations.len(), 5);
        for (opened, shared) in opened.condition.accelerations.iter().zip(&shared.condition.accelerations) {
            assert_eq!((opened.tally, opened.dr, &opened.per_family), (shared.tally, shared.dr, &shared.per_family));
        }
    }
    let worst = opened.report.worst_first()[0];
    assert_eq!(opened.report.questions()[worst].baseline.text, shared.questions()[worst].baseline.text);
}

/// Written by the release before there were perturbations, with the page's link of the same study.
const REPORT: &str = include_str!("version-1/report.json");
const LINK: &str = include_str!("version-1/link.txt");

/// Its answers are told as they always were; controls have another name, and what follows from the answers follows by other rules.
#[test]
fn a_report_of_version_1_is_read_and_written_again() {
    let mut again: Value = serde_json::from_str(&Report::from_json(REPORT).unwrap().to_json().unwrap()).unwrap();
    let mut told: Value = serde_json::from_str(REPORT).unwrap();
    assert_eq!((&told["format"], &again["format"]), (&"steady-report/1".into(), &"steady-report/2".into()));
    assert_eq!(told["noise_floor"]["answers"], again["controls"][0]["answers"]);
    for field in ["format", "summary", "noise_floor", "controls"] {
        for document in [&mut again, &mut told] {
            document.as_object_mut().unwrap().remove(field);
        }
    }
    assert!(alike(&again, &told));
}

/// Equal in fields and their order, and in numbers but for the last digit, which JSON loses on its way.
fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.keys().eq(theirs.keys()) && ours.values().zip(theirs.values()).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= 1e-12 * theirs.abs()
        }
        _ => ours == theirs,
    }
}

#[test]
fn links_of_version_1_open() {
    let opened =
        share::open(LINK, |wanted| Some(asked(&*BENCHMARKS.reopen(&wanted.name, &wanted.fingerprint, wanted.size).unwrap()))).unwrap();
    assert!(opened.rebuilt && opened.left_out == 0);
    let told = Report::from_json(REPORT).unwrap();
    let (opened, plan) = (opened.report, told.plan());
    assert_eq!((opened.plan(), opened.perturbed().len()), (plan, 0));
    // what that release printed: 90.0 -> 60.0, 30.0 % broke
    let divprune = opened.summary("divprune:keep=0.33").unwrap();
    assert_eq!((divprune.accuracy_before.count, divprune.accuracy_after.count, divprune.ndr.count, divprune.dr.of), (9, 6, 3, 10));
    assert_eq!(opened.summaries().len(), told.summaries().len());
    for (opened, told) in opened.summaries().iter().zip(told.summaries()) {
        assert_eq!((opened.tally, opened.dr, opened.mcnemar), (told.tally, told.dr, told.mcnemar));
    }
    let rows = |report: &Report| {
        report.questions().iter().map(|row| (row.id.clone(), row.text.clone(), row.baseline.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&opened), rows(&told));
    // and it is shared as this release does
    let suite = BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, 10).unwrap();
    let again = told.share(Some((&suite_of(&*suite), &asked(&*suite)))).unwrap().payload;
    let version = |link: &str| BASE64_URL_SAFE_NO_PAD.decode(link.trim()).unwrap()[0];
    assert_eq!((version(LINK), version(&again)), (1, 3));
}
