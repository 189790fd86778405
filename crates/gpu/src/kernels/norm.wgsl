// Normalises rows: y = (x - mean) / sqrt(var + epsilon) * weight + bias, or y = x / sqrt(mean(x²) + epsilon) * weight.
// A workgroup takes a row; its 64 invocations take every 64th column.

struct Numbers {
    x: u32,
    weight: u32,
    bias: u32,
    y: u32,
    width: u32,
    // From a row of x to the next one.
    pitch: u32,
    // 1: a layer norm, 0: an RMS norm.
    layer: u32,
    epsilon: f32,
    rows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> n: Numbers;

const LANES = 64u;
var<workgroup> partial: array<f32, LANES>;

// The sum over all lanes, for every lane.
fn sum(value: f32, lane: u32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    let total = partial[0];
    workgroupBarrier();
    return total;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= n.rows {
        return;
    }
    let first = n.x + row * n.pitch;
    var mean = 0.0;
    if n.layer == 1u {
        var total = 0.0;
        for (var at = lane; at < n.width; at += LANES) {
            total += x[first + at];
        }
        mean = sum(total, lane) / f32(n.width);
    }
    var squares = 0.0;
    for (var at = lane; at < n.width; at += LANES) {
        let value = x[first + at] - mean;
        squares += value * value;
    }
    let scale = 1.0 / sqrt(sum(squares, lane) / f32(n.width) + n.epsilon);
    for (var at = lane; at < n.width; at += LANES) {
        var value = (x[first + at] - mean) * scale * weight[n.weight + at];
        if n.layer == 1u {
            value += bias[n.bias + at];
        }
        y[n.y + row * n.width + at] = value;
    }
}
