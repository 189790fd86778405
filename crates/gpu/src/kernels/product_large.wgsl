// As product_tiled.wgsl, in tiles of 128 × 128: an invocation has 8 × 8 numbers, 16 apart. So a number that is read from the tile takes part in
// eight products instead of four, which is what the speed of a large GPU hangs on; a small product has too few of these tiles to fill one.
// Each number is added up in the same order as there: the bits are the same.

const PITCH = 5u;
// 128 rows of x, then 128 rows of W.
var<workgroup> tile: array<vec4<f32>, 256 * PITCH>;

struct Sums {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn add_step(sums: Sums, x: vec4<f32>, low: mat4x4<f32>, high: mat4x4<f32>) -> Sums {
    return Sums(sums.low + x * low, sums.high + x * high);
}

fn finish_row(sums: Sums, row: u32, out: u32) {
    if row < n.rows {
        for (var at = 0u; at < 4u && out + 16u * at < n.outs; at++) {
            finish(sums.low[at], row, out + 16u * at);
        }
        for (var at = 0u; at < 4u && out + 64u + 16u * at < n.outs; at++) {
            finish(sums.high[at], row, out + 64u + 16u * at);
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
    let blocks = (n.rows + 127u) / 128u;
    let first_row = 128u * (index % blocks);
    let first_out = 128u * (index / blocks);
    // A lane copies a pack of x and one of W. Rows beyond the last repeat it; their sums are not written.
    let row_of_x = min(first_row + lane / 2u, n.rows - 1u);
    let row_of_w = n.above + min(first_out + lane / 2u, n.outs - 1u);
    let to = (lane / 2u) * PITCH + 2u * (lane % 2u);
    let mine = vec2<u32>(lane % 16u, lane / 16u);
    let of_x = mine.y * PITCH;
    let of_w = (128u + mine.x) * PITCH;
    var sums0 = Sums();
    var sums1 = Sums();
    var sums2 = Sums();
    var sums3 = Sums();
    var sums4 = Sums();
    var sums5 = Sums();
    var sums6 = Sums();
    var sums7 = Sums();
    for (var first = 0u; first < n.packs; first += 2u) {
        let pack = first + lane % 2u;
        var copied_x = mat2x4<f32>();
        var copied_w = mat2x4<f32>();
        if pack < n.packs {
            let at = n.x + 2u * (row_of_x * n.packs + pack);
            copied_x = mat2x4<f32>(x[at], x[at + 1u]);
            copied_w = weights(row_of_w, pack);
        }
        tile[to] = copied_x[0];
        tile[to + 1u] = copied_x[1];
        tile[128u * PITCH + to] = copied_w[0];
        tile[128u * PITCH + to + 1u] = copied_w[1];
        workgroupBarrier();
        for (var at = 0u; at < 4u; at++) {
            let w = of_w + at;
            let low = mat4x4<f32>(tile[w], tile[w + 16u * PITCH], tile[w + 32u * PITCH], tile[w + 48u * PITCH]);
            let high = mat4x4<f32>(tile[w + 64u * PITCH], tile[w + 80u * PITCH], tile[w + 96u * PITCH], tile[w + 112u * PITCH]);
            let x = of_x + at;
            sums0 = add_step(sums0, tile[x], low, high);
            sums1 = add_step(sums1, tile[x + 16u * PITCH], low, high);
            sums2 = add_step(sums2, tile[x + 32u * PITCH], low, high);
            sums3 = add_step(sums3, tile[x + 48u * PITCH], low, high);
            sums4 = add_step(sums4, tile[x + 64u * PITCH], low, high);
            sums5 = add_step(sums5, tile[x + 80u * PITCH], low, high);
            sums6 = add_step(sums6, tile[x + 96u * PITCH], low, high);
            sums7 = add_step(sums7, tile[x + 112u * PITCH], low, high);
        }
        workgroupBarrier();
    }
    let row = first_row + mine.y;
    let out = first_out + mine.x;
    finish_row(sums0, row, out);
    finish_row(sums1, row + 16u, out);
    finish_row(sums2, row + 32u, out);
    finish_row(sums3, row + 48u, out);
    finish_row(sums4, row + 64u, out);
    finish_row(sums5, row + 80u, out);
    finish_row(sums6, row + 96u, out);
    finish_row(sums7, row + 112u, out);
}
