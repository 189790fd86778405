//! Token reducers against their authors' own code, on made-up features and attention (`reference/make_reducer_cases.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use steady_accel::{
    Blur, CdPruner, Dart, DivPrune, FastV, FasterVlm, HoloV, Keep, Layers, Lofi, Positions, PruMerge, PyramidDrop, Search, SparseVlm, ToMe,
    VisPruner, VisionZip, Vtw, VtwSearch,
};
use steady_vlm::{Cells, Evidence, HostMatrix, PositionPolicy, PromptStates, Reduction, Site, Step, TokenReducer, TowerTokens, View};

const POSITIONS: Positions = Positions::Renumber;
/// What is merged was summed in another order, and committed in six digits.
const CLOSE: f32 = 1e-5;

/// The cases of a method: so many, or the file is another one.
fn cases(method: &str, count: usize) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("reference/reducer_cases.json")).unwrap();
    let cases = file[method].as_array().unwrap().clone();
    assert_eq!(cases.len(), count, "{method}");
    cases
}

fn number(case: &Value, field: &str) -> usize {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} of {case}")) as usize
}

fn indices(case: &Value, field: &str) -> Vec<usize> {
    case[field].as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect()
}

fn floats(case: &Value, field: &str) -> Vec<f32> {
    case[field].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// splitmix64 (Steele et al., 2014). The script has the same.
fn words(seed: usize, count: usize) -> impl Iterator<Item = u64> {
    (0..count as u64).map(move |index| {
        let mut z = (seed as u64).wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// Multiples of 1/1024 in [-2, 2): the upper 12 bits.
fn values(seed: usize, rows: usize, cols: usize) -> HostMatrix {
    HostMatrix::new(rows, cols, words(seed, rows * cols).map(|word| ((word >> 52) as f32 - 2048.0) / 1024.0).collect())
}

/// In (0, 1]: the upper 23 bits.
fn attention(seed: usize, rows: usize, cols: usize) -> HostMatrix {
    HostMatrix::new(rows, cols, words(seed, rows * cols).map(|word| ((word >> 41) as f32 + 1.0) / (1 << 23) as f32).collect())
}

/// Rows `range` of `matrix`.
fn part(matrix: &HostMatrix, range: std::ops::Range<usize>) -> HostMatrix {
    matrix.select_rows(&range.collect::<Vec<_>>())
}

fn assert_close(found: &[f32], expected: &[f32], case: &Value) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= CLOSE * expected.abs().max(1.0), "{found} is not {expected} in {case}");
    }
}

/// All rows that are left, in their order: the kept ones as they are or rewritten, and the new ones.
fn left(reduction: &Reduction, features: &HostMatrix) -> Vec<Vec<f32>> {
    let kept = reduction.rewritten.clone().unwrap_or_else(|| features.select_rows(&reduction.kept));
    let rows: Vec<Vec<f32>> =
        kept.iter_rows().chain(reduction.merged.iter().flat_map(HostMatrix::iter_rows)).map(<[f32]>::to_vec).collect();
    match &reduction.order {
        Some(order) => order.iter().map(|&row| rows[row].clone()).collect(),
        None => rows,
    }
}

/// The last rows of some are the first ones once more: ties.
#[test]
fn divprune() {
    for case in cases("divprune", 22) {
        let (n, d, twins) = (number(&case, "n"), number(&case, "d"), number(&case, "twins"));
        let rows = values(number(&case, "seed"), n - twins, d);
        let features = rows.select_rows(&(0..n - twins).chain(0..twins).collect::<Vec<_>>());
        let evidence = Evidence { visual_tokens: n, features: Some(&features), ..Evidence::default() };
        let reduction = DivPrune { keep: Keep::Count(number(&case, "keep")) }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction.kept, indices(&case, "kept"), "{case}");
    }
}

#[test]
fn visionzip() {
    for case in cases("visionzip", 22) {
        let [n, d, heads, keep, seed] = ["n", "d", "heads", "keep", "seed"].map(|field| number(&case, field));
        let all = values(seed, n + 1, d);
        let (class_token, features) = (part(&all, 0..1), part(&all, 1..n + 1));
        let (attention, keys) = (attention(seed + 1000, heads, n), values(seed + 2000, n, d));
        let evidence = Evidence {
            visual_tokens: n,
            features: Some(&features),
            class_token: Some(&class_token),
            cls_attention: vec![(-2, &attention)],
            vision_keys: vec![(-2, &keys)],
            vision_heads: 1,
            ..Evidence::default()
        };
        let reduction = VisionZip { keep: Keep::Count(keep) }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction.kept, indices(&case, "kept"), "{case}");
        assert_eq!(reduction.rows(), keep);
        assert_close(&left(&reduction, &features).concat(), &floats(&case, "rows"), &case);
    }
}

