// As product_tiled.wgsl, with sums in integers and sums in floats.

const PITCH = 3u;
var<workgroup> tile: array<vec4<u32>, 128 * PITCH>;
// The outliers of two packs of 64 rows of x.
var<workgroup> bits: array<u32, 128>;

struct Sums {
    integer: vec4<i32>,
    float: vec4<f32>,
}

// What two packs add to the sums of one row of x.
fn add_step(sums: Sums, row: u32, row_of_tile: u32, first: u32, low: Four, high: Four) -> Sums {
    let at = row_of_tile * PITCH;
    var more = Sums(sums.integer + integers(tile[at], low) + integers(tile[at + 1u], high), sums.float);
    let of_low = bits[2u * row_of_tile];
    let of_high = bits[2u * row_of_tile + 1u];
    if (of_low | of_high) != 0u {
        more.float += floats(row, first, of_low, low);
        more.float += floats(row, first + 1u, of_high, high);
    }
    return more;
}

fn finish_row(sums: Sums, row: u32, out: u32) {
    if row < n.rows {
        for (var at = 0u; at < 4u && out + 16u * at < n.outs; at++) {
            finish_int8(sums.integer[at], sums.float[at], row, out + 16u * at);
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = id.y * ids.x + id.x;
    if index >= n.count {
        return;
    }
    let blocks = (n.rows + 63u) / 64u;
    let first_row = 64u * (index % blocks);
    let first_out = 64u * (index / blocks);
    let copies_x = lane < 128u;
    let row_of_x = min(first_row + lane / 2u, n.rows - 1u);
    let row_of_w = n.above + min(first_out + (lane % 128u) / 2u, n.outs - 1u);
    let to = (lane / 2u) * PITCH + lane % 2u;
    let mine = vec2<u32>(lane % 16u, lane / 16u);
    let of_w = (64u + mine.x) * PITCH;
    let row = first_row + mine.y;
    var sums0 = Sums();
    var sums1 = Sums();
    var sums2 = Sums();
    var sums3 = Sums();
    for (var first = 0u; first < n.packs; first += 2u) {
        let pack = first + lane % 2u;
        var copied = vec4<u32>();
        var marked = 0u;
        if pack < n.packs {
            if copies_x {
                copied = codes(row_of_x, pack);
                marked = outliers(row_of_x, pack);
            } else {
                copied = weights(row_of_w, pack);
            }
        }
        tile[to] = copied;
        if copies_x {
            bits[lane] = marked;
        }
        workgroupBarrier();
        let low = Four(tile[of_w], tile[of_w + 16u * PITCH], tile[of_w + 32u * PITCH], tile[of_w + 48u * PITCH]);
        let w = of_w + 1u;
        let high = Four(tile[w], tile[w + 16u * PITCH], tile[w + 32u * PITCH], tile[w + 48u * PITCH]);
        sums0 = add_step(sums0, min(row, n.rows - 1u), mine.y, first, low, high);
        sums1 = add_step(sums1, min(row + 16u, n.rows - 1u), mine.y + 16u, first, low, high);
        sums2 = add_step(sums2, min(row + 32u, n.rows - 1u), mine.y + 32u, first, low, high);
        sums3 = add_step(sums3, min(row + 48u, n.rows - 1u), mine.y + 48u, first, low, high);
        workgroupBarrier();
    }
    let out = first_out + mine.x;
    finish_row(sums0, row, out);
    finish_row(sums1, row + 16u, out);
    finish_row(sums2, row + 32u, out);
    finish_row(sums3, row + 48u, out);
}
