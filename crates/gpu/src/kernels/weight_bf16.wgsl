// A weight in bf16: a pack is eight numbers in four words, the first of two in the low half. They are the upper halves of f32.

@group(0) @binding(1) var<storage, read> words: array<vec4<u32>>;

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let four = words[row * n.packs + pack];
    let even = bitcast<vec4<f32>>(four << vec4<u32>(16u));
    let odd = bitcast<vec4<f32>>(four & vec4<u32>(0xffff0000u));
    return mat2x4<f32>(vec4<f32>(even.x, odd.x, even.y, odd.y), vec4<f32>(even.z, odd.z, even.w, odd.w));
}