#[test]
fn fastervlm() {
    for case in cases("fastervlm", 32) {
        let [n, heads, keep, seed] = ["n", "heads", "keep", "seed"].map(|field| number(&case, field));
        let attention = attention(seed + 1000, heads, n);
        let evidence = Evidence { visual_tokens: n, cls_attention: vec![(-2, &attention)], ..Evidence::default() };
        let reduction = FasterVlm { keep: Keep::Count(keep), positions: POSITIONS }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction, Reduction::keep(indices(&case, "kept")), "{case}");
    }
}

#[test]
fn holov() {
    for case in cases("holov", 24) {
        let [n, d, heads, keep, parts, seed] = ["n", "d", "heads", "keep", "parts", "seed"].map(|field| number(&case, field));
        let (features, attention) = (values(seed, n, d), attention(seed + 1000, heads, n));
        let evidence =
            Evidence { visual_tokens: n, features: Some(&features), cls_attention: vec![(-2, &attention)], ..Evidence::default() };
        let reduction = HoloV { keep: Keep::Count(keep), parts }.reduce(0, &evidence).unwrap();
        // As they stand, and zero vectors behind them.
        let standing = indices(&case, "standing");
        let found: Vec<usize> = reduction.order.iter().flatten().filter_map(|&row| reduction.kept.get(row).copied()).collect();
        assert_eq!(found, standing, "{case}");
        assert_eq!(reduction.rows(), keep);
        assert!(reduction.merged.iter().flat_map(|rows| &rows.data).all(|value| *value == 0.0));
    }
}

#[test]
fn vispruner() {
    for case in cases("vispruner", 37) {
        let [n, d, heads, keep, seed] = ["n", "d", "heads", "keep", "seed"].map(|field| number(&case, field));
        let (features, attention) = (values(seed, n, d), attention(seed + 1000, heads, n));
        let evidence =
            Evidence { visual_tokens: n, features: Some(&features), cls_attention: vec![(-2, &attention)], ..Evidence::default() };
        let important = case["important"].as_f64().unwrap();
        let reduction = VisPruner { keep: Keep::Count(keep), important, positions: POSITIONS }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction, Reduction::keep(indices(&case, "kept")), "{case}");
    }
}

/// A prompt whose text is one row behind the image.
fn with_question(seed: usize, n: usize, d: usize) -> PromptStates {
    PromptStates { before: HostMatrix::new(0, d, Vec::new()), visual: values(seed, n, d), behind: values(seed + 1000, 1, d), marked: false }
}

#[test]
fn cdpruner() {
    for (method, count, halves) in [("cdpruner", 27, false), ("halves", 20, true)] {
        for case in cases(method, count) {
            let [n, d, keep, seed] = ["n", "d", "keep", "seed"].map(|field| number(&case, field));
            let prompt = with_question(seed, n, d);
            let evidence = Evidence { visual_tokens: n, prompt: Some(&prompt), ..Evidence::default() };
            let reduction = CdPruner { keep: Keep::Count(keep), halves, positions: POSITIONS }.reduce(0, &evidence).unwrap();
            assert_eq!(reduction, Reduction::keep(indices(&case, "kept")), "{case}");
        }
    }
}

#[test]
fn prumerge() {
    for case in cases("prumerge", 24) {
        let [n, d, seed, times, tokens] = ["n", "d", "seed", "times", "tokens"].map(|field| number(&case, field));
        let (features, keys, mut queries) = (values(seed, n + 1, d), values(seed + 1000, n + 1, d), values(seed + 2000, n + 1, d));
        queries.data.iter_mut().for_each(|value| *value *= times as f32);
        let class = HostMatrix::new(2, d, [queries.row(0), keys.row(0)].concat());
        let (features, keys) = (part(&features, 1..n + 1), part(&keys, 1..n + 1));
        let evidence = Evidence {
            visual_tokens: n,
            features: Some(&features),
            class_projections: vec![(-1, &class)],
            vision_keys: vec![(-1, &keys)],
            ..Evidence::default()
        };
        let reduction = PruMerge { plus: case["plus"].as_bool().unwrap() }.reduce(0, &evidence).unwrap();
        let rows = left(&reduction, &features);
        assert_eq!(rows.len(), tokens, "{case}");
        assert_close(&rows.iter().map(|row| row.iter().sum()).collect::<Vec<_>>(), &floats(&case, "sums"), &case);
        assert_close(&rows[0], &floats(&case, "first"), &case);
        assert_close(rows.last().unwrap(), &floats(&case, "last"), &case);
    }
}

