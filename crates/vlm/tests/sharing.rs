//! Work that is shared between questions must not change an answer.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the support is shared by several test programs, each of which uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use pollster::FutureExt;
use steady_vlm::{
    Answer, Cells, Checkpoint, Decoding, DeviceChoice, Needs, PositionPolicy, Precision, Site, TokenReducer, View, VisualLayout, Vlm,
};
use support::{Puppet, distance, prepare, tiny};

const QUESTIONS: [&str; 3] = ["what colour is the circle left of the square?", "how many?", "is there a cross in the picture? yes or no"];

/// Rounding differs where a product runs over other row counts; nothing else may.
const CLOSE: f32 = 1e-4;

fn same(shared: &Answer, alone: &Answer) {
    let off = distance(&shared.first_logits, &alone.first_logits);
    assert!(off <= CLOSE, "{off}");
    assert_eq!(shared.output_ids, alone.output_ids);
    assert_eq!(shared.text, alone.text);
    assert_eq!(shared.left, alone.left);
    assert_eq!(shared.kv_lengths, alone.kv_lengths);
    assert_eq!(shared.cost, alone.cost);
    assert_eq!(shared.visual_tokens, alone.visual_tokens);
}

/// Every question from one shared prefix, twice in different order, against each question on its own.
fn check(vlm: &Vlm, reducer: Option<&dyn TokenReducer>) {
    let options = Decoding { max_new_tokens: 6, ..Decoding::default() };
    let asked = QUESTIONS.map(|question| prepare(vlm, "square.png", question));
    let alone = asked.each_ref().map(|prepared| vlm.ask(prepared, reducer, &options).block_on().unwrap());

    let needs = Needs::of(reducer);
    let image = vlm.encode_for(&asked[0].pixels, &needs).block_on().unwrap();
    let layout = asked[0].layout.clone();
    let prefix = vlm.prefix(&asked[0].input_ids, &layout, &image, reducer).block_on().unwrap();
    let lengths = prefix.kv_lengths();
    for index in [0, 1, 2, 2, 1, 0] {
        let suffix = &asked[index].input_ids[layout.end()..];
        let shared = vlm.answer(&prefix, suffix, &options).block_on().unwrap();
        same(&shared, &alone[index]);
        assert_eq!(prefix.kv_lengths(), lengths, "answering must not touch the prefix");
    }
}

#[test]
fn baseline() {
    check(&tiny(), None);
}

#[test]
fn reducers_before_the_decoder() {
    for stage in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0)] {
        for positions in [PositionPolicy::Renumber, PositionPolicy::Keep] {
            check(&tiny(), Some(&Puppet::new(stage, &[1, 5, 6, 20], positions)));
        }
    }
}

#[test]
fn reducers_that_look_at_the_question_before_the_decoder() {
    let prompt = Needs { features: true, prompt: true, ..Needs::default() };
    for site in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0)] {
        for positions in [PositionPolicy::Renumber, PositionPolicy::Keep] {
            check(&tiny(), Some(&Puppet::new(site, &[1, 5, 6, 20], positions).looking_at(prompt.clone())));
        }
    }
    let own = Needs { own_attention: true, ..Needs::default() };
    check(&tiny(), Some(&Puppet::new(Site::BeforeLayer(0), &[1, 5], PositionPolicy::Renumber).looking_at(own)));
}

#[test]
fn reducers_inside_the_decoder() {
    let looking = Needs { features: true, last_row_attention: true, ..Needs::default() };
    for positions in [PositionPolicy::Renumber, PositionPolicy::Keep] {
        let blind = Puppet::new(Site::BeforeLayer(1), &[0, 9, 25], positions);
        check(&tiny(), Some(&blind));
        check(&tiny(), Some(&blind.looking_at(looking.clone())));
        let looks = [Needs { own_attention: true, ..Needs::default() }, Needs { text_attention: true, prompt: true, ..Needs::default() }];
        for needs in looks {
            check(&tiny(), Some(&Puppet::new(Site::BeforeLayer(1), &[0, 9, 25], positions).looking_at(needs)));
        }
        let mut withdrawing = Puppet::new(Site::BeforeLayer(1), &[], positions);
        withdrawing.reduction.may_be_empty = true;
        check(&tiny(), Some(&withdrawing));
    }
}

#[test]
fn a_reducer_that_looks_at_the_question_sees_the_same_either_way() {
    let vlm = tiny();
    let needs = Needs { features: true, last_row_attention: true, ..Needs::default() };
    let puppet = Puppet::new(Site::BeforeLayer(1), &[4], PositionPolicy::Keep).looking_at(needs);
    check(&vlm, Some(&puppet));
    // Three asked alone, then six from the prefix: 0 1 2 2 1 0.
    let shown = puppet.shown.into_inner().unwrap();
    assert_eq!(shown.len(), 9);
    for (index, question) in [0, 1, 2, 2, 1, 0].into_iter().enumerate() {
        let (alone, shared) = (&shown[question], &shown[3 + index]);
        let rows = |shown: &support::Shown| shown.last_row_attention.clone().unwrap();
        assert!(distance(&rows(alone), &rows(shared)) < 1e-5);
        assert_eq!(alone.image_key, shared.image_key);
        let features = |shown: &support::Shown| shown.features.clone().unwrap().data;
        assert!(distance(&features(alone), &features(shared)) < 1e-5);
    }
    // Different questions look differently.
    let rows = |index: usize| shown[index].last_row_attention.clone().unwrap();
    assert!(distance(&rows(0), &rows(1)) > 1e-4);
}

