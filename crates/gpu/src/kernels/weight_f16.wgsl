// A weight in f16: a pack is eight numbers in four words, the first of two in the low half.

@group(0) @binding(1) var<storage, read> words: array<vec4<u32>>;

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let four = words[row * n.packs + pack];
    let low = vec4<f32>(unpack2x16float(four.x), unpack2x16float(four.y));
    let high = vec4<f32>(unpack2x16float(four.z), unpack2x16float(four.w));
    return mat2x4<f32>(low, high);
}
