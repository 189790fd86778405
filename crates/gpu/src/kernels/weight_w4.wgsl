// A weight in 4 bits: a pack is eight codes in a word, the lowest nibble first. A group of packs has a scale and a zero point, two f16 in
// a word: weight = (code - zero) * scale.

@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let word = words[row * n.packs + pack];
    let group = unpack2x16float(scales[row * (n.packs / n.group) + pack / n.group]);
    let nibble = vec4<u32>(0u, 4u, 8u, 12u);
    let low = vec4<f32>((vec4<u32>(word) >> nibble) & vec4<u32>(15u));
    let high = vec4<f32>((vec4<u32>(word >> 16u) >> nibble) & vec4<u32>(15u));
    return mat2x4<f32>((low - group.y) * group.x, (high - group.y) * group.x);
}
