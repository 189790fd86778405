//! Reducers of several steps: drops at three decoder layers, and merges inside the vision tower.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the support is shared by several test programs, each of which uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use image::RgbImage;
use pollster::FutureExt;
use serde_json::{Value, json};
use steady_vlm::{
    Answer, Checkpoint, Decoding, DeviceChoice, Evidence, Gathered, HostMatrix, Merge, Needs, PositionPolicy, Precision, Prepared,
    Reduction, Site, Step, TokenReducer, TowerTokens, Vlm, VlmError,
};
use support::{Puppet, Stored, distance, prepare};

/// Sums in another order.
const CLOSE: f32 = 1e-4;
/// Visual tokens of the tiny model: a class token and 5x5 patches.
const TOKENS: usize = 26;

/// The tiny model with its settings and its tensors changed.
fn changed(config: impl FnOnce(&mut Value), tensors: impl FnOnce(&mut BTreeMap<String, Stored>)) -> Vlm {
    load(support::changed(config, tensors).path())
}

fn load(folder: &Path) -> Vlm {
    let device = DeviceChoice::Cpu.open().unwrap().device;
    Vlm::load(&Checkpoint::open(folder).unwrap(), &device, Precision::F32).unwrap()
}

/// Six decoder layers: the tiny model's two, three times over.
fn deep() -> Vlm {
    changed(
        |config| config["text_config"]["num_hidden_layers"] = json!(6),
        |tensors| {
            let layers: Vec<_> = tensors.iter().filter(|(name, _)| name.contains("language_model") && name.contains(".layers.")).collect();
            let repeated: BTreeMap<String, Stored> = layers
                .into_iter()
                .flat_map(|(name, tensor)| {
                    let (before, behind) = name.split_once(".layers.").unwrap();
                    let (index, part) = behind.split_once('.').unwrap();
                    let index: usize = index.parse().unwrap();
                    [2, 4].map(|more| (format!("{before}.layers.{}.{part}", index + more), tensor.clone()))
                })
                .collect();
            tensors.extend(repeated);
        },
    )
}

/// Everything that a step may look at in the decoder says the same: what a layer would look at is what it looked at one step later, and the
/// last of the text is the last token. Also where the question comes later.
#[test]
fn what_is_seen_of_a_layer_is_the_same_from_every_side() {
    let vlm = deep();
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let all: Vec<usize> = (0..TOKENS).collect();
    let needs = Needs { last_row_attention: true, own_attention: true, text_attention: true, ..Needs::default() };
    let see = |layer, shared: bool| {
        let puppet = Puppet::new(Site::BeforeLayer(layer), &all, PositionPolicy::Keep).looking_at(needs.clone());
        if shared {
            let image = vlm.encode(&prepared.pixels).block_on().unwrap();
            let prefix = vlm.prefix(&prepared.input_ids, &prepared.layout, &image, Some(&puppet)).block_on().unwrap();
            vlm.answer(&prefix, &prepared.input_ids[prepared.layout.end()..], &Decoding::default()).block_on().unwrap();
        } else {
            vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
        }
        puppet.shown.into_inner().unwrap().remove(0)
    };
    for shared in [false, true] {
        for layer in 1..5 {
            let (here, above) = (see(layer, shared), see(layer + 1, shared));
            let text = here.text_attention.unwrap();
            assert_eq!((text.rows, text.cols), (prepared.input_ids.len() - prepared.layout.end(), TOKENS));
            assert!(distance(text.row(text.rows - 1), &here.last_row_attention.unwrap()) < CLOSE);
            assert!(distance(&here.own_attention.unwrap(), &above.last_row_attention.unwrap()) < CLOSE);
        }
    }
}

/// Shares of the depth become layers: rounded, at least 1, one above the other, and none beyond the last.
#[test]
fn steps_part_of_the_way_are_layers_of_this_decoder() {
    struct PartWay([usize; 3]);
    impl TokenReducer for PartWay {
        fn name(&self) -> String {
            "part-way".to_owned()
        }

        fn steps(&self) -> Vec<Step> {
            self.0.map(|share| Step::at(Site::PartWay(share), PositionPolicy::Keep)).to_vec()
        }

        fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
            Ok(Reduction::keep((0..evidence.visual_tokens - step - 1).collect()))
        }
    }
    let (six, two) = (deep(), load(&support::reference().join("checkpoint")));
    for (vlm, shares, layers) in
        [(&six, [8, 16, 24], &[2, 3, 4][..]), (&six, [3, 7, 16], &[1, 2, 3]), (&six, [1, 2, 31], &[1, 2]), (&two, [8, 16, 24], &[1])]
    {
        let answer = ask(vlm, &prepare(vlm, "larger.png", "how many?"), &PartWay(shares));
        let sites: Vec<Site> = answer.left.iter().map(|left| left.site).collect();
        assert_eq!(sites, layers.iter().map(|&layer| Site::BeforeLayer(layer)).collect::<Vec<_>>(), "{shares:?}");
    }
}

