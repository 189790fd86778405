//! What a gate says of made-up studies, and how it says it.

use insta::assert_snapshot;
use steady_verdict::{Check, Finding, Gate, Measure, Policy, Run, Verdict, VerdictError};

use crate::study::{Moved, run};

const POLICY: &str = r#"
confidence = 0.95

[[rule]]
max-ndr = "2%"
non-inferiority-margin = "2%"

[[rule]]
tier = "supporting"
group = "*"
max-dr = 0.1

[[rule]]
tier = "advisory"
benchmark = "pope"
max-drop = 0.001
"#;

fn policy() -> Policy {
    Policy::read(POLICY, "policy.toml").unwrap()
}

fn limits(limits: &[(Measure, f64)]) -> Policy {
    Policy::of_limits(limits.to_vec())
}

fn verdicts(gate: &Gate) -> Vec<Verdict> {
    gate.accelerations.iter().map(|judged| judged.verdict).collect()
}

fn runs() -> Vec<Run> {
    let accelerations = [("good", Moved(2, 1, 1)), ("bad", Moved(40, 10, 5)), ("unclear", Moved(12, 10, 0))];
    vec![
        run("pope", 800, 1, &accelerations, &[("order", Moved(0, 0, 0))]),
        run("vqa", 600, 2, &accelerations[..2], &[("order", Moved(0, 0, 1))]),
    ]
}

/// On paper: 0 of 300 is at most 0.99 %, 20 of 300 at least 4.5 %, 3 of 300 anything between 0.3 and 2.6 %.
#[test]
fn three_verdicts() {
    let runs = [run("pope", 300, 1, &[("same", Moved(0, 0, 0)), ("worse", Moved(20, 0, 0)), ("unclear", Moved(3, 0, 0))], &[])];
    let gate = Gate::judge(&limits(&[(Measure::Ndr, 0.01)]), &runs, &[]).unwrap();
    assert_eq!(verdicts(&gate), [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]);
    assert_eq!(gate.verdict, Verdict::Fail);
    let bounds = |i: usize| gate.accelerations[i].findings[0].evidence.unwrap();
    assert!(bounds(0).at_most.unwrap() < 0.01 && bounds(1).at_least.unwrap() > 0.04);
    assert_eq!((bounds(0).needed, bounds(1).needed, bounds(2).needed), (None, None, None), "1 % observed is the limit itself");
    // one of 300, as many as a limit of 1 % leaves open, and the number of questions that would close it
    let gate = Gate::judge(&limits(&[(Measure::Ndr, 0.01)]), &[run("pope", 300, 1, &[("unclear", Moved(1, 0, 0))], &[])], &[]).unwrap();
    assert_eq!(gate.verdict, Verdict::Inconclusive);
    // a third of the limit: scipy's binomial finds that 4 may break among 915 at least, and with a chance of 81 % no more do
    assert_eq!(gate.accelerations[0].findings[0].evidence.unwrap().needed, Some(915));
}

#[test]
fn questions_about_one_image_count_less() {
    let judge = |by_image| {
        let gate =
            Gate::judge(&limits(&[(Measure::Ndr, 0.01)]), &[run("pope", 300, by_image, &[("same", Moved(0, 0, 0))], &[])], &[]).unwrap();
        (gate.verdict, gate.accelerations[0].findings[0].evidence.unwrap().needed)
    };
    assert_eq!(judge(1), (Verdict::Pass, None));
    // as many images as there would be questions, four about each
    assert_eq!(judge(4), (Verdict::Inconclusive, Some(4 * 299)));
}

#[test]
fn a_policy_over_two_benchmarks() {
    let runs = runs();
    let gate = Gate::judge(&policy(), &runs, &[]).unwrap();
    // the second benchmark was not asked under `unclear`, and what is not known holds up nothing but the verdict
    assert_eq!(verdicts(&gate), [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]);
    let text = gate.accelerations.iter().map(|judged| {
        let rows = judged.findings.iter().map(|finding| finding.cells().join(" | ")).collect::<Vec<_>>();
        format!("{}\n{}\n{}\n", judged.headline(), rows.join("\n"), judged.pooled().unwrap_or_default())
    });
    assert_snapshot!("two_benchmarks", text.collect::<Vec<_>>().join("\n"));
    assert!(gate.accelerations[0].accuracy_fell.unwrap().any > 0.99);
    assert!(gate.accelerations[1].accuracy_fell.unwrap().any < 0.001);
}

