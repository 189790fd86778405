//! The share link: what it carries, what it leaves out, and what it refuses.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use insta::assert_snapshot;
use proptest::prelude::*;
use steady_report::share::{BUDGET, LONGEST, ShareError, SharedReport, Suite, SuiteQuestion, open};
use steady_report::{
    AnswerRow, Assurance, ControlReport, CostRow, Flag, Flagged, Measurements, Outcome, Perturbed, QuestionKind, QuestionRow, Report,
    Summary, Ties,
};

use crate::fixture;

fn reopened(payload: &str) -> SharedReport {
    open(payload, |_| None).unwrap()
}

fn payload() -> String {
    fixture::report().share(None).unwrap().payload
}

/// What was measured and is no count is carried so.
fn in_single_precision(summary: &Summary) -> Summary {
    let single = |number: Option<f64>| number.map(|number| f64::from(number as f32));
    let Summary { kl_mean, kl_median, margin_same, margin_diverged, ties, .. } = *summary;
    Summary {
        ties: ties.map(|ties| Ties { margin: f64::from(ties.margin as f32), ..ties }),
        kl_mean: single(kl_mean),
        kl_median: single(kl_median),
        margin_same: single(margin_same),
        margin_diverged: single(margin_diverged),
        ..of_counts(summary)
    }
}

/// Without what follows from margins, which are not carried, and from words, which are not all: an answer that stayed is in the baseline's.
fn of_counts(summary: &Summary) -> Summary {
    let assurance = Assurance { unparsed: None, agreement: None, calibration: None, collapsed: None, ..summary.assurance.clone() };
    Summary { assurance, ..summary.clone() }
}

