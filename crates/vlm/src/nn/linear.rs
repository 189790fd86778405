//! One linear layer, whichever way its weight is held.

use std::fmt::Debug;
use std::sync::Arc;

use steady_kernels::{Added, Device, Layer, Matrix, PackedLinear, Weight};

use crate::{HostMatrix, VlmError};

/// `y = x Wᵀ + b`, with `W` dense or packed.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Canonical name without `.weight`, e.g. `language_model.layers.3.self_attn.q_proj`.
    name: Arc<str>,
    weight: Held,
    /// `[1, out]`
    bias: Option<Matrix>,
    observer: Option<Arc<dyn Observer>>,
}

#[derive(Clone, Debug)]
enum Held {
    Dense(Arc<Dense>),
    Packed(Arc<Weight>),
}

/// A float weight matrix.
#[derive(Clone, Debug)]
pub struct Dense(Weight);

/// Watches what goes into linear layers: how methods that calibrate get to know a model's activations.
pub trait Observer: Debug + Send + Sync {
    /// Called before the layer called `linear` (canonical name without `.weight`) multiplies `x`, `[tokens, in]` on the device. What
    /// it keeps of it is its own affair; nothing waits for it.
    fn inputs(&self, linear: &str, x: &Matrix);
}

/// Decides per linear layer, by canonical name and dense weight, what to put in its place (`None`: leave it).
pub type LinearMap<'a, E> = dyn FnMut(&str, &Dense) -> Result<Option<PackedLinear>, E> + 'a;

impl Dense {
    /// Number of input features.
    pub fn input(&self) -> usize {
        self.0.shape()[1]
    }

    /// Number of output features.
    pub fn output(&self) -> usize {
        self.0.shape()[0]
    }

    /// The weight on the host as checkpoints store it, `[out, in]`.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn to_host(&self) -> Result<HostMatrix, VlmError> {
        on_host(&self.0).await
    }

    /// As [`Self::to_host`] without waiting, from any thread; `None` where the weight is on a GPU.
    ///
    /// # Errors
    /// When the device fails.
    pub fn on_cpu(&self) -> Option<Result<HostMatrix, VlmError>> {
        let values = self.0.host()?;
        Some(values.map(|values| HostMatrix::new(self.output(), self.input(), values)).map_err(VlmError::from))
    }

    /// The device the weight lives on.
    pub fn device(&self) -> Device {
        self.0.device()
    }
}

async fn on_host(weight: &Weight) -> Result<HostMatrix, VlmError> {
    let [out, input] = weight.shape();
    Ok(HostMatrix::new(out, input, weight.read().await?))
}

impl Linear {
    /// A layer without bias whose weight is floats.
    pub(crate) fn dense(name: &str, weight: Weight) -> Self {
        Self::unbiased(name, Held::Dense(Arc::new(Dense(weight))))
    }

    /// A layer without bias whose weight is packed.
    pub(crate) fn packed(name: &str, weight: Weight) -> Self {
        Self::unbiased(name, Held::Packed(Arc::new(weight)))
    }

    fn unbiased(name: &str, weight: Held) -> Self {
        Self { name: name.into(), weight, bias: None, observer: None }
    }

    /// The same layer with a bias, `[1, out]`.
    pub(crate) fn with_bias(self, bias: Matrix) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// Canonical name without `.weight`, e.g. `language_model.layers.3.self_attn.q_proj`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The weight on the host, whichever way it is held.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) async fn to_host(&self) -> Result<HostMatrix, VlmError> {
        on_host(self.weight()).await
    }

    fn weight(&self) -> &Weight {
        match &self.weight {
            Held::Dense(dense) => &dense.0,
            Held::Packed(packed) => packed,
        }
    }

    /// `[tokens, in]` to `[tokens, out]`.
    pub fn forward(&self, x: &Matrix) -> Matrix {
        self.product(x, None)
    }

    /// What [`Self::forward`] gives, added to `residual`, `[tokens, out]`.
    pub fn onto(&self, x: &Matrix, residual: &Matrix) -> Matrix {
        self.product(x, Some(residual))
    }

    /// What each of `linears` gives of one `x`: as [`Self::forward`] of one after the other, and on a GPU one product where they are
    /// [joined](Self::join).
    pub fn forward_all<const N: usize>(linears: [&Self; N], x: &Matrix) -> [Matrix; N] {
        for linear in linears {
            linear.show(x);
        }
        Weight::products(x, linears.map(|linear| Layer { weight: linear.weight(), bias: linear.bias.as_ref() }))
    }

    /// Moves the weights of layers that see the same together in their device's memory, where that makes one product of theirs. They stay
    /// layers of their own; one that is packed afterwards leaves the others, until they are joined anew.
    pub fn join<const N: usize>(mut linears: [&mut Self; N]) {
        let mut weights = linears.each_ref().map(|linear| linear.weight().clone());
        if Weight::join(&mut weights.each_mut()) {
            for (linear, weight) in linears.iter_mut().zip(weights) {
                linear.weight = match linear.weight {
                    Held::Dense(_) => Held::Dense(Arc::new(Dense(weight))),
                    Held::Packed(_) => Held::Packed(Arc::new(weight)),
                };
            }
        }
        let mut biases: Vec<&mut Matrix> = linears.iter_mut().filter_map(|linear| linear.bias.as_mut()).collect();
        if biases.len() == N {
            Matrix::join(&mut biases);
        }
    }

    fn show(&self, x: &Matrix) {
        if let Some(observer) = &self.observer {
            observer.inputs(&self.name, x);
        }
    }

    fn product(&self, x: &Matrix, residual: Option<&Matrix>) -> Matrix {
        self.show(x);
        self.weight().product(x, Added { bias: self.bias.as_ref(), residual })
    }

    /// The weight, if it is held as floats.
    pub fn as_dense(&self) -> Option<&Dense> {
        match &self.weight {
            Held::Dense(dense) => Some(dense),
            Held::Packed(_) => None,
        }
    }

    /// The weight, if it is packed and on the CPU.
    pub(crate) fn as_packed(&self) -> Option<&PackedLinear> {
        self.weight().as_packed()
    }

    /// Puts a packed weight in the place of the one that is held, on its device.
    pub fn pack(&mut self, packed: PackedLinear) {
        let device = self.weight().device();
        self.weight = Held::Packed(Arc::new(Weight::packed(packed, &device)));
    }

    /// Shows every input to `observer` from now on.
    pub fn observe(&mut self, observer: Arc<dyn Observer>) {
        self.observer = Some(observer);
    }

    /// Bytes that weight and bias occupy.
    pub(crate) fn bytes(&self) -> usize {
        self.weight().bytes() + self.bias.as_ref().map_or(0, Matrix::bytes)
    }
}