#[test]
fn as_markdown_xml_and_annotations() {
    let gate = Gate::judge(&policy(), &runs(), &["bad".to_owned(), "unclear".to_owned()]).unwrap();
    assert_snapshot!("markdown", gate.markdown());
    assert_snapshot!("junit", gate.junit().replace("><", ">\n<"));
    assert_snapshot!("annotations", gate.annotations().join("\n"));
    assert_eq!(Finding::HEADS.len(), gate.accelerations[0].findings[0].cells().len());
}

/// What a model is called may be anything; it stays text wherever it is shown.
#[test]
fn names_cannot_act() {
    let name = "a|b<script>\n::error::x\u{1b}[2J,\"'";
    let gate = Gate::judge(&limits(&[(Measure::Ndr, 0.01)]), &[run("p&<o>pe", 40, 1, &[(name, Moved(5, 0, 0))], &[])], &[]).unwrap();
    let (markdown, junit, annotations) = (gate.markdown(), gate.junit(), gate.annotations());
    assert!(
        markdown.contains("a\\|b&lt;script&gt;") && !markdown.contains('\u{1b}') && markdown.contains("p&amp;&lt;o&gt;pe"),
        "{markdown}"
    );
    assert!(!junit.contains("<script>") && !junit.contains('\u{1b}') && junit.contains("p&amp;&lt;o&gt;pe"), "{junit}");
    assert!(
        annotations.len() == 1 && !annotations[0].contains('\n') && annotations[0].starts_with("::error title=steady gate%3A FAIL%2C a|b"),
        "{annotations:?}"
    );
}

/// The verdict stands before the map, every benchmark has a row, and what was not run is said.
#[test]
fn a_page_maps_benchmarks_by_accelerations() {
    let gqa = run("gqa", 40, 1, &[("good", Moved(0, 0, 0)), ("bad", Moved(8, 2, 0))], &[]);
    let pope = run("pope", 40, 1, &[("good", Moved(1, 0, 0))], &[]);
    let runs = [Run { page: Some("gqa/report.html".to_owned()), ..gqa }, pope];
    let gate = Gate::judge(&limits(&[(Measure::Ndr, 0.1)]), &runs, &[]).unwrap();
    let page = gate.page(&runs).unwrap();
    let (above, map) = page.split_once("Where answers broke").unwrap();
    assert!(above.contains(&gate.headline()) && above.contains("NDR &lt;= 10 %"), "{above}");
    // 8 of 40 broke and 2 were repaired; 1 of 40 broke; nothing
    let led = "heat-12\"><a href=\"gqa/report.html#questions?acceleration=1&amp;outcome=broken&amp;condition=0\">20.0</a>";
    for cell in [led, "<small>DR 25.0", "heat-2\">2.5<", "<small>DR 2.5", "heat-0\">0.0<", "<small>DR 0.0", ">not run<"] {
        assert_eq!(map.matches(cell).count(), 1, "{cell} in {map}");
    }
    let places = [">gqa</bdi></a></th>", ">pope</bdi></th>"].map(|row| map.find(row).unwrap_or_else(|| panic!("{row} in {map}")));
    assert!(places[0] < places[1]);
    assert!(!page.contains("<script") && !page.contains("src=") && page.contains("default-src 'none'"));
    let name = "a|b<script>\n\u{1b}[2J\"";
    let hostile = [run("p<o>pe", 40, 1, &[(name, Moved(5, 0, 0))], &[])];
    let page = Gate::judge(&limits(&[(Measure::Ndr, 0.01)]), &hostile, &[]).unwrap().page(&hostile).unwrap();
    assert!(!page.contains("<script") && !page.contains('\u{1b}') && page.contains("p&lt;o&gt;pe"), "{page}");
}

#[test]
fn a_card_is_about_one_acceleration() {
    let runs = runs();
    let gate = Gate::judge(&policy(), &runs, &["good".to_owned()]).unwrap();
    assert_snapshot!("card", gate.card(&runs, Some("https://example.org/steady/#r=AQ")).unwrap());
    let error = Gate::judge(&policy(), &runs, &[]).unwrap().card(&runs, None).unwrap_err();
    assert!(error.to_string().contains("good, bad, unclear were judged: name one with --accel"), "{error}");
}

