// Rounds heads where they lie: a head's numbers become the nearest of those that lie a step apart from its least to its largest. Step and zero
// point are kept in f16. An invocation takes a head.

struct Numbers {
    // Where the first head begins.
    first: u32,
    heads: u32,
    // Numbers of a head.
    width: u32,
    // The last code.
    last: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<uniform> n: Numbers;

fn half(value: f32) -> f32 {
    return unpack2x16float(pack2x16float(vec2<f32>(value, 0.0))).x;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = (group.y * groups.x + group.x) * 64u + lane;
    if head >= n.heads {
        return;
    }
    let first = n.first + head * n.width;
    var least = x[first];
    var most = x[first];
    for (var at = first + 1u; at < first + n.width; at += 1u) {
        least = min(least, x[at]);
        most = max(most, x[at]);
    }
    let step = (most - least) / n.last;
    // A head of one number, and one that is not finite, stays what it is.
    if !(step > 0.0 && step < 3.0e38) {
        return;
    }
    let zero = -least / step;
    for (var at = first; at < first + n.width; at += 1u) {
        let code = clamp(floor(x[at] / step + zero + 0.5), 0.0, n.last);
        x[at] = (code - half(zero)) * half(step);
    }
}
