// Appends tokens to keys and values: keys are turned as in rotate.wgsl, values are copied. An invocation takes a pair of both.

struct Numbers {
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    cos: u32,
    sin: u32,
    // Where the first new token goes.
    keys: u32,
    values: u32,
    tokens: u32,
    heads: u32,
    // Pairs of a head.
    half: u32,
}

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> cosines: array<f32>;
@group(0) @binding(3) var<storage, read> sines: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;
@group(0) @binding(6) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pair = (group.y * groups.x + group.x) * 64u + lane;
    let head = pair / n.half;
    let token = head / n.heads;
    if token >= n.tokens {
        return;
    }
    let angle = token * n.half + pair % n.half;
    let turn = vec2(cosines[n.cos + angle], sines[n.sin + angle]);
    let column = head % n.heads * 2u * n.half + pair % n.half;
    let turned = n.k + token * n.k_stride + column;
    let a = k[turned];
    let b = k[turned + n.half];
    let to = head * 2u * n.half + pair % n.half;
    keys[n.keys + to] = a * turn.x - b * turn.y;
    keys[n.keys + to + n.half] = b * turn.x + a * turn.y;
    let plain = n.v + token * n.v_stride + column;
    values[n.values + to] = v[plain];
    values[n.values + to + n.half] = v[plain + n.half];
}
