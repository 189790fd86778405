// Turns pairs of numbers: (a, b) = (a cos - b sin, b cos + a sin), where b is half a head behind a. An invocation takes a pair.

struct Numbers {
    x: u32,
    x_stride: u32,
    cos: u32,
    sin: u32,
    y: u32,
    tokens: u32,
    heads: u32,
    // Pairs of a head.
    half: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> cosines: array<f32>;
@group(0) @binding(2) var<storage, read> sines: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> n: Numbers;

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
    let at = n.x + token * n.x_stride + head % n.heads * 2u * n.half + pair % n.half;
    let a = x[at];
    let b = x[at + n.half];
    let to = n.y + head * 2u * n.half + pair % n.half;
    y[to] = a * turn.x - b * turn.y;
    y[to + n.half] = b * turn.x + a * turn.y;
}