/// Everything that is derived must come out the same, bootstrap intervals included.
fn assert_same_numbers(opened: &Report, shared: &Report) {
    let expected: Vec<Summary> = shared.summaries().iter().map(in_single_precision).collect();
    assert_eq!(opened.summaries().iter().map(of_counts).collect::<Vec<_>>(), expected);
    let controls: Vec<Summary> = shared.control_summaries().iter().map(in_single_precision).collect();
    assert_eq!(opened.control_summaries().iter().map(of_counts).collect::<Vec<_>>(), controls);
    assert_eq!(opened.measurements().flagged, shared.measurements().flagged);
    let named = |report: &Report| report.controls().iter().map(|c| (c.spec.clone(), c.what_it_is.clone())).collect::<Vec<_>>();
    assert_eq!(named(opened), named(shared));
    // of the first token under perturbation nothing is carried
    let numbers = |summary: &Summary| Summary {
        kl_mean: None,
        kl_median: None,
        margin_same: None,
        margin_diverged: None,
        ties: None,
        ..of_counts(summary)
    };
    let under = |report: &Report| {
        let of = |Perturbed { perturbation, baseline, condition }: &Perturbed| {
            let all = [baseline].into_iter().chain(&condition.accelerations).chain(&condition.controls);
            (perturbation.clone(), all.map(numbers).collect::<Vec<_>>())
        };
        report.perturbed().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(under(opened), under(shared));
    assert_eq!(opened.plan(), shared.plan());
    assert_eq!(opened.measurements().baseline_cost, shared.measurements().baseline_cost);
    let costs = |report: &Report| report.accelerations().iter().map(|a| (a.spec.clone(), a.cost.clone())).collect::<Vec<_>>();
    assert_eq!(costs(opened), costs(shared));
}

#[test]
fn a_link_carries_numbers_and_words() {
    let shared = fixture::report();
    let link = shared.share(None).unwrap();
    let SharedReport { report, suite, rebuilt, left_out } = reopened(&link.payload);
    assert_same_numbers(&report, &shared);
    assert_eq!((suite, rebuilt, left_out, link.left_out), (None, false, 0, 0));
    let of_words = |report: &Report| {
        let Assurance { unparsed, agreement, collapsed, .. } = report.summaries()[0].assurance.clone();
        (unparsed.unwrap(), agreement.unwrap(), collapsed.unwrap())
    };
    assert_eq!(of_words(&report), of_words(&shared));
    assert_eq!(report.questions().len(), 6);
    for (opened, shared) in report.questions().iter().zip(shared.questions()) {
        assert_eq!((&opened.id, &opened.text, &opened.gold), (&shared.id, &shared.text, &shared.gold));
        assert_eq!((&opened.baseline.text, &opened.baseline.parsed), (&shared.baseline.text, &shared.baseline.parsed));
    }
    let said = |report: &Report| report.accelerations()[0].answers.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>();
    assert_eq!(said(&report), ["no", "no", "no", "lamp", "4", "door"]);
    // margins and divergences come to the same, but are not carried one by one
    assert_eq!(report.accelerations()[0].first_token.unwrap().kl_mean, Some(0.25));
    assert_eq!(report.questions()[0].baseline.margin, None);
    assert!(link.payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
}

/// A report out of a link is a report like any other.
#[test]
fn a_link_carries_bytes_of_files_and_what_stood_behind_questions() {
    let mut all = fixture::measurements();
    all.baseline_cost.stored_bytes = Some(4_000_000);
    all.accelerations[0].cost.stored_bytes = Some(1_250_000);
    all.plan.post_prompts = [("short".to_owned(), "Answer the question using a single word or phrase.".to_owned())].into();
    let shared = Report::new(all).unwrap();
    let opened = reopened(&shared.share(None).unwrap().payload).report;
    assert_same_numbers(&opened, &shared);
    let table = opened.table();
    assert!(["files MB", "4.00", "1.25"].iter().all(|cell| table.contains(cell)), "{table}");
    assert!(opened.html(&std::collections::BTreeMap::new()).contains("Answer the question using a single word or phrase."));
}

#[test]
fn what_came_by_link_can_be_written_and_shared_again() {
    let report = reopened(&payload()).report;
    assert_eq!(Report::from_json(&report.to_json().unwrap()).unwrap(), report);
    let again = reopened(&report.share(None).unwrap().payload).report;
    assert_same_numbers(&again, &report);
}

#[test]
fn a_link_carries_perturbed_rows() {
    let shared = fixture::perturbed_report();
    let link = shared.share(None).unwrap();
    let version = |payload: &str| BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()[0];
    assert_eq!((version(&link.payload), version(&payload())), (3, 3));
    let opened = reopened(&link.payload).report;
    assert_same_numbers(&opened, &shared);
    let rows = |report: &Report| {
        let row = |row: &QuestionRow| (row.id.clone(), row.perturbation.clone(), row.baseline.text.clone(), row.baseline.outcome);
        report.questions().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(&opened), rows(&shared));
    assert_eq!(opened.accelerations()[0].answers[9].text, "ramp");
    assert_eq!(Report::from_json(&opened.to_json().unwrap()).unwrap(), opened);
    // a suite is drawn once, not once for each perturbation
    let (suite, asked) = suite();
    let by_position = shared.share(Some((&suite, &asked))).unwrap();
    assert!(by_position.payload.len() + 60 < link.payload.len());
    let opened = open(&by_position.payload, |wanted| (*wanted == suite).then(|| asked.clone())).unwrap();
    assert_eq!(rows(&opened.report), rows(&shared));
}

/// A run that left two accelerations out.
fn incomplete() -> Report {
    let mut all = fixture::measurements();
    all.plan.left_out.insert("holov:keep=12".to_owned(), "this image has several views".to_owned());
    all.plan.left_out.insert("prumerge".to_owned(), "the vision tower has no class token".to_owned());
    Report::new(all).unwrap()
}

#[test]
fn a_link_carries_what_was_left_out() {
    let shared = incomplete();
    let payload = shared.share(None).unwrap().payload;
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&payload).unwrap()[0], 4);
    let opened = reopened(&payload).report;
    assert_same_numbers(&opened, &shared);
    assert!(opened.remarks().contains(&"prumerge: not run, the vision tower has no class token".to_owned()));
}

