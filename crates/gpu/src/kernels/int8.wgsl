// What the products of LLM.int8() share, but for the dot product of four bytes, which is the file's in front of this one. A pack is 16 codes, four a word, the lowest byte first; int8_round.wgsl says what a rounded row is.

@group(0) @binding(1) var<storage, read> words: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> absmax: array<f32>;
@group(0) @binding(3) var<storage, read> rounded: array<u32>;

// A pack of each of four rows of W.
struct Four {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

fn weights(row: u32, pack: u32) -> vec4<u32> {
    return words[row * n.packs + pack];
}

fn rounded_row(row: u32) -> u32 {
    return row * (1u + 5u * n.packs);
}

fn codes(row: u32, pack: u32) -> vec4<u32> {
    let at = rounded_row(row) + 1u + n.packs + 4u * pack;
    return vec4<u32>(rounded[at], rounded[at + 1u], rounded[at + 2u], rounded[at + 3u]);
}

fn outliers(row: u32, pack: u32) -> u32 {
    return rounded[rounded_row(row) + 1u + pack];
}

fn dot16(a: vec4<u32>, b: vec4<u32>) -> i32 {
    return dot4(a.x, b.x) + dot4(a.y, b.y) + dot4(a.z, b.z) + dot4(a.w, b.w);
}

fn integers(codes: vec4<u32>, w: Four) -> vec4<i32> {
    return vec4<i32>(dot16(codes, w.a), dot16(codes, w.b), dot16(codes, w.c), dot16(codes, w.d));
}

// The float way, for the columns of a pack whose bits are set.
fn floats(row: u32, pack: u32, bits: u32, w: Four) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var left = bits; left != 0u; left &= left - 1u) {
        let column = firstTrailingBit(left);
        let word = column / 4u;
        let four = bitcast<vec4<i32>>(vec4<u32>(w.a[word], w.b[word], w.c[word], w.d[word]));
        let code = extractBits(four, 8u * (column % 4u), 8u);
        sum += x[n.x + 4u * (row * n.packs + pack) + word][column % 4u] * vec4<f32>(code);
    }
    return sum;
}

fn finish_int8(integer: i32, float: f32, row: u32, out: u32) {
    let largest = absmax[n.above + out];
    let scale = bitcast<f32>(rounded[rounded_row(row)]) * largest / 16129.0;
    finish(f32(integer) * scale + float * (largest / 127.0), row, out);
}
