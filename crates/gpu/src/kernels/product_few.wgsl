// y = x Wᵀ for few rows of x: the time goes into reading W. A workgroup takes four rows of W and up to four of x; its lanes take every 64th
// pack, so that they read consecutive words, and add up what they found. A vector times a matrix is four dot products.

const LANES = 64u;
// For each row of x and each lane, the sums for four rows of W.
var<workgroup> partial: array<vec4<f32>, 4 * LANES>;

fn dots(row: u32, pack: u32, low: mat4x4<f32>, high: mat4x4<f32>) -> vec4<f32> {
    let at = n.x + 2u * (row * n.packs + pack);
    return x[at] * low + x[at + 1u] * high;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = id.y * ids.x + id.x;
    if index >= n.count {
        return;
    }
    // Neighbours share rows of W.
    let blocks = (n.rows + 3u) / 4u;
    let row = 4u * (index % blocks);
    let rows = min(n.rows - row, 4u);
    let out = 4u * (index / blocks);
    // Rows of W beyond the last repeat it; their sums are not written.
    let outs = n.above + min(vec4<u32>(out) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(n.outs - 1u));
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var pack = lane; pack < n.packs; pack += LANES) {
        let a = weights(outs.x, pack);
        let b = weights(outs.y, pack);
        let c = weights(outs.z, pack);
        let d = weights(outs.w, pack);
        let low = mat4x4<f32>(a[0], b[0], c[0], d[0]);
        let high = mat4x4<f32>(a[1], b[1], c[1], d[1]);
        sum0 += dots(row, pack, low, high);
        if rows > 1u {
            sum1 += dots(row + 1u, pack, low, high);
        }
        if rows > 2u {
            sum2 += dots(row + 2u, pack, low, high);
        }
        if rows > 3u {
            sum3 += dots(row + 3u, pack, low, high);
        }
    }
    partial[lane] = sum0;
    partial[LANES + lane] = sum1;
    partial[2u * LANES + lane] = sum2;
    partial[3u * LANES + lane] = sum3;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            for (var at = lane; at < rows * LANES; at += LANES) {
                partial[at] += partial[at + half];
            }
        }
        workgroupBarrier();
    }
    // A lane a number.
    let mine = vec2<u32>(lane / 4u, lane % 4u);
    if mine.x < rows && out + mine.y < n.outs {
        finish(partial[mine.x * LANES][mine.y], row + mine.x, out + mine.y);
    }
}