/// Made by the release before links could tell what was left out, of [`fixture::perturbed_report`].
#[test]
fn links_of_version_3_open() {
    let link = include_str!("version-3.link");
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(link).unwrap()[0], 3);
    assert_same_numbers(&reopened(link).report, &fixture::perturbed_report());
}

/// The fixture's questions with others before, between and behind them.
fn suite() -> (Suite, Vec<SuiteQuestion>) {
    let mut asked: Vec<SuiteQuestion> = fixture::report()
        .questions()
        .iter()
        .cloned()
        .map(|QuestionRow { id, family, image, text, gold, kind, .. }| SuiteQuestion { id, family, image, text, gold, kind, weight: 1.0 })
        .collect();
    for (i, place) in [0, 3, 4, 9].into_iter().enumerate() {
        let other = SuiteQuestion { id: format!("other/{i}"), family: "other".into(), image: "z".into(), ..asked[0].clone() };
        asked.insert(place, other);
    }
    (Suite { name: "steady-world".into(), fingerprint: "f00d".into(), size: asked.len() }, asked)
}

#[test]
fn questions_of_a_suite_are_drawn_again() {
    let (suite, asked) = suite();
    let shared = fixture::report();
    let link = shared.share(Some((&suite, &asked))).unwrap();
    assert!(link.payload.len() + 60 < payload().len(), "{} characters", link.payload.len());

    let opened = open(&link.payload, |wanted| (*wanted == suite).then(|| asked.clone())).unwrap();
    assert!(opened.rebuilt);
    assert_same_numbers(&opened.report, &shared);
    let words = |report: &Report| report.questions().iter().map(|q| (q.id.clone(), q.text.clone(), q.image.clone())).collect::<Vec<_>>();
    assert_eq!(words(&opened.report), words(&shared));

    // someone who cannot draw it has the numbers all the same
    let opened = reopened(&link.payload);
    assert!(!opened.rebuilt && opened.suite == Some(suite));
    assert_same_numbers(&opened.report, &shared);
    assert_eq!(opened.report.questions()[2].text, "Question 3 (not in the link)");
    assert_eq!(opened.report.summaries()[0].assurance.agreement, None, "without gold answers nothing is said of them");
    assert_eq!(opened.report.accelerations()[0].answers[4].text, "4");
}

/// Another suite under the same name and fingerprint is noticed where it matters.
#[test]
fn a_suite_that_is_not_the_links_is_refused() {
    let (suite, mut asked) = suite();
    let link = fixture::report().share(Some((&suite, &asked))).unwrap();
    let fewer = asked[..4].to_vec();
    asked.rotate_left(1);
    let error = open(&link.payload, |_| Some(asked.clone())).unwrap_err();
    assert_eq!(error.to_string(), "the link's `family` is existence (yes/no) for question 2 of steady-world, expected other (yes/no)");
    let error = open(&link.payload, |_| Some(fewer.clone())).unwrap_err();
    assert!(error.to_string().contains("`skipped` is 5, expected a position below 4"), "{error}");
}

