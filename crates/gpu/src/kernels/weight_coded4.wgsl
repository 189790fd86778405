// A weight of 4-bit codes: a pack is eight in a word, the lowest nibble first. What they stand for is n.book: 0 integers, 1 NF4, 2 FP4. A group
// of packs has a scale and an offset: weight = value * scale + offset.

@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<vec2<f32>>;

const NF4 = array<f32, 16>(
    -1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0.0,
    0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0,
);
const FP4 = array<f32, 16>(
    0.0, 0.0052083335, 0.6666667, 1.0, 0.33333334, 0.5, 0.16666667, 0.25,
    0.0, -0.0052083335, -0.6666667, -1.0, -0.33333334, -0.5, -0.16666667, -0.25,
);

fn values(codes: vec4<u32>) -> vec4<f32> {
    var nf4 = NF4;
    var fp4 = FP4;
    switch n.book {
        case 1u: { return vec4<f32>(nf4[codes.x], nf4[codes.y], nf4[codes.z], nf4[codes.w]); }
        case 2u: { return vec4<f32>(fp4[codes.x], fp4[codes.y], fp4[codes.z], fp4[codes.w]); }
        default: { return vec4<f32>(codes); }
    }
}

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let word = words[row * n.packs + pack];
    let group = scales[row * (n.packs / n.group) + pack / n.group];
    let nibble = vec4<u32>(0u, 4u, 8u, 12u);
    let low = values((vec4<u32>(word) >> nibble) & vec4<u32>(15u));
    let high = values((vec4<u32>(word >> 16u) >> nibble) & vec4<u32>(15u));
    return mat2x4<f32>(low * group.x + group.y, high * group.x + group.y);
}
