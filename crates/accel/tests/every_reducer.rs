//! What must hold of every token reducer, whatever it is shown: exact budgets, ties by index, an answer that keeps the contract. And each of
//! them by hand or by brute force.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use steady_accel::{
    Blind, Blur, CdPruner, Dart, DivPrune, FastV, FasterVlm, HoloV, Keep, Layers, Lofi, Positions, PruMerge, PyramidDrop, RandomKeep,
    SparseVlm, ToMe, VisPruner, VisionZip, Vtw,
};
use steady_vlm::{Cells, Evidence, HostMatrix, PositionPolicy, PromptStates, Reduction, Site, TokenReducer, TowerTokens, View};

const RENUMBER: Positions = Positions::Renumber;

/// All that a reducer can be shown of `n` visual tokens.
struct Shown {
    cells: Cells,
    features: HostMatrix,
    class_token: HostMatrix,
    attention: HostMatrix,
    class: HostMatrix,
    keys: HostMatrix,
    prompt: PromptStates,
    row: Vec<f32>,
    text: HostMatrix,
}

impl Shown {
    /// Of these numbers, over and over.
    fn of(n: usize, numbers: &[f32]) -> Self {
        let mut numbers = numbers.iter().copied().cycle();
        let mut matrix = |rows: usize, cols: usize| HostMatrix::new(rows, cols, numbers.by_ref().take(rows * cols).collect());
        let features = matrix(n, 6);
        let positive = |matrix: HostMatrix| HostMatrix { data: matrix.data.iter().map(|value| value.abs() / 4.0).collect(), ..matrix };
        Self {
            cells: Cells::of(View { rows: 1, columns: n, frame: None }),
            class_token: matrix(1, 6),
            attention: positive(matrix(2, n)),
            class: matrix(2, 6),
            keys: matrix(n, 6),
            prompt: PromptStates { before: matrix(2, 6), visual: features.clone(), behind: matrix(5, 6), marked: false },
            row: positive(matrix(1, n)).data,
            text: positive(matrix(5, n)),
            features,
        }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            visual_tokens: self.features.rows,
            cells: &self.cells,
            features: Some(&self.features),
            class_token: Some(&self.class_token),
            cls_attention: vec![(-2, &self.attention)],
            class_projections: vec![(-1, &self.class)],
            vision_keys: vec![(-2, &self.keys), (-1, &self.keys)],
            vision_heads: 2,
            prompt: Some(&self.prompt),
            last_row_attention: Some(&self.row),
            own_attention: Some(&self.row),
            text_attention: Some(&self.text),
            ..Evidence::default()
        }
    }
}

/// Every method that keeps as many as it is told.
fn with_a_budget(keep: Keep) -> Vec<Box<dyn TokenReducer>> {
    vec![
        Box::new(DivPrune { keep }),
        Box::new(Lofi { keep, energy: 0.9, positions: RENUMBER }),
        Box::new(CdPruner { keep, halves: false, positions: RENUMBER }),
        Box::new(HoloV { keep, parts: 16 }),
        Box::new(VisionZip { keep }),
        Box::new(FasterVlm { keep, positions: RENUMBER }),
        Box::new(VisPruner { keep, important: 0.5, positions: RENUMBER }),
        Box::new(VisPruner { keep, important: 0.75, positions: RENUMBER }),
        Box::new(FastV { k: 1, keep }),
        Box::new(RandomKeep { keep, seed: 1, placed: false }),
    ]
}

/// The others.
fn others(keep: Keep) -> Vec<Box<dyn TokenReducer>> {
    let (layers, positions) = (Layers::Auto, RENUMBER);
    vec![
        Box::new(Dart { keep, image: 4, text: 4, positions }),
        Box::new(CdPruner { keep, halves: true, positions }),
        Box::new(PruMerge { plus: false }),
        Box::new(PruMerge { plus: true }),
        Box::new(PyramidDrop { layers, ratio: 0.5, positions }),
        Box::new(SparseVlm { layers, keep }),
        Box::new(Vtw { k: layers, positions }),
        Box::new(Blind),
    ]
}

