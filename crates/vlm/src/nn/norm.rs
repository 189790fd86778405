//! Normalisation over the last dimension, in `f32` whatever the model's element type.

use burn::tensor::{DType, Tensor, module::layer_norm};

use super::linear::tensor_bytes;

/// `(x - mean) / sqrt(var + ε) * weight + bias`.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn new(weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Self {
        // Statistics and affine run in f32 and are rounded once, as PyTorch's mixed-precision kernel does.
        Self { weight: weight.cast(DType::F32), bias: bias.cast(DType::F32), epsilon }
    }

    /// `[tokens, width]` to the same.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        layer_norm(x.cast(DType::F32), self.weight.clone(), Some(self.bias.clone()), self.epsilon).cast(dtype)
    }

    pub(crate) fn bytes(&self) -> usize {
        tensor_bytes(&self.weight) + tensor_bytes(&self.bias)
    }
}

/// `x / sqrt(mean(x²) + ε) * weight` (Zhang & Sennrich, 2019). As in transformers, the normalised value is rounded to the
/// model's element type before the weight multiplies it.
#[derive(Clone, Debug)]
pub(crate) struct RmsNorm {
    weight: Tensor<1>,
    epsilon: f64,
}

impl RmsNorm {
    pub(crate) fn new(weight: Tensor<1>, epsilon: f64) -> Self {
        Self { weight, epsilon }
    }

    /// `[tokens, width]` to the same.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        // [tokens, 1]
        let inverse_rms = (x.clone().square().mean_dim(1) + self.epsilon).sqrt().recip();
        (x * inverse_rms).cast(dtype) * self.weight.clone().unsqueeze()
    }

    pub(crate) fn bytes(&self) -> usize {
        tensor_bytes(&self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        crate::matrix::read_now(tensor)
    }

    #[test]
    fn layer_norm_by_hand() {
        let device = Device::flex();
        // mean 3, variance ((-2)² + 0 + 2²) / 3 = 8/3
        let norm = LayerNorm::new(Tensor::from_floats([1.0, 2.0, 1.0], &device), Tensor::from_floats([0.0, 0.5, 1.0], &device), 0.0);
        let y = values(norm.forward(Tensor::from_floats([[1.0, 3.0, 5.0]], &device)));
        let step = 2.0 / (8.0f32 / 3.0).sqrt();
        for (found, expected) in y.iter().zip([-step, 0.5, 1.0 + step]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn rms_norm_by_hand() {
        let device = Device::flex();
        // mean square (9 + 16) / 2 = 12.5, and ε = 12.5 doubles it: rms 5
        let norm = RmsNorm::new(Tensor::from_floats([1.0, 10.0], &device), 12.5);
        let y = values(norm.forward(Tensor::from_floats([[3.0, 4.0]], &device)));
        assert!((y[0] - 0.6).abs() < 1e-6 && (y[1] - 8.0).abs() < 1e-5, "{y:?}");
    }
}
