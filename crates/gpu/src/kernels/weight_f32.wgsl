// A weight in f32: a pack is eight numbers in two vectors.

@group(0) @binding(1) var<storage, read> words: array<vec4<f32>>;

fn weights(row: u32, pack: u32) -> mat2x4<f32> {
    let at = 2u * (row * n.packs + pack);
    return mat2x4<f32>(words[at], words[at + 1u]);
}
