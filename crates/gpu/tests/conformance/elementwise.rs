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
        1.0 - erfc(magnitude)
    };
    value.copysign(x)
}

/// `1 - erf(x)` for a positive `x`, without the difference where that is small.
fn erfc(x: f64) -> f64 {
    if x < 1.0 {
        return 1.0 - erf(x);
    }
    let fraction = (1..400).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
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

async fn activations_at_every_size_of_number() {
    let mut x: Vec<f32> = (-600..=600).map(|step| step as f32 / 100.0).collect();
    x.extend([-3e38, -1e4, -500.0, -90.0, -20.0, 20.0, 90.0, 500.0, 1e4, 3e38, 1e-20, -0.0]);
    let on_gpu = gpu().rows(&x, [1, x.len()]);
    for activation in ALL {
        let found = read(&activate(gpu(), &on_gpu, activation)).await;
        for (found, &x) in found.iter().zip(&x) {
            let expected = by_definition(activation, f64::from(x));
            assert!(found.is_finite(), "{activation:?} of {x}: {found}");
            let off = (f64::from(*found) - expected).abs();
            assert!(off <= 4e-7 * expected.abs().max(1.0), "{activation:?} of {x}: {found} instead of {expected}");
        }
    }
}

async fn sums_products_and_gates() {
    for (rows, width) in [(1, 1), (3, 65), (70_000, 61)] {
        let (a, b) = (numbers(rows * width, 1), numbers(rows * width, 2));
        let (left, right) = (gpu().rows(&a, [rows, width]), gpu().rows(&b, [rows, width]));
        let pairs = || a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        assert_close(&read(&add(gpu(), &left, &right)).await, &pairs().map(|(a, b)| a + b).collect::<Vec<_>>(), 1e-7, "sum");
        let gates: Vec<f64> = pairs().map(|(a, b)| by_definition(Activation::Silu, a) * b).collect();
        assert_close(&read(&gated(gpu(), &left, &right, Activation::Silu)).await, &gates, 1e-6, "gates");
        let last = right.slice(rows - 1..rows);
        let repeated: Vec<f64> =
            a.iter().enumerate().map(|(at, &a)| f64::from(a) * f64::from(b[(rows - 1) * width + at % width])).collect();
        assert_close(&read(&multiply(gpu(), &left, &last)).await, &repeated, 1e-7, "a row for all");
    }
}

async fn the_tail_of_gelu_is_no_difference_of_numbers_near_one() {
    let x: Vec<f32> = (100..1200).map(|step| step as f32 / -100.0).collect();
    let found = read(&activate(gpu(), &gpu().rows(&x, [1, x.len()]), Activation::Gelu)).await;
    for (found, &x) in found.iter().zip(&x) {
        let expected = 0.5 * f64::from(x) * erfc(f64::from(-x) / 2.0f64.sqrt());
        // WGSL lets an exponential be off by three units in the last place and twice its argument, and the square in it is rounded.
        let off = (f64::from(*found) / expected - 1.0).abs();
        assert!(off <= 2e-7 * (4.0 + f64::from(x * x)), "{x}: {found} instead of {expected}");
    }
}

async fn what_is_not_a_number_stays_so() {
    for activation in ALL {
        let found = read(&activate(gpu(), &gpu().rows(&[f32::NAN], [1, 1]), activation)).await;
        assert!(found[0].is_nan(), "{activation:?} of NaN: {}", found[0]);
    }
}

async fn halves_are_a_gate_and_what_it_lets_through() {
    for (rows, inner) in [(1, 1), (5, 67), (2, 300)] {
        // The rows in the middle of a buffer.
        let all = numbers((rows + 2) * 2 * inner, 3);
        let halves = gpu().rows(&all, [rows + 2, 2 * inner]).slice(1..rows + 1);
        let gates: Vec<f64> = all[2 * inner..][..rows * 2 * inner]
            .chunks(2 * inner)
            .flat_map(|row| (0..inner).map(|at| by_definition(Activation::Gelu, f64::from(row[at])) * f64::from(row[inner + at])))
            .collect();
        let found = gated(gpu(), &halves.columns(0..inner), &halves.columns(inner..2 * inner), Activation::Gelu);
        assert_eq!(found.dims(), [rows, inner]);
        assert_close(&read(&found).await, &gates, 1e-6, &format!("{rows} rows of two halves of {inner}"));
    }
}

async fn columns_of_a_wider_matrix() {
    let (rows, width) = (5, 67);
    let all = numbers(rows * (2 * width + 3), 4);
    let wide = gpu().rows(&all, [rows, 2 * width + 3]);
    let at = |row: usize, column: usize| f64::from(all[row * (2 * width + 3) + column]);
    let places = || (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
    // Of one pitch, of two, and with one row for all.
    let expected: Vec<f64> = places().map(|(row, column)| at(row, column) + at(row, column + width + 3)).collect();
    assert_close(&read(&add(gpu(), &wide.columns(0..width), &wide.columns(width + 3..2 * width + 3))).await, &expected, 1e-7, "sum");
    let dense = gpu().rows(&numbers(rows * width, 5), [rows, width]);
    let expected: Vec<f64> =
        places().zip(numbers(rows * width, 5)).map(|((row, column), other)| at(row, column + 2) * f64::from(other)).collect();
    for (a, b) in [(&wide.columns(2..width + 2), &dense), (&dense, &wide.columns(2..width + 2))] {
        assert_close(&read(&multiply(gpu(), a, b)).await, &expected, 1e-7, "product");
    }
    let row = wide.slice(3..4).columns(1..width + 1);
    let expected: Vec<f64> = places().map(|(row, column)| at(row, column) + at(3, column + 1)).collect();
    assert_close(&read(&add(gpu(), &wide.columns(0..width), &row)).await, &expected, 1e-7, "a row for all");
}

crate::suite! {
    activations_at_every_size_of_number,
    sums_products_and_gates,
    the_tail_of_gelu_is_no_difference_of_numbers_near_one,
    what_is_not_a_number_stays_so,
    halves_are_a_gate_and_what_it_lets_through,
    columns_of_a_wider_matrix,
}
