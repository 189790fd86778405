// Appends keys and values to those that are held; keys are turned on the way, as in rotate.wgsl. An invocation takes a pair of dimensions.

struct Numbers {
    keys: u32,
    values: u32,
    cos: u32,
    sin: u32,
    // Where the first new row goes, in both.
    held: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

@group(0) @binding(0) var<storage, read> keys: array<f32>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> cos: array<f32>;
@group(0) @binding(3) var<storage, read> sin: array<f32>;
@group(0) @binding(4) var<storage, read_write> held_keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> held_values: array<f32>;
@group(0) @binding(6) var<uniform> n: Numbers;

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
    let first = keys[n.keys + place];
    let second = keys[n.keys + place + n.half];
    held_keys[n.held + place] = first * c - second * s;
    held_keys[n.held + place + n.half] = second * c + first * s;
    held_values[n.held + place] = values[n.values + place];
    held_values[n.held + place + n.half] = values[n.values + place + n.half];
}