#[test]
fn refusals_say_what_there_is() {
    let runs = runs();
    let refused = |text: &str, runs: &[Run], specs: &[&str]| {
        let specs: Vec<String> = specs.iter().map(|spec| (*spec).to_owned()).collect();
        Gate::judge(&Policy::read(text, "policy.toml").unwrap(), runs, &specs).unwrap_err().to_string()
    };
    let mut other = run("gqa", 10, 1, &[("good", Moved(0, 0, 0))], &[]);
    let twice = [runs[0].clone(), runs[0].clone()];
    let mut measurements = other.report.measurements().clone();
    measurements.plan.checkpoint_sha256 = "ef".repeat(32);
    other.report = steady_report::Report::new(measurements).unwrap();
    let told = [
        refused("[[rule]]\nmax-dr = 0.1\ngroup = \"counting\"", &runs, &[]),
        refused("[[rule]]\nmax-dr = 0.1\nperturbation = \"noise=20\"", &runs, &[]),
        refused("[[rule]]\nmax-dr = 0.1\nperturbation = \"*\"", &runs, &[]),
        refused("[[rule]]\nmax-dr = 0.1", &runs, &["int8"]),
        refused("[[rule]]\nmax-dr = 0.1", &[runs[0].clone(), other], &[]),
        refused("[[rule]]\nmax-dr = 0.1", &twice, &[]),
        refused("[[rule]]\nmax-dr = 0.1", &[], &[]),
        refused("[[rule]]\nmax-dr = 0.1", &[run("pope", 10, 1, &[], &[])], &[]),
    ];
    assert_snapshot!("refusals", told.join("\n"));
}

/// A benchmark that a rule names and nobody ran cannot have passed.
#[test]
fn what_was_not_run_is_inconclusive() {
    let policy = Policy::read("[[rule]]\nbenchmark = \"gqa\"\nmax-ndr = 0.1\n", "policy.toml").unwrap();
    let gate = Gate::judge(&policy, &runs(), &["good".to_owned()]).unwrap();
    assert_eq!(gate.verdict, Verdict::Inconclusive);
    assert_eq!(gate.accelerations[0].findings[0].why(), "no run of benchmark gqa was given");
}

/// The baseline against a control that changes nothing passes where there are questions enough; one that changes much makes the gate fail for nothing.
#[test]
fn a_gate_is_checked_on_controls() {
    let quiet = [run("pope", 400, 1, &[("good", Moved(0, 0, 0))], &[("order", Moved(0, 0, 0)), ("bf16", Moved(1, 1, 0))])];
    let check = Check::of(&limits(&[(Measure::Ndr, 0.02)]), &quiet).unwrap();
    assert_eq!((check.verdict, check.controls.len()), (Verdict::Pass, 2));
    assert!(check.controls.iter().all(|checked| checked.fails == 0.0), "{check:?}");
    assert_eq!(check, Check::of(&limits(&[(Measure::Ndr, 0.02)]), &quiet).unwrap(), "the same draws every time");
    let few = [run("pope", 50, 1, &[("good", Moved(0, 0, 0))], &[("order", Moved(0, 0, 0))])];
    assert_eq!(Check::of(&limits(&[(Measure::Ndr, 0.02)]), &few).unwrap().verdict, Verdict::Inconclusive);
    // four of 400 broken: a drop of at most half a point is exceeded in nearly every draw
    let loud = [run("pope", 400, 1, &[("good", Moved(0, 0, 0))], &[("bf16", Moved(4, 0, 0))])];
    let check = Check::of(&limits(&[(Measure::Drop, 0.005)]), &loud).unwrap();
    assert_eq!(check.verdict, Verdict::Fail);
    // P(Poisson(4) > 2) = 76 %
    assert!((check.controls[0].fails - 0.76).abs() < 0.04, "{check:?}");
    let none = Check::of(&limits(&[(Measure::Ndr, 0.02)]), &[run("pope", 50, 1, &[("good", Moved(0, 0, 0))], &[])]).unwrap_err();
    assert!(matches!(none, VerdictError::Runs(_)) && none.to_string().contains("runs/pope has no controls"), "{none}");
}
