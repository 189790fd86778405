// Number by number: sums, products, activation functions, and gates.

struct Numbers {
    a: u32,
    b: u32,
    y: u32,
    count: u32,
    // Columns of y.
    width: u32,
    // From a row of a and of b to the next one.
    pitch_a: u32,
    pitch_b: u32,
    // 1 where b is one row for all.
    rows_of_b: u32,
    // 0: a + b, 1: a b, 2: activation(a), 3: activation(a) b
    operation: u32,
    // 0: GELU, 1: its tanh approximation, 2: x sigmoid(1.702 x), 3: x sigmoid(x), 4: max(x, 0)
    activation: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> n: Numbers;

// 1 / (1 + exp(-x)) by way of an exponential that is at most 1: an infinity may be anything in WGSL.
fn sigmoid(x: f32) -> f32 {
    let small = exp(-abs(x));
    return select(1.0, small, x < 0.0) / (1.0 + small);
}

// The normal distribution's function, (1 + erf(x / sqrt(2))) / 2. (1 + 2 z) exp(z²) erfc(z) is a polynomial in (z - k) / (z + k): Shepherd &
// Laframboise, Chebyshev Approximation of (1 + 2x) exp(x²) erfc x in 0 <= x < infinity, 1981. Here k = 2, and the degree is enough for a
// relative error below 7e-8.
fn normal(x: f32) -> f32 {
    // Beyond 14 the exponential is 0.
    let z = min(abs(x) * 0.70710678, 14.0);
    let u = (z - 2.0) / (z + 2.0);
    var p = 1.60803582e-4;
    p = p * u - 1.83654437e-4;
    p = p * u - 1.39570695e-3;
    p = p * u + 1.04314458e-3;
    p = p * u + 8.68915966e-3;
    p = p * u - 7.9427217e-3;
    p = p * u - 5.42119585e-2;
    p = p * u + 1.6403584e-1;
    p = p * u - 1.66031096e-1;
    p = p * u - 9.2763082e-2;
    p = p * u + 1.27697839;
    let tail = 0.5 * p / (1.0 + 2.0 * z) * exp(-z * z);
    return select(1.0 - tail, tail, x < 0.0);
}

// Every activation is its argument times a share of it: nothing overflows, and what is not a number stays so.
fn share(x: f32) -> f32 {
    switch n.activation {
        case 0u: {
            return normal(x);
        }
        case 1u: {
            // (1 + tanh(u)) / 2 is the sigmoid of 2 u, which is 0 or 1 long before 100; the third power of that is no trouble.
            let near = clamp(x, -100.0, 100.0);
            return sigmoid(1.5957691 * (near + 0.044715 * near * near * near));
        }
        case 2u: {
            return sigmoid(1.702 * x);
        }
        case 3u: {
            return sigmoid(x);
        }
        default: {
            return select(1.0, 0.0, x < 0.0);
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.count {
        return;
    }
    let row = at / n.width;
    let column = at % n.width;
    let left = a[n.a + row * n.pitch_a + column];
    let right = b[n.b + row % n.rows_of_b * n.pitch_b + column];
    var value = 0.0;
    switch n.operation {
        case 0u: {
            value = left + right;
        }
        case 1u: {
            value = left * right;
        }
        case 2u: {
            value = left * share(left);
        }
        default: {
            value = left * share(left) * right;
        }
    }
    y[n.y + at] = value;
}
