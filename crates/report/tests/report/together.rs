//! Which questions break under what, and methods by budget.

use steady_report::{AccelerationReport, AgainstRandom, AnswerRow, Chance, CostRow, Measurements, Outcome, QuestionRow, Report, Section};

use crate::fixture;

/// [`fixture::measurements`], in which `int8` breaks the first two questions. `w4:rtn,g=64` changes the first, the third and the fifth and breaks the first.
fn measurements() -> Measurements {
    let mut all = fixture::measurements();
    for (question, said) in [(0, "no"), (1, "yes")] {
        let answers = &mut all.accelerations[1].answers;
        answers[question] =
            AnswerRow { correct: false, outcome: Some(Outcome::Broken), ..fixture::answer(said, false, 0.5, Outcome::Broken, 0.5) };
    }
    all
}

#[test]
fn what_two_have_in_common() {
    let together = Report::new(measurements()).unwrap().together().unwrap();
    assert_eq!(together.specs, ["w4:rtn,g=64", "int8"]);
    // Of the four questions that either changed both changed the first.
    let [[own, between], [other_way, _]] = [0, 1].map(|i| [0, 1].map(|j| together.overlaps[i][j]));
    assert_eq!((own.both, own.either, between.both, between.either, between), (3, 3, 1, 4, other_way));
    // Independently, with 3 and 2 of 6: 1 of 6 both, 4 of 6 either.
    assert!((between.by_chance.unwrap() - 0.25).abs() < 1e-12 && between.share() == Some(0.25));
    // Four break under none, the second under int8 alone, the first under both.
    assert_eq!(together.questions_by_count, [4, 1, 1]);
    assert_eq!(together.most.into_iter().collect::<Vec<_>>(), [("existence/0".to_owned(), 2)]);
}

#[test]
fn one_alone_is_beside_nothing() {
    let mut all = fixture::measurements();
    all.accelerations.truncate(1);
    all.plan.specs.truncate(1);
    let report = Report::new(all).unwrap();
    assert!(report.together().is_none() && report.section(Section::Together).is_empty());
    // And where nothing changed there is no share.
    let unchanged = fixture::report().together().unwrap();
    assert_eq!((unchanged.overlaps[1][1].share(), unchanged.overlaps[1][1].by_chance), (None, None));
}

#[test]
fn perturbed_answers_are_not_counted() {
    assert_eq!(fixture::perturbed_report().together(), fixture::report().together());
}

/// The answers of `int8` at four budgets of one method, in the order in which somebody typed them, and two of another.
fn swept() -> Report {
    let mut all = measurements();
    let budgets = [
        ("random:keep=0.5,seed=7", 72.0),
        ("random:keep=0.25,seed=7", 36.0),
        ("random:keep=0.75,seed=7", 108.0),
        ("divprune:keep=12", 12.0),
        ("divprune:keep=24", 24.0),
    ];
    for (spec, visual_tokens) in budgets {
        let AccelerationReport { answers, cost, .. } = all.accelerations[1].clone();
        let cost = CostRow { visual_tokens, ..cost };
        all.accelerations.push(AccelerationReport { spec: spec.to_owned(), what_it_is: String::new(), answers, first_token: None, cost });
        all.plan.specs.push(spec.to_owned());
    }
    Report::new(all).unwrap()
}

/// Eight questions about as many images, all answered right, and who breaks how many of them from the front, with so many visual tokens and such weights.
fn beside(columns: &[(&str, usize, f64, u64)]) -> Report {
    let mut all = fixture::measurements();
    let first = all.questions[0].clone();
    let at = |i: usize| QuestionRow { id: format!("existence/{i}"), image: i.to_string(), ..first.clone() };
    all.questions = (0..8).map(at).collect();
    (all.plan.questions, all.controls) = (8, Vec::new());
    let AccelerationReport { cost, .. } = all.accelerations[0].clone();
    let of = |&(spec, broken, visual_tokens, weight_bytes): &(&str, usize, f64, u64)| AccelerationReport {
        spec: spec.to_owned(),
        what_it_is: String::new(),
        answers: (0..8)
            .map(|i| {
                if i < broken {
                    fixture::answer("no", false, 0.5, Outcome::Broken, 0.5)
                } else {
                    AnswerRow { outcome: Some(Outcome::Same), ..first.baseline.clone() }
                }
            })
            .collect(),
        first_token: None,
        cost: CostRow { visual_tokens, weight_bytes, ..cost.clone() },
    };
    all.accelerations = columns.iter().map(of).collect();
    all.plan.specs = columns.iter().map(|(spec, ..)| (*spec).to_owned()).collect();
    Report::new(all).unwrap()
}

