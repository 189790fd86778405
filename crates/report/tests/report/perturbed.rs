//! Answers about perturbed images: one more row each, with rates of their own.

use insta::assert_snapshot;
use serde_json::{Value, json};
use steady_report::{Filter, Order, PairedTest, Proportion, Report, Section, Summary};

use crate::fixture;

#[test]
fn what_is_said_of_clean_images_stays_as_it_was() {
    let (clean, perturbed) = (fixture::report(), fixture::perturbed_report());
    // but for what p-values are adjusted for: there are more of them
    let own = |summary: &Summary| {
        let alone = |test: PairedTest| PairedTest { p_adjusted: test.p_by_image, tests: 1, ..test };
        Summary { mcnemar: alone(summary.mcnemar), excess: summary.excess.map(alone), ..summary.clone() }
    };
    let all = |report: &Report| report.summaries().iter().map(own).collect::<Vec<_>>();
    assert_eq!(all(&perturbed), all(&clean));
    assert_eq!(perturbed.noise_floor(), clean.noise_floor());
    assert_eq!(perturbed.headline().map(own), clean.headline().map(own));
    for section in [Section::Families, Section::Costs] {
        assert_eq!(perturbed.section(section), clean.section(section), "{section:?}");
    }
    assert_eq!(clean.section(Section::Perturbed), "");
    assert!(perturbed.table().starts_with(clean.table().split("\n\n").next().unwrap()));
}

#[test]
fn rates_under_a_perturbation_on_paper() {
    let report = fixture::perturbed_report();
    let [noise, blur] = report.perturbed() else { panic!("two perturbations") };
    assert_eq!((noise.perturbation.as_str(), blur.perturbation.as_str()), ("noise=20", "blur=1.5"));
    // 4 of 6 right on clean images; noise breaks one answer of the baseline
    let of_noise = noise.baseline.tally;
    assert_eq!(of_noise.accuracy_before(), Proportion { count: 4, of: 6 });
    assert_eq!(of_noise.accuracy_after(), Proportion { count: 3, of: 6 });
    assert_eq!((of_noise.dr().count, of_noise.ndr().count, of_noise.pdr().count), (1, 1, 0));
    // from those 3, w4 breaks 2 and repairs 1
    let w4 = &noise.condition.accelerations[0];
    assert_eq!((w4.accuracy_before.count, w4.accuracy_after.count, w4.dr.of), (3, 2, 6));
    assert_eq!((w4.dr.count, w4.ndr.count, w4.pdr.count, w4.neutral.count), (3, 2, 1, 0));
    // Wilson for 3 of 6 is symmetric about 1/2: 1.96 / (1 + 3.8415 / 6) * sqrt(1/24 + 3.8415 / 144) = 0.3124
    assert!((w4.dr.wilson.low - 0.187_6).abs() < 1e-4 && (w4.dr.wilson.high - 0.812_4).abs() < 1e-4, "{:?}", w4.dr);
    // 2 against 1: 2 (1 + 3) / 8, at most 1
    assert!((w4.mcnemar.p_by_question - 1.0).abs() < 1e-12, "{:?}", w4.mcnemar);
    assert_eq!(w4.noise_floor.map(|floor| floor.count), Some(0));
    // three answers changed, each by 0.5 nats
    assert!((w4.kl_mean.unwrap() - 0.25).abs() < 1e-12);
    let unmoved = [&noise.condition.accelerations[1], &blur.baseline, &blur.condition.accelerations[0], &blur.condition.accelerations[1]];
    assert!(unmoved.iter().all(|summary| summary.dr.count == 0));
}

/// On clean images 4 of 6 are right with and without `w4:rtn,g=64`; noise leaves 3 of the baseline's and 2 of the other's.
#[test]
fn a_models_own_loss_stands_beside_the_baselines() {
    let page = fixture::perturbed_report().section(Section::Perturbed);
    // the heat map stands before them
    let rows: Vec<&str> = page.split_once("numbers perturbed").unwrap().1.split("<tr>").collect();
    let row = |name: &str| *rows.iter().find(|row| row.contains(name)).unwrap();
    assert!(row(">baseline<").contains("66.7 → 50.0<small>−16.7</small></td></tr>"), "{}", row(">baseline<"));
    assert!(row("rtn").contains("66.7 → 33.3<small>−33.3</small></td></tr>"), "{}", row("rtn"));
}

