// Number by number: sums, products, activation functions, and gates.

struct Numbers {
    a: u32,
    b: u32,
    y: u32,
    count: u32,
    // Numbers of b; fewer than there are of a where b is one row for all.
    repeat: u32,
    // 0: a + b, 1: a b, 2: activation(a), 3: activation(a) b
    operation: u32,
    // 0: GELU, 1: its tanh approximation, 2: x sigmoid(1.702 x), 3: x sigmoid(x), 4: max(x, 0)
    activation: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> n: Numbers;

// 1 - erf(x) for x >= 0, off by at most 1.2e-7 of itself: a Chebyshev fit (Press et al., Numerical Recipes, erfcc).
fn erfc(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let fit = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
        + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    return t * exp(-x * x + fit);
}

// No argument reaches where exp overflows: an infinity may be anything in WGSL.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

fn activated(x: f32) -> f32 {
    switch n.activation {
        case 0u: {
            let tail = 0.5 * erfc(min(abs(x) * 0.70710678, 9.0));
            return x * select(tail, 1.0 - tail, x > 0.0);
        }
        case 1u: {
            let inner = 0.79788456 * (x + 0.044715 * x * x * x);
            return 0.5 * x * (1.0 + tanh(clamp(inner, -15.0, 15.0)));
        }
        case 2u: {
            return x * sigmoid(1.702 * x);
        }
        case 3u: {
            return x * sigmoid(x);
        }
        default: {
            return max(x, 0.0);
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.count {
        return;
    }
    let left = a[n.a + at];
    let right = b[n.b + at % n.repeat];
    var value = 0.0;
    switch n.operation {
        case 0u: {
            value = left + right;
        }
        case 1u: {
            value = left * right;
        }
        case 2u: {
            value = activated(left);
        }
        default: {
            value = activated(left) * right;
        }
    }
    y[n.y + at] = value;
}
