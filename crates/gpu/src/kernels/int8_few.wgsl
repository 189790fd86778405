// As product_few.wgsl, with a sum in integers and one in floats.

const LANES = 64u;
var<workgroup> integer: array<vec4<i32>, 4 * LANES>;
var<workgroup> float: array<vec4<f32>, 4 * LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = id.y * ids.x + id.x;
    if index >= n.count {
        return;
    }
    let blocks = (n.rows + 3u) / 4u;
    let row = 4u * (index % blocks);
    let rows = min(n.rows - row, 4u);
    let out = 4u * (index / blocks);
    let outs = n.above + min(vec4<u32>(out) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(n.outs - 1u));
    for (var at = lane; at < rows * LANES; at += LANES) {
        integer[at] = vec4<i32>();
        float[at] = vec4<f32>();
    }
    for (var pack = lane; pack < n.packs; pack += LANES) {
        let w = Four(weights(outs.x, pack), weights(outs.y, pack), weights(outs.z, pack), weights(outs.w, pack));
        for (var at = 0u; at < rows; at++) {
            integer[at * LANES + lane] += integers(codes(row + at, pack), w);
            let bits = outliers(row + at, pack);
            if bits != 0u {
                float[at * LANES + lane] += floats(row + at, pack, bits, w);
            }
        }
    }
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            for (var at = lane; at < rows * LANES; at += LANES) {
                integer[at] += integer[at + half];
                float[at] += float[at + half];
            }
        }
        workgroupBarrier();
    }
    let mine = vec2<u32>(lane / 4u, lane % 4u);
    if mine.x < rows && out + mine.y < n.outs {
        let at = mine.x * LANES;
        finish_int8(integer[at][mine.y], float[at][mine.y], row + mine.x, out + mine.y);
    }
}