/// What a step was shown: its number, which tokens of the image, and how many of them it saw attention to.
type Shown = (usize, Vec<Option<usize>>, usize);

/// Drops visual tokens at decoder layers 2, 3 and 4: at each, those in the given places of what is left. The second drop looks at the
/// question, so the first happens before it is known and the others after.
struct ThreeDrops {
    dropped: [Vec<usize>; 3],
    shown: Mutex<Vec<Shown>>,
}

impl ThreeDrops {
    fn new(dropped: [&[usize]; 3]) -> Self {
        Self { dropped: dropped.map(<[usize]>::to_vec), shown: Mutex::default() }
    }
}

impl TokenReducer for ThreeDrops {
    fn name(&self) -> String {
        "three-drops".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        let at = |layer| Step::at(Site::BeforeLayer(layer), PositionPolicy::Keep);
        vec![at(2), at(3).seeing(Needs { last_row_attention: true, ..Needs::default() }), at(4)]
    }

    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let attention = evidence.last_row_attention.map_or(0, <[f32]>::len);
        self.shown.lock().unwrap().push((step, evidence.tokens.to_vec(), attention));
        Ok(Reduction::keep((0..evidence.visual_tokens).filter(|token| !self.dropped[step].contains(token)).collect()))
    }
}

fn ask(vlm: &Vlm, prepared: &Prepared, reducer: &dyn TokenReducer) -> Answer {
    vlm.ask(prepared, Some(reducer), &Decoding { max_new_tokens: 4, ..Decoding::default() }).block_on().unwrap()
}

#[test]
fn three_drops_at_layers_two_three_and_four() {
    let vlm = deep();
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let n = prepared.input_ids.len();
    let reducer = ThreeDrops::new([&[0, 5, 25], &[0, 22], &[1]]);
    let answer = ask(&vlm, &prepared, &reducer);
    // By hand: 26 tokens less 0, 5 and 25; of those 23 the first is 1 and the last 24; of those 21 the second is 3.
    let first: Vec<usize> = (0..26).filter(|token| ![0, 5, 25].contains(token)).collect();
    let second: Vec<usize> = first.iter().copied().filter(|token| ![1, 24].contains(token)).collect();
    let third: Vec<usize> = second.iter().copied().filter(|token| *token != 3).collect();
    assert_eq!(answer.left.iter().map(|left| left.kept.clone()).collect::<Vec<_>>(), [first.clone(), second.clone(), third.clone()]);
    assert_eq!(answer.left.iter().map(|left| left.site).collect::<Vec<_>>(), [2, 3, 4].map(Site::BeforeLayer));
    assert_eq!(answer.kept(), Some(third.as_slice()));
    assert_eq!(answer.kv_lengths, [n, n, n - 3, n - 5, n - 6, n - 6]);
    let some = |tokens: &[usize]| tokens.iter().copied().map(Some).collect::<Vec<_>>();
    let expected = vec![(0, vec![], 0), (1, some(&first), 23), (2, some(&second), 0)];
    assert_eq!(*reducer.shown.lock().unwrap(), expected);
    // Visual tokens per layer: twice 26, then 23, 21, 20, 20.
    assert!((answer.cost.visual_tokens - (2.0 * 26.0 + 23.0 + 21.0 + 2.0 * 20.0) / 6.0).abs() < 1e-5);
}

