//! One linear layer, whichever way its weight is held.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use steady_kernels::{Bf16Weight, PackedLinear};

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
pub struct Dense(Form);

/// How it is held.
#[derive(Clone, Debug)]
enum Form {
    /// In the element type of activations, `[in, out]`: the contraction runs down the columns, which is what gemm packs fastest.
    Tensor(Tensor<2>),
    /// As bf16, `[out, in]`.
    Bf16(Bf16Weight),
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
        match &self.0 {
            Form::Tensor(weight) => weight.dims()[0],
            Form::Bf16(weight) => weight.shape()[1],
        }
    }

    /// Number of output features.
    pub fn output(&self) -> usize {
        match &self.0 {
            Form::Tensor(weight) => weight.dims()[1],
            Form::Bf16(weight) => weight.shape()[0],
        }
    }

    /// The weight on the host as checkpoints store it, `[out, in]`.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn to_host(&self) -> Result<HostMatrix, VlmError> {
        HostMatrix::from_tensor(&match &self.0 {
            Form::Tensor(weight) => weight.clone().transpose(),
            Form::Bf16(weight) => weight.widen(),
        })
        .await
    }

    /// The device the weight lives on.
    pub fn device(&self) -> burn::tensor::Device {
        match &self.0 {
            Form::Tensor(weight) => weight.device(),
            Form::Bf16(weight) => weight.device(),
        }
    }

    /// `[tokens, in]` to `[tokens, out]`.
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.0 {
            Form::Tensor(weight) => x.matmul(weight.clone()),
            Form::Bf16(weight) => weight.forward(x),
        }
    }

    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Tensor(weight) => tensor_bytes(weight),
            Form::Bf16(weight) => weight.bytes(),
        }
    }
}

impl Linear {
    /// A layer without bias whose weight is `[in, out]`.
    pub(crate) fn dense(name: &str, weight: Tensor<2>) -> Self {
        Self::unbiased(name, Weight::Dense(Arc::new(Dense(Form::Tensor(weight)))))
    }

    /// A layer without bias whose weight is kept as bf16.
    pub(crate) fn bf16(name: &str, weight: Bf16Weight) -> Self {
        Self::unbiased(name, Weight::Dense(Arc::new(Dense(Form::Bf16(weight)))))
    }

    /// A layer without bias whose weight is packed.
    pub(crate) fn packed(name: &str, weight: PackedLinear) -> Self {
        Self::unbiased(name, Weight::Packed(Arc::new(weight)))
    }

    fn unbiased(name: &str, weight: Weight) -> Self {
        Self { name: name.into(), weight, bias: None, observer: None }
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
            Weight::Dense(dense) => dense.product(x),
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
            Weight::Dense(dense) => dense.bytes(),
            Weight::Packed(packed) => packed.bytes(),
        };
        weight + self.bias.as_ref().map_or(0, tensor_bytes)
    }
}

/// Bytes of a dense tensor's values.
pub(crate) fn tensor_bytes<const D: usize>(tensor: &Tensor<D>) -> usize {
    tensor.shape().num_elements() * tensor.dtype().size()
}
