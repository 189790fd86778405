// Turns each head of x: dimension i together with dimension i + half, by the angle of its token. An invocation takes one such pair.

struct Numbers {
    x: u32,
    cos: u32,
    sin: u32,
    y: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> cos: array<f32>;
@group(0) @binding(2) var<storage, read> sin: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.tokens * n.heads * n.half {
        return;
    }
    let pair = at % n.half;
    let head = at / n.half;
    let turn = head / n.heads * n.half + pair;
    let c = cos[n.cos + turn];
    let s = sin[n.sin + turn];
    let place = head * 2u * n.half + pair;
    let first = x[n.x + place];
    let second = x[n.x + place + n.half];
    y[n.y + place] = first * c - second * s;
    y[n.y + place + n.half] = second * c + first * s;
}
