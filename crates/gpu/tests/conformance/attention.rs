use steady_gpu::kernels::{Heads, KeyValues, Sight, attention, attention_row, rotate};

use crate::support::{assert_close, gpu, numbers, read};

/// What query `query` weighs values with, head by head and key by key in `f64`.
fn probabilities(q: &[f32], k: &[f32], heads: Heads, query: usize, seen: std::ops::Range<usize>, raise: Option<&[f32]>) -> Vec<Vec<f64>> {
    let Heads { heads, kv_heads, head_dim } = heads;
    (0..heads)
        .map(|head| {
            let shared = head / (heads / kv_heads);
            let score = |key: usize| {
                let dot: f64 = (0..head_dim)
                    .map(|i| f64::from(q[(query * heads + head) * head_dim + i]) * f64::from(k[(key * kv_heads + shared) * head_dim + i]))
                    .sum();
                dot / (head_dim as f64).sqrt() + raise.map_or(0.0, |raise| f64::from(raise[key]))
            };
            let scores: Vec<f64> = seen.clone().map(score).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / total).collect()
        })
        .collect()
}

/// The attention of every query, by its definition.
fn by_definition(q: &[f32], k: &[f32], v: &[f32], heads: Heads, seen: &[std::ops::Range<usize>], raise: Option<&[f32]>) -> Vec<f64> {
    let mut out = Vec::new();
    for (query, seen) in seen.iter().enumerate() {
        for (head, weights) in probabilities(q, k, heads, query, seen.clone(), raise).iter().enumerate() {
            let shared = head / (heads.heads / heads.kv_heads);
            for i in 0..heads.head_dim {
                let value = |key: usize| f64::from(v[(key * heads.kv_heads + shared) * heads.head_dim + i]);
                out.push(seen.clone().zip(weights).map(|(key, weight)| weight * value(key)).sum());
            }
        }
    }
    out
}

/// Queries, keys, values: scores of several hundred, so that a softmax that does not take the largest away overflows.
fn drawn(tokens: usize, held: usize, Heads { heads, kv_heads, head_dim }: Heads, scale: f32) -> [Vec<f32>; 3] {
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * scale).collect();
    let [q, k] = [(tokens * heads, 1), (held * kv_heads, 2)].map(|(count, seed)| scaled(numbers(count * head_dim, seed)));
    [q, k, numbers(held * kv_heads * head_dim, 3)]
}

const SHAPES: [(usize, usize, usize); 7] = [(1, 1, 8), (4, 4, 16), (4, 2, 20), (6, 2, 6), (3, 1, 64), (2, 1, 80), (2, 2, 128)];

fn heads((heads, kv_heads, head_dim): (usize, usize, usize)) -> Heads {
    Heads { heads, kv_heads, head_dim }
}

