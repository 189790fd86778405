//! Normalisation over the last dimension, in `f32` whatever the model's element type.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData, module::layer_norm};

use super::linear::{Linear, tensor_bytes};
use crate::VlmError;

/// A normalisation with a learned weight: with a bias `(x - mean) / sqrt(var + ε) * weight + bias`, without one
/// `x / sqrt(mean(x²) + ε) * weight` (Zhang & Sennrich, 2019).
#[derive(Clone, Debug)]
pub struct Norm {
    /// Canonical name without `.weight`.
    name: Arc<str>,
    weight: Tensor<1>,
    /// A layer norm's; an RMS norm has none.
    bias: Option<Tensor<1>>,
    epsilon: f64,
    feeds: Vec<Arc<str>>,
}

impl Norm {
    /// A layer norm; `weight` and `bias` are `[width]`.
    pub(crate) fn layer(name: &str, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Self {
        // Statistics and affine run in f32 and are rounded once, as PyTorch's mixed-precision kernel does.
        let bias = Some(bias.cast(DType::F32));
        Self { name: name.into(), weight: weight.cast(DType::F32), bias, epsilon, feeds: Vec::new() }
    }

    /// An RMS norm; `weight` is `[width]`.
    pub(crate) fn rms(name: &str, weight: Tensor<1>, epsilon: f64) -> Self {
        Self { name: name.into(), weight, bias: None, epsilon, feeds: Vec::new() }
    }

    /// Says that `linears` multiply what this norm gives and nothing else: a factor may move from its weight into theirs.
    #[must_use]
    pub fn feeding(mut self, linears: &[&Linear]) -> Self {
        self.feeds = linears.iter().map(|linear| linear.name().into()).collect();
        self
    }

    /// Canonical name without `.weight`, e.g. `language_model.layers.3.input_layernorm`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Canonical names of the linear layers that multiply what this norm gives, and nothing else. Empty where something else reads it.
    pub fn feeds(&self) -> impl ExactSizeIterator<Item = &str> {
        self.feeds.iter().map(|name| &**name)
    }

    /// `[tokens, width]` to the same.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        if let Some(bias) = &self.bias {
            return layer_norm(x, self.weight.clone(), Some(bias.clone()), self.epsilon).cast(dtype);
        }
        // [tokens, 1]
        let inverse_rms = (x.clone().square().mean_dim(1) + self.epsilon).sqrt().recip();
        // As in transformers, the normalised value is rounded to the model's element type before the weight multiplies it.
        (x * inverse_rms).cast(dtype) * self.weight.clone().unsqueeze()
    }

    /// Divides what comes out by `factors`, one a feature, as AWQ and SmoothQuant do before they multiply the columns of the layers
    /// that it [feeds](Self::feeds) by the same.
    ///
    /// # Errors
    /// When there are not as many factors as features.
    pub fn divide(&mut self, factors: &[f32]) -> Result<(), VlmError> {
        let width = self.weight.dims()[0];
        if factors.len() != width {
            let problem = format!("expected a factor for each of its {width} features, found {}", factors.len());
            return Err(VlmError::Invalid { what: self.name.to_string(), problem });
        }
        for tensor in std::iter::once(&mut self.weight).chain(&mut self.bias) {
            let factors = TensorData::new(factors.to_vec(), [width]);
            *tensor = tensor.clone() / Tensor::from_data(factors, (&tensor.device(), tensor.dtype()));
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        tensor_bytes(&self.weight) + self.bias.as_ref().map_or(0, tensor_bytes)
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
        let norm = Norm::layer("norm", Tensor::from_floats([1.0, 2.0, 1.0], &device), Tensor::from_floats([0.0, 0.5, 1.0], &device), 0.0);
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
        let norm = Norm::rms("norm", Tensor::from_floats([1.0, 10.0], &device), 12.5);
        let y = values(norm.forward(Tensor::from_floats([[3.0, 4.0]], &device)));
        assert!((y[0] - 0.6).abs() < 1e-6 && (y[1] - 8.0).abs() < 1e-5, "{y:?}");
    }
}
