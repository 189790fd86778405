//! One linear layer, whichever way its weight is held.

use std::sync::Arc;

use burn::tensor::Tensor;
use steady_kernels::PackedLinear;

use crate::{HostMatrix, VlmError};

/// `y = x Wᵀ + b`, with `W` dense or packed.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// Canonical name without `.weight`, e.g. `language_model.layers.3.self_attn.q_proj`.
    name: Arc<str>,
    weight: Weight,
    bias: Option<Tensor<1>>,
}

#[derive(Clone, Debug)]
enum Weight {
    Dense(Arc<Dense>),
    Packed(Arc<PackedLinear>),
}

/// A float weight matrix.
#[derive(Clone, Debug)]
pub struct Dense {
    /// `[in, out]`: the contraction runs down the columns, which is what gemm packs fastest.
    weight: Tensor<2>,
}

/// Decides per linear layer, by canonical name and dense weight, what to put in its place (`None`: leave it).
pub type LinearMap<'a, E> = dyn FnMut(&str, &Dense) -> Result<Option<PackedLinear>, E> + 'a;

impl Dense {
    /// Number of input features.
    pub fn input(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Number of output features.
    pub fn output(&self) -> usize {
        self.weight.dims()[1]
    }

    /// The weight on the host as checkpoints store it, `[out, in]`.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn to_host(&self) -> Result<HostMatrix, VlmError> {
        HostMatrix::from_tensor(&self.weight.clone().transpose()).await
    }

    /// The device the weight lives on.
    pub fn device(&self) -> burn::tensor::Device {
        self.weight.device()
    }
}

impl Linear {
    /// Wraps a weight `[in, out]` and an optional bias `[out]`.
    pub(crate) fn new(name: &str, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { name: name.into(), weight: Weight::Dense(Arc::new(Dense { weight })), bias }
    }

    /// `[tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = match &self.weight {
            Weight::Dense(dense) => x.matmul(dense.weight.clone()),
            Weight::Packed(packed) => packed.forward(x),
        };
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    /// A copy whose weight is what `map` returns for it, or the same weight. Packed weights are left alone.
    pub(crate) fn map<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        let mut mapped = self.clone();
        if let Weight::Dense(dense) = &self.weight
            && let Some(packed) = map(&self.name, dense)?
        {
            mapped.weight = Weight::Packed(Arc::new(packed));
        }
        Ok(mapped)
    }

    /// Bytes that weight and bias occupy.
    pub(crate) fn bytes(&self) -> usize {
        let weight = match &self.weight {
            Weight::Dense(dense) => tensor_bytes(&dense.weight),
            Weight::Packed(packed) => packed.bytes(),
        };
        weight + self.bias.as_ref().map_or(0, tensor_bytes)
    }
}

/// Bytes of a dense tensor's values.
pub(crate) fn tensor_bytes<const D: usize>(tensor: &Tensor<D>) -> usize {
    tensor.shape().num_elements() * tensor.dtype().size()
}
