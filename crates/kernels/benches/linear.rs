//! Dense against packed products on the CPU, at the shapes of a small decoder and of a layer of 7 billion parameters: `cargo bench`.
#![allow(clippy::unwrap_used, reason = "codes made here are valid")]

use burn::tensor::{Device, Tensor, TensorData};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rayon::prelude::*;
use steady_kernels::{Added, Codebook, Element, GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, Matrix, Shift, Weight};

/// Rows of activations: one token being decoded, a question, and a prompt.
const ROWS: [usize; 4] = [1, 12, 160, 600];
/// `[out, in]`.
const SHAPES: [[usize; 2]; 3] = [[192, 192], [512, 512], [4096, 4096]];

fn main() {
    divan::main();
}

fn cases() -> impl Iterator<Item = Case> {
    SHAPES.into_iter().flat_map(|shape| ROWS.into_iter().map(move |rows| Case { rows, shape }))
}

#[derive(Clone, Copy)]
struct Case {
    rows: usize,
    shape: [usize; 2],
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x [{}, {}]", self.rows, self.shape[0], self.shape[1])
    }
}

impl Case {
    fn multiply_adds(self) -> ItemsCount {
        ItemsCount::new(self.rows * self.shape[0] * self.shape[1])
    }

    fn activations(self) -> Tensor<2> {
        wave([self.rows, self.shape[1]])
    }
}

fn wave(shape: [usize; 2]) -> Tensor<2> {
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|at| (at as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// What memory gives: 256 MB read once by all cores.
#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let values = vec![1_u64; 1 << 25];
    let sum = |part: &[u64]| part.iter().fold(0_u64, |sum, value| sum.wrapping_add(*value));
    bencher.counter(BytesCount::of_slice(&values)).bench(|| black_box(values.par_chunks(1 << 20).map(sum).reduce(|| 0, u64::wrapping_add)));
}

/// The backend's own product.
#[divan::bench(args = cases())]
fn burn(bencher: Bencher<'_, '_>, case: Case) {
    let [out, input] = case.shape;
    let (x, weight) = (case.activations(), wave([input, out]));
    bencher.counter(case.multiply_adds()).bench(|| black_box(x.clone().matmul(weight.clone())));
}

#[divan::bench(args = cases())]
fn dense(bencher: Bencher<'_, '_>, case: Case) {
    let values: Vec<f32> = wave(case.shape).into_data().iter::<f32>().collect();
    let weight = Weight::dense(&values, case.shape, &steady_kernels::Device::Cpu, Element::F32);
    let x = Matrix::from(case.activations());
    bencher.counter(case.multiply_adds()).bench(|| black_box(weight.product(&x, Added::default())));
}

#[divan::bench(args = cases())]
fn w4(bencher: Bencher<'_, '_>, case: Case) {
    let [out, input] = case.shape;
    let group = 64;
    let codes = GroupedCodes {
        out,
        input,
        group,
        codes: (0..out * input).map(|at| (at * 7 % 16) as u8).collect(),
        scales: vec![0.01; out * input / group],
        shift: Shift::Zeros(vec![8.0; out * input / group]),
        book: Codebook::Int4,
    };
    let weight = GroupedWeight::new(&codes).unwrap();
    let x = case.activations();
    bencher.counter(case.multiply_adds()).bench(|| black_box(weight.forward(x.clone())));
}

#[divan::bench(args = cases())]
fn int8(bencher: Bencher<'_, '_>, case: Case) {
    let [out, input] = case.shape;
    let codes = Int8Codes {
        out,
        input,
        codes: (0..out * input).map(|at| (at * 7 % 255) as u8 as i8).map(|code| code.max(-127)).collect(),
        scales: vec![0.1; out],
        divisor: Int8Codes::OF_MAXIMA,
        outlier_threshold: 6.0,
    };
    let weight = Int8Weight::new(&codes).unwrap();
    let x = case.activations();
    bencher.counter(case.multiply_adds()).bench(|| black_box(weight.forward(x.clone())));
}
