// y = x Wᵀ for many rows of x, in tiles of 64 × 64 and steps of two packs. An invocation has 4 × 4 numbers of the tile, 16 apart, and takes
// four columns of x and W at once: a vector times a matrix is four dot products.

// Vectors of four from one row of a tile to the next. One more than there are: else rows would begin in the same bank of memory.
const PITCH = 5u;
// 64 rows of x, then 64 rows of W.
var<workgroup> tile: array<vec4<f32>, 128 * PITCH>;

fn finish_row(sums: vec4<f32>, row: u32, out: u32) {
    if row < n.rows {
        for (var at = 0u; at < 4u && out + 16u * at < n.outs; at++) {
            finish(sums[at], row, out + 16u * at);
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = id.y * ids.x + id.x;
    if index >= n.count {
        return;
    }
    // Neighbours share rows of W, which is the larger matrix.
    let blocks = (n.rows + 63u) / 64u;
    let first_row = 64u * (index % blocks);
    let first_out = 64u * (index / blocks);
    // Half of the lanes copy x and the other half W: a pack each. Rows beyond the last repeat it; their sums are not written.
    let copies_x = lane < 128u;
    let row_of_x = min(first_row + lane / 2u, n.rows - 1u);
    let row_of_w = n.above + min(first_out + (lane % 128u) / 2u, n.outs - 1u);
    let to = (lane / 2u) * PITCH + 2u * (lane % 2u);
    let mine = vec2<u32>(lane % 16u, lane / 16u);
    let of_x = mine.y * PITCH;
    let of_w = (64u + mine.x) * PITCH;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var first = 0u; first < n.packs; first += 2u) {
        let pack = first + lane % 2u;
        var copied = mat2x4<f32>();
        if pack < n.packs {
            if copies_x {
                let at = n.x + 2u * (row_of_x * n.packs + pack);
                copied = mat2x4<f32>(x[at], x[at + 1u]);
            } else {
                copied = weights(row_of_w, pack);
            }
        }
        tile[to] = copied[0];
        tile[to + 1u] = copied[1];
        workgroupBarrier();
        for (var at = 0u; at < 4u; at++) {
            let w = of_w + at;
            let four = mat4x4<f32>(tile[w], tile[w + 16u * PITCH], tile[w + 32u * PITCH], tile[w + 48u * PITCH]);
            sum0 += tile[of_x + at] * four;
            sum1 += tile[of_x + 16u * PITCH + at] * four;
            sum2 += tile[of_x + 32u * PITCH + at] * four;
            sum3 += tile[of_x + 48u * PITCH + at] * four;
        }
        workgroupBarrier();
    }
    let row = first_row + mine.y;
    let out = first_out + mine.x;
    finish_row(sum0, row, out);
    finish_row(sum1, row + 16u, out);
    finish_row(sum2, row + 32u, out);
    finish_row(sum3, row + 48u, out);
}
