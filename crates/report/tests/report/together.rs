//! Which questions break under what, and methods by budget.

use steady_report::{AccelerationReport, AnswerRow, CostRow, Measurements, Outcome, Report, Section};

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
