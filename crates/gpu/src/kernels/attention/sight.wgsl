// What the kernels of attention share: their bindings, and which keys a query sees.

struct Numbers {
    q: u32,
    q_stride: u32,
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    y: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    // Heads that share keys and values.
    sharing: u32,
    dim: u32,
    scale: f32,
    // 0: what came before and itself, 1: all, 2: a range for each.
    sight: u32,
    past: u32,
    window: u32,
    // Whether something is added to the scores.
    raised: u32,
    raise: u32,
    // Keys of a part, and parts.
    part: u32,
    parts: u32,
}

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> raise: array<f32>;
@group(0) @binding(4) var<storage, read> ranges: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> n: Numbers;

// Below every score. An infinity would do, but WGSL promises nothing about them.
const NOTHING = -1e30;

// The first key that a query sees, and the end of what it sees.
fn seen(query: u32) -> vec2<u32> {
    var first = 0u;
    var end = n.keys;
    if n.sight == 0u {
        end = n.past + query + 1u;
        first = end - min(end, n.window);
    } else if n.sight == 2u {
        first = ranges[2u * query];
        end = ranges[2u * query + 1u];
    }
    end = min(end, n.keys);
    return vec2(min(first, end), end);
}
