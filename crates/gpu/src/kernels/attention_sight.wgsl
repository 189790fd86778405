// What all attention kernels share: the numbers of a launch, and which keys a query sees.

struct Numbers {
    queries: u32,
    keys: u32,
    values: u32,
    raise: u32,
    y: u32,
    // Of queries and of keys.
    tokens: u32,
    held: u32,
    heads: u32,
    kv_heads: u32,
    dim: u32,
    scale: f32,
    // 0: causal, 1: every key, 2: those between the two numbers that `sights` has of each query.
    sight: u32,
    // Causal: tokens before the first query, and how far back a query sees.
    past: u32,
    window: u32,
    // 1: `raise` is added to the scores.
    raised: u32,
    // Keys that a workgroup takes where they are split.
    split: u32,
    splits: u32,
}

@group(0) @binding(0) var<storage, read> queries: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> raise: array<f32>;
@group(0) @binding(4) var<storage, read> sights: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> n: Numbers;

// Less than any score.
const NOTHING = -3.0e38;

// The first key that a query sees, and the one behind the last.
fn sight(query: u32) -> vec2<u32> {
    switch n.sight {
        case 0u: {
            let end = n.past + query + 1u;
            return vec2<u32>(end - min(end, n.window), end);
        }
        case 1u: {
            return vec2<u32>(0u, n.held);
        }
        default: {
            return sights[query];
        }
    }
}

// What a score becomes before its softmax.
fn scored(dot: f32, key: u32) -> f32 {
    var score = dot * n.scale;
    if n.raised == 1u {
        score += raise[n.raise + key];
    }
    return score;
}
