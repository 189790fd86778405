//! Rotary position embedding (Su et al., 2021) in the `rotate_half` convention of Llama: dimension `i` is rotated together
//! with dimension `i + head_dim / 2`.

use std::{f64::consts::TAU, ops::Range};

use steady_kernels::{Device, Element, Rotation};

use crate::decoder::{RopeConfig, RopeScaling};

/// Where a token stands: time, row, column. A text token has three equal ones, and a model without M-RoPE reads the first.
pub type Position = [usize; 3];

/// Positions of text.
pub fn in_line(range: Range<usize>) -> impl Iterator<Item = Position> {
    range.map(|at| [at; 3])
}

/// The frequencies of a model.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    /// `theta^(-2i / head_dim)`, scaled; `head_dim / 2` of them, in `f32` as transformers holds them.
    inverse_frequencies: Vec<f32>,
    /// Which part of a position turns each of them.
    axes: Vec<usize>,
}

impl Rope {
    pub(crate) fn new(config: &RopeConfig, head_dim: usize) -> Self {
        let inverse_frequencies = (0..head_dim / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / head_dim as f32;
                let frequency = 1.0 / (config.theta as f32).powf(exponent);
                scaled(&config.scaling, f64::from(frequency)) as f32
            })
            .collect();
        let axes = match config.sections {
            Some(sections) => sections.into_iter().enumerate().flat_map(|(axis, count)| std::iter::repeat_n(axis, count)).collect(),
            None => vec![0; head_dim / 2],
        };
        Self { inverse_frequencies, axes }
    }

    /// For patches of an image (axial): one half of the frequencies turns with the row, the other, equal one with the column.
    pub(crate) fn axial(theta: f64, head_dim: usize) -> Self {
        let line = Self::new(&RopeConfig { theta, scaling: RopeScaling::Default, sections: None }, head_dim / 2);
        let count = line.inverse_frequencies.len();
        Self { inverse_frequencies: line.inverse_frequencies.repeat(2), axes: [vec![1; count], vec![2; count]].concat() }
    }

    /// Angles are `f32` products, as in transformers. Sines and cosines are computed on the host and in `f64`, so that every device and
    /// every platform's library rotates alike, and rounded once to `element`: that of the model in decoders, `f32` in vision towers.
    pub(crate) fn at(&self, positions: &[Position], device: &Device, element: Element) -> Rotation {
        let [cos, sin] = self.tables(positions);
        Rotation::new(cos, sin, positions.len(), device, element)
    }

    /// Cosines and sines, position by position.
    fn tables(&self, positions: &[Position]) -> [Vec<f32>; 2] {
        let angle = |position: &Position, (frequency, &axis): (&f32, &usize)| position[axis] as f32 * frequency;
        let turns = || self.inverse_frequencies.iter().zip(&self.axes);
        let angles = || positions.iter().flat_map(move |position| turns().map(move |turn| angle(position, turn)));
        let rounded = |turn: fn(f64) -> f64| angles().map(|angle| turn(f64::from(angle)) as f32).collect();
        [rounded(f64::cos), rounded(f64::sin)]
    }
}

