// Rounds rows of x for the products of LLM.int8(). A rounded row is, word after word: its scale, which is the largest magnitude under the
// threshold; for each pack of 16 columns the bits of those that reach the threshold; and their codes, four a word.
// A workgroup takes a row; its lanes take every 64th pack.

struct Numbers {
    // In vectors of four.
    x: u32,
    rows: u32,
    packs: u32,
    threshold: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> rounded: array<u32>;
@group(0) @binding(2) var<uniform> n: Numbers;

const LANES = 64u;
var<workgroup> largest: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = id.y * ids.x + id.x;
    if row >= n.rows {
        return;
    }
    let first = n.x + row * 4u * n.packs;
    var most = vec4<f32>();
    for (var at = lane; at < 4u * n.packs; at += LANES) {
        let size = abs(x[first + at]);
        most = max(most, select(vec4<f32>(), size, size < vec4<f32>(n.threshold)));
    }
    largest[lane] = max(max(most.x, most.y), max(most.z, most.w));
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            largest[lane] = max(largest[lane], largest[lane + half]);
        }
        workgroupBarrier();
    }
    let scale = largest[0];
    // A row of zeros, or one too small to invert, has nothing to multiply.
    let per_unit = select(0.0, 127.0 / max(scale, 1e-36), scale > 1e-36);
    let to = row * (1u + 5u * n.packs);
    if lane == 0u {
        rounded[to] = bitcast<u32>(scale);
    }
    for (var pack = lane; pack < n.packs; pack += LANES) {
        var bits = 0u;
        for (var word = 0u; word < 4u; word++) {
            let values = x[first + 4u * pack + word];
            // A NaN is not under the threshold: it takes the float way and stays visible.
            let under = abs(values) < vec4<f32>(n.threshold);
            let codes = bitcast<vec4<u32>>(vec4<i32>(round(select(vec4<f32>(), values, under) * per_unit)));
            let bytes = (codes & vec4<u32>(255u)) << vec4<u32>(0u, 8u, 16u, 24u);
            rounded[to + 1u + n.packs + 4u * pack + word] = bytes.x | bytes.y | bytes.z | bytes.w;
            let over = select(vec4<u32>(1u, 2u, 4u, 8u), vec4<u32>(), under);
            bits |= (over.x | over.y | over.z | over.w) << (4u * word);
        }
        rounded[to + 1u + pack] = bits;
    }
}
