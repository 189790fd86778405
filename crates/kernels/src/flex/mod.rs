//! The products on the CPU.
//!
//! Work is cut into tiles of output features; a tile's numbers do not depend on how many threads there are, so a study
//! repeats bit for bit on one machine whatever else it is doing.
#![expect(clippy::inline_always, reason = "what runs under pulp's dispatch gets its instruction set only by being inlined into it")]

pub(crate) mod attention;
mod bf16;
mod dense;
mod exponential;
mod gemm;
mod grouped;
mod int8;
mod lanes;
pub(crate) mod streaming;
mod unpack;

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, FloatDType};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use self::bf16::Bf16;
use self::grouped::Grouped;
pub(crate) use self::unpack::DENSE_ROWS;
use self::unpack::Unpack;
use crate::Floats;
use crate::activation::Curve;
use crate::grouped::Layout;
use crate::ops::PackedOps;

impl PackedOps for Flex {
    fn grouped_linear(x: FloatTensor<Self>, words: IntTensor<Self>, constants: IntTensor<Self>, layout: Layout) -> FloatTensor<Self> {
        in_f32(x, |x| unpack::linear(x, &Grouped::new(words.storage(), constants.storage(), layout)))
    }

    fn grouped_widen(words: IntTensor<Self>, constants: IntTensor<Self>, layout: Layout) -> FloatTensor<Self> {
        let (words, constants) = (words.to_contiguous(), constants.to_contiguous());
        widen(&Grouped::new(words.storage(), constants.storage(), layout))
    }

    fn bf16_linear(x: FloatTensor<Self>, words: IntTensor<Self>) -> FloatTensor<Self> {
        let ([out, _], [_, input]) = (words.layout().shape().dims(), x.layout().shape().dims());
        in_f32(x, |x| unpack::linear(x, &Bf16::new(words.storage(), [out, input])))
    }

    fn bf16_widen(words: IntTensor<Self>, input: usize) -> FloatTensor<Self> {
        let words = words.to_contiguous();
        let [rows, _] = words.layout().shape().dims();
        widen(&Bf16::new(words.storage(), [rows, input]))
    }

    fn softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
        exponential::softmax(alone(x))
    }

    fn weighted(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self> {
        exponential::weighted(alone(x), curve)
    }

    fn product(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        dense::few_rows(&x, &y).unwrap_or_else(|| gemm::product(&x, &y))
    }

    fn dense_table(x: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self> {
        let table = table.to_contiguous();
        unpack::linear(&x.to_contiguous(), &dense::Rows { shape: table.layout().shape().dims(), values: table.storage() })
    }

    fn across(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        let tensor = tensor.to_contiguous();
        let [rows, columns] = tensor.layout().shape().dims();
        let values = match tensor.dtype() {
            DType::F16 => Floats::F16(tensor.storage()),
            _ => Floats::F32(tensor.storage()),
        };
        matrix(values.transposed_f32([rows, columns]), [columns, rows])
    }

    fn int8_linear(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: FloatTensor<Self>,
        divisor: f32,
        threshold: f32,
    ) -> FloatTensor<Self> {
        in_f32(x, |x| int8::linear(x, words.storage(), scales.storage(), divisor, threshold))
    }
}

/// Runs `product` on contiguous f32 activations and gives its result back in the precision of `x`.
fn in_f32(x: FlexTensor, product: impl FnOnce(&FlexTensor) -> FlexTensor) -> FlexTensor {
    let dtype = x.dtype();
    if dtype == DType::F32 {
        return product(&x.to_contiguous());
    }
    let y = product(&Flex::float_cast(x, FloatDType::F32).to_contiguous());
    Flex::float_cast(y, dtype.into())
}

/// The numbers in row-major order, to be written over: no copy is made of what nobody else holds.
#[expect(clippy::needless_pass_by_value, reason = "who keeps it would make a copy necessary")]
fn alone(x: FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// Multiply-adds under which a second thread costs more than it brings, where the numbers are in the caches.
pub(crate) const PARALLEL_WORK: usize = 1 << 20;

/// Numbers of a matrix that is read from memory, for which a core takes many times as long as it takes to wake another.
pub(crate) const LARGE: usize = 1 << 19;

/// Builds `[rows, out]` from tiles of output features: `tile(range)` gives `[rows, range.len()]`, row-major.
fn by_output_tiles([rows, input, out]: [usize; 3], width: usize, tile: impl Fn(Range<usize>) -> Vec<f32> + Sync + Send) -> FlexTensor {
    let ranges = || (0..out.div_ceil(width)).map(|at| at * width..out.min((at + 1) * width));
    let tiles: Vec<Vec<f32>> = if rows * input * out < PARALLEL_WORK && input * out < LARGE {
        ranges().map(tile).collect()
    } else {
        ranges().collect::<Vec<_>>().into_par_iter().map(tile).collect()
    };
    let mut y = vec![0.0; rows * out];
    let assemble = |(row, y): (usize, &mut [f32])| {
        for (tile, range) in tiles.iter().zip(ranges()) {
            y[range.clone()].copy_from_slice(&tile[row * range.len()..][..range.len()]);
        }
    };
    if rows * out < PARALLEL_WORK {
        y.chunks_mut(out.max(1)).enumerate().for_each(assemble);
    } else {
        y.par_chunks_mut(out).enumerate().for_each(assemble);
    }
    matrix(y, [rows, out])
}

/// All of a packed matrix as floats.
fn widen(packed: &impl Unpack) -> FlexTensor {
    let [rows, input] = packed.shape();
    let (mut values, mut scratch) = (vec![0.0; rows * input], packed.scratch());
    for (row, into) in values.chunks_exact_mut(input.max(1)).enumerate() {
        packed.unpack(row, &mut scratch, into);
    }
    matrix(values, [rows, input])
}

/// A row-major f32 matrix.
fn matrix(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    tensor(values, shape.to_vec())
}

/// Row-major f32 numbers of any shape.
fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
    FlexTensor::from_data(burn::tensor::TensorData::new(values, shape))
}

/// So many numbers from -1 to 1 for tests, which need variety and not quality: a small linear congruential generator.
#[cfg(test)]
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut drawn = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| drawn()).collect()
}
