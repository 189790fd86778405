//! What choosing among many visual tokens takes: `cargo run --release -p steady-accel --example selection -- TOKENS WIDTH KEEP SPEC..`.
//!
//! Each method is shown made-up tokens as an image might have: neighbours are alike, and a tenth of them is like nothing else. Told are the seconds and the most
//! memory that the choice held beyond what it was shown, and a number that only the same choice has. What the tower sees has the widths of CLIP's, 16 heads of 64.

#![expect(clippy::expect_used, reason = "an example that cannot go on says why and stops")]
#![expect(clippy::print_stdout, reason = "what was measured is what this is for")]

use std::time::Instant;

use peak_alloc::PeakAlloc;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use steady_accel::Acceleration;
use steady_vlm::{Cells, Evidence, HostMatrix, PromptStates, Site, TowerTokens, View};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Heads of the tower, and their width.
const HEADS: (usize, usize) = (16, 64);

/// Rows in runs of eight, each a little different from the one before, but for every tenth, which is like none.
fn rows(count: usize, width: usize, seed: u64) -> HostMatrix {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = move || f32::from(random.next_u32() as u16) / f32::from(u16::MAX) - 0.5;
    let mut data: Vec<f32> = Vec::with_capacity(count * width);
    let mut run: Vec<f32> = (0..width).map(|_| drawn()).collect();
    for row in 0..count {
        if row % 10 == 0 {
            data.extend((0..width).map(|_| drawn()));
            continue;
        }
        for value in &mut run {
            *value = if row % 8 == 0 { drawn() } else { *value + 0.2 * drawn() };
        }
        data.extend(&run);
    }
    HostMatrix::new(count, width, data)
}

/// Tells choices apart (FNV-1a).
fn fingerprint(kept: &[usize]) -> u64 {
    let bytes = kept.iter().flat_map(|index| (*index as u64).to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tokens, width, keep, specs @ ..] = arguments.as_slice() else { panic!("usage: selection TOKENS WIDTH KEEP SPEC..") };
    let (n, width): (usize, usize) = (tokens.parse().expect("a number of tokens"), width.parse().expect("a width"));
    let positive = |matrix: HostMatrix| HostMatrix { data: matrix.data.iter().map(|value| value.abs() / n as f32).collect(), ..matrix };
    let features = rows(n, width, 1);
    let keys = rows(n, HEADS.0 * HEADS.1, 2);
    let (class_token, class) = (rows(1, width, 3), rows(2, HEADS.0 * HEADS.1, 4));
    let (attention, text, row) = (positive(rows(HEADS.0, n, 5)), positive(rows(16, n, 6)), positive(rows(1, n, 7)).data);
    let prompt = PromptStates { before: rows(16, width, 8), visual: features.clone(), behind: rows(16, width, 9), marked: false };
    let (cells, sizes) = (Cells::of(View { rows: 1, columns: n, frame: None }), vec![1.0; n]);
    let evidence = Evidence {
        visual_tokens: n,
        cells: &cells,
        features: Some(&features),
        class_token: Some(&class_token),
        cls_attention: vec![(-2, &attention)],
        class_projections: vec![(-1, &class)],
        vision_keys: vec![(-2, &keys), (-1, &keys)],
        vision_heads: HEADS.0,
        prompt: Some(&prompt),
        last_row_attention: Some(&row),
        own_attention: Some(&row),
        text_attention: Some(&text),
        ..Evidence::default()
    };
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    println!("{n} tokens of {width}: {:.0} MB", megabytes(4 * features.data.len()));
    for spec in specs {
        // A share, where the method has one.
        let spec = Acceleration::parse(spec)
            .expect("a spec")
            .spec()
            .with("keep", keep)
            .expect("a budget")
            .map_or_else(|| spec.clone(), |spec| spec.to_string());
        let acceleration = Acceleration::parse(&spec).expect("a spec");
        let reducer = acceleration.reducer().expect("a token reducer");
        let in_tower = reducer.steps().iter().any(|step| matches!(step.site, Site::TowerBlock(_) | Site::TowerBlocks));
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let (left, kept) = if in_tower {
            let shown = TowerTokens { block: 0, hidden: &features, keys: &keys, sizes: &sizes, heads: HEADS.0, blocks: 24 };
            let merge = reducer.merge(0, &shown).expect("a merge");
            (merge.tokens, merge.into)
        } else {
            let reduction = reducer.reduce(0, &evidence).expect("a choice");
            (reduction.rows(), reduction.kept)
        };
        let (seconds, held) = (start.elapsed().as_secs_f64(), MEMORY.peak_usage().saturating_sub(before));
        println!("{spec}: {left} left, {seconds:.2} s, {:.1} MB, {:016x}", megabytes(held), fingerprint(&kept));
    }
}
