//! Products by matrix units, held to their definition with activations rounded as they say. The walk over tiles is run on every device, by the
//! kernel that does without units; the units themselves where there are some.

use std::{io::Write, sync::OnceLock};

use half::f16;
use steady_gpu::{
    Gpu, MatrixUnits, Rows,
    kernels::{Epilogue, Layer, Weight, join, product, products},
};

use crate::support::{assert_close, best, numbers};

/// GPUs with units: always one that does without, and the one of the machine if it has some.
async fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    if GPUS.get().is_none() {
        let adapter = best().await;
        let units = if adapter.has_matrix_units() { &[MatrixUnits::Plain, MatrixUnits::Cooperative][..] } else { &[MatrixUnits::Plain] };
        if units.len() == 1 {
            let what = format!("left out: matrix units, which {} has not\n", adapter.info().name);
            // Past the test runner, which keeps what a passing test says.
            std::io::stderr().write_all(what.as_bytes()).unwrap();
        }
        let mut gpus = Vec::new();
        for &units in units {
            gpus.push(best().await.with_matrix_units(units).unwrap().open(None).await.unwrap());
        }
        GPUS.get_or_init(|| gpus);
    }
    GPUS.get().unwrap()
}

async fn read(gpu: &Gpu, rows: &Rows) -> Vec<f32> {
    gpu.read(rows).await.unwrap()
}

/// A weight in f16, and its numbers.
fn weight(gpu: &Gpu, [out, input]: [usize; 2], seed: u64) -> (Weight, Vec<f64>) {
    let halves: Vec<f16> = numbers(out * input, seed).into_iter().map(f16::from_f32).collect();
    let bits: Vec<u16> = halves.iter().map(|half| half.to_bits()).collect();
    (Weight::f16(gpu, &bits, [out, input]), halves.iter().map(|half| half.to_f64()).collect())
}

/// Numbers as f16 has them, after a power of two that brings the largest of the row near the end of its range.
fn rounded(row: &[f32]) -> Vec<f64> {
    let most = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let power = if most > 0.0 { 14 - f64::from(most).log2().floor() as i32 } else { 0 };
    let scale = 2.0f64.powi(power);
    // What is scaled is an `f32` still.
    row.iter().map(|&value| f16::from_f32((f64::from(value) * scale) as f32).to_f64() / scale).collect()
}

fn by_definition(x: &[f32], weight: &[f64], input: usize) -> Vec<f64> {
    let dot = |row: &[f64], of_weight: &[f64]| row.iter().zip(of_weight).map(|(x, w)| x * w).sum();
    let of_row = |row: &[f32]| {
        let row = rounded(row);
        weight.chunks(input).map(|of_weight| dot(&row, of_weight)).collect::<Vec<f64>>()
    };
    x.chunks(input).flat_map(of_row).collect()
}

/// Nothing whole, a whole tile, a little more, several of them.
const SHAPES: [[usize; 3]; 8] =
    [[9, 1, 1], [9, 130, 29], [17, 15, 8], [64, 64, 40], [128, 128, 32], [129, 127, 33], [131, 260, 200], [300, 33, 555]];

async fn of_every_shape() {
    for gpu in gpus().await {
        for [rows, out, input] in SHAPES {
            let (weight, values) = weight(gpu, [out, input], 1);
            let x = numbers(rows * input, 2);
            let found = read(gpu, &product(gpu, &gpu.rows(&x, [rows, input]), &weight, &Epilogue::default())).await;
            let what = format!("{:?}, [{rows}, {input}] to {out}", gpu.matrix_units());
            assert_close(&found, &by_definition(&x, &values, input), 2e-6, &what);
        }
    }
}

/// Rows at both ends of what `f32` holds come out as exactly as any: none of their numbers leaves the range of f16 on the way.
async fn rows_of_every_magnitude() {
    for gpu in gpus().await {
        let (out, input) = (20, 70);
        let (weight, values) = weight(gpu, [out, input], 3);
        // Of a lower one the least numbers would be subnormal, which a GPU may take for 0.
        let powers = [-100, -60, -25, -14, -1, 0, 1, 15, 16, 40, 100, 120];
        let x: Vec<f32> = powers
            .iter()
            .zip(4..)
            .flat_map(|(&power, seed)| numbers(input, seed).into_iter().map(move |value| value * 2.0f32.powi(power)))
            .collect();
        let found = read(gpu, &product(gpu, &gpu.rows(&x, [powers.len(), input]), &weight, &Epilogue::default())).await;
        let expected = by_definition(&x, &values, input);
        for (at, &power) in powers.iter().enumerate() {
            let scaled = |value: f64| value / 2.0f64.powi(power);
            let found: Vec<f32> = found[at * out..][..out].iter().map(|&value| scaled(f64::from(value)) as f32).collect();
            let expected: Vec<f64> = expected[at * out..][..out].iter().map(|&value| scaled(value)).collect();
            assert_close(&found, &expected, 2e-6, &format!("{:?}, a row of about 2^{power}", gpu.matrix_units()));
        }
    }
}

/// A row of zeros stays one, and what is not finite shows in its own row alone.
async fn what_is_not_finite_stays_visible() {
    for gpu in gpus().await {
        let (weight, _) = weight(gpu, [5, 32], 7);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![0.0; 12 * 32];
            x[32 + 3] = bad;
            x[64] = 1.0;
            let found = read(gpu, &product(gpu, &gpu.rows(&x, [12, 32]), &weight, &Epilogue::default())).await;
            assert_eq!(found[..5], [0.0; 5]);
            assert!(found[5..10].iter().all(|value| !value.is_finite()), "{bad}: {found:?}");
            assert!(found[10..].iter().all(|value| value.is_finite()), "{bad}: {found:?}");
        }
    }
}