/// A step that drops nothing changes nothing: three steps of which one drops are that one, which transformers' own layers confirm
/// elsewhere (reduction.rs).
#[test]
fn three_steps_of_which_one_drops_are_that_one() {
    let vlm = deep();
    let prepared = prepare(&vlm, "square.png", "is there a cross in the picture? yes or no");
    let (dropped, nothing): (&[usize], &[usize]) = (&[2, 3, 17], &[]);
    let kept: Vec<usize> = (0..TOKENS).filter(|token| !dropped.contains(token)).collect();
    let mut answers = Vec::new();
    for (step, layer) in [2, 3, 4].into_iter().enumerate() {
        let mut drops = [nothing; 3];
        drops[step] = dropped;
        let several = ask(&vlm, &prepared, &ThreeDrops::new(drops));
        let one = ask(&vlm, &prepared, &Puppet::new(Site::BeforeLayer(layer), &kept, PositionPolicy::Keep));
        assert_eq!((&several.first_logits, &several.output_ids), (&one.first_logits, &one.output_ids), "layer {layer}");
        assert_eq!((&several.kv_lengths, several.cost), (&one.kv_lengths, one.cost));
        answers.push(one.first_logits);
    }
    // The cases differ, or agreement would mean nothing.
    assert!(distance(&answers[0], &answers[1]) > 1e-3 && distance(&answers[1], &answers[2]) > 1e-3);
}

#[test]
fn questions_share_what_comes_before_the_step_that_looks_at_them() {
    let vlm = deep();
    let reducer = ThreeDrops::new([&[0, 5, 25], &[0, 22], &[1]]);
    let asked = ["how many?", "what colour is the circle left of the square?"].map(|question| prepare(&vlm, "larger.png", question));
    let layout = &asked[0].layout;
    let image = vlm.encode(&asked[0].pixels).block_on().unwrap();
    let prefix = vlm.prefix(&asked[0].input_ids, layout, &image, Some(&reducer)).block_on().unwrap();
    let end = layout.end();
    // Layers below 2 hold everything up to the image's end, layer 2 three fewer; those from 3 on wait.
    assert_eq!(prefix.kv_lengths(), [end, end, end - 3, 0, 0, 0]);
    for _ in 0..2 {
        for prepared in &asked {
            let options = Decoding { max_new_tokens: 4, ..Decoding::default() };
            let shared = vlm.answer(&prefix, &prepared.input_ids[end..], &options).block_on().unwrap();
            let alone = ask(&vlm, prepared, &reducer);
            assert!(distance(&shared.first_logits, &alone.first_logits) < CLOSE);
            assert_eq!((shared.output_ids, shared.left, shared.kv_lengths), (alone.output_ids, alone.left, alone.kv_lengths));
        }
    }
}

#[test]
fn steps_come_in_order() {
    struct Backwards;
    impl TokenReducer for Backwards {
        fn name(&self) -> String {
            "backwards".to_owned()
        }
        fn steps(&self) -> Vec<Step> {
            [Site::BeforeLayer(1), Site::AfterProjector].map(|site| Step::at(site, PositionPolicy::Keep)).to_vec()
        }
    }
    let vlm = support::tiny();
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let error = vlm.ask(&prepared, Some(&Backwards), &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("backwards") && error.contains("before layer 1 and then after the projector"), "{error}");
}

/// Merges patches in two blocks of the tower as it is told, then looks at the features.
struct TwoMerges {
    /// For each block, into which token each goes, and how many are left.
    into: [(Vec<usize>, usize); 2],
    features: Mutex<Vec<(HostMatrix, Vec<f32>)>>,
}

impl TwoMerges {
    fn new(into: [(Vec<usize>, usize); 2]) -> Self {
        Self { into, features: Mutex::default() }
    }

    fn features(&self) -> HostMatrix {
        self.features.lock().unwrap()[0].0.clone()
    }
}

impl TokenReducer for TwoMerges {
    fn name(&self) -> String {
        "two-merges".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        let looking = Needs { features: true, ..Needs::default() };
        let after = Step::at(Site::AfterTower, PositionPolicy::Renumber).seeing(looking);
        [0, 1].map(|block| Step::at(Site::TowerBlock(block), PositionPolicy::Renumber)).into_iter().chain([after]).collect()
    }

    fn merge(&self, step: usize, tokens: &TowerTokens<'_>) -> Result<Merge, VlmError> {
        let (into, left) = &self.into[step];
        assert_eq!((tokens.block, tokens.hidden.rows, tokens.keys.cols), (step, into.len(), tokens.hidden.cols));
        Ok(Merge { into: into.clone(), tokens: *left })
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        self.features.lock().unwrap().push((evidence.features.unwrap().clone(), evidence.sizes.to_vec()));
        Ok(Reduction::keep((0..evidence.visual_tokens).collect()))
    }
}

