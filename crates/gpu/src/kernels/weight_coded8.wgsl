// A weight of 8-bit codes: a pack is eight in two words, the lowest byte first. What they stand for is n.book: 0 integers, 3 FP8 (E4M3). A group
// of packs has a scale and an offset: weight = value * scale + offset.

@group(0) @binding(1) var<storage, read> words: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<vec2<f32>>;

// A sign, four bits of exponent and three of mantissa.
fn e4m3(codes: vec4<u32>) -> vec4<f32> {
    let exponent = (codes >> vec4<u32>(3u)) & vec4<u32>(15u);
    let mantissa = codes & vec4<u32>(7u);
    let usual = bitcast<vec4<f32>>(((exponent + 120u) << vec4<u32>(23u)) | (mantissa << vec4<u32>(20u)));
    let size = select(usual, vec4<f32>(mantissa) / 512.0, exponent == vec4<u32>(0u));
    return select(size, -size, codes >= vec4<u32>(128u));
}

fn values(word: u32) -> vec4<f32> {
    let codes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    if n.book == 3u {
        return e4m3(codes);
    }
    return vec4<f32>(codes);
}

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let two = words[row * n.packs + pack];
    let group = scales[row * (n.packs / n.group) + pack / n.group];
    return mat2x4<f32>(values(two.x) * group.x + group.y, values(two.y) * group.x + group.y);
}
