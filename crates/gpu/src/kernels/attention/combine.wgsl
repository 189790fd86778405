// Combines what few.wgsl found in parts of the keys. An invocation takes one number of the result.

struct Numbers {
    found: u32,
    y: u32,
    count: u32,
    dim: u32,
    parts: u32,
}

// dim sums of values, the highest score, the sum of weights; a row for each part of each head of each query.
@group(0) @binding(0) var<storage, read> found: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (group.y * groups.x + group.x) * 64u + lane;
    if at >= n.count {
        return;
    }
    let width = n.dim + 2u;
    let first = n.found + at / n.dim * n.parts * width;
    let end = first + n.parts * width;
    var most = found[first + n.dim];
    for (var part = first; part < end; part += width) {
        most = max(most, found[part + n.dim]);
    }
    var value = 0.0;
    var total = 0.0;
    for (var part = first; part < end; part += width) {
        let share = exp(found[part + n.dim] - most);
        value += share * found[part + at % n.dim];
        total += share * found[part + n.dim + 1u];
    }
    y[n.y + at] = value / select(total, 1.0, total == 0.0);
}