#[test]
fn sparsevlm() {
    for case in cases("sparsevlm", 24) {
        let [n, words, d, seed, step] = ["n", "words", "d", "seed", "step"].map(|field| number(&case, field));
        let (attention, features) = (attention(seed, words, n), values(seed + 1000, n, d));
        let (visual, behind) = (values(seed + 2000, 576, d), values(seed + 3000, words, d));
        let prompt = PromptStates { before: HostMatrix::new(0, d, Vec::new()), visual, behind, marked: false };
        let evidence = Evidence {
            visual_tokens: n,
            features: Some(&features),
            text_attention: Some(&attention),
            prompt: Some(&prompt),
            ..Evidence::default()
        };
        let reducer = SparseVlm { layers: Layers::Auto, keep: Keep::Count(number(&case, "target")) };
        let reduction = reducer.reduce(step, &evidence).unwrap();
        assert_eq!(reduction.kept, indices(&case, "kept"), "{case}");
        assert_close(&reduction.merged.unwrap().data, &floats(&case, "merged"), &case);
    }
}

#[test]
fn dart() {
    for case in cases("dart", 40) {
        let [before, n, behind, d, image, text, seed] =
            ["before", "n", "behind", "d", "image", "text", "seed"].map(|field| number(&case, field));
        let all = values(seed, n + before + behind, d);
        let prompt = PromptStates {
            before: part(&all, n..n + before),
            visual: part(&all, 0..n),
            behind: part(&all, n + before..n + before + behind),
            marked: true,
        };
        let evidence = Evidence { visual_tokens: n, prompt: Some(&prompt), ..Evidence::default() };
        let keep = Keep::Share(case["share"].as_f64().unwrap());
        let reduction = Dart { keep, image, text, positions: Positions::Keep }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction, Reduction::keep(indices(&case, "kept")), "{case}");
    }
}

#[test]
fn tome() {
    for case in cases("tome", 24) {
        let [n, d, r, seed] = ["n", "d", "r", "seed"].map(|field| number(&case, field));
        let keys = values(seed, n, d);
        let sizes = vec![1.0; n];
        let tokens = TowerTokens { block: 0, hidden: &keys, keys: &keys, sizes: &sizes, heads: 1, blocks: 1 };
        let merge = ToMe { keep: Keep::Count(n - r) }.merge(0, &tokens).unwrap();
        assert_eq!((merge.into, merge.tokens), (indices(&case, "into"), n - r), "{case}");
    }
}

#[test]
fn lofi() {
    for case in cases("lofi", 22) {
        let [n, d, keep, seed] = ["n", "d", "keep", "seed"].map(|field| number(&case, field));
        let features = values(seed, n, d);
        let evidence = Evidence { visual_tokens: n, features: Some(&features), ..Evidence::default() };
        let energy = case["energy"].as_f64().unwrap();
        let reduction = Lofi { keep: Keep::Count(keep), energy, positions: POSITIONS }.reduce(0, &evidence).unwrap();
        assert_eq!(reduction, Reduction::keep(indices(&case, "kept")), "{case}");
    }
}

/// With `levels` attention has so many values alone, and most are ties.
#[test]
fn fastv() {
    for case in cases("fastv", 25) {
        let [n, heads, k, keep, levels, seed] = ["n", "heads", "k", "keep", "levels", "seed"].map(|field| number(&case, field));
        let mut looked = attention(seed, heads, n);
        if levels > 0 {
            looked.data.iter_mut().for_each(|value| *value = (*value * levels as f32).ceil() / levels as f32);
        }
        let looked = looked.mean_over_rows();
        let evidence = Evidence { visual_tokens: n, last_row_attention: Some(&looked), ..Evidence::default() };
        let reducer = FastV { k, keep: Keep::Count(keep) };
        assert_eq!(reducer.reduce(0, &evidence).unwrap(), Reduction::keep(indices(&case, "kept")), "{case}");
        assert!(
            matches!(reducer.steps()[..], [Step { site: Site::BeforeLayer(layer), positions: PositionPolicy::Keep, .. }] if layer == k)
        );
    }
}

