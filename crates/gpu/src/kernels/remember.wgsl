// Appends tokens to keys and values: keys are turned as in rotate.wgsl, values are copied. The queries of the last tokens are turned as well.
// An invocation takes a pair of a key and of a value, or, behind those, a pair of a query.

struct Numbers {
    q: u32,
    q_stride: u32,
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    cos: u32,
    sin: u32,
    // Where the first new token goes.
    keys: u32,
    values: u32,
    queries: u32,
    query_heads: u32,
    tokens: u32,
    heads: u32,
    // Pairs of a head.
    half: u32,
}

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> cosines: array<f32>;
@group(0) @binding(4) var<storage, read> sines: array<f32>;
@group(0) @binding(5) var<storage, read_write> turned: array<f32>;
@group(0) @binding(6) var<storage, read_write> keys: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<f32>;
@group(0) @binding(8) var<uniform> n: Numbers;

// The pair (a, b), turned by the angle of pair `at` of a head of `token`.
fn turn(a: f32, b: f32, token: u32, at: u32) -> vec2<f32> {
    let angle = token * n.half + at;
    let c = cosines[n.cos + angle];
    let s = sines[n.sin + angle];
    return vec2<f32>(a * c - b * s, b * c + a * s);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.y * groups.x + group.x) * 64u + lane;
    let of_keys = n.tokens * n.heads * n.half;
    if index < of_keys {
        let at = index % n.half;
        let head = index / n.half;
        let token = head / n.heads;
        let column = head % n.heads * 2u * n.half + at;
        let place = n.k + token * n.k_stride + column;
        let pair = turn(k[place], k[place + n.half], token, at);
        let to = head * 2u * n.half + at;
        keys[n.keys + to] = pair.x;
        keys[n.keys + to + n.half] = pair.y;
        let plain = n.v + token * n.v_stride + column;
        values[n.values + to] = v[plain];
        values[n.values + to + n.half] = v[plain + n.half];
        return;
    }
    let at = (index - of_keys) % n.half;
    let head = (index - of_keys) / n.half;
    let query = head / n.query_heads;
    if query >= n.queries {
        return;
    }
    let place = n.q + query * n.q_stride + head % n.query_heads * 2u * n.half + at;
    let pair = turn(q[place], q[place + n.half], n.tokens - n.queries + query, at);
    let to = head * 2u * n.half + at;
    turned[to] = pair.x;
    turned[to + n.half] = pair.y;
}