/// Only questions word for word those of the suite are left to it.
#[test]
fn questions_unlike_the_suites_are_listed() {
    let (suite, mut asked) = suite();
    asked[2].gold = vec!["maybe".into()];
    let link = fixture::report().share(Some((&suite, &asked))).unwrap();
    assert_eq!(reopened(&link.payload).report.questions()[0].text, "Is there a red circle?");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(payload()).unwrap();
    for byte in 0..sealed.len() {
        for bit in 0..8 {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1 << bit;
            let error = open(&BASE64_URL_SAFE_NO_PAD.encode(flipped), |_| None).unwrap_err();
            // one that makes the stream longer cannot be told from a cut
            assert!(matches!(error, ShareError::Checksum | ShareError::Cut | ShareError::Version { .. }), "{error}");
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let payload = payload();
    for length in 0..payload.len() {
        let error = open(&payload[..length], |_| None).unwrap_err();
        // and called a cut wherever there is enough to tell
        let called = matches!(error, ShareError::Empty | ShareError::Short { .. } | ShareError::Cut);
        assert!(called || length < 8, "the first {length} characters: {error}");
    }
}

/// Bytes in the envelope of a link, made here by hand.
fn enveloped(plain: &[u8]) -> String {
    enveloped_as(3, plain)
}

fn enveloped_as(version: u8, plain: &[u8]) -> String {
    let mut deflate = DeflateEncoder::new(vec![version], Compression::best());
    deflate.write_all(plain).unwrap();
    let mut sealed = deflate.finish().unwrap();
    let checksum = crc32fast::hash(&sealed);
    sealed.extend(checksum.to_le_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

fn inflated(payload: &str) -> Vec<u8> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut DeflateDecoder::new(&sealed[1..sealed.len() - 4]), &mut plain).unwrap();
    plain
}

#[test]
fn refusals_say_what_is_wrong() {
    let whole = payload();
    let refused = |payload: &str| open(payload, |_| None).unwrap_err().to_string();
    let mut trailing = inflated(&whole);
    trailing.extend([0; 3]);
    let mut later = BASE64_URL_SAFE_NO_PAD.decode(&whole).unwrap();
    later[0] = 5;
    let bomb = enveloped(&vec![0; 10_000_000]);
    assert!(bomb.len() < 14_000);
    let refusals = [
        refused(""),
        refused("AQ"),
        refused("<script>alert(1)</script>"),
        refused(&whole[..whole.len() / 2]),
        refused(&"A".repeat(LONGEST + 1)),
        refused(&BASE64_URL_SAFE_NO_PAD.encode(later)),
        refused(&bomb),
        refused(&enveloped(&trailing)),
        refused(&enveloped(b"steady")),
        refused(&enveloped(&[])),
    ];
    assert_snapshot!(refusals.join("\n"));
    // what mail programs add is not damage
    assert!(open(&format!(" {whole}==\n"), |_| None).is_ok());
}

/// A thousand questions with long words: numbers are complete, and the questions that broke keep their words.
#[test]
fn words_give_way_to_the_budget() {
    let shared = large(1000, |i| format!("{i} {}", "lorem ipsum dolor sit amet ".repeat(8)));
    let link = shared.share(None).unwrap();
    assert!(link.payload.len() <= BUDGET && link.payload.len() > BUDGET - 400, "{} characters", link.payload.len());
    assert!(link.left_out > 0);
    let opened = reopened(&link.payload);
    assert_same_numbers(&opened.report, &shared);
    assert_eq!(opened.left_out, link.left_out);
    let order = opened.report.worst_first();
    let (first, last) = (&opened.report.questions()[order[0]], &opened.report.questions()[order[order.len() - 1]]);
    assert!(first.text.contains("lorem") && first.baseline.text.contains("lorem"), "{first:?}");
    assert!(last.text.contains("not in the link") && last.baseline.text.contains("not in the link"), "{last:?}");
}

#[test]
fn a_report_too_large_for_a_link_is_refused() {
    // as many images as questions, and outcomes that repeat nowhere
    let error = large(120_000, |i| i.to_string()).share(None).unwrap_err();
    assert!(matches!(error, ShareError::Field { field: "answers", .. } | ShareError::TooLarge { .. }), "{error}");
}

/// One acceleration; what becomes of question i follows from i, without any pattern that deflate would find.
fn large(count: usize, text: impl Fn(usize) -> String) -> Report {
    let mixed = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let outcome = |i: usize| match mixed(i) % 8 {
        0 => Outcome::Broken,
        1 => Outcome::Changed,
        _ => Outcome::Same,
    };
    let words: Vec<(Outcome, String)> = (0..count).map(|i| (outcome(i), text(i))).collect();
    let answer = |text: &str, correct: bool, outcome: Option<Outcome>| AnswerRow {
        text: text.to_owned(),
        parsed: Some(text.to_owned()),
        correct,
        score: f32::from(u8::from(correct)),
        margin: None,
        kl: None,
        outcome,
        visual_tokens: 144.0,
        top: Vec::new(),
    };
    let mut measurements = fixture::measurements();
    measurements.plan.questions = count;
    measurements.controls.clear();
    measurements.accelerations.truncate(1);
    measurements.questions = words
        .iter()
        .enumerate()
        .map(|(i, (_, text))| QuestionRow {
            id: format!("q{i}"),
            family: format!("family {}", i % 10),
            image: format!("image {}", mixed(i) % 500),
            perturbation: None,
            text: text.clone(),
            gold: vec![text.clone()],
            kind: QuestionKind::Short,
            baseline: answer(text, true, None),
            weight: 1.0,
        })
        .collect();
    measurements.accelerations[0].answers = words
        .iter()
        .map(|(outcome, text)| match outcome {
            Outcome::Same => answer(text, true, Some(*outcome)),
            _ => answer(&format!("not {text}"), *outcome != Outcome::Broken, Some(*outcome)),
        })
        .collect();
    Report::new(measurements).unwrap()
}

/// Any report: graded scores, unread answers, images and families in any order, texts of any kind.
fn reports() -> impl Strategy<Value = Report> {
    let text = || "\\PC{0,12}";
    let answer = move || (text(), prop::option::of(text()), 0.0_f32..1.0, prop::option::of(0.0_f32..9.0), prop::option::of(0.0_f64..9.0));
    let question = move || (text(), 0_u8..4, 0_u8..6, prop::sample::select(vec![0_usize, 1, 2, 3]), any::<bool>(), any::<bool>(), answer());
    let column = move |count: usize| (text(), prop::collection::vec((0_u8..4, answer()), count));
    (1_usize..24, 0_usize..3)
        .prop_flat_map(move |(count, perturbations)| {
            let rows = count * (1 + perturbations);
            (
                prop::collection::vec(question(), count),
                prop::collection::vec((0_u8..4, answer()), count * perturbations),
                prop::collection::vec(column(rows), 0..4),
                prop::collection::vec(column(rows), 0..3),
            )
        })
        .prop_map(|(questions, perturbed, columns, controls)| {
            let row = |(text, parsed, score, margin, kl): (String, Option<String>, f32, Option<f32>, Option<f64>),
                       correct: bool,
                       graded: bool| AnswerRow {
                text,
                parsed,
                correct,
                score: if graded { score } else { f32::from(u8::from(correct)) },
                margin,
                kl,
                outcome: None,
                visual_tokens: 1.0,
                top: Vec::new(),
            };
            let kinds = [QuestionKind::YesNo, QuestionKind::Choice, QuestionKind::Short, QuestionKind::Number];
            let graded = questions[0].5;
            let became = |drawn: u8, before: bool| match (drawn, before) {
                (0, _) => (Outcome::Same, before),
                (1, _) => (Outcome::Changed, before),
                (_, true) => (Outcome::Broken, false),
                (_, false) => (Outcome::Repaired, true),
            };
            let count = questions.len();
            let mut rows: Vec<QuestionRow> = questions
                .into_iter()
                .enumerate()
                .map(|(i, (text, family, image, kind, correct, _, said))| QuestionRow {
                    id: format!("id {i}"),
                    family: format!("family {family}"),
                    image: format!("image {image}"),
                    perturbation: None,
                    gold: vec![text.clone()],
                    text,
                    kind: kinds[kind],
                    baseline: AnswerRow { kl: None, ..row(said, correct, graded) },
                    weight: 1.0,
                })
                .collect();
            let perturbation = |place: usize| format!("noise={}", 1 + place / count);
            let perturbations = (0..perturbed.len()).step_by(count).map(perturbation).collect();
            for (place, (drawn, said)) in perturbed.into_iter().enumerate() {
                let clean = rows[place % count].clone();
                let (outcome, correct) = became(drawn, clean.baseline.correct);
                let baseline = AnswerRow { outcome: Some(outcome), kl: None, ..row(said, correct, graded) };
                rows.push(QuestionRow { perturbation: Some(perturbation(place)), baseline, ..clean });
            }
            let answers = |column: Vec<(u8, _)>| -> Vec<AnswerRow> {
                let pairs = rows.iter().zip(column);
                pairs
                    .map(|(question, (drawn, said))| {
                        let (outcome, after) = became(drawn, question.baseline.correct);
                        AnswerRow { outcome: Some(outcome), ..row(said, after, graded) }
                    })
                    .collect()
            };
            let cost = || CostRow {
                weight_bytes: 7,
                stored_bytes: None,
                kv_bytes: 0.1,
                visual_tokens: 1.0,
                prompt_tokens: 2.5,
                flops: 1e300,
                seconds: None,
            };
            let accelerations = columns
                .into_iter()
                .enumerate()
                .map(|(i, (text, column))| steady_report::AccelerationReport {
                    spec: format!("{text}{i}"),
                    what_it_is: text,
                    answers: answers(column),
                    first_token: None,
                    cost: cost(),
                })
                .collect();
            let controls = controls
                .into_iter()
                .enumerate()
                .map(|(i, (what_it_is, column))| ControlReport {
                    spec: format!("{i}"),
                    what_it_is,
                    answers: answers(column),
                    first_token: None,
                })
                .collect();
            let flagged = vec![Flagged { row: count - 1, spec: "none".to_owned(), flag: Flag::NoAnswer }];
            let plan = steady_report::PlanSummary { questions: count, perturbations, ..fixture::measurements().plan };
            Report::new(Measurements { plan, baseline_cost: cost(), questions: rows, accelerations, controls, flagged }).unwrap()
        })
}

/// What was opened is complete: everything that can be asked of it answers.
fn use_it(report: &Report) {
    assert!(report.html(&std::collections::BTreeMap::new()).ends_with("</html>"));
    // serde_json may read the last digit of a number otherwise
    Report::from_json(&report.to_json().unwrap()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_report_comes_back_with_its_numbers(shared in reports()) {
        let link = shared.share(None).unwrap();
        let opened = reopened(&link.payload).report;
        assert_same_numbers(&opened, &shared);
        prop_assert_eq!(opened.accelerations().len(), shared.accelerations().len());
        for (opened, shared) in opened.accelerations().iter().zip(shared.accelerations()) {
            prop_assert_eq!(opened.answers.len(), shared.answers.len());
            for (opened, shared) in opened.answers.iter().zip(&shared.answers) {
                prop_assert_eq!((opened.outcome, opened.correct, opened.score), (shared.outcome, shared.correct, shared.score));
                // long words do not fit all into a link
                if shared.outcome != Some(Outcome::Same) && link.left_out == 0 {
                    prop_assert_eq!((&opened.text, &opened.parsed), (&shared.text, &shared.parsed));
                }
            }
        }
        use_it(&opened);
    }

    /// The checksum is no secret: a forged one must not lead anywhere either.
    #[test]
    fn forged_content_never_panics(at in any::<prop::sample::Index>(), removed in 0_usize..6, put in prop::collection::vec(any::<u8>(), 0..6)) {
        for (version, payload) in [(3, payload()), (3, fixture::perturbed_report().share(None).unwrap().payload), (4, incomplete().share(None).unwrap().payload)] {
            let mut plain = inflated(&payload);
            let from = at.index(plain.len());
            plain.splice(from..plain.len().min(from + removed), put.clone());
            if let Ok(opened) = open(&enveloped_as(version, &plain), |_| None) {
                use_it(&opened.report);
            }
        }
    }

    #[test]
    fn any_text_is_refused(text in "\\PC{0,80}") {
        prop_assert!(open(&text, |_| None).is_err());
    }
}
