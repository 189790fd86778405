//! Several reports of one model side by side, and perturbations by amount.

use steady_report::{Benchmarks, OfBenchmark, Report, ReportError, Section};

use crate::fixture;

/// The report of [`fixture::measurements`] as if it were of another benchmark; of the second acceleration alone where `half`.
fn of(benchmark: &str, half: bool) -> Report {
    let mut measurements = fixture::measurements();
    benchmark.clone_into(&mut measurements.plan.benchmark);
    if half {
        measurements.accelerations.remove(0);
        measurements.plan.specs.remove(0);
    }
    Report::new(measurements).unwrap()
}

fn named<'a>(name: &'a str, report: &'a Report) -> OfBenchmark<'a> {
    OfBenchmark { name, report, page: None }
}

#[test]
fn benchmarks_by_accelerations() {
    let (pope, gqa) = (of("pope", false), of("gqa", true));
    let all = Benchmarks::of(vec![OfBenchmark { page: Some("pope/report.html"), ..named("a", &pope) }, named("b", &gqa)]).unwrap();
    assert_eq!(all.specs(), ["w4:rtn,g=64", "int8"]);
    // of six questions one broke, and three changed
    let (heads, rows) = all.cells();
    assert_eq!(heads, ["benchmark", "questions", "w4:rtn,g=64", "int8"]);
    assert_eq!(rows, [["pope", "6", "16.7 / 50.0", "0.0 / 0.0"], ["gqa", "6", "-", "0.0 / 0.0"]]);
    let csv = all.csv();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 1 + 2 + 1);
    // the spec has a comma in it
    assert!(csv.lines().nth(1).unwrap().starts_with("pope,\"w4:rtn,g=64\",6,3,0.6666"), "{csv}");
    assert_eq!(lines[3][..4], ["gqa", "int8", "6", "3"]);
    insta::assert_snapshot!("benchmarks_in_markdown", all.markdown());
    insta::assert_snapshot!("benchmarks_as_a_map", all.map().replace("><", ">\n<"));
    let page = all.html();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("default-src 'none'") && !page.contains("script-src"));
    assert!(page.contains("Stability of tiny over 2 benchmarks") && !page.contains("<script"));
}

#[test]
fn what_cannot_stand_side_by_side_is_named() {
    let (pope, again) = (of("pope", false), of("pope", false));
    let refused = |all| match Benchmarks::of(all) {
        Err(ReportError::Apart(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(vec![named("a", &pope), named("b", &again)]), "a and b are both of benchmark pope");
    let mut other = fixture::measurements();
    (other.plan.model, other.plan.checkpoint_sha256) = ("large".to_owned(), "cd".repeat(32));
    let other = Report::new(other).unwrap();
    assert_eq!(
        refused(vec![named("a", &pope), named("b", &other)]),
        "a is of tiny and b of large: runs that are judged together are of one model"
    );
    assert_eq!(refused(Vec::new()), "no run to judge");
}

/// `noise=20` and `blur=1.5` are two perturbations; two amounts of one are a curve.
#[test]
fn two_amounts_of_a_perturbation_are_a_curve() {
    assert!(fixture::perturbed_report().amounts().is_empty());
    let mut measurements = fixture::perturbed_measurements();
    measurements.plan.perturbations = vec!["noise=20".to_owned(), "noise=5".to_owned()];
    for row in measurements.questions.iter_mut().filter(|row| row.perturbation.as_deref() == Some("blur=1.5")) {
        row.perturbation = Some("noise=5".to_owned());
    }
    let report = Report::new(measurements).unwrap();
    let amounts = report.amounts();
    let [noise] = amounts.as_slice() else { panic!("{amounts:?}") };
    assert_eq!(noise.spec, "noise=..");
    // under blur no acceleration changed anything, and so it is under little noise; under much w4 breaks two answers
    let broken: Vec<(f64, u64)> =
        noise.points.iter().map(|(amount, under)| (*amount, under.condition.accelerations[0].ndr.count)).collect();
    assert_eq!(broken, [(5.0, 0), (20.0, 2)]);
    let section = report.section(Section::Perturbed);
    // three models on two panels
    assert_eq!(section.matches("<polyline").count(), 6);
    assert!(!fixture::perturbed_report().section(Section::Perturbed).contains("<polyline"));
}

#[test]
fn a_document_of_a_perturbed_report() {
    insta::assert_snapshot!(fixture::perturbed_report().markdown_document());
}

#[test]
fn what_was_decided_stands_on_top() {
    let page = fixture::report().page_below("<header>PASS</header>", None).html;
    let places = ["<header>PASS</header>", "steady · stability report", "id=\"rates\""].map(|part| page.find(part).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.replace("<header>PASS</header>", ""), fixture::report().html(&std::collections::BTreeMap::new()));
}
