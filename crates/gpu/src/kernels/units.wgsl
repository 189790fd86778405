// y = x Wᵀ for many rows of x and a weight in f16, by matrix units: tiles of 128 × 128 and steps of 32 columns. x is in f16 as well, row by
// row scaled as units_round.wgsl says. Eight subgroups of 32 lanes share a tile; each has 32 rows and 64 columns of it, as 2 × 4 matrices of
// 16 × 16. What such a matrix is, and how two of them are multiplied, is the file's in front of this one.

@group(0) @binding(1) var<storage, read> words: array<Four>;
// What the sums of each row of x are multiplied with.
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> rounded: array<Four>;

// Fours from one row of a tile to the next: 32 columns and two more, so that rows begin in different banks of memory, and at multiples of 16
// bytes, which cooperative matrices ask for.
const PITCH = 10u;
var<workgroup> tile_x: array<Four, 1280>;
var<workgroup> tile_w: array<Four, 1280>;
// 16 × 16 sums of each subgroup.
var<workgroup> scratch: array<f32, 2048>;

// Every lane copies two packs of x and two of W. Rows beyond the last repeat it; their sums are not written. Columns beyond the last are 0.
fn copy_step(first_row: u32, first_out: u32, first: u32, lane: u32) {
    // Zeros are written out: not every browser sets a variable of a loop to zero in each round.
    for (var half = 0u; half < 2u; half++) {
        let at = 2u * lane + half;
        let pack = first + at % 4u;
        let to = at / 4u * PITCH + 2u * (at % 4u);
        var x0 = Four();
        var x1 = Four();
        var w0 = Four();
        var w1 = Four();
        if pack < n.packs {
            let in_x = 2u * (min(first_row + at / 4u, n.rows - 1u) * n.packs + pack);
            let in_w = 2u * ((n.above + min(first_out + at / 4u, n.outs - 1u)) * n.packs + pack);
            x0 = rounded[in_x];
            x1 = rounded[in_x + 1u];
            w0 = words[in_w];
            w1 = words[in_w + 1u];
        }
        tile_x[to] = x0;
        tile_x[to + 1u] = x1;
        tile_w[to] = w0;
        tile_w[to + 1u] = w1;
    }
}

// The sums of every subgroup's matrix number `row`, `column`, by way of memory that any lane can read. A lane has a column and every second
// row of the matrix.
fn finish_matrix(sums: Sums, first_row: u32, first_out: u32, row: u32, column: u32, subgroup: u32, lane: u32) {
    put_sums(sums, 256u * subgroup);
    workgroupBarrier();
    let slot = lane / 32u;
    let out = first_out + 64u * (slot % 2u) + 16u * column + lane % 16u;
    for (var index = 0u; index < 8u; index++) {
        let in_matrix = 2u * index + lane % 32u / 16u;
        let in_y = first_row + 32u * (slot / 2u) + 16u * row + in_matrix;
        if in_y < n.rows && out < n.outs {
            finish(scratch[256u * slot + 16u * in_matrix + lane % 16u] * scales[in_y], in_y, out);
        }
    }
    workgroupBarrier();
}

fn product_of(first_row: u32, first_out: u32, subgroup: u32, lane: u32) {
    for (var at = lane; at < 2048u; at += 256u) {
        scratch[at] = 0.0;
    }
    workgroupBarrier();
    var sums00 = take_sums(256u * subgroup);
    var sums01 = sums00;
    var sums02 = sums00;
    var sums03 = sums00;
    var sums10 = sums00;
    var sums11 = sums00;
    var sums12 = sums00;
    var sums13 = sums00;
    let mine_x = 32u * (subgroup / 2u) * PITCH;
    let mine_w = 64u * (subgroup % 2u) * PITCH;
    for (var first = 0u; first < n.packs; first += 4u) {
        copy_step(first_row, first_out, first, lane);
        workgroupBarrier();
        for (var four = 0u; four < 8u; four += 4u) {
            let x0 = of_x(mine_x + four);
            let x1 = of_x(mine_x + 16u * PITCH + four);
            let w0 = of_w(mine_w + four);
            sums00 = multiply_add(x0, w0, sums00);
            sums10 = multiply_add(x1, w0, sums10);
            let w1 = of_w(mine_w + 16u * PITCH + four);
            sums01 = multiply_add(x0, w1, sums01);
            sums11 = multiply_add(x1, w1, sums11);
            let w2 = of_w(mine_w + 32u * PITCH + four);
            sums02 = multiply_add(x0, w2, sums02);
            sums12 = multiply_add(x1, w2, sums12);
            let w3 = of_w(mine_w + 48u * PITCH + four);
            sums03 = multiply_add(x0, w3, sums03);
            sums13 = multiply_add(x1, w3, sums13);
        }
        workgroupBarrier();
    }
    finish_matrix(sums00, first_row, first_out, 0u, 0u, subgroup, lane);
    finish_matrix(sums01, first_row, first_out, 0u, 1u, subgroup, lane);
    finish_matrix(sums02, first_row, first_out, 0u, 2u, subgroup, lane);
    finish_matrix(sums03, first_row, first_out, 0u, 3u, subgroup, lane);
    finish_matrix(sums10, first_row, first_out, 1u, 0u, subgroup, lane);
    finish_matrix(sums11, first_row, first_out, 1u, 1u, subgroup, lane);
    finish_matrix(sums12, first_row, first_out, 1u, 2u, subgroup, lane);
    finish_matrix(sums13, first_row, first_out, 1u, 3u, subgroup, lane);
}

// The first row of x and of W of workgroup number `index`. Neighbours share rows of W, which is the larger matrix.
fn corner(index: u32) -> vec2<u32> {
    let blocks = (n.rows + 127u) / 128u;
    return 128u * vec2<u32>(index % blocks, index / blocks);
}
