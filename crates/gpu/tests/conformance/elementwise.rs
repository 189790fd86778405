use steady_gpu::kernels::{Activation, activate, add, gated, multiply};

use crate::support::{assert_close, gpu, numbers, read};

/// The error function in `f64`: its Maclaurin series where that converges fast, a continued fraction elsewhere.
fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    let value = if magnitude < 3.0 {
        let (mut term, mut sum) = (magnitude, magnitude);
        for n in 1..100 {
            term *= -magnitude * magnitude / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..60).rev().fold(magnitude, |below, n| magnitude + f64::from(n) / 2.0 / below);
        1.0 - (-magnitude * magnitude).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

fn by_definition(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0f64.sqrt())),
        Activation::GeluTanh => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()),
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
        Activation::Relu => x.max(0.0),
    }
}

const ALL: [Activation; 5] = [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu, Activation::Relu];

#[test]
fn activations_at_every_size_of_number() {
    let mut x: Vec<f32> = (-600..=600).map(|step| step as f32 / 100.0).collect();
    x.extend([-1e4, -500.0, -90.0, -20.0, 20.0, 90.0, 500.0, 1e4, 1e-20, -0.0]);
    let on_gpu = gpu().rows(&x, [1, x.len()]);
    for activation in ALL {
        let found = read(&activate(gpu(), &on_gpu, activation));
        for (found, &x) in found.iter().zip(&x) {
            let expected = by_definition(activation, f64::from(x));
            let off = (f64::from(*found) - expected).abs();
            assert!(off <= 4e-7 * expected.abs().max(1.0), "{activation:?} of {x}: {found} instead of {expected}");
        }
    }
}

#[test]
fn sums_products_and_gates() {
    for (rows, width) in [(1, 1), (3, 65), (70_000, 61)] {
        let (a, b) = (numbers(rows * width, 1), numbers(rows * width, 2));
        let (left, right) = (gpu().rows(&a, [rows, width]), gpu().rows(&b, [rows, width]));
        let pairs = || a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        assert_close(&read(&add(gpu(), &left, &right)), &pairs().map(|(a, b)| a + b).collect::<Vec<_>>(), 1e-7, "sum");
        let gates: Vec<f64> = pairs().map(|(a, b)| by_definition(Activation::Silu, a) * b).collect();
        assert_close(&read(&gated(gpu(), &left, &right, Activation::Silu)), &gates, 1e-6, "gates");
        let last = right.slice(rows - 1..rows);
        let repeated: Vec<f64> =
            a.iter().enumerate().map(|(at, &a)| f64::from(a) * f64::from(b[(rows - 1) * width + at % width])).collect();
        assert_close(&read(&multiply(gpu(), &left, &last)), &repeated, 1e-7, "a row for all");
    }
}