/// With a bias and a residual, from columns of a wider matrix into columns of another, of weights that were joined.
async fn epilogues_columns_and_joined_weights() {
    for gpu in gpus().await {
        let (rows, input) = (150, 50);
        let wide = gpu.rows(&numbers((rows + 1) * (input + 9), 8), [rows + 1, input + 9]).slice(1..rows + 1);
        let x = wide.columns(5..5 + input);
        let x_values = read(gpu, &x).await;
        let (mut a, of_a) = weight(gpu, [140, input], 9);
        let (mut b, of_b) = weight(gpu, [30, input], 10);
        join(gpu, &mut [&mut a, &mut b]);
        let bias = gpu.rows(&numbers(140, 11), [1, 140]);
        let residual = gpu.rows(&numbers(rows * 140, 12), [rows, 140]);
        let plain = by_definition(&x_values, &of_a, input);
        let expected: Vec<f64> = plain
            .iter()
            .zip(numbers(rows * 140, 12))
            .enumerate()
            .map(|(at, (sum, rest))| sum + f64::from(numbers(140, 11)[at % 140]) + f64::from(rest))
            .collect();
        let found = product(gpu, &x, &a, &Epilogue { bias: Some(&bias), residual: Some(&residual) });
        assert_close(&read(gpu, &found).await, &expected, 2e-6, "bias and residual");
        let [found_a, found_b] = products(gpu, &x, [&a, &b].map(|weight| Layer { weight, bias: None }));
        assert_close(&read(gpu, &found_a).await, &plain, 2e-6, "the first of two");
        assert_close(&read(gpu, &found_b).await, &by_definition(&x_values, &of_b, input), 2e-6, "the second");
    }
}

/// Where few rows are multiplied nothing is rounded, and more rows have the same bits in any company.
async fn a_row_has_the_same_bits_in_any_company() {
    for gpu in gpus().await {
        let (out, input) = (67, 256);
        let (weight, values) = weight(gpu, [out, input], 13);
        let all = gpu.rows(&numbers(200 * input, 14), [200, input]);
        let of = async |x: &Rows| read(gpu, &product(gpu, x, &weight, &Epilogue::default())).await;
        let many = of(&all).await;
        for rows in [0..9, 63..77, 100..200, 7..136] {
            assert_eq!(of(&all.slice(rows.clone())).await, many[rows.start * out..rows.end * out], "{rows:?}");
        }
        let few: Vec<f64> = numbers(8 * input, 14)
            .chunks(input)
            .flat_map(|row| values.chunks(input).map(|weight| row.iter().zip(weight).map(|(&x, w)| f64::from(x) * w).sum()))
            .collect();
        assert_close(&of(&all.slice(0..8)).await, &few, 2e-6, "eight rows");
    }
}

async fn other_weights_are_computed_as_ever() {
    let gpu = &gpus().await[0];
    let values = numbers(70 * 64, 15);
    let x = numbers(100 * 64, 16);
    let of = async |gpu: &Gpu| {
        read(gpu, &product(gpu, &gpu.rows(&x, [100, 64]), &Weight::f32(gpu, &values, [70, 64]), &Epilogue::default())).await
    };
    assert_eq!(of(gpu).await, of(crate::support::gpu()).await);
}

async fn units_that_are_not_there_are_refused() {
    let adapter = best().await;
    if !adapter.has_matrix_units() {
        let refused = adapter.with_matrix_units(MatrixUnits::Cooperative).unwrap_err().to_string();
        assert!(refused.contains("no matrix units that steady can use"), "{refused}");
    }
    assert_eq!(crate::support::gpu().matrix_units(), None, "without being asked for there are none");
}

/// What cannot be run without such a GPU is at least taken by the compiler, and becomes SPIR-V with the instructions that it is about.
#[cfg(not(target_family = "wasm"))]
#[test]
fn the_kernel_for_units_becomes_spirv() {
    use naga::{back::spv, front::wgsl, valid};
    let [_, kernel] = MatrixUnits::Cooperative.kernels();
    let module = wgsl::parse_str(&kernel.text()).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&kernel.text())));
    // What wgpu allows a device with the features that are asked for.
    let capabilities = valid::Capabilities::COOPERATIVE_MATRIX | valid::Capabilities::SHADER_FLOAT16 | valid::Capabilities::SUBGROUP;
    let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
    validator.subgroup_stages(valid::ShaderStages::COMPUTE).subgroup_operations(valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&kernel.text())));
    let options = spv::Options { lang_version: (1, 6), ..spv::Options::default() };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    let words = spv::write_vec(&module, &info, &options, Some(&entry)).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut at = 5;
    while at < words.len() {
        *counts.entry(words[at] & 0xffff).or_insert(0) += 1;
        at += (words[at] >> 16) as usize;
    }
    // OpCooperativeMatrixLoadKHR, StoreKHR and MulAddKHR: each once, in the function that models call.
    assert_eq!([4457, 4458, 4459].map(|op| counts.get(&op).copied().unwrap_or(0)), [3, 1, 1]);
    if let Ok(path) = std::env::var("STEADY_SPIRV") {
        // For spirv-val.
        std::fs::write(path, words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    }
}

crate::suite! {
    of_every_shape,
    rows_of_every_magnitude,
    what_is_not_finite_stays_visible,
    epilogues_columns_and_joined_weights,
    a_row_has_the_same_bits_in_any_company,
    other_weights_are_computed_as_ever,
    units_that_are_not_there_are_refused,
}
