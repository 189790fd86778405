// What all products share: the numbers of a launch, and what becomes of a sum.

struct Numbers {
    // Where the matrices begin: x in vectors of four, the others in numbers.
    x: u32,
    bias: u32,
    residual: u32,
    y: u32,
    // From a row to the next one.
    residual_pitch: u32,
    y_pitch: u32,
    // Rows of x, those in front of the weight's first in its memory, and those of the weight.
    rows: u32,
    above: u32,
    outs: u32,
    // Packs in a row of x and of the weight.
    packs: u32,
    // Packs that share a scale.
    group: u32,
    // 1: the bias is added, 2: the residual, 3: both.
    added: u32,
    // Workgroups that have something to do.
    count: u32,
    // What codes stand for, in formats that leave it open.
    book: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> n: Numbers;

fn finish(sum: f32, row: u32, out: u32) {
    var value = sum;
    if (n.added & 1u) != 0u {
        value += bias[n.bias + out];
    }
    if (n.added & 2u) != 0u {
        value += residual[n.residual + row * n.residual_pitch + out];
    }
    y[n.y + row * n.y_pitch + out] = value;
}