/// The contract of a reduction, as the model checks it.
fn assert_contract(reduction: &Reduction, n: usize) {
    assert!(reduction.kept.windows(2).all(|pair| pair[0] < pair[1]) && reduction.kept.iter().all(|&token| token < n));
    assert!(reduction.rows() > 0 || reduction.may_be_empty);
    assert!(reduction.rewritten.as_ref().is_none_or(|rows| rows.rows == reduction.kept.len() && rows.cols == 6));
    let finite = |rows: &Option<HostMatrix>| rows.iter().flat_map(|rows| &rows.data).all(|value| value.is_finite());
    assert!(finite(&reduction.rewritten) && finite(&reduction.merged));
    assert!(reduction.into.is_empty() || reduction.into.len() == n);
    assert!(reduction.into.iter().flatten().all(|row| *row < reduction.rows()));
    let kept_are_themselves = || reduction.kept.iter().enumerate().all(|(row, &token)| reduction.into[token] == Some(row));
    assert!(reduction.into.is_empty() || kept_are_themselves());
    if let Some(order) = &reduction.order {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..reduction.rows()));
    }
}

/// Random numbers, all equal ones, zeros, and a few that come again and again.
fn numbers() -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![
        prop::collection::vec(-2.0..2.0_f32, 800),
        (-2.0..2.0_f32).prop_map(|value| vec![value]),
        Just(vec![0.0]),
        prop::collection::vec(-1.0..1.0_f32, 6..13),
    ]
}

