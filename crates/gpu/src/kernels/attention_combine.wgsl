// Puts the splits of attention_few.wgsl together. An invocation takes a number of the result.

struct Numbers {
    x: u32,
    y: u32,
    rows: u32,
    dim: u32,
    splits: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.rows * n.dim {
        return;
    }
    let column = at % n.dim;
    let width = n.dim + 2u;
    let first = n.x + at / n.dim * n.splits * width;
    var most = x[first + n.dim + 1u];
    for (var part = 1u; part < n.splits; part++) {
        most = max(most, x[first + part * width + n.dim + 1u]);
    }
    var total = 0.0;
    var sum = 0.0;
    for (var part = 0u; part < n.splits; part++) {
        let place = first + part * width;
        let fade = exp(x[place + n.dim + 1u] - most);
        total += x[place + n.dim] * fade;
        sum += x[place + column] * fade;
    }
    y[n.y + at] = select(0.0, sum / total, total != 0.0);
}
