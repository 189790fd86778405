//! Activation functions.

use burn::backend::Dispatch;
use burn::tensor::{
    DType, Tensor,
    activation::{gelu, relu},
};

#[cfg(feature = "gpu")]
use crate::matrix::apart;
use crate::matrix::{Matrix, Place};
use crate::ops::PackedOps;

/// Activation functions, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Exact, with the error function.
    Gelu,
    /// The tanh approximation.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`, which CLIP was trained with.
    QuickGelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// What a number's logistic function is taken of before it weighs the number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Curve {
    /// `x`
    Itself,
    /// `f x`
    Times(f32),
    /// `2 sqrt(2/π) (x + 0.044715 x³)`: twice that, because `(1 + tanh(y)) / 2` is the logistic function of `2 y`.
    Cubic,
}

impl Activation {
    /// Of every number of `x`.
    pub fn apply(self, x: &Matrix) -> Matrix {
        match &x.0 {
            Place::Cpu(x) => self.on_cpu(x.clone()).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, x) => Matrix(Place::Gpu(gpu.clone(), steady_gpu::kernels::activate(gpu, x, self.on_gpu()))),
        }
    }

    /// Of every number of `gate`, times the number of `up` in its place.
    pub fn gated(self, gate: &Matrix, up: &Matrix) -> Matrix {
        match (&gate.0, &up.0) {
            (Place::Cpu(gate), Place::Cpu(up)) => (self.on_cpu(gate.clone()) * up.clone()).into(),
            #[cfg(feature = "gpu")]
            (Place::Gpu(gpu, gate), Place::Gpu(_, up)) => {
                Matrix(Place::Gpu(gpu.clone(), steady_gpu::kernels::gated(gpu, gate, up, self.on_gpu())))
            }
            #[cfg(feature = "gpu")]
            _ => apart(),
        }
    }

    fn on_cpu(self, x: Tensor<2>) -> Tensor<2> {
        let curve = match self {
            Self::QuickGelu => Curve::Times(1.702),
            Self::GeluTanh => Curve::Cubic,
            Self::Silu => Curve::Itself,
            Self::Gelu => return gelu(x),
            Self::Relu => return relu(x),
        };
        let dtype = x.dtype();
        Tensor::<2>::from_dispatch(<Dispatch as PackedOps>::weighted(x.cast(DType::F32).into_dispatch(), curve)).cast(dtype)
    }

    #[cfg(feature = "gpu")]
    fn on_gpu(self) -> steady_gpu::kernels::Activation {
        use steady_gpu::kernels::Activation;
        match self {
            Self::QuickGelu => Activation::QuickGelu,
            Self::Gelu => Activation::Gelu,
            Self::GeluTanh => Activation::GeluTanh,
            Self::Silu => Activation::Silu,
            Self::Relu => Activation::Relu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Element};

    /// Values of `torch.nn.functional` and `transformers.activations.QuickGELUActivation` at -1 and 2.
    #[test]
    fn agrees_with_pytorch() {
        for (activation, expected) in [
            (Activation::QuickGelu, [-0.154_204, 1.935_659]),
            (Activation::Gelu, [-0.158_655, 1.954_5]),
            (Activation::GeluTanh, [-0.158_808, 1.954_598]),
            (Activation::Silu, [-0.268_941, 1.761_594]),
            (Activation::Relu, [0.0, 2.0]),
        ] {
            let x = Matrix::new(vec![-1.0, 2.0], [1, 2], &Device::Cpu, Element::F32);
            let y = pollster::block_on(activation.apply(&x).read()).unwrap();
            for (found, expected) in y.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-5, "{activation:?}: {found} {expected}");
            }
        }
    }
}
