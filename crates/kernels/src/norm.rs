//! Normalisation over the columns of each row, in `f32` whatever numbers are kept as.

use burn::tensor::{DType, Tensor, module::layer_norm};

use crate::matrix::{Matrix, Place};
use crate::{Device, Element};

/// A normalisation with a learned weight: with a bias `(x - mean) / sqrt(var + ε) * weight + bias` (Ba et al., 2016), without one
/// `x / sqrt(mean(x²) + ε) * weight` (Zhang & Sennrich, 2019).
#[derive(Clone, Debug)]
pub struct Normalization {
    /// `[1, width]`
    weight: Matrix,
    /// `[1, width]`
    bias: Option<Matrix>,
    epsilon: f64,
}

impl Normalization {
    /// A layer norm; `weight` and `bias` have a value a column.
    pub fn layer(weight: Vec<f32>, bias: Vec<f32>, epsilon: f64, device: &Device) -> Self {
        // Statistics and affine run in f32 and are rounded once, as PyTorch's mixed-precision kernel does.
        let row = |values: Vec<f32>| {
            let width = values.len();
            Matrix::kept(values, [1, width], device, Element::F32)
        };
        Self { weight: row(weight), bias: Some(row(bias)), epsilon }
    }

    /// An RMS norm; `weight` has a value a column and is kept as `element`.
    pub fn rms(weight: Vec<f32>, epsilon: f64, device: &Device, element: Element) -> Self {
        let width = weight.len();
        Self { weight: Matrix::kept(weight, [1, width], device, element), bias: None, epsilon }
    }

    /// Columns of what it normalises.
    pub fn width(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Bytes on its device.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.as_ref().map_or(0, Matrix::bytes)
    }

    /// `[rows, width]` to the same.
    pub fn apply(&self, x: &Matrix) -> Matrix {
        match &x.0 {
            Place::Cpu(x) => self.on_cpu(x.clone()).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, x) => {
                let bias = self.bias.as_ref().map(|bias| bias.rows().clone());
                let by = steady_gpu::kernels::Norm { weight: self.weight.rows().clone(), bias, epsilon: self.epsilon as f32 };
                Matrix(Place::Gpu(gpu.clone(), steady_gpu::kernels::norm(gpu, x, &by)))
            }
        }
    }

    fn on_cpu(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        if let Some(bias) = &self.bias {
            return layer_norm(x, self.weight.tensor().squeeze_dim(0), Some(bias.tensor().squeeze_dim(0)), self.epsilon).cast(dtype);
        }
        // [rows, 1]
        let inverse_rms = (x.clone().square().mean_dim(1) + self.epsilon).sqrt().recip();
        // As in transformers, the normalised value is rounded to the model's element type before the weight multiplies it.
        (x * inverse_rms).cast(dtype) * self.weight.tensor()
    }

    /// Divides what comes out by `factors`, one a column.
    pub fn divide(&mut self, factors: &[f32]) {
        for kept in std::iter::once(&mut self.weight).chain(&mut self.bias) {
            *kept = kept.divided(factors);
        }
    }
}

impl Matrix {
    /// A row divided by `factors`, column by column.
    fn divided(&self, factors: &[f32]) -> Self {
        let shape = [1, factors.len()];
        match &self.0 {
            Place::Cpu(row) => (row.clone() / Self::new(factors.to_vec(), shape, &Device::Cpu, self.element()).tensor()).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, row) => {
                let inverse: Vec<f32> = factors.iter().map(|factor| factor.recip()).collect();
                let by = gpu.rows(&inverse, shape);
                Self(Place::Gpu(gpu.clone(), steady_gpu::kernels::multiply(gpu, row, &by)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(x: &Matrix) -> Vec<f32> {
        pollster::block_on(x.read()).unwrap()
    }

    fn row(values: Vec<f32>) -> Matrix {
        let width = values.len();
        Matrix::new(values, [1, width], &Device::Cpu, Element::F32)
    }

    #[test]
    fn layer_norm_by_hand() {
        // mean 3, variance ((-2)² + 0 + 2²) / 3 = 8/3
        let norm = Normalization::layer(vec![1.0, 2.0, 1.0], vec![0.0, 0.5, 1.0], 0.0, &Device::Cpu);
        let y = values(&norm.apply(&row(vec![1.0, 3.0, 5.0])));
        let step = 2.0 / (8.0f32 / 3.0).sqrt();
        for (found, expected) in y.iter().zip([-step, 0.5, 1.0 + step]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn rms_norm_by_hand() {
        // mean square (9 + 16) / 2 = 12.5, and ε = 12.5 doubles it: rms 5
        let norm = Normalization::rms(vec![1.0, 10.0], 12.5, &Device::Cpu, Element::F32);
        let y = values(&norm.apply(&row(vec![3.0, 4.0])));
        assert!((y[0] - 0.6).abs() < 1e-6 && (y[1] - 8.0).abs() < 1e-5, "{y:?}");
    }

    #[test]
    fn what_is_divided_comes_out_smaller() {
        let mut norm = Normalization::layer(vec![1.0, 2.0], vec![3.0, 4.0], 0.0, &Device::Cpu);
        norm.divide(&[2.0, 4.0]);
        assert_eq!((values(&norm.weight), values(norm.bias.as_ref().unwrap())), (vec![0.5, 0.5], vec![1.5, 1.0]));
    }
}
