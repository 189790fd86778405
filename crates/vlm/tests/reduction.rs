//! Token reducers against transformers' own layers (reduced/make.py), and their contract.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the support is shared by several test programs, each of which uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use pollster::FutureExt;
use serde_json::Value;
use steady_vlm::{Decoding, HostMatrix, Needs, PositionPolicy, Prepared, Site, Vlm};
use support::{Puppet, distance, prepare, tiny};

/// Sums over a few hundred products in another order; transformers' numbers are rounded to six digits.
const CLOSE: f32 = 2e-5;

fn fixture() -> Value {
    serde_json::from_str(include_str!("reduced/reduced.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    let list = value.as_array().unwrap();
    list.iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn flat(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().flat_map(floats).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    let list = value.as_array().unwrap();
    list.iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

/// The fixture's prompt, through the same files as everyone's.
fn fixture_prompt(vlm: &Vlm) -> Prepared {
    let prepared = prepare(vlm, "larger.png", "  answer with one word  ");
    let text = std::fs::read_to_string(support::reference().join("cases.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["id"] == "larger").unwrap();
    let ids: Vec<u32> = indices(&case["input_ids"]).iter().map(|&id| id as u32).collect();
    assert_eq!(prepared.input_ids, ids);
    prepared
}

#[test]
fn logits_after_a_reduction_agree_with_transformers() {
    use PositionPolicy::{Keep, Renumber};
    let (vlm, fixture) = (tiny(), fixture());
    let prepared = fixture_prompt(&vlm);
    let kept = indices(&fixture["kept"]);
    let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let baseline = vlm.ask(&prepared, None, &options).block_on().unwrap();
    assert!(distance(&baseline.first_logits, &floats(&fixture["baseline"])) < CLOSE);

    for (name, stage, positions) in [
        ("before_renumber", Site::AfterTower, Renumber),
        ("before_renumber", Site::AfterProjector, Renumber),
        ("before_renumber", Site::BeforeLayer(0), Renumber),
        ("before_keep", Site::AfterTower, Keep),
        ("before_keep", Site::AfterProjector, Keep),
        ("before_keep", Site::BeforeLayer(0), Keep),
        ("inside_renumber", Site::BeforeLayer(1), Renumber),
        ("inside_keep", Site::BeforeLayer(1), Keep),
    ] {
        let puppet = Puppet::new(stage, &kept, positions);
        let answer = vlm.ask(&prepared, Some(&puppet), &options).block_on().unwrap();
        let off = distance(&answer.first_logits, &floats(&fixture[name]));
        assert!(off < CLOSE, "{name} at {stage:?}: {off}");
        assert_eq!(answer.kept(), Some(kept.as_slice()));
        // The cases differ, or agreement would mean nothing.
        assert!(distance(&answer.first_logits, &baseline.first_logits) > 1e-2);
    }

    let mut withdrawing = Puppet::new(Site::BeforeLayer(1), &[], Keep);
    withdrawing.reduction.may_be_empty = true;
    let answer = vlm.ask(&prepared, Some(&withdrawing), &options).block_on().unwrap();
    assert!(distance(&answer.first_logits, &floats(&fixture["withdrawn"])) < CLOSE);
}

#[test]
fn evidence_agrees_with_transformers() {
    let (vlm, fixture) = (tiny(), fixture());
    let prepared = fixture_prompt(&vlm);
    let needs = Needs { features: true, cls_attention: [-1, -2].into(), vision_keys: [-2].into(), ..Needs::default() };
    let all: Vec<usize> = (0..26).collect();
    let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let see = |stage, needs: Needs| {
        let puppet = Puppet::new(stage, &all, PositionPolicy::Keep).looking_at(needs);
        vlm.ask(&prepared, Some(&puppet), &options).block_on().unwrap();
        let mut shown = puppet.shown.into_inner().unwrap();
        assert_eq!(shown.len(), 1);
        shown.remove(0)
    };

    let shown = see(Site::AfterTower, needs.clone());
    assert_eq!(shown.visual_tokens, 26);
    for (layer, matrix) in &shown.cls_attention {
        assert_eq!((matrix.rows, matrix.cols), (4, 26));
        let expected = flat(&fixture["cls_attention"][layer.to_string()]);
        assert!(distance(&matrix.data, &expected) < CLOSE);
    }
    assert_eq!(shown.cls_attention.len(), 2);
    let (layer, keys) = &shown.vision_keys[0];
    assert_eq!((*layer, keys.rows, keys.cols), (-2, 26, 32));
    assert!(distance(&keys.data, &flat(&fixture["vision_keys_-2"])) < CLOSE);
    let row = |features: Option<HostMatrix>| features.unwrap().row(5).to_vec();
    assert!(distance(&row(shown.features), &floats(&fixture["features_row_5"])) < CLOSE);

    let shown = see(Site::AfterProjector, needs);
    assert!(distance(&row(shown.features), &floats(&fixture["projected_row_5"])) < CLOSE);

    let looking = Needs {
        features: true,
        last_row_attention: true,
        own_attention: true,
        text_attention: true,
        prompt: true,
        class_projections: [-1].into(),
        ..Needs::default()
    };
    let shown = see(Site::BeforeLayer(1), looking);
    let attention = shown.last_row_attention.unwrap();
    assert!(distance(&attention, &floats(&fixture["last_row_attention"])) < CLOSE);
    assert!(distance(&row(shown.features), &floats(&fixture["entering_row_5"])) < CLOSE);
    assert!(distance(&shown.own_attention.unwrap(), &floats(&fixture["own_attention"])) < CLOSE);
    let text = shown.text_attention.unwrap();
    assert_eq!((text.rows, text.cols), (prepared.input_ids.len() - prepared.layout.end(), 26));
    assert!(distance(&text.data, &flat(&fixture["text_attention"])) < CLOSE);
    let prompt = shown.prompt.unwrap();
    assert_eq!((prompt.before.rows, prompt.visual.rows, prompt.behind.rows), (prepared.layout.start(), 26, text.rows));
    assert!(distance(prompt.before.row(1), &floats(&fixture["before_row_1"])) < CLOSE);
    assert!(distance(prompt.visual.row(5), &floats(&fixture["projected_row_5"])) < CLOSE);
    assert!(distance(prompt.behind.row(0), &floats(&fixture["behind_row_0"])) < CLOSE);
    assert!(!prompt.marked);
    assert!(distance(&shown.class_projections[0].1.data, &flat(&fixture["class_projections_-1"])) < CLOSE);
    assert_eq!((shown.class_projections.len(), shown.vision_heads), (1, 4));
}

/// Left out of the visual tokens, the class token is still there to be seen; among them it is no other token.
#[test]
fn the_class_token_is_shown_where_it_is_no_visual_token() {
    let folder = support::changed(|config| config["vision_feature_select_strategy"] = "default".into(), |_| ());
    let settings = folder.path().join("processor_config.json");
    let mut processor: serde_json::Value = serde_json::from_slice(&std::fs::read(&settings).unwrap()).unwrap();
    processor["vision_feature_select_strategy"] = "default".into();
    std::fs::write(settings, processor.to_string()).unwrap();
    let images = steady_vlm::image::ImageOptions { backend: steady_vlm::image::PixelBackend::Pil, ..Default::default() };
    let checkpoint = steady_vlm::Checkpoint::open(folder.path()).unwrap().with_images(images);
    let vlm = Vlm::load(&checkpoint, &steady_vlm::Device::Cpu, steady_vlm::Precision::F32).unwrap();
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let needs = Needs { class_token: true, features: true, ..Needs::default() };
    let puppet = Puppet::new(Site::AfterTower, &[3], PositionPolicy::Renumber).looking_at(needs.clone());
    vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
    let shown = puppet.shown.into_inner().unwrap().remove(0);
    let (class_token, fixture) = (shown.class_token.unwrap(), fixture());
    assert_eq!((class_token.rows, class_token.cols, shown.visual_tokens), (1, 64, 25));
    assert!(distance(&class_token.data, &floats(&fixture["features_row_0"])) < CLOSE);
    assert!(distance(shown.features.unwrap().row(4), &floats(&fixture["features_row_5"])) < CLOSE);

    let vlm = tiny();
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let error = |site| {
        let puppet = Puppet::new(site, &[3], PositionPolicy::Renumber).looking_at(needs.clone());
        vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap_err().to_string()
    };
    assert!(error(Site::AfterTower).contains("class token is a visual token"), "{}", error(Site::AfterTower));
    assert!(error(Site::AfterProjector).contains("those after the vision tower"), "{}", error(Site::AfterProjector));
}

/// Rows in another order are the same rows in that order.
#[test]
fn rows_stand_where_the_order_says() {
    let vlm = tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    for site in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0), Site::BeforeLayer(1)] {
        let spy = Puppet::new(site, &[3], PositionPolicy::Renumber).looking_at(Needs { features: true, ..Needs::default() });
        vlm.ask(&prepared, Some(&spy), &Decoding::default()).block_on().unwrap();
        let features = spy.shown.into_inner().unwrap().remove(0).features.unwrap();
        // 8, 20, 3 as kept rows in an order, and as new rows in that order.
        let mut moved = Puppet::new(site, &[3, 8], PositionPolicy::Renumber);
        moved.reduction.merged = Some(features.select_rows(&[20]));
        moved.reduction.order = Some(vec![1, 2, 0]);
        let mut new = Puppet::new(site, &[], PositionPolicy::Renumber);
        new.reduction.merged = Some(features.select_rows(&[8, 20, 3]));
        let [moved, new] = [moved, new].map(|puppet| vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap());
        assert!(distance(&moved.first_logits, &new.first_logits) < 1e-5, "{site:?}");
        assert_eq!(moved.kept(), Some(&[3, 8][..]));
    }
}

#[test]
fn what_nobody_asks_for_is_not_shown() {
    let vlm = tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let puppet = Puppet::new(Site::BeforeLayer(1), &[1, 2], PositionPolicy::Keep);
    vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
    let shown = puppet.shown.into_inner().unwrap();
    assert!(shown[0].features.is_none() && shown[0].last_row_attention.is_none());
    assert!(shown[0].cls_attention.is_empty() && shown[0].vision_keys.is_empty());
}

#[test]
fn lengths_and_costs_follow_what_was_kept() {
    let vlm = tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let n = prepared.input_ids.len();
    let cost = |stage, kept: &[usize]| {
        let puppet = Puppet::new(stage, kept, PositionPolicy::Keep);
        let answer = vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
        (answer.kv_lengths, answer.cost)
    };
    let baseline = vlm.ask(&prepared, None, &Decoding::default()).block_on().unwrap();
    assert_eq!(baseline.kv_lengths, [n, n]);
    // Two layers, keys and values, 2 heads of width 12, 4 bytes.
    assert_eq!(baseline.cost.kv_bytes, 2 * n * 2 * 2 * 12 * 4);
    assert_eq!((baseline.visual_tokens, baseline.cost.prompt_tokens), (26, n));
    assert_eq!(baseline.kept(), None);

    let (lengths, short) = cost(Site::AfterProjector, &[0, 7, 25]);
    assert_eq!(lengths, [n - 23, n - 23]);
    assert!((short.visual_tokens - 3.0).abs() < 1e-6);
    let (lengths, inside) = cost(Site::BeforeLayer(1), &[0, 7, 25]);
    assert_eq!(lengths, [n, n - 23]);
    assert!((inside.visual_tokens - 14.5).abs() < 1e-6);
    assert_eq!(inside.kv_bytes, (n + n - 23) * 2 * 2 * 12 * 4);
    assert!(short.flops < inside.flops && inside.flops < baseline.cost.flops);
}

#[test]
fn merged_tokens_follow_the_kept_ones() {
    let vlm = tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    // Merging a row that was dropped, unchanged, is keeping it: rows 3, 8 and a "merged" 20.
    for stage in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0), Site::BeforeLayer(1)] {
        let looking = Needs { features: true, ..Needs::default() };
        let spy = Puppet::new(stage, &[3, 8, 20], PositionPolicy::Renumber).looking_at(looking);
        let kept = vlm.ask(&prepared, Some(&spy), &Decoding::default()).block_on().unwrap();
        let features = spy.shown.into_inner().unwrap().remove(0).features.unwrap();
        let mut merging = Puppet::new(stage, &[3, 8], PositionPolicy::Renumber);
        merging.reduction.merged = Some(features.select_rows(&[20]));
        let merged = vlm.ask(&prepared, Some(&merging), &Decoding::default()).block_on().unwrap();
        assert!(distance(&kept.first_logits, &merged.first_logits) < 1e-5, "{stage:?}");
        assert_eq!(kept.output_ids, merged.output_ids);
        assert_eq!(kept.kv_lengths, merged.kv_lengths);
    }
}

#[test]
fn a_reducer_that_breaks_the_contract_is_named() {
    let vlm = tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let fails = |puppet: &Puppet, expected: &str| {
        let error = vlm.ask(&prepared, Some(puppet), &Decoding::default()).block_on().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("puppet") && text.contains(expected), "{text}");
    };
    let at = |stage, kept: &[usize]| Puppet::new(stage, kept, PositionPolicy::Keep);
    for stage in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(1)] {
        fails(&at(stage, &[2, 1]), "ascend");
        fails(&at(stage, &[1, 1]), "repeats");
        fails(&at(stage, &[0, 26]), "26 is out of range");
        fails(&at(stage, &[]), "every visual token");
        let mut narrow = Puppet::new(stage, &[0], PositionPolicy::Renumber);
        narrow.reduction.merged = Some(HostMatrix::new(1, 7, vec![0.0; 7]));
        fails(&narrow, "width 7");
    }
    let mut homeless = at(Site::AfterTower, &[0]);
    homeless.reduction.merged = Some(HostMatrix::new(1, 64, vec![0.0; 64]));
    fails(&homeless, "position");
    fails(&at(Site::BeforeLayer(2), &[0]), "layers 0 to 1");
    let looking = Needs { last_row_attention: true, ..Needs::default() };
    fails(&at(Site::BeforeLayer(0), &[0]).looking_at(looking.clone()), "layer below");
    fails(&at(Site::AfterProjector, &[0]).looking_at(looking), "layer below");

    let mut lost = at(Site::AfterTower, &[0, 4]);
    lost.positions = PositionPolicy::Renumber;
    lost.reduction.order = Some(vec![1, 1]);
    fails(&lost, "no permutation of the 2 rows");
    lost.reduction.order = Some(vec![1, 0]);
    lost.positions = PositionPolicy::Keep;
    fails(&lost, "moved have no original position");

    // An image that was encoded without what the reducer needs.
    let needy = at(Site::AfterTower, &[0]).looking_at(Needs { cls_attention: [-1].into(), ..Needs::default() });
    let image = vlm.encode(&prepared.pixels).block_on().unwrap();
    let error = vlm.prefix(&prepared.input_ids, &prepared.layout, &image, Some(&needy)).block_on().err().unwrap().to_string();
    assert!(error.contains("puppet") && error.contains("CLS attention"), "{error}");
    let absent = Needs { vision_keys: [3].into(), ..Needs::default() };
    let error = vlm.encode_for(&prepared.pixels, &absent).block_on().err().unwrap().to_string();
    assert!(error.contains("vision layer 3") && error.contains("3 layers"), "{error}");
}