#[test]
fn each_method_stands_beside_random_tokens_of_its_budget() {
    let report = beside(&[
        ("divprune:keep=0.25", 0, 36.0, 8),
        ("lofi:keep=0.5", 8, 72.0, 8),
        ("fastv:k=2,keep=0.25", 6, 73.5, 8),
        ("vtw:k=2", 7, 72.0, 8),
        ("random:keep=0.25,seed=0", 8, 36.0, 8),
        ("random:keep=0.5,seed=0", 0, 72.0, 8),
        // The same answers once more are no other control.
        ("random:keep=0.5,seed=0,placed", 0, 72.0, 8),
        // Others have other weights, another budget, or drop nothing.
        ("w4:rtn,g=64+divprune:keep=0.25", 8, 36.0, 4),
        ("w4:rtn,g=64+random:keep=0.25,seed=0", 2, 36.0, 4),
        ("w4:rtn,g=64", 1, 144.0, 4),
        ("dart:keep=0.75", 0, 108.0, 8),
        ("tome:keep=0.5+divprune:keep=0.25", 0, 18.0, 8),
        ("blur:keep=0.25", 0, 144.0, 8),
        ("blind", 8, 0.0, 8),
    ]);
    let specs: Vec<&str> = report.accelerations().iter().map(|acceleration| acceleration.spec.as_str()).collect();
    let pairs = report.against_random();
    let told: Vec<_> = pairs.iter().map(|pair| (specs[pair.method], specs[pair.random], pair.test.up, pair.test.down)).collect();
    assert_eq!(
        told,
        [
            ("divprune:keep=0.25", "random:keep=0.25,seed=0", 0, 8),
            ("lofi:keep=0.5", "random:keep=0.5,seed=0", 8, 0),
            // The same `keep` is one reading of its budget, as many tokens over all layers the other.
            ("fastv:k=2,keep=0.25", "random:keep=0.25,seed=0", 0, 2),
            ("fastv:k=2,keep=0.25", "random:keep=0.5,seed=0", 6, 0),
            ("vtw:k=2", "random:keep=0.5,seed=0", 7, 0),
            ("w4:rtn,g=64+divprune:keep=0.25", "w4:rtn,g=64+random:keep=0.25,seed=0", 6, 0),
        ]
    );
    // Of n images that all point one way 2 in 2^n do by chance. Holm: the smallest times 6 and times 5, 7 times 4, 6 times 3 and times 2, and no less than
    // the one before; 2 of 4 is one half.
    let adjusted: Vec<f64> = pairs.iter().map(|pair| pair.test.p_adjusted).collect();
    let by_hand = [6.0 / 128.0, 6.0 / 128.0, 0.5, 0.093_75, 4.0 / 64.0, 0.093_75];
    assert!(adjusted.iter().zip(by_hand).all(|(p, by_hand)| (p - by_hand).abs() < 1e-12), "{adjusted:?}");
    let readings: Vec<Chance> = pairs.iter().map(AgainstRandom::reading).collect();
    assert_eq!(readings, [Chance::Better, Chance::Worse, Chance::NotTold, Chance::NotTold, Chance::NotTold, Chance::NotTold]);
    let section = report.section(Section::Together);
    assert!(section.contains("Better than chance?") && section.contains("adjusted for 6 comparisons"));
    assert!(report.table().contains("worse than chance"));
    insta::assert_snapshot!(report.markdown_document().split("### Better").nth(1).unwrap());
    // A report.json says it to a reader of its own, and a false one is refused.
    let json = report.to_json().unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let pair = &mut document["summary"]["together"]["against_random"]["lofi:keep=0.5"]["random:keep=0.5,seed=0"];
    assert_eq!((pair["up"].as_u64(), pair["tests"].as_u64()), (Some(8), Some(6)));
    pair["up"] = 7.into();
    assert!(Report::from_json(&document.to_string()).unwrap_err().to_string().contains("against_random"));
}

#[test]
fn three_budgets_are_a_curve() {
    let report = swept();
    let sweeps = report.sweeps();
    let [sweep] = sweeps.as_slice() else { panic!("{sweeps:?}") };
    assert_eq!(sweep.spec, "random:keep=..,seed=7");
    let points: Vec<(f64, f64)> = sweep.points.iter().map(|point| (point.keep, point.visual_tokens)).collect();
    assert_eq!(points, [(0.25, 36.0), (0.5, 72.0), (0.75, 108.0)]);
    assert!(sweep.points.iter().all(|point| point.summary.dr.count == 2));
    let section = report.section(Section::Together);
    assert!(section.contains("How changes grow with the budget") && section.contains("<polyline"));
    assert!(!Report::new(measurements()).unwrap().section(Section::Together).contains("<polyline"));
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(swept().markdown_document());
}

#[test]
fn what_was_not_run_is_said() {
    let mut all = measurements();
    all.plan.left_out.insert("holov:keep=12".to_owned(), "this image has several views".to_owned());
    let report = Report::new(all).unwrap();
    assert_eq!(report.remarks(), ["holov:keep=12: not run, this image has several views"]);
    assert!(report.section(Section::Rates).contains("not run, this image has several views"));
    let back = Report::from_json(&report.to_json().unwrap()).unwrap();
    assert_eq!(back.plan().left_out, report.plan().left_out);
}