/// Features behind the second block and behind the last, so that both merges come first.
fn late_features(config: &mut Value) {
    config["vision_feature_layer"] = json!([-2, -1]);
}

#[test]
fn merging_every_token_into_itself_changes_nothing() {
    let vlm = changed(late_features, |_| {});
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let options = Decoding { max_new_tokens: 4, ..Decoding::default() };
    let baseline = vlm.ask(&prepared, None, &options).block_on().unwrap();
    let itself = || ((0..25).collect(), 25);
    let answer = vlm.ask(&prepared, Some(&TwoMerges::new([itself(), itself()])), &options).block_on().unwrap();
    assert_eq!((answer.first_logits, answer.output_ids), (baseline.first_logits, baseline.output_ids));
    assert_eq!(answer.cost, baseline.cost);
}

/// The property that ToMe's proportional attention is made for: where patches are alike, merging them is invisible to all others. With
/// no position embeddings and an image whose rows of patches repeat, all five patches of a column are alike.
#[test]
fn merging_what_is_alike_is_invisible() {
    let vlm = changed(late_features, |tensors| {
        let (_, positions) = tensors.iter_mut().find(|(name, _)| name.contains("position_embedding")).unwrap();
        positions.2.fill(0);
    });
    // The processor takes 44 pixels a side as they are and cuts two off on each.
    let picture = RgbImage::from_fn(44, 44, |x, y| {
        let (x, y) = ((x + 38) % 40, (y + 6) % 8);
        let column = x / 8;
        image::Rgb([(x * 5 + y * 9) as u8, (column * 50 + y) as u8, (200 - 3 * y - x) as u8])
    });
    let prepared = vlm.prepare(&picture, &vlm.prompt("how many?").unwrap()).unwrap();
    // Rows 0 and 1, and rows 2 and 3; then these two pairs. Five columns of three, then of two.
    let first: Vec<usize> = (0..25).map(|patch| patch % 5 + 5 * [0, 0, 1, 1, 2][patch / 5]).collect();
    let second: Vec<usize> = (0..15).map(|token| token % 5 + 5 * [0, 0, 1][token / 5]).collect();
    let merging = TwoMerges::new([(first, 15), (second, 10)]);
    let answer = ask(&vlm, &prepared, &merging);
    let itself = || ((0..25).collect(), 25);
    let whole = TwoMerges::new([itself(), itself()]);
    let baseline = ask(&vlm, &prepared, &whole);

    let (merged, alone) = (merging.features(), whole.features());
    assert_eq!((merged.rows, alone.rows), (1 + 10, 1 + 25));
    assert!(distance(merged.row(0), alone.row(0)) < CLOSE, "the class token saw the same");
    for token in 0..10 {
        // The token of column c, merged from rows 0 to 3 or row 4 alone, beside the patch of row 0 in that column.
        let off = distance(merged.row(1 + token), alone.row(1 + token % 5));
        assert!(off < CLOSE, "token {token}: {off}");
    }
    // Without it the class token would see something else: the columns differ.
    assert!(distance(alone.row(1), alone.row(2)) > 1e-2);
    let sizes = [&[1.0][..], &[4.0; 5], &[1.0; 5]].concat();
    assert_eq!(merging.features.lock().unwrap()[0].1, sizes);
    // The prompt is shorter by what was merged, a merged token goes by the first that became part of it, and its FLOPs are fewer.
    let n = prepared.input_ids.len();
    assert_eq!(answer.kv_lengths, [n - 15; 2]);
    assert_eq!((answer.visual_tokens, answer.kept()), (26, Some([0, 1, 2, 3, 4, 5, 21, 22, 23, 24, 25].as_slice())));
    assert!(answer.cost.flops < baseline.cost.flops && answer.left.len() == 3);
    // Token 1 is the first patch, and five more are the one below it.
    let columns: Vec<Gathered> =
        (1..6).map(|first| Gathered { token: Some(first), from: vec![first + 5, first + 10, first + 15] }).collect();
    assert_eq!(answer.left[2].gathered, columns);
}

/// Pours 1 into 0 and makes a new token of 24 and 25; then pours 2 into 0, the new one into 4, and drops 3.
struct PoursTwice;

