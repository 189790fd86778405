//! 8-bit weights on the CPU: exact integer products, outliers in float.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use pulp::{Arch, Simd, WithSimd};

use super::lanes::dot_i8;
use super::{by_output_tiles, gemm, matrix};

/// From this many rows on, the backend's dense matrix product is faster than one row at a time.
const DENSE_ROWS: usize = 48;
/// Output features per tile.
const TILE: usize = 64;
/// Inputs per dense product. Sums of this many products of two codes stay under 2²⁴ (127 · 128 · 1024 = 16.6 million), so
/// every intermediate result is an integer that f32 holds: the dense float product is exact, in whatever order it adds.
const EXACT: usize = 1024;

/// `x [rows, K]` times the transpose of the packed `[out, K]`.
pub(super) fn linear(x: &FlexTensor, words: &[u32], scales: &[f32], divisor: f32, threshold: f32) -> FlexTensor {
    let [rows, input] = x.layout().shape().dims();
    let activations = Activations::new(x.storage(), [rows, input], threshold);
    // Four codes lie in a word, the first in its lowest byte: on burn's little-endian machines, the codes in order.
    let weight = Packed { codes: bytemuck::cast_slice(words), scales, divisor, input };
    let dense = if rows < DENSE_ROWS { Vec::new() } else { activations.dense_blocks() };
    by_output_tiles([rows, input, scales.len()], TILE, |range| {
        let products = if rows < DENSE_ROWS {
            let mut products = vec![0; rows * range.len()];
            Arch::new().dispatch(Dots { activations: &activations, weight: &weight, range: range.clone(), products: &mut products });
            products
        } else {
            weight.dense_products(&dense, rows, range.clone())
        };
        let mut y = activations.scale(&products, &weight, range.clone());
        activations.add_outliers(&weight, range, &mut y);
        y
    })
}

/// The activations of one call, split row by row.
struct Activations {
    rows: usize,
    input: usize,
    /// `[rows, K]`, −127..=127, zero for outliers.
    codes: Vec<i16>,
    /// `[rows]`: magnitude that code 127 stands for.
    scales: Vec<f32>,
    /// Columns and values of all outliers, row after row, columns ascending.
    outliers: Vec<(usize, f32)>,
    /// Where in `outliers` each row ends.
    ends: Vec<usize>,
}

impl Activations {
    fn new(x: &[f32], [rows, input]: [usize; 2], threshold: f32) -> Self {
        // A NaN takes the float way too, and so stays visible.
        let is_outlier = |value: f32| value.is_nan() || value.abs() >= threshold;
        let (mut outliers, mut ends) = (Vec::new(), Vec::with_capacity(rows));
        for row in x.chunks_exact(input) {
            outliers.extend(row.iter().copied().enumerate().filter(|(_, value)| is_outlier(*value)));
            ends.push(outliers.len());
        }
        let (mut codes, mut scales) = (vec![0; x.len()], vec![0.0; rows]);
        Arch::new().dispatch(Round { x, input, threshold, codes: &mut codes, scales: &mut scales });
        Self { rows, input, codes, scales, outliers, ends }
    }

    /// Adds the outliers' part to `y [rows, range]`. Of a row in one order whatever else is in the call, so that it rounds alike.
    fn add_outliers(&self, weight: &Packed<'_>, range: Range<usize>, y: &mut [f32]) {
        if self.outliers.is_empty() {
            return;
        }
        let width = range.len();
        for (at, out) in range.enumerate() {
            let (codes, unit) = (weight.row(out), weight.scales[out] / weight.divisor);
            let mut first = 0;
            for (row, &end) in self.ends.iter().enumerate() {
                let sum: f32 = self.outliers[first..end].iter().map(|&(column, value)| value * (f32::from(codes[column]) * unit)).sum();
                if end > first {
                    y[row * width + at] += sum;
                }
                first = end;
            }
        }
    }