#[test]
fn causal_with_and_without_a_window() {
    for shape in SHAPES.map(heads) {
        for (tokens, past) in [(1, 0), (1, 70), (4, 9), (5, 0), (17, 30), (40, 3)] {
            for (window, scale) in [(None, 1.0), (Some(7), 1.0), (None, 40.0)] {
                let held = past + tokens;
                let [q, k, v] = drawn(tokens, held, shape, scale);
                let seen: Vec<_> = (0..tokens).map(|i| (past + i + 1).saturating_sub(window.unwrap_or(usize::MAX))..past + i + 1).collect();
                let expected = by_definition(&q, &k, &v, shape, &seen, None);
                let (width, key_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
                let [k, v] = [k, v].map(|rows| gpu().rows(&rows, [held, key_width]));
                let q = gpu().rows(&q, [tokens, width]);
                let found = read(&attention(gpu(), &q, &k, &v, shape, &Sight::Causal { past, window }));
                // At scores of thousands an f32 is off by a ten-thousandth.
                let tolerance = if scale > 1.0 { 2e-4 } else { 1e-5 };
                assert_close(&found, &expected, tolerance, &format!("{shape:?}, {tokens} behind {past}, window {window:?}, scale {scale}"));
            }
        }
    }
}

#[test]
fn both_ways_raised_and_within_ranges() {
    for shape in SHAPES.map(heads) {
        for tokens in [1, 4, 5, 33] {
            let [q, k, v] = drawn(tokens, tokens, shape, 2.0);
            let raise: Vec<f32> = numbers(tokens, 4);
            // One query sees nothing, the others some of the keys before and behind them.
            let ranges: Vec<_> = (0..tokens).map(|i| if i == 2 { 5..5 } else { i / 2..(i + 3).min(tokens) }).collect();
            let (width, key_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
            let [on_k, on_v] = [&k, &v].map(|rows| gpu().rows(rows, [tokens, key_width]));
            let on_q = gpu().rows(&q, [tokens, width]);
            let ask = |sight: &Sight<'_>| read(&attention(gpu(), &on_q, &on_k, &on_v, shape, sight));
            let what = format!("{shape:?}, {tokens} tokens");
            let all = vec![0..tokens; tokens];
            assert_close(&ask(&Sight::All { raise: None }), &by_definition(&q, &k, &v, shape, &all, None), 1e-5, &what);
            let raised = gpu().rows(&raise, [1, tokens]);
            let expected = by_definition(&q, &k, &v, shape, &all, Some(&raise));
            assert_close(&ask(&Sight::All { raise: Some(&raised) }), &expected, 1e-5, &what);
            let words: Vec<u32> = ranges.iter().flat_map(|range| [range.start as u32, range.end as u32]).collect();
            let expected = by_definition(&q, &k, &v, shape, &ranges, None);
            assert_close(&ask(&Sight::Within { ranges: &gpu().words(&words) }), &expected, 1e-5, &what);
        }
    }
}

#[test]
fn one_query_over_more_keys_than_a_workgroup_takes() {
    let shape = heads((4, 2, 96));
    for held in [512, 513, 2000] {
        let [q, k, v] = drawn(1, held, shape, 3.0);
        let expected = by_definition(&q, &k, &v, shape, &[0..held], None);
        let [k, v] = [k, v].map(|rows| gpu().rows(&rows, [held, 192]));
        let found = read(&attention(gpu(), &gpu().rows(&q, [1, 384]), &k, &v, shape, &Sight::Causal { past: held - 1, window: None }));
        assert_close(&found, &expected, 1e-5, &format!("{held} keys"));
    }
}

#[test]
fn the_probabilities_of_one_query() {
    for shape in SHAPES.map(heads) {
        for (held, window) in [(1, None), (64, None), (150, None), (150, Some(20))] {
            let [q, k, _] = drawn(3, held, shape, 30.0);
            let (width, key_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
            let seen = held - window.unwrap_or(held)..held;
            let expected: Vec<f64> = probabilities(&q, &k, shape, 2, seen.clone(), None)
                .iter()
                .flat_map(|row| std::iter::repeat_n(0.0, seen.start).chain(row.iter().copied()).collect::<Vec<_>>())
                .collect();
            let query = gpu().rows(&q, [3, width]).slice(2..3);
            let sight = Sight::Causal { past: held - 1, window };
            let found = read(&attention_row(gpu(), &query, &gpu().rows(&k, [held, key_width]), shape, &sight));
            assert_close(&found, &expected, 2e-4, &format!("{shape:?}, {held} keys, window {window:?}"));
        }
    }
}

/// Each head's dimension `i` and `i + half` turned by the token's angle.
fn turned(x: &[f32], angles: &[f64], heads: usize, half: usize) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for (place, head) in x.chunks(2 * half).enumerate() {
        for i in 0..half {
            let (sin, cos) = angles[place / heads * half + i].sin_cos();
            let (first, second) = (f64::from(head[i]), f64::from(head[i + half]));
            y[place * 2 * half + i] = first * cos - second * sin;
            y[place * 2 * half + half + i] = second * cos + first * sin;
        }
    }
    y
}

fn tables(tokens: usize, half: usize, seed: u64) -> (Vec<f64>, [steady_gpu::Rows; 2]) {
    let angles: Vec<f64> = numbers(tokens * half, seed).iter().map(|&angle| f64::from(angle) * 3.0).collect();
    let table = |turn: fn(f64) -> f64| gpu().rows(&angles.iter().map(|&angle| turn(angle) as f32).collect::<Vec<_>>(), [tokens, half]);
    (angles.clone(), [table(f64::cos), table(f64::sin)])
}

#[test]
fn halves_of_heads_are_turned() {
    for (tokens, heads, half) in [(1, 1, 1), (3, 5, 10), (9, 2, 64)] {
        let x = numbers(tokens * heads * 2 * half, 1);
        let (angles, [cos, sin]) = tables(tokens, half, 2);
        let found = read(&rotate(gpu(), &gpu().rows(&x, [tokens, heads * 2 * half]), &cos, &sin, heads));
        assert_close(&found, &turned(&x, &angles, heads, half), 1e-6, &format!("{tokens} tokens, {heads} heads of {}", 2 * half));
    }
}

#[test]
fn what_is_remembered_stays_whoever_else_remembers_more() {
    let (heads, half) = (2, 3);
    let width = heads * 2 * half;
    let remember = |held: &mut KeyValues, tokens: usize, seed: u64| {
        let (keys, values) = (numbers(tokens * width, seed), numbers(tokens * width, seed + 1));
        let (angles, [cos, sin]) = tables(tokens, half, seed + 2);
        let [on_keys, on_values] = [&keys, &values].map(|rows| gpu().rows(rows, [tokens, width]));
        held.remember(gpu(), &on_keys, &on_values, &cos, &sin, heads);
        (turned(&keys, &angles, heads, half), values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>())
    };
    let check = |held: &KeyValues, parts: &[&(Vec<f64>, Vec<f64>)], what: &str| {
        let (keys, values): (Vec<_>, Vec<_>) = parts.iter().map(|(keys, values)| (keys.clone(), values.clone())).unzip();
        assert_eq!(held.len(), keys.concat().len() / width, "{what}");
        assert_close(&read(&held.keys()), &keys.concat(), 1e-6, what);
        assert_close(&read(&held.values()), &values.concat(), 1e-6, what);
    };
    let mut trunk = KeyValues::new(gpu(), 5, width);
    let first = remember(&mut trunk, 5, 10);
    let (mut branch, mut copy) = (trunk.branch(gpu(), 2), trunk.clone());
    let of_branch = remember(&mut branch, 3, 20);
    let of_copy = remember(&mut copy, 1, 30);
    let second = remember(&mut trunk, 70, 40);
    let third = remember(&mut trunk, 1, 50);
    check(&branch, &[&first, &of_branch], "a branch");
    check(&copy, &[&first, &of_copy], "a clone");
    check(&trunk, &[&first, &second, &third], "the trunk");
}
