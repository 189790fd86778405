//! 8-bit weights on the CPU: real integer products, outlier columns in float.

use std::ops::Range;

use burn_flex::FlexTensor;
use pulp::Arch;

use super::by_output_tiles;
use super::lanes::{dot_f32, dot_i8};

/// Output features per tile.
const TILE: usize = 32;

/// `x [rows, K]` times the transpose of the packed `[out, K]`.
pub(super) fn linear(x: &FlexTensor, words: &[u32], absmax: &[f32], threshold: f32) -> FlexTensor {
    let [rows, input] = x.layout().shape().dims();
    let activations = Activations::new(x.storage(), [rows, input], threshold);
    // Four codes lie in a word, the first in its lowest byte: on the little-endian machines burn runs on, the codes in order.
    let codes: &[i8] = bytemuck::cast_slice(words);
    by_output_tiles([rows, input, absmax.len()], TILE, |range| {
        let mut y = vec![0.0; rows * range.len()];
        Arch::new().dispatch(|| activations.tile(codes, absmax, range, &mut y));
        y
    })
}

/// The activations of one call, split.
struct Activations {
    rows: usize,
    input: usize,
    /// `[rows, K]`, −127..=127, zero in outlier columns.
    codes: Vec<i16>,
    /// `[rows]`: magnitude that code 127 stands for.
    scales: Vec<f32>,
    /// Outlier columns, ascending.
    outliers: Vec<usize>,
    /// `[rows, outliers]`.
    outlier_values: Vec<f32>,
}

impl Activations {
    fn new(x: &[f32], [rows, input]: [usize; 2], threshold: f32) -> Self {
        // "Not below" and not "at least": a NaN then takes the float way and stays visible.
        let is_outlier = |value: f32| !(value.abs() < threshold);
        let mut is_outlier_column = vec![false; input];
        for row in x.chunks_exact(input) {
            for (column, &value) in is_outlier_column.iter_mut().zip(row) {
                *column |= is_outlier(value);
            }
        }
        let outliers: Vec<usize> = (0..input).filter(|&column| is_outlier_column[column]).collect();
        let mut split = Self {
            rows,
            input,
            codes: Vec::with_capacity(x.len()),
            scales: Vec::with_capacity(rows),
            outlier_values: x.chunks_exact(input).flat_map(|row| outliers.iter().map(|&column| row[column])).collect(),
            outliers,
        };
        Arch::new().dispatch(|| {
            for row in x.chunks_exact(input) {
                let inlier = row.iter().map(|&value| if is_outlier(value) { 0.0 } else { value.abs() });
                let scale = inlier.fold(0.0, f32::max);
                let per_unit = 127.0 / scale;
                // A row of zeros (or too small to invert) has nothing to multiply.
                let per_unit = if per_unit.is_finite() { per_unit } else { 0.0 };
                let codes = row.iter().zip(&is_outlier_column).map(|(&value, &outlier)| {
                    if outlier { 0 } else { (value * per_unit).round_ties_even() as i16 }
                });
                split.codes.extend(codes);
                split.scales.push(scale);
            }
        });
        split
    }

    /// Fills `y [rows, range.len()]`.
    #[inline(always)]
    fn tile(&self, codes: &[i8], absmax: &[f32], range: Range<usize>, y: &mut [f32]) {
        let width = range.len();
        let stride = self.input.next_multiple_of(4);
        let mut row_codes = vec![0; self.input];
        let mut row_outliers = vec![0.0; self.outliers.len()];
        for (at, out) in range.enumerate() {
            let row = &codes[out * stride..][..self.input];
            for (wide, &code) in row_codes.iter_mut().zip(row) {
                *wide = i16::from(code);
            }
            for (value, &column) in row_outliers.iter_mut().zip(&self.outliers) {
                *value = f32::from(row[column]) * (absmax[out] / 127.0);
            }
            let per_product = absmax[out] / (127.0 * 127.0);
            for row in 0..self.rows {
                let product = dot_i8(&self.codes[row * self.input..][..self.input], &row_codes);
                let mut value = product as f32 * (self.scales[row] * per_product);
                if !self.outliers.is_empty() {
                    let values = &self.outlier_values[row * self.outliers.len()..][..self.outliers.len()];
                    value += dot_f32(values, &row_outliers);
                }
                y[row * width + at] = value;
            }
        }
    }
}
