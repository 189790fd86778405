use std::ops::Range;

use steady_gpu::{
    Rows,
    kernels::{Heads, Sight, attention, attention_row},
};

use crate::support::{assert_close, gpu, numbers, read};

/// Queries, keys and values on the host, and what is computed from them by definition.
struct Case {
    heads: Heads,
    queries: usize,
    keys: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Case {
    /// Queries and keys between `-scale` and `scale`.
    fn new([heads, kv_heads, head_dim]: [usize; 3], queries: usize, keys: usize, scale: f32) -> Self {
        let scaled = |count, seed| numbers(count, seed).iter().map(|value| value * scale).collect();
        Self {
            heads: Heads { heads, kv_heads, head_dim },
            queries,
            keys,
            q: scaled(queries * heads * head_dim, 1),
            k: scaled(keys * kv_heads * head_dim, 2),
            v: numbers(keys * kv_heads * head_dim, 3),
        }
    }

    fn name(&self) -> String {
        format!("{} queries, {} keys, {:?}", self.queries, self.keys, self.heads)
    }

    /// The softmax of one query's scores with the keys of `seen`, in `f64`.
    fn probabilities(&self, query: usize, head: usize, seen: Range<usize>, raise: Option<&[f32]>) -> Vec<f64> {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let shared = head / (heads / kv_heads);
        let q = &self.q[(query * heads + head) * head_dim..][..head_dim];
        let score = |key: usize| {
            let k = &self.k[(key * kv_heads + shared) * head_dim..][..head_dim];
            let dot: f64 = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
            dot / (head_dim as f64).sqrt() + raise.map_or(0.0, |raise| f64::from(raise[key]))
        };
        let scores: Vec<f64> = seen.map(score).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    fn by_definition(&self, seen: impl Fn(usize) -> Range<usize>, raise: Option<&[f32]>) -> Vec<f64> {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let mut out = vec![0.0; self.queries * heads * head_dim];
        for (at, out) in out.chunks_mut(head_dim).enumerate() {
            let (query, head) = (at / heads, at % heads);
            let seen = seen(query);
            for (key, probability) in seen.clone().zip(self.probabilities(query, head, seen, raise)) {
                let v = &self.v[(key * kv_heads + head / (heads / kv_heads)) * head_dim..][..head_dim];
                out.iter_mut().zip(v).for_each(|(out, &v)| *out += probability * f64::from(v));
            }
        }
        out
    }

    /// On the GPU, each a matrix of its own that begins in its buffer.
    fn apart(&self) -> [Rows; 3] {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        [
            gpu().rows(&self.q, [self.queries, heads * head_dim]),
            gpu().rows(&self.k, [self.keys, kv_heads * head_dim]),
            gpu().rows(&self.v, [self.keys, kv_heads * head_dim]),
        ]
    }

    async fn run(&self, sight: &Sight<'_>) -> Vec<f32> {
        let [q, k, v] = self.apart();
        read(&attention(gpu(), &q, &k, &v, self.heads, sight)).await
    }
}

/// What query `query` sees.
fn causal(past: usize, window: Option<usize>) -> impl Fn(usize) -> Range<usize> {
    move |query| (past + query + 1).saturating_sub(window.unwrap_or(usize::MAX))..past + query + 1
}

/// Both kernels: many queries, and the few that are decoded.
async fn of_what_came_before() {
    let of_heads = [[1, 1, 1], [2, 1, 8], [4, 2, 16], [3, 3, 20], [2, 2, 64], [6, 2, 80], [1, 1, 96], [2, 1, 126], [4, 1, 128]];
    for (at, of_heads) in of_heads.into_iter().enumerate() {
        for (queries, past) in [(1, 0), (1, 70), (3, 0), (8, 100), (9, 3), (31 + at, 0), (70, 45)] {
            // A window of one, one that ends within tiles, one that hides nothing.
            for window in [None, Some(1), Some(37), Some(1000)] {
                let case = Case::new(of_heads, queries, past + queries, 2.0);
                let expected = case.by_definition(causal(past, window), None);
                let found = case.run(&Sight::Causal { past, window }).await;
                assert_close(&found, &expected, 1e-6, &format!("{}, window {window:?}", case.name()));
            }
        }
    }
}

async fn of_all_with_and_without_raise() {
    for (queries, keys) in [(1, 1), (2, 65), (8, 33), (9, 31), (33, 64), (50, 577)] {
        let case = Case::new([4, 4, 24], queries, keys, 2.0);
        let raise: Vec<f32> = numbers(keys, 5).iter().map(|value| 2.0 * value + 1.5).collect();
        // It may begin within a buffer.
        let rows = gpu().rows(&[&[7.0; 64][..keys.min(64)], &raise[..]].concat(), [1, keys.min(64) + keys]);
        let first = keys.min(64);
        let rows = rows.reshape([first + keys, 1]).slice(first..first + keys).reshape([1, keys]);
        for raised in [false, true] {
            let expected = case.by_definition(|_| 0..keys, raised.then_some(&raise[..]));
            let found = case.run(&Sight::All { raise: raised.then_some(&rows) }).await;
            assert_close(&found, &expected, 1e-6, &format!("{}, raised {raised}", case.name()));
        }
    }
}

/// Stretches of every length, some across blocks of queries, a gap, a query that sees nothing, and ranges that overlap.
async fn within_ranges() {
    for queries in [1, 5, 8, 9, 100, 150] {
        let case = Case::new([2, 2, 80], queries, 150, 2.0);
        let range = |query: usize| match query {
            0..7 => 0..7,
            7..40 => 7..40,
            40 => 0..150,
            41 | 50 => 20..20,
            42..100 => 42 + query % 3..100,
            _ => 100..150,
        };
        let words: Vec<u32> = (0..queries).flat_map(|query| [range(query).start as u32, range(query).end as u32]).collect();
        let found = case.run(&Sight::Within { ranges: &gpu().words(&words) }).await;
        assert_close(&found, &case.by_definition(range, None), 1e-6, &case.name());
    }
    // Blocks, and a few, that see nothing at all.
    for queries in [2, 40] {
        let found = Case::new([2, 1, 16], queries, 10, 1.0).run(&Sight::Within { ranges: &gpu().words(&vec![5; 2 * queries]) }).await;
        assert!(found.iter().all(|value| *value == 0.0), "{found:?}");
    }
}

/// More keys than one workgroup goes through: parts are combined; windows leave some of them empty.
async fn of_few_over_many_keys() {
    for (queries, keys) in [(1, 1024), (1, 1025), (1, 2000), (3, 1500), (8, 1281)] {
        let case = Case::new([4, 2, 64], queries, keys, 2.0);
        let past = keys - queries;
        for window in [None, Some(1100), Some(300)] {
            let found = case.run(&Sight::Causal { past, window }).await;
            assert_close(&found, &case.by_definition(causal(past, window), None), 1e-6, &format!("{}, window {window:?}", case.name()));
        }
    }
    let case = Case::new([2, 1, 20], 3, 3000, 2.0);
    let range = |query: usize| [700..2999, 10..11, 5..5][query].clone();
    let words: Vec<u32> = (0..3).flat_map(|query| [range(query).start as u32, range(query).end as u32]).collect();
    let found = case.run(&Sight::Within { ranges: &gpu().words(&words) }).await;
    assert_close(&found, &case.by_definition(range, None), 1e-6, &case.name());
}

/// Scores of several thousand, whose exponentials `f32` does not hold. What is left of them is off by what `f32` rounds of the scores.
async fn of_scores_beyond_the_exponential() {
    for (queries, keys) in [(1, 300), (4, 1500), (64, 300)] {
        let case = Case::new([2, 2, 128], queries, keys, 100.0);
        let past = keys - queries;
        let found = case.run(&Sight::Causal { past, window: None }).await;
        assert_close(&found, &case.by_definition(causal(past, None), None), 2e-3, &case.name());
    }
    // All of them far below zero: weights would vanish if the highest score began at zero.
    for (queries, keys) in [(1, 40), (1, 1100), (20, 40)] {
        let mut case = Case::new([1, 1, 8], queries, keys, 1.0);
        case.q.iter_mut().for_each(|q| *q = 100.0);
        case.k.iter_mut().for_each(|k| *k = *k / 16.0 - 20.0);
        let found = case.run(&Sight::All { raise: None }).await;
        assert_close(&found, &case.by_definition(|_| 0..keys, None), 2e-3, &case.name());
    }
}

/// Queries, keys and values side by side in one matrix, of which rows in the middle are taken.
async fn of_columns_of_a_wider_matrix() {
    for tokens in [2, 45] {
        let case = Case::new([4, 2, 20], tokens, tokens, 2.0);
        let (of_q, of_k) = (4 * 20, 2 * 20);
        let width = of_q + 2 * of_k;
        let mut wide = numbers(3 * width, 7);
        for token in 0..tokens {
            wide.extend(&case.q[token * of_q..(token + 1) * of_q]);
            wide.extend(&case.k[token * of_k..(token + 1) * of_k]);
            wide.extend(&case.v[token * of_k..(token + 1) * of_k]);
        }
        wide.extend(numbers(width, 8));
        let rows = gpu().rows(&wide, [tokens + 4, width]).slice(3..3 + tokens);
        let [q, k, v] = [0..of_q, of_q..of_q + of_k, of_q + of_k..of_q + 2 * of_k].map(|columns| rows.columns(columns));
        let sight = Sight::Causal { past: 0, window: None };
        let expected = case.by_definition(causal(0, None), None);
        assert_close(&read(&attention(gpu(), &q, &k, &v, case.heads, &sight)).await, &expected, 1e-6, &case.name());
    }
}

/// The same numbers twice: the same bits.
async fn it_repeats_to_the_bit() {
    for (queries, keys) in [(2, 1300), (40, 300)] {
        let case = Case::new([2, 1, 64], queries, keys, 2.0);
        let sight = Sight::All { raise: None };
        assert_eq!(case.run(&sight).await, case.run(&sight).await);
    }
}

async fn the_probabilities_of_a_query() {
    for (of_heads, keys) in [([1, 1, 1], 1), ([4, 2, 20], 63), ([6, 2, 128], 65), ([2, 2, 80], 700)] {
        for scale in [2.0, 100.0] {
            let case = Case::new(of_heads, 1, keys, scale);
            let raise = numbers(keys, 5);
            let row = gpu().rows(&raise, [1, keys]);
            let middle = [keys as u32 / 3, keys as u32 / 2];
            let ranges = gpu().words(&middle);
            let sights = [
                (Sight::Causal { past: keys - 1, window: None }, 0..keys),
                (Sight::Causal { past: keys - 1, window: Some(40) }, keys.saturating_sub(40)..keys),
                (Sight::Causal { past: keys / 2, window: None }, 0..keys / 2 + 1),
                (Sight::All { raise: Some(&row) }, 0..keys),
                (Sight::Within { ranges: &ranges }, keys / 3..keys / 2),
            ];
            for (sight, seen) in sights {
                let raise = matches!(sight, Sight::All { .. }).then_some(&raise[..]);
                let mut expected = Vec::new();
                for head in 0..case.heads.heads {
                    let mut of_head = vec![0.0; keys];
                    of_head[seen.clone()].copy_from_slice(&case.probabilities(0, head, seen.clone(), raise));
                    expected.extend(of_head);
                }
                let [q, k, _] = case.apart();
                let found = read(&attention_row(gpu(), &q, &k, case.heads, &sight)).await;
                let tolerance = if scale > 2.0 { 2e-3 } else { 1e-6 };
                assert_close(&found, &expected, tolerance, &format!("{}, {sight:?}", case.name()));
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
#[test]
#[ignore = "a measurement"]
fn times() {
    use pollster::FutureExt;
    use std::time::Instant;
    crate::support::open().block_on();
    let wait = |rows: &Rows| drop(read(rows).block_on());
    for (queries, keys, times) in [(512, 512, 5), (1, 2000, 50)] {
        let case = Case::new([12, 2, 128], queries, keys, 2.0);
        let [q, k, v] = case.apart();
        let sight = Sight::Causal { past: keys - queries, window: None };
        let run = || attention(gpu(), &q, &k, &v, case.heads, &sight);
        let first = Instant::now();
        wait(&run());
        let (first, start) = (first.elapsed(), Instant::now());
        (1..times).for_each(|_| drop(run()));
        wait(&run());
        println!("{}: {:?} each, {first:?} the first time", case.name(), start.elapsed() / times);
    }
}

crate::suite! {
    of_what_came_before,
    of_all_with_and_without_raise,
    within_ranges,
    of_few_over_many_keys,
    of_scores_beyond_the_exponential,
    of_columns_of_a_wider_matrix,
    it_repeats_to_the_bit,
    the_probabilities_of_a_query,
}