#[test]
fn report_json_holds_them_and_is_read_back() {
    let report = fixture::perturbed_report();
    let text = report.to_json().unwrap();
    assert_eq!(Report::from_json(&text).unwrap(), report);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["plan"]["perturbations"], json!(["noise=20", "blur=1.5"]));
    assert_eq!(document["questions"][6]["perturbation"], "noise=20");
    assert_eq!(document["questions"][6]["baseline"]["outcome"], "broken");
    let summary = &document["summary"]["perturbations"]["noise=20"];
    assert_eq!((&summary["baseline"]["dr"]["count"], &summary["accelerations"]["w4:rtn,g=64"]["ndr"]["count"]), (&json!(1), &json!(2)));
    assert_eq!(summary["noise_floor"]["dr"]["count"], 0);
    // nothing of it where nothing was perturbed
    let clean: Value = serde_json::from_str(&fixture::report().to_json().unwrap()).unwrap();
    for (part, field) in [("plan", "perturbations"), ("summary", "perturbations")] {
        assert!(clean[part].get(field).is_none(), "{part}.{field}");
    }
    assert!(clean["questions"][0].get("perturbation").is_none());
}

/// What reading says after one change.
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_str(&fixture::perturbed_report().to_json().unwrap()).unwrap();
    change(&mut document);
    Report::from_json(&document.to_string()).unwrap_err().to_string()
}

#[test]
fn refusals_name_the_row() {
    let refusals = [
        refusal(|report| report["plan"]["perturbations"] = json!(["noise=20", "noise=20"])),
        refusal(|report| report["plan"]["perturbations"] = json!(["noise=20"])),
        refusal(|report| drop(report["questions"].as_array_mut().unwrap().pop())),
        refusal(|report| report["plan"]["questions"] = json!(u64::MAX)),
        refusal(|report| report["questions"][2]["perturbation"] = json!("noise=20")),
        refusal(|report| drop(report["questions"][7].as_object_mut().unwrap().remove("perturbation"))),
        refusal(|report| report["questions"].as_array_mut().unwrap().swap(7, 13)),
        refusal(|report| report["questions"].as_array_mut().unwrap().swap(7, 8)),
        refusal(|report| report["questions"][7]["text"] = json!("Is it?")),
        refusal(|report| drop(report["questions"][7]["baseline"].as_object_mut().unwrap().remove("outcome"))),
        refusal(|report| report["questions"][6]["baseline"]["outcome"] = json!("same")),
        refusal(|report| report["questions"][7]["baseline"]["kl"] = json!(0.5)),
        refusal(|report| drop(report["accelerations"][1]["answers"].as_array_mut().unwrap().pop())),
        refusal(|report| report["accelerations"][0]["answers"][7]["outcome"] = json!("repaired")),
        refusal(|report| report["summary"]["perturbations"]["noise=20"]["baseline"]["dr"]["value"] = json!(0.5)),
    ];
    assert_snapshot!(refusals.join("\n"));
}

#[test]
fn in_a_terminal() {
    assert_snapshot!(fixture::perturbed_report().table());
}

#[test]
fn on_the_page() {
    assert_snapshot!(fixture::perturbed_report().section(Section::Perturbed).replace("><", ">\n<"));
}

#[test]
fn questions_are_found_by_what_was_done_to_their_images() {
    let report = fixture::perturbed_report();
    let found = |condition: Option<usize>, text: &str| {
        report.questions_for(&Filter { condition, text: text.to_owned(), ..Filter::default() }, Order::default())
    };
    // clean ones first, under each the worst first
    assert_eq!(found(None, ""), [0, 2, 4, 7, 9, 6]);
    assert_eq!((found(Some(0), ""), found(Some(1), ""), found(Some(2), "")), (vec![0, 2, 4], vec![7, 9, 6], vec![]));
    assert_eq!(found(None, "existence/0"), [0, 6]);
    assert_eq!((report.clean(9), report.condition(9), report.condition(3)), (3, 1, 0));
}