    /// The codes as float matrices `[rows, up to EXACT]`.
    fn dense_blocks(&self) -> Vec<FlexTensor> {
        let block = |start| {
            let width = EXACT.min(self.input - start);
            let mut values = vec![0.0; self.rows * width];
            for (values, row) in values.chunks_exact_mut(width).zip(self.codes.chunks_exact(self.input)) {
                for (value, &code) in values.iter_mut().zip(&row[start..]) {
                    *value = f32::from(code);
                }
            }
            matrix(values, [self.rows, width])
        };
        (0..self.input).step_by(EXACT).map(block).collect()
    }

    /// `[rows, range]` integer products to floats.
    fn scale(&self, products: &[i32], weight: &Packed<'_>, range: Range<usize>) -> Vec<f32> {
        let mut y = vec![0.0; products.len()];
        let of_weight = &weight.scales[range];
        let rows = y.chunks_exact_mut(of_weight.len()).zip(products.chunks_exact(of_weight.len()));
        for ((y, products), scale) in rows.zip(&self.scales) {
            for ((y, &product), of_weight) in y.iter_mut().zip(products).zip(of_weight) {
                *y = product as f32 * (scale * of_weight / (127.0 * weight.divisor));
            }
        }
        y
    }
}

/// Rounds activations row by row.
struct Round<'a> {
    x: &'a [f32],
    input: usize,
    threshold: f32,
    codes: &'a mut [i16],
    scales: &'a mut [f32],
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Magnitudes compare like their bits, and integers have a vector maximum that ignores nothing. A NaN is above every threshold.
        let threshold = self.threshold.to_bits();
        let inlier = |value: &f32| if value.abs().to_bits() < threshold { *value } else { 0.0 };
        let rows = self.x.chunks_exact(self.input).zip(self.codes.chunks_exact_mut(self.input)).zip(self.scales);
        for ((row, codes), scale) in rows {
            *scale = f32::from_bits(row.iter().map(|value| inlier(value).abs().to_bits()).max().unwrap_or(0));
            let per_unit = 127.0 / *scale;
            // A row of zeros (or one too small to invert) has nothing to multiply.
            let per_unit = if per_unit.is_finite() { per_unit } else { 0.0 };
            for (code, value) in codes.iter_mut().zip(row) {
                *code = (inlier(value) * per_unit).round_ties_even() as i16;
            }
        }
    }
}

struct Packed<'a> {
    codes: &'a [i8],
    scales: &'a [f32],
    divisor: f32,
    input: usize,
}

impl Packed<'_> {
    /// The codes of one output row.
    fn row(&self, out: usize) -> &[i8] {
        &self.codes[out * self.input.next_multiple_of(4)..][..self.input]
    }

    /// `[rows, range]` integer products with all rows at once, by the backend's own dense product.
    fn dense_products(&self, blocks: &[FlexTensor], rows: usize, range: Range<usize>) -> Vec<i32> {
        let mut products = vec![0; rows * range.len()];
        for (block, start) in blocks.iter().zip((0..self.input).step_by(EXACT)) {
            let width = EXACT.min(self.input - start);
            let mut tile = vec![0.0; range.len() * width];
            for (values, out) in tile.chunks_exact_mut(width).zip(range.clone()) {
                for (value, &code) in values.iter_mut().zip(&self.row(out)[start..]) {
                    *value = f32::from(code);
                }
            }
            let tile = matrix(tile, [range.len(), width]);
            let partial = gemm::values(block, &Flex::float_swap_dims(tile, 0, 1));
            for (product, partial) in products.iter_mut().zip(partial) {
                *product += partial as i32;
            }
        }
        products
    }
}

/// `[rows, range]` integer products, one row at a time.
struct Dots<'a> {
    activations: &'a Activations,
    weight: &'a Packed<'a>,
    range: Range<usize>,
    products: &'a mut [i32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (input, width) = (self.weight.input, self.range.len());
        let mut weight = vec![0; input];
        for (at, out) in self.range.enumerate() {
            for (wide, &code) in weight.iter_mut().zip(self.weight.row(out)) {
                *wide = i16::from(code);
            }
            for (row, codes) in self.activations.codes.chunks_exact(input).enumerate() {
                self.products[row * width + at] = dot_i8(codes, &weight);
            }
        }
    }
}