impl TokenReducer for PoursTwice {
    fn name(&self) -> String {
        "pours-twice".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        let at = |site| Step::at(site, PositionPolicy::Renumber).seeing(Needs { features: true, ..Needs::default() });
        vec![at(Site::AfterProjector), at(Site::BeforeLayer(2))]
    }

    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.unwrap();
        let (kept, gone): (Vec<usize>, Vec<(usize, usize)>) = match step {
            0 => ((0..24).filter(|token| *token != 1).collect(), vec![(1, 0), (24, 23), (25, 23)]),
            _ => ((0..23).filter(|row| *row != 1 && *row != 2).collect(), vec![(1, 0), (23, 1)]),
        };
        let mut into = vec![None; features.rows];
        kept.iter().enumerate().for_each(|(row, &token)| into[token] = Some(row));
        for (token, row) in gone {
            into[token] = Some(row);
        }
        let merged = (step == 0).then(|| features.select_rows(&[24]));
        Ok(Reduction { kept, merged, into, ..Reduction::default() })
    }
}

#[test]
fn what_went_into_what_is_followed_from_step_to_step() {
    let vlm = deep();
    let answer = ask(&vlm, &prepare(&vlm, "larger.png", "how many?"), &PoursTwice);
    let gathered = |token, from: &[usize]| Gathered { token, from: from.to_vec() };
    let left: Vec<Vec<Gathered>> = answer.left.iter().map(|left| left.gathered.clone()).collect();
    assert_eq!(
        left,
        [vec![gathered(Some(0), &[1]), gathered(None, &[24, 25])], vec![gathered(Some(0), &[1, 2]), gathered(Some(4), &[24, 25])]]
    );
    assert_eq!(answer.kept(), Some([&[0][..], &(4..24).collect::<Vec<_>>()].concat().as_slice()));
}

#[test]
fn an_image_with_merged_tokens_is_its_reducers_own() {
    let vlm = changed(late_features, |_| {});
    let prepared = prepare(&vlm, "exact.png", "how many?");
    let halves = || ((0..25).map(|patch| patch / 2).collect(), 13);
    let all = || ((0..13).collect(), 13);
    let merging = TwoMerges::new([halves(), all()]);
    let other = Puppet::new(Site::AfterProjector, &[0, 1], PositionPolicy::Renumber);
    let (plain, own) = (vlm.encode(&prepared.pixels).block_on().unwrap(), vlm.encode_with(&prepared.pixels, &merging).block_on().unwrap());
    assert!(vlm.takes(&plain, None) && vlm.takes(&plain, Some(&other)) && vlm.takes(&own, Some(&merging)));
    assert!(!vlm.takes(&own, None) && !vlm.takes(&own, Some(&other)) && !vlm.takes(&plain, Some(&merging)));
    for (image, reducer) in [(&own, None), (&own, Some(&other as &dyn TokenReducer)), (&plain, Some(&merging))] {
        let error = vlm.prefix(&prepared.input_ids, &prepared.layout, image, reducer).block_on().err().unwrap().to_string();
        assert!(error.contains("changed before or inside the tower") && error.contains("two-merges"), "{error}");
    }
    // Shared and alone are the same here too.
    let prefix = vlm.prefix(&prepared.input_ids, &prepared.layout, &own, Some(&merging)).block_on().unwrap();
    let options = Decoding { max_new_tokens: 4, ..Decoding::default() };
    let shared = vlm.answer(&prefix, &prepared.input_ids[prepared.layout.end()..], &options).block_on().unwrap();
    let alone = ask(&vlm, &prepared, &merging);
    assert!(distance(&shared.first_logits, &alone.first_logits) < CLOSE);
    assert_eq!((shared.left, shared.kv_lengths, shared.cost), (alone.left, alone.kv_lengths, alone.cost));
}

#[test]
fn merges_that_cannot_be_are_refused_with_the_reason() {
    let fails = |vlm: &Vlm, reducer: &dyn TokenReducer, expected: &str| {
        let prepared = prepare(vlm, "exact.png", "how many?");
        let error = vlm.ask(&prepared, Some(reducer), &Decoding::default()).block_on().unwrap_err().to_string();
        assert!(error.contains("two-merges") && error.contains(expected), "{error}");
    };
    let itself = || ((0..25).collect(), 25);
    // The tiny model's own features leave an earlier block.
    let early = changed(|config| config["vision_feature_layer"] = json!([-3, -1]), |_| {});
    fails(&early, &TwoMerges::new([itself(), itself()]), "the features are those that leave block 0");
    let late = changed(late_features, |_| {});
    fails(&late, &TwoMerges::new([((0..25).collect(), 26), itself()]), "merged 25 of 25 tokens into 26");
}
