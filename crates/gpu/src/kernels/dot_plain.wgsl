// The dot product of four signed bytes with four others, where the language has no instruction for it.
fn signed_bytes(word: u32) -> vec4<i32> {
    return bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
}

fn dot4(a: u32, b: u32) -> i32 {
    return dot(signed_bytes(a), signed_bytes(b));
}
