//! One linear layer, whichever way its weight is held.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use steady_kernels::PackedLinear;

use crate::{HostMatrix, VlmError};

/// `y = x Wᵀ + b`, with `W` dense or packed.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Canonical name without `.weight`, e.g. `language_model.layers.3.self_attn.q_proj`.
    name: Arc<str>,
    weight: Weight,
    bias: Option<Tensor<1>>,
    observer: Option<Arc<dyn Observer>>,
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

/// Watches what goes into linear layers: how methods that calibrate get to know a model's activations.
pub trait Observer: Debug + Send + Sync {
    /// Called before the layer called `linear` (canonical name without `.weight`) multiplies `x`, `[tokens, in]` on the device. What
    /// it keeps of it is its own affair; nothing waits for it.
    fn inputs(&self, linear: &str, x: &Tensor<2>);
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
    /// A layer without bias whose weight is `[in, out]`.
    pub(crate) fn dense(name: &str, weight: Tensor<2>) -> Self {
        Self { name: name.into(), weight: Weight::Dense(Arc::new(Dense { weight })), bias: None, observer: None }
    }

    /// A layer without bias whose weight is packed.
    pub(crate) fn packed(name: &str, weight: PackedLinear) -> Self {
        Self { name: name.into(), weight: Weight::Packed(Arc::new(weight)), bias: None, observer: None }
    }

    /// The same layer with a bias, `[out]`.
    pub(crate) fn with_bias(self, bias: Tensor<1>) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// Canonical name without `.weight`, e.g. `language_model.layers.3.self_attn.q_proj`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `[tokens, in]` to `[tokens, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if let Some(observer) = &self.observer {
            observer.inputs(&self.name, &x);
        }
        let y = match &self.weight {
            Weight::Dense(dense) => x.matmul(dense.weight.clone()),
            Weight::Packed(packed) => packed.forward(x),
        };
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    /// The weight, if it is held as floats.
    pub fn as_dense(&self) -> Option<&Dense> {
        match &self.weight {
            Weight::Dense(dense) => Some(dense),
            Weight::Packed(_) => None,
        }
    }

    /// Puts a packed weight in the place of the one that is held.
    pub fn pack(&mut self, packed: PackedLinear) {
        self.weight = Weight::Packed(Arc::new(packed));
    }

    /// Shows every input to `observer` from now on.
    pub fn observe(&mut self, observer: Arc<dyn Observer>) {
        self.observer = Some(observer);
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
