//! Activation functions.

use burn::tensor::{
    Tensor,
    activation::{gelu, gelu_approximate, relu, sigmoid, silu},
};

#[cfg(feature = "gpu")]
use crate::matrix::apart;
use crate::matrix::{Matrix, Place};

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
        match self {
            Self::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Self::Gelu => gelu(x),
            Self::GeluTanh => gelu_approximate(x),
            Self::Silu => silu(x),
            Self::Relu => relu(x),
        }
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
