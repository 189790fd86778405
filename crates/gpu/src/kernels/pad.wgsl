// Copies rows into wider ones that end in zeros. An invocation takes a number of the copy.

struct Numbers {
    x: u32,
    width: u32,
    padded: u32,
    // Of the copy.
    numbers: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * ids.x + id.x) * 64u + lane;
    if at >= n.numbers {
        return;
    }
    let column = at % n.padded;
    var value = 0.0;
    if column < n.width {
        value = x[n.x + at / n.padded * n.width + column];
    }
    y[at] = value;
}