proptest! {
    #[test]
    fn budgets_are_exact(n in 1..40_usize, count in 2..44_usize, share in 0.01..1.0_f64, numbers in numbers()) {
        let shown = Shown::of(n, &numbers);
        for keep in [Keep::Count(count), Keep::Share(share)] {
            for reducer in with_a_budget(keep) {
                let reduction = reducer.reduce(0, &shown.evidence()).unwrap();
                prop_assert_eq!(reduction.rows(), keep.of(n), "{}", reducer.name());
                assert_contract(&reduction, n);
                prop_assert_eq!(&reduction, &reducer.reduce(0, &shown.evidence()).unwrap());
            }
        }
    }

    #[test]
    fn answers_keep_the_contract(n in 1..60_usize, count in 2..64_usize, numbers in numbers()) {
        let shown = Shown::of(n, &numbers);
        for reducer in others(Keep::Count(count)) {
            for step in 0..reducer.steps().len() {
                let reduction = reducer.reduce(step, &shown.evidence()).unwrap();
                assert_contract(&reduction, n);
                prop_assert_eq!(&reduction, &reducer.reduce(step, &shown.evidence()).unwrap());
            }
        }
    }

    /// From block to block as few as asked for or half, every token in one that is left, and a picture of the same size.
    #[test]
    fn merges_keep_the_contract(n in 1..60_usize, keep in 2..64_usize, blocks in 1..6_usize, numbers in numbers()) {
        let shown = Shown::of(n, &numbers);
        let (mut left, mut sizes) = (n, vec![1.0_f32; n]);
        for blocks in (1..=blocks).rev() {
            let keys = shown.keys.select_rows(&(0..left).collect::<Vec<_>>());
            let tokens = TowerTokens { block: 0, hidden: &keys, keys: &keys, sizes: &sizes, heads: 2, blocks };
            let merge = ToMe { keep: Keep::Count(keep) }.merge(0, &tokens).unwrap();
            let mut merged = vec![0.0; merge.tokens];
            merge.into.iter().zip(&sizes).for_each(|(&into, size)| merged[into] += size);
            prop_assert!(merged.iter().all(|size| *size > 0.0) && merge.tokens >= left.div_ceil(2));
            prop_assert!(merge.tokens >= keep.min(left));
            (left, sizes) = (merge.tokens, merged);
        }
        let halved = (0..blocks).fold(n, |left, _| left.div_ceil(2));
        prop_assert_eq!(left, keep.min(n).max(halved));
        let plane = Blur { keep: 1.0 / keep as f64 }.redraw(0, shown.text.clone()).unwrap();
        prop_assert_eq!((plane.rows, plane.cols), (5, n));
        let ends = |values: &[f32]| values.iter().fold((9.0_f32, -9.0_f32), |(least, most), value| (least.min(*value), most.max(*value)));
        let (before, after) = (ends(&shown.text.data), ends(&plane.data));
        prop_assert!(after.0 >= before.0 - 1e-5 && after.1 <= before.1 + 1e-5);
    }

    /// Greedily the largest determinant, by elimination in f64.
    #[test]
    fn cdpruner_makes_the_determinant_largest(n in 4..14_usize, count in 2..6_usize, numbers in prop::collection::vec(-2.0..2.0_f32, 800)) {
        let shown = Shown::of(n, &numbers);
        let unit = |row: &[f32]| -> Vec<f64> {
            let norm = (row.iter().map(|value| f64::from(value * value)).sum::<f64>() + 1e-6).sqrt();
            row.iter().map(|value| f64::from(*value) / norm).collect()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let text: Vec<f32> = (0..6).map(|column| {
            shown.prompt.before.iter_rows().chain(shown.prompt.behind.iter_rows()).map(|row| row[column]).sum::<f32>() / 7.0
        }).collect();
        let rows: Vec<Vec<f64>> = shown.features.iter_rows().map(unit).collect();
        let cosines: Vec<f64> = rows.iter().map(|row| dot(row, &unit(&text))).collect();
        let (least, most) = cosines.iter().fold((9.0_f64, -9.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
        let relevance = |i: usize| (cosines[i] - least) / (most - least + 1e-6);
        let kernel = |i: usize, j: usize| relevance(i) * dot(&rows[i], &rows[j]) * relevance(j);
        let mut kept: Vec<usize> = Vec::new();
        while kept.len() < count.min(n - 1) {
            let with = |i: &usize| determinant(&[kept.as_slice(), &[*i]].concat(), &kernel);
            let free: Vec<usize> = (0..n).filter(|i| !kept.contains(i)).collect();
            let best = free.iter().max_by(|a, b| with(a).total_cmp(&with(b))).unwrap();
            // Where two are equally good to six digits, or none adds anything, rounding decides.
            prop_assume!(free.iter().filter(|i| with(i) > with(best) * 0.99).count() == 1 && with(best) > 1e-4);
            kept.push(*best);
        }
        kept.sort_unstable();
        let reducer = CdPruner { keep: Keep::Count(count.min(n - 1)), halves: false, positions: RENUMBER };
        prop_assume!(count < n);
        prop_assert_eq!(reducer.reduce(0, &shown.evidence()).unwrap().kept, kept);
    }
}

/// Of many more tokens than they are wide, the determinant is 0 and its factor not finite any more, long before the budget is met.
#[test]
fn cdpruner_goes_on_where_nothing_adds_to_the_determinant() {
    for n in [64, 400, 900] {
        let numbers: Vec<f32> = (0..997_u16).map(|i| f32::from(i * 7 % 251) / 100.0 - 1.2).collect();
        let shown = Shown::of(n, &numbers);
        for halves in [false, true] {
            let keep = Keep::Count(n / 3 * 2);
            let reduction = CdPruner { keep, halves, positions: RENUMBER }.reduce(0, &shown.evidence()).unwrap();
            assert_contract(&reduction, n);
            assert!(reduction.rows().abs_diff(n / 3 * 2) <= 1, "{n}");
        }
    }
}

/// Of the kernel at `rows`, by Gaussian elimination.
#[expect(clippy::needless_range_loop, reason = "as it stands in books")]
fn determinant(rows: &[usize], kernel: &impl Fn(usize, usize) -> f64) -> f64 {
    let mut matrix: Vec<Vec<f64>> = rows.iter().map(|&i| rows.iter().map(|&j| kernel(i, j)).collect()).collect();
    let mut product = 1.0;
    for at in 0..rows.len() {
        product *= matrix[at][at];
        for below in at + 1..rows.len() {
            let factor = matrix[below][at] / matrix[at][at];
            for column in at..rows.len() {
                let above = matrix[at][column];
                matrix[below][column] -= factor * above;
            }
        }
    }
    product
}

fn matrix(rows: &[&[f32]]) -> HostMatrix {
    HostMatrix::new(rows.len(), rows[0].len(), rows.concat())
}

#[test]
fn tome_by_hand() {
    // By turns: the class token, which is not here, and 1, 3, 5 find their likest in 0, 2, 4. All are like 0 and 2, so 0 it is; 1 and 5 most.
    let keys = matrix(&[&[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0], &[1.0, 1.0], &[0.0, 1.0], &[2.0, 0.0]]);
    let merge = |keep| {
        let tokens = TowerTokens { block: 0, hidden: &keys, keys: &keys, sizes: &[1.0; 6], heads: 1, blocks: 1 };
        ToMe { keep: Keep::Count(keep) }.merge(0, &tokens).unwrap()
    };
    // The unmerged of the first set stand first.
    assert_eq!((merge(5).into, merge(5).tokens), (vec![2, 2, 3, 0, 4, 1], 5));
    assert_eq!(merge(4).into, [1, 1, 2, 0, 3, 1]);
    assert_eq!(merge(3).into, [0, 0, 1, 0, 2, 0]);
    assert_eq!(merge(6).into, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn lofi_by_hand() {
    // Two directions, of squares 9 + 4 and 1: with the first alone 0 weighs 9/13 and 1 4/13, with both 2 weighs all of its own.
    let features = matrix(&[&[3.0, 0.0], &[2.0, 0.0], &[0.0, 1.0], &[0.0, 0.0]]);
    let evidence = Evidence { visual_tokens: 4, features: Some(&features), ..Evidence::default() };
    let kept = |keep, energy| Lofi { keep: Keep::Count(keep), energy, positions: RENUMBER }.reduce(0, &evidence).unwrap().kept;
    assert_eq!((kept(2, 0.9), kept(2, 0.95)), (vec![0, 1], vec![0, 2]));
    // Wider than long, the same.
    let features = matrix(&[&[3.0, 0.0, 0.0, 0.0, 0.0], &[2.0, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 0.0, 1.0], &[0.0; 5]]);
    let evidence = Evidence { features: Some(&features), ..evidence };
    let kept = |keep, energy| Lofi { keep: Keep::Count(keep), energy, positions: RENUMBER }.reduce(0, &evidence).unwrap().kept;
    assert_eq!((kept(2, 0.9), kept(2, 0.95), kept(3, 1.0)), (vec![0, 1], vec![0, 2], vec![0, 1, 2]));
}

#[test]
fn visionzip_by_hand() {
    // The class token looks at 1 and 4 most.
    let attention = matrix(&[&[1.0, 9.0, 1.0, 1.0, 8.0, 1.0], &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]);
    let features = matrix(&[&[1.0], &[2.0], &[4.0], &[8.0], &[16.0], &[32.0]]);
    let keys = matrix(&[&[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0]]);
    let class_token = matrix(&[&[100.0]]);
    let evidence = Evidence {
        visual_tokens: 6,
        features: Some(&features),
        class_token: Some(&class_token),
        cls_attention: vec![(-2, &attention)],
        vision_keys: vec![(-2, &keys)],
        vision_heads: 1,
        ..Evidence::default()
    };
    // 4 tokens: one of context, the class token, two patches. Left are 0, 2, 3, 5; the target is 0, to which the mean of 2, 3 and 5 is added.
    let reduction = VisionZip { keep: Keep::Count(4) }.reduce(0, &evidence).unwrap();
    assert_eq!(reduction.kept, [1, 4]);
    assert_eq!(reduction.merged.unwrap().data, [100.0, 1.0 + (4.0 + 8.0 + 32.0) / 3.0]);
    assert_eq!(reduction.order.unwrap(), [2, 0, 1, 3]);
    assert_eq!(reduction.into, [3, 0, 3, 3, 1, 3].map(Some));
    // Without a class token one more patch stays for it, and the token of context is in its target's place: of the left 2, 3, 5 the first.
    let reduction = VisionZip { keep: Keep::Count(4) }.reduce(0, &Evidence { class_token: None, ..evidence }).unwrap();
    assert_eq!((&reduction.kept[..], reduction.merged), (&[0, 1, 2, 4][..], None));
    assert_eq!(reduction.rewritten.unwrap().data, [1.0, 2.0, 4.0 + f32::midpoint(8.0, 32.0), 16.0]);
    assert_eq!(reduction.into, [0, 1, 2, 2, 3, 2].map(Some));
    // Published: 64, 128 and 192 of 576, with 10, 20 and 30 of context, the class token among the others.
    for (share, keep, context) in [(0.111, 64, 10), (0.222, 128, 20), (0.333, 192, 30)] {
        let shown = Shown::of(576, &(0..997_u16).map(|i| f32::from(i * 7 % 251) / 100.0 - 1.2).collect::<Vec<_>>());
        let reduction = VisionZip { keep: Keep::Share(share) }.reduce(0, &shown.evidence()).unwrap();
        assert_eq!((reduction.kept.len(), reduction.merged.unwrap().rows), (keep - context - 1, context + 1));
    }
}

#[test]
fn prumerge_by_hand() {
    // Scores 0 but for the third patch, which stands out. Its neighbours are all others.
    let class = matrix(&[&[3.0], &[0.0]]);
    let keys = matrix(&[&[0.0], &[0.0], &[2.0], &[0.0], &[0.0], &[0.0]]);
    let features = matrix(&[&[1.0], &[2.0], &[4.0], &[8.0], &[16.0], &[32.0]]);
    let evidence = Evidence {
        visual_tokens: 6,
        features: Some(&features),
        class_projections: vec![(-1, &class)],
        vision_keys: vec![(-1, &keys)],
        ..Evidence::default()
    };
    let total = 6.0_f32.exp() + 6.0;
    let rest = (1.0 + 2.0 + 8.0 + 16.0 + 32.0) / total;
    let reduction = PruMerge { plus: false }.reduce(0, &evidence).unwrap();
    assert_eq!((&reduction.kept[..], &reduction.order.unwrap()[..]), (&[2][..], &[0, 1][..]));
    assert!((reduction.rewritten.unwrap().data[0] - (4.0 + rest)).abs() < 1e-6);
    assert!((reduction.merged.unwrap().data[0] - rest).abs() < 1e-6);
    assert_eq!(reduction.into, [Some(0); 6]);
    // One of six stands out: every second patch from the first on joins it, the last one never is offered.
    let plus = PruMerge { plus: true }.reduce(0, &evidence).unwrap();
    assert_eq!(plus.kept, [0, 2, 4]);
    // As they stand: 2 first, then 0 and 4, then the rest.
    assert_eq!(plus.order.unwrap(), [1, 0, 2, 3]);
    // 1, 3 and 5 are neighbours of all three, and of keys without a direction no two are more alike than others.
    assert_eq!(plus.into, [0, 0, 1, 0, 2, 0].map(Some));
    // Nothing stands out: without plus all goes into one token.
    let keys = matrix(&[&[0.0][..]; 6]);
    let evidence = Evidence { vision_keys: vec![(-1, &keys)], ..evidence };
    let reduction = PruMerge { plus: false }.reduce(0, &evidence).unwrap();
    assert!(reduction.kept.is_empty() && (reduction.merged.unwrap().data[0] - 63.0 / 7.0).abs() < 1e-5);
}

#[test]
fn vispruner_by_hand() {
    // Attention falls from 0 to 5, and 0 is kept for it. Of the others 1, 3, 5 are compared with 2 and 4: 1 is 2's double and 5 is 4's.
    let angle = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
    let rows = [0.0, 10.0, 10.0, 200.0, 100.0, 100.0].map(angle);
    let features = matrix(&rows.each_ref().map(|row| &row[..]));
    let attention = matrix(&[&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]);
    let evidence = Evidence { visual_tokens: 6, features: Some(&features), cls_attention: vec![(-2, &attention)], ..Evidence::default() };
    let kept = |keep, important| VisPruner { keep: Keep::Count(keep), important, positions: RENUMBER }.reduce(0, &evidence).unwrap().kept;
    assert_eq!(kept(4, 0.25), [0, 2, 3, 4]);
    // Three are to go at once, so all that were compared do.
    assert_eq!(kept(3, 0.34), [0, 2, 4]);
    assert_eq!(kept(3, 1.0), [0, 1, 2]);
}

#[test]
fn dart_by_hand() {
    // The longest visual token is 3, the longest text row is behind the image. 16 tokens, 3 to stay: the pivot 3, then what is least like
    // it, then what is least like the text.
    let mut visual = HostMatrix::new(16, 2, vec![1.0; 32]);
    visual.data[6..8].copy_from_slice(&[0.0, 9.0]);
    visual.data[20..22].copy_from_slice(&[1.0, -3.0]);
    visual.data[10..12].copy_from_slice(&[-2.0, 0.5]);
    let prompt = PromptStates { before: matrix(&[&[0.0, 1.0]]), behind: matrix(&[&[7.0, 1.0], &[0.0, 0.0]]), visual, marked: true };
    let evidence = Evidence { visual_tokens: 16, prompt: Some(&prompt), ..Evidence::default() };
    let kept =
        |keep, image, text| Dart { keep, image, text, positions: Positions::Keep }.reduce(0, &evidence).map(|reduction| reduction.kept);
    assert_eq!(kept(Keep::Count(3), 1, 1).unwrap(), [3, 5, 10]);
    // Without a pivot of the image the first that is least like the text; all the same tokens go by index.
    assert_eq!(kept(Keep::Count(3), 0, 1).unwrap(), [3, 5, 10]);
    assert_eq!(kept(Keep::Count(5), 1, 0).unwrap(), [0, 1, 3, 5, 10]);
    // A share is rounded up: 3.04 of 16 are 4.
    assert_eq!(kept(Keep::Share(0.19), 1, 1).unwrap().len(), 4);
    assert!(kept(Keep::Count(3), 0, 0).unwrap_err().to_string().contains("has no pivot"));
}

#[test]
fn holov_by_hand() {
    // Three stretches of two, all alike: no cosine varies more than another's, so attention alone shares out. 4 of 6: to 12, 2 and 10 of 24
    // in all belong 2, 0.3 and 1.7, rounded down 2, 0 and 1; the one that is left goes to the highest score, which has no more tokens.
    let features = matrix(&[&[1.0, 0.0][..]; 6]);
    let attention = matrix(&[&[2.0, 10.0, 1.0, 1.0, 3.0, 7.0]]);
    let evidence = Evidence { visual_tokens: 6, features: Some(&features), cls_attention: vec![(-2, &attention)], ..Evidence::default() };
    let reduction = HoloV { keep: Keep::Count(4), parts: 3 }.reduce(0, &evidence).unwrap();
    assert_eq!(reduction.kept, [0, 1, 5]);
    assert_eq!(reduction.merged.unwrap().data, [0.0, 0.0]);
    // Of one stretch the most attended stand first.
    let reduction = HoloV { keep: Keep::Count(3), parts: 1 }.reduce(0, &evidence).unwrap();
    assert_eq!((&reduction.kept[..], &reduction.order.unwrap()[..]), (&[1, 4, 5][..], &[0, 2, 1][..]));
}

#[test]
fn pyramiddrop_by_hand() {
    let cells = Cells::of(View { rows: 3, columns: 3, frame: None });
    let attention = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5];
    let kept = |step, ratio, attention: &[f32]| {
        let evidence = Evidence { visual_tokens: attention.len(), cells: &cells, own_attention: Some(attention), ..Evidence::default() };
        PyramidDrop { layers: Layers::Auto, ratio, positions: RENUMBER }.reduce(step, &evidence).unwrap().kept
    };
    // Of nine 4.5, 2.25 and 1.125, each rounded down.
    assert_eq!(kept(0, 0.5, &attention), [1, 3, 5, 7]);
    assert_eq!(kept(1, 0.5, &attention[..4]), [1, 3]);
    assert_eq!(kept(2, 0.5, &attention[..2]), [1]);
    assert_eq!(kept(2, 0.1, &attention[..2]), [1]);
    assert_eq!(kept(0, 0.5, &[0.5; 9]), [0, 1, 2, 3]);
}

#[test]
fn sparsevlm_budgets() {
    // What each step leaves without clusters, of 576, at and between the published means.
    let numbers: Vec<f32> = (0..997_u16).map(|i| f32::from(i * 7 % 251) / 100.0 - 1.2).collect();
    let mut shown = Shown::of(576, &numbers);
    shown.prompt.marked = true;
    let kept = |keep, step| SparseVlm { layers: Layers::Auto, keep }.reduce(step, &shown.evidence()).unwrap();
    for (keep, counts) in [
        (Keep::Share(0.333), [300, 200, 110]),
        (Keep::Count(192), [300, 200, 110]),
        (Keep::Share(0.222), [303, 110, 36]),
        (Keep::Share(0.167), [238, 48, 26]),
        (Keep::Share(0.111), [66, 30, 17]),
        (Keep::Count(32), [33, 15, 8]),
        (Keep::Count(160), [302, 155, 73]),
        (Keep::Count(384), [438, 388, 343]),
    ] {
        for (step, count) in counts.into_iter().enumerate() {
            let reduction = kept(keep, step);
            assert_eq!((reduction.kept.len(), reduction.merged), (count, None), "{keep:?} at {step}");
        }
    }
    // On other families what goes is recycled: 276 go, 83 are recycled into 9.
    shown.prompt.marked = false;
    let reduction = SparseVlm { layers: Layers::Auto, keep: Keep::Count(192) }.reduce(0, &shown.evidence()).unwrap();
    assert_eq!((reduction.kept.len(), reduction.merged.unwrap().rows), (300, 9));
    let mut clusters: Vec<usize> = reduction.into.iter().flatten().filter(|row| **row >= 300).map(|row| row - 300).collect();
    assert_eq!((clusters.len(), reduction.into.iter().filter(|into| into.is_none()).count()), (83, 276 - 83));
    clusters.sort_unstable();
    clusters.dedup();
    assert!(clusters.into_iter().eq(0..9));
}

#[test]
fn places_and_positions_are_those_of_the_sources() {
    use PositionPolicy::{Keep as Stay, Renumber};
    let first = |reducer: &dyn TokenReducer| {
        let steps = reducer.steps();
        (steps.iter().map(|step| step.site).collect::<Vec<_>>(), steps[0].positions)
    };
    let of = |spec: &str| first(steady_accel::Acceleration::parse(spec).unwrap().reducer().unwrap());
    for (spec, sites, positions) in [
        ("blur", vec![Site::BeforeTower], Renumber),
        ("tome", vec![Site::TowerBlocks], Renumber),
        ("divprune", vec![Site::AfterProjector], Renumber),
        ("lofi", vec![Site::AfterProjector], Renumber),
        ("cdpruner", vec![Site::AfterProjector], Renumber),
        ("dart", vec![Site::AfterProjector], Stay),
        ("dart:positions=renumber", vec![Site::AfterProjector], Renumber),
        ("holov", vec![Site::AfterProjector], Renumber),
        ("visionzip", vec![Site::AfterTower], Renumber),
        ("prumerge", vec![Site::AfterTower], Renumber),
        ("fastervlm", vec![Site::AfterTower], Renumber),
        ("vispruner:positions=keep", vec![Site::AfterTower], Stay),
        ("fastv", vec![Site::BeforeLayer(2)], Stay),
        ("pyramiddrop", [8, 16, 24].map(Site::PartWay).to_vec(), Renumber),
        ("pyramiddrop:layers=2/3/9,positions=keep", [2, 3, 9].map(Site::BeforeLayer).to_vec(), Stay),
        ("sparsevlm", [3, 7, 16].map(Site::PartWay).to_vec(), Renumber),
        ("vtw", vec![Site::PartWay(15)], Stay),
        ("vtw:k=15", vec![Site::BeforeLayer(15)], Stay),
        ("random", vec![Site::AfterProjector], Renumber),
        ("random:placed", vec![Site::AfterProjector], Stay),
        ("blind", vec![Site::AfterProjector], Renumber),
    ] {
        assert_eq!(of(spec), (sites, positions), "{spec}");
    }
}
