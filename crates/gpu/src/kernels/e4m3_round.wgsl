// Rounds rows of x to FP8 (E4M3) and back: a row is divided by its scale, which is its largest magnitude over 448, rounded to the nearest number
// of the format, and multiplied with the scale. A workgroup takes a row.

struct Numbers {
    x: u32,
    // From a row to the next one.
    pitch: u32,
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> n: Numbers;

const LANES = 64u;
var<workgroup> largest: array<f32, LANES>;

fn nearest(value: f32) -> f32 {
    let within = clamp(value, -448.0, 448.0);
    // Numbers from 2^e on lie 2^(e-3) apart; below 2^-6 they are subnormal.
    let exponent = max((bitcast<u32>(within) >> 23u) & 255u, 121u) - 3u;
    let step = bitcast<f32>(exponent << 23u);
    return round(within / step) * step;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = id.y * ids.x + id.x;
    if row >= n.rows {
        return;
    }
    let first = n.x + row * n.pitch;
    var most = 0.0;
    for (var at = lane; at < n.columns; at += LANES) {
        most = max(most, abs(x[first + at]));
    }
    largest[lane] = most;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            largest[lane] = max(largest[lane], largest[lane + half]);
        }
        workgroupBarrier();
    }
    let scale = max(largest[0] / 448.0, 1.0 / (448.0 * 512.0));
    for (var at = lane; at < n.columns; at += LANES) {
        let value = x[first + at];
        // What is no number stays none.
        let rounded = select(value, nearest(value / scale) * scale, abs(value) <= 3.0e38);
        y[row * n.columns + at] = rounded;
    }
}