/// The attention of the last of `rows` to all of them, softmax over the row, mean over heads. Queries and keys are the rows themselves.
fn looked_at(rows: &HostMatrix, heads: usize, d: usize) -> Vec<f32> {
    let mut mean = vec![0.0; rows.rows];
    for head in (0..heads).map(|head| head * d..(head + 1) * d) {
        let query = &rows.row(rows.rows - 1)[head.clone()];
        let product = |row: &[f32]| query.iter().zip(&row[head.clone()]).map(|(a, b)| f64::from(a * b)).sum::<f64>() / (d as f64).sqrt();
        let weights: Vec<f64> = rows.iter_rows().map(|row| product(row).exp()).collect();
        let total: f64 = weights.iter().sum();
        mean.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += weight / total / heads as f64);
    }
    mean.into_iter().map(|mean| mean as f32).collect()
}

/// All three stages, each on what the one before left. The last `twins` visual tokens are the first ones once more: ties.
#[test]
fn pyramiddrop() {
    for case in cases("pyramiddrop", 24) {
        let fields = ["before", "n", "behind", "heads", "d", "twins", "seed"];
        let [before, n, behind, heads, d, twins, seed] = fields.map(|field| number(&case, field));
        let ratio = case["ratio"].as_f64().unwrap();
        let reducer = PyramidDrop { layers: Layers::Auto, ratio, positions: POSITIONS };
        let steps: Vec<(Site, PositionPolicy)> = reducer.steps().iter().map(|step| (step.site, step.positions)).collect();
        assert_eq!(steps, [8, 16, 24].map(|layer| (Site::PartWay(layer), PositionPolicy::Renumber)));
        let cells = Cells::of(View { rows: 1, columns: n, frame: None });
        let mut left: Vec<usize> = (0..n).collect();
        let stages: [Vec<usize>; 3] = serde_json::from_value(case["kept"].clone()).unwrap();
        for (step, expected) in stages.into_iter().enumerate() {
            let rows = values(seed + 1000 * (step + 1), before + n + behind, heads * d);
            let drawn = |token: usize| before + if token >= n - twins { token - (n - twins) } else { token };
            let shown: Vec<usize> = (0..before).chain(left.iter().map(|&token| drawn(token))).chain(before + n..rows.rows).collect();
            let looked = looked_at(&rows.select_rows(&shown), heads, d);
            let looked = &looked[before..before + left.len()];
            let evidence = Evidence { visual_tokens: left.len(), cells: &cells, own_attention: Some(looked), ..Evidence::default() };
            let kept = reducer.reduce(step, &evidence).unwrap().kept;
            left = kept.into_iter().map(|index| left[index]).collect();
            assert_eq!(left, expected, "step {step} of {case}");
        }
    }
}

/// What each layer holds, and where the text stands behind the withdrawal; the last case has the layers that the authors' search tries.
#[test]
fn vtw() {
    let mut cases = cases("vtw", 21);
    let searched = cases.pop().unwrap();
    for case in cases {
        let [before, n, behind, k, depth] = ["before", "n", "behind", "k", "depth"].map(|field| number(&case, field));
        let positions = if case["positions"] == "keep" { Positions::Keep } else { Positions::Renumber };
        let reducer = Vtw { k: Layers::At([k, 0, 0], 1), positions };
        let [Step { site, positions, .. }] = <[Step; 1]>::try_from(reducer.steps()).unwrap();
        let reduction = reducer.reduce(0, &Evidence { visual_tokens: n, ..Evidence::default() }).unwrap();
        assert!(reduction.may_be_empty, "{case}");
        let visual: Vec<usize> = (0..depth).map(|layer| if Site::BeforeLayer(layer) < site { n } else { reduction.rows() }).collect();
        assert_eq!(visual, indices(&case, "visual"), "{case}");
        let text = before + behind;
        let stands: Vec<usize> = match positions {
            PositionPolicy::Keep => (0..before).chain(before + n..n + text).collect(),
            PositionPolicy::Renumber => (0..text).collect(),
        };
        assert_eq!(stands, indices(&case, "stands"), "{case}");
    }
    let search = VtwSearch { eta: 0.003, samples: 20, positions: Positions::Keep };
    let tried: Vec<Vec<Step>> = search.candidates(number(&searched, "depth")).iter().map(|candidate| candidate.steps()).collect();
    let expected = indices(&searched, "tried").into_iter().map(|layer| vec![Step::at(Site::BeforeLayer(layer), PositionPolicy::Keep)]);
    assert_eq!(tried, expected.collect::<Vec<_>>());
}

#[test]
fn blur() {
    for case in cases("blur", 6) {
        let [height, width, seed] = ["height", "width", "seed"].map(|field| number(&case, field));
        let keep = case["keep"].as_f64().unwrap();
        let drawn = Blur { keep }.redraw(0, values(seed, height, width)).unwrap();
        assert_eq!((drawn.rows, drawn.cols), (height, width));
        assert_close(&drawn.data, &floats(&case, "values"), &case);
    }
}