/// A frequency after the scaling that the checkpoint asks for.
fn scaled(scaling: &RopeScaling, frequency: f64) -> f64 {
    match *scaling {
        RopeScaling::Default => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
            let original = original_max_position_embeddings as f64;
            let wavelength = TAU / frequency;
            if wavelength < original / high_freq_factor {
                frequency
            } else if wavelength > original / low_freq_factor {
                frequency / factor
            } else {
                let keep = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 - keep) * frequency / factor + keep * frequency
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::read_now;
    use steady_kernels::Matrix;

    fn rope(head_dim: usize, scaling: RopeScaling) -> Rope {
        let config = RopeConfig { theta: 10_000.0, scaling, sections: None };
        Rope::new(&config, head_dim)
    }

    /// In `f16` a row of 700 patches would turn by angles whose cosines are off in the fourth digit; with tables in `f32` only the result
    /// is rounded.
    #[test]
    fn tables_in_f32_rotate_f16_without_rounding_them() {
        let rope = Rope::axial(10_000.0, 8);
        let x = Matrix::new(vec![0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 1.0, 3.0], [1, 8], &Device::Cpu, Element::F16);
        let y = rope.at(&[[0, 699, 357]], &Device::Cpu, Element::F32).apply(&x, 1);
        assert_eq!(y.element(), Element::F16);
        let exact = [699.0, 6.99, 357.0, 3.57f64];
        let (y, x) = (read_now(&y), read_now(&x));
        for (i, angle) in exact.into_iter().enumerate() {
            let (a, b) = (f64::from(x[i]), f64::from(x[i + 4]));
            for (found, expected) in [(y[i], a * angle.cos() - b * angle.sin()), (y[i + 4], b * angle.cos() + a * angle.sin())] {
                // Half a unit in the last of eleven bits, and the f32 angle's own error.
                let off = (f64::from(found) - expected).abs();
                assert!(off <= expected.abs() / 2048.0 + 1e-4, "{angle}: {found} {expected}");
            }
        }
    }

    /// Angles by hand: of each token, `position[axis] * frequency`.
    fn angles(rope: &Rope, positions: &[Position]) -> Vec<(f32, f32)> {
        let [cos, sin] = rope.tables(positions);
        cos.into_iter().zip(sin).collect()
    }

    #[test]
    fn sections_turn_with_time_row_and_column() {
        let config = RopeConfig { theta: 10_000.0, scaling: RopeScaling::Default, sections: Some([1, 2, 1]) };
        let found = angles(&Rope::new(&config, 8), &[[3, 5, 7], [2, 2, 2]]);
        let expected: [f32; 8] = [3.0, 0.5, 0.05, 0.007, 2.0, 0.2, 0.02, 0.002];
        for ((cos, sin), angle) in found.into_iter().zip(expected) {
            assert!((cos - angle.cos()).abs() < 1e-6 && (sin - angle.sin()).abs() < 1e-6, "{angle}");
        }
    }

    #[test]
    fn patches_turn_with_row_and_column() {
        let found = angles(&Rope::axial(10_000.0, 8), &[[9, 4, 6]]);
        let expected: [f32; 4] = [4.0, 0.04, 6.0, 0.06];
        for ((cos, sin), angle) in found.into_iter().zip(expected) {
            assert!((cos - angle.cos()).abs() < 1e-6 && (sin - angle.sin()).abs() < 1e-6, "{angle}");
        }
    }

    #[test]
    fn scores_depend_on_the_distance_alone() {
        let rope = rope(8, RopeScaling::Default);
        let q = [0.3, -1.0, 0.7, 0.2, 1.1, -0.4, 0.9, 0.5];
        let k = [1.0, 0.1, -0.6, 0.8, -0.2, 0.4, 0.3, -0.9];
        let turned = |x: [f32; 8], at: usize| {
            let x = Matrix::new(x.to_vec(), [1, 8], &Device::Cpu, Element::F32);
            read_now(&rope.at(&[[at; 3]], &Device::Cpu, Element::F32).apply(&x, 1))
        };
        let score = |at_q, at_k| turned(q, at_q).iter().zip(turned(k, at_k)).map(|(q, k)| q * k).sum::<f32>();
        assert!((score(9, 4) - score(105, 100)).abs() < 1e-4);
        assert!((score(9, 4) - score(9, 5)).abs() > 1e-2);
    }

    /// Frequencies that transformers 5 computes for theta 10000, head_dim 8, factor 8, low 1, high 4, original 64.
    #[test]
    fn llama3_scaling_agrees_with_transformers() {
        let scaling =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 64 };
        let found = rope(8, scaling).inverse_frequencies;
        for (found, expected) in found.iter().zip(LLAMA3) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
    }

    const LLAMA3: [f32; 4] = [1.0, 0.013_042_256, 0.001_25, 0.000_125];
}