#[test]
fn keeping_everything_is_the_baseline() {
    let vlm = tiny();
    let options = Decoding { max_new_tokens: 8, ..Decoding::default() };
    let all: Vec<usize> = (0..26).collect();
    let looking = Needs { features: true, last_row_attention: true, ..Needs::default() };
    for question in QUESTIONS {
        let prepared = prepare(&vlm, "larger.png", question);
        let baseline = vlm.ask(&prepared, None, &options).block_on().unwrap();
        for stage in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0), Site::BeforeLayer(1)] {
            for positions in [PositionPolicy::Renumber, PositionPolicy::Keep] {
                let mut puppet = Puppet::new(stage, &all, positions);
                if stage == Site::BeforeLayer(1) {
                    puppet = puppet.looking_at(looking.clone());
                }
                let answer = vlm.ask(&prepared, Some(&puppet), &options).block_on().unwrap();
                assert_eq!(answer.first_logits, baseline.first_logits, "{stage:?}");
                assert_eq!(answer.output_ids, baseline.output_ids);
                assert_eq!(answer.cost, baseline.cost);
            }
        }
    }
}

#[test]
fn halves_that_map_linears_leaves_alone_stay_shared() {
    use steady_vlm::Dense;
    let vlm = tiny();
    let mut names = Vec::new();
    let copy = vlm
        .map_linears::<()>(&mut |name: &str, dense: &Dense| {
            names.push((name.to_owned(), dense.output(), dense.input()));
            Ok(None)
        })
        .unwrap();
    assert!(copy.shares_encoder(&vlm));
    // Tower: patches and 3 layers of 6; projector: 2; decoder: 2 layers of 7.
    assert_eq!(names.len(), 1 + 3 * 6 + 2 + 2 * 7);
    assert!(names.contains(&("language_model.layers.1.mlp.down_proj".to_owned(), 40, 56)));
    assert!(names.contains(&("language_model.layers.0.self_attn.k_proj".to_owned(), 24, 40)));
    assert!(names.contains(&("multi_modal_projector.linear_1".to_owned(), 40, 64)));

    // A prefix of one is good for the other.
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let image = vlm.encode(&prepared.pixels).block_on().unwrap();
    let layout = prepared.layout.clone();
    let prefix = vlm.prefix(&prepared.input_ids, &layout, &image, None).block_on().unwrap();
    copy.answer(&prefix, &prepared.input_ids[layout.end()..], &Decoding::default()).block_on().unwrap();
}

#[test]
fn half_precision_stays_close_to_single() {
    let device = DeviceChoice::Cpu.open().unwrap().device;
    let checkpoint = Checkpoint::open(&support::reference().join("checkpoint")).unwrap();
    let (single, half) = (tiny(), Vlm::load(&checkpoint, &device, Precision::F16).unwrap());
    assert!(half.weight_bytes() < single.weight_bytes() * 6 / 10);
    let once = Decoding { max_new_tokens: 1, ..Decoding::default() };
    for question in QUESTIONS {
        let prepared = prepare(&single, "larger.png", question);
        let one = single.ask(&prepared, None, &once).block_on().unwrap();
        let two = half.ask(&prepared, None, &once).block_on().unwrap();
        // Logits of about 5 with 11 bits each through a dozen sums: some hundredths.
        let off = distance(&one.first_logits, &two.first_logits);
        assert!(off > 0.0 && off < 0.1, "{off}");
        assert_eq!(two.cost.kv_bytes * 2, one.cost.kv_bytes);
    }
}

#[test]
fn parts_of_another_model_are_refused() {
    let (one, two) = (tiny(), tiny());
    let prepared = prepare(&one, "exact.png", "how many?");
    let image = one.encode(&prepared.pixels).block_on().unwrap();
    let layout = prepared.layout.clone();
    let error = two.prefix(&prepared.input_ids, &layout, &image, None).block_on().err().unwrap();
    assert!(error.to_string().contains("other vision weights"), "{error}");
    let prefix = one.prefix(&prepared.input_ids, &layout, &image, None).block_on().unwrap();
    let suffix = &prepared.input_ids[layout.end()..];
    let error = two.answer(&prefix, suffix, &Decoding::default()).block_on().unwrap_err();
    assert!(error.to_string().contains("other decoder weights"), "{error}");
    let error = one.answer(&prefix, &[], &Decoding::default()).block_on().unwrap_err();
    assert!(error.to_string().contains("continue after the image"), "{error}");
    let error = one.answer(&prefix, &[70_000], &Decoding::default()).block_on().unwrap_err();
    assert!(error.to_string().contains("70000"), "{error}");
    let error = one.answer(&prefix, &[5; 300], &Decoding::default()).block_on().unwrap_err();
    assert!(error.to_string().contains("at most 256"), "{error}");
    let three = VisualLayout::new(std::iter::once(0..3).collect(), Cells::of(View { rows: 1, columns: 3, frame: None })).unwrap();
    let error = one.prefix(&prepared.input_ids, &three, &image, None).block_on().err().unwrap();
    assert!(error.to_string().contains("26 visual tokens"), "{error}");
}
