//! What a guard is chosen from, what its file holds, and what is refused.

use steady_verdict::{Guarantee, Guard, Risk, Wanted};

use crate::study::{Moved, run};

fn wanted(limit: f64) -> Wanted {
    Wanted { spec: "w4".to_owned(), risk: Risk::Ndr, limit, guarantee: Guarantee::ConformalRiskControl, calibrate: 0.5, seed: 7 }
}

/// 40 of 400 broken, with leads of 0.25 to 0.64 logits where everything else leads by three and more.
#[test]
fn a_guard_defers_what_breaks() {
    let run = run("pope", 400, 1, &[("w4", Moved(40, 0, 0))], &[]);
    let guard = Guard::choose(&run.report, &run.name, &wanted(0.02)).unwrap().unwrap();
    assert!((0.25..0.7).contains(&guard.threshold), "{}", guard.threshold);
    let (calibration, held_out) = (guard.calibration, guard.held_out);
    assert_eq!((calibration.images, held_out.images, calibration.questions + held_out.questions), (200, 200, 400));
    // (n R + 1) / (n + 1) <= 2 % leaves three of 200
    assert!(calibration.risk <= 0.015 + 1e-12 && calibration.risk > 0.0, "{calibration:?}");
    assert!(held_out.risk_without > 0.05 && held_out.risk < 0.04 && held_out.coverage > 0.85, "{held_out:?}");
    // 0.4 for the accelerated answer, and the baseline's whole for what it does not answer
    assert!((guard.cost.flops - (0.4 + 1.0 - held_out.coverage)).abs() < 1e-12 && (guard.cost.flops_without - 0.4).abs() < 1e-12);
    let both = [guard.curve.first().unwrap(), guard.curve.last().unwrap()];
    assert_eq!(both.map(|point| (point.coverage, point.threshold.is_some())), [(1.0, true), (0.0, false)]);
    assert!(guard.curve.windows(2).all(|pair| pair[0].coverage >= pair[1].coverage && pair[0].risk >= pair[1].risk));
    assert!(guard.keeps(guard.threshold) && !guard.keeps(guard.threshold.next_down()));
}

#[test]
fn whole_images_are_split_by_the_seed() {
    let run = run("pope", 400, 4, &[("w4", Moved(40, 0, 0))], &[]);
    let guard = |seed, calibrate| Guard::choose(&run.report, &run.name, &Wanted { seed, calibrate, ..wanted(0.05) }).unwrap().unwrap();
    let (one, again, other) = (guard(7, 0.5), guard(7, 0.5), guard(8, 0.5));
    assert_eq!(one, again);
    assert_ne!(one.calibration, other.calibration);
    assert_eq!((one.calibration.images, one.calibration.questions, one.held_out.questions), (50, 200, 200));
    let all = guard(7, 1.0);
    assert_eq!((all.held_out.images, all.holds(), all.calibration.images), (0, None, 100));
}

#[test]
fn too_few_images_are_told_how_many_do() {
    let run = run("pope", 60, 1, &[("w4", Moved(1, 0, 0))], &[]);
    let refused = |limit, guarantee| Guard::choose(&run.report, &run.name, &Wanted { guarantee, ..wanted(limit) }).unwrap().unwrap_err();
    assert_eq!((refused(0.02, Guarantee::ConformalRiskControl).images, refused(0.02, Guarantee::ConformalRiskControl).needed), (30, 49));
    assert_eq!(refused(0.02, Guarantee::LearnThenTest { confidence: 0.95 }).needed, 149);
}

#[test]
fn a_file_comes_back_and_a_broken_one_is_refused() {
    let run = run("pope", 400, 1, &[("w4", Moved(40, 0, 0))], &[]);
    let guard = Guard::choose(&run.report, &run.name, &Wanted { guarantee: Guarantee::LearnThenTest { confidence: 0.9 }, ..wanted(0.05) })
        .unwrap()
        .unwrap();
    let text = serde_json::to_string_pretty(&guard).unwrap();
    let read = Guard::read(&text, "guard.json").unwrap();
    assert_eq!(
        (read.threshold, read.guarantee, read.curve.len(), &read.spec),
        (guard.threshold, guard.guarantee, guard.curve.len(), &guard.spec)
    );
    for (from, to, told) in [
        ("steady-guard/1", "steady-guard/2", "guard.json: `format` is \"steady-guard/2\", expected \"steady-guard/1\""),
        ("\"threshold\":", "\"treshold\":", "unknown field `treshold`"),
        ("\"seed\": 7", "\"seed\": -7", "invalid value"),
    ] {
        let error = Guard::read(&text.replacen(from, to, 1), "guard.json").unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let svg = guard.curve_svg();
    assert!(
        svg.starts_with("<?xml") && svg.contains("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains("NDR kept under 5 %"),
        "{svg}"
    );
    insta::assert_snapshot!("curve", svg.replace("><", ">\n<"));
}

#[test]
fn what_cannot_be_guarded_is_said() {
    let run = run("pope", 60, 1, &[("w4", Moved(1, 0, 0))], &[]);
    let unknown = Guard::choose(&run.report, &run.name, &Wanted { spec: "int8".to_owned(), ..wanted(0.1) }).unwrap_err();
    assert_eq!(unknown.to_string(), "--accel: no acceleration \"int8\" in runs/pope; there is w4");
    let mut measurements = run.report.measurements().clone();
    measurements.accelerations[0].answers[0].margin = None;
    let report = steady_report::Report::new(measurements).unwrap();
    let unlit = Guard::choose(&report, "link", &wanted(0.1)).unwrap_err().to_string();
    assert!(unlit.contains("link does not hold by how much first tokens led"), "{unlit}");
}
