//! Activation functions by the names that configurations use.

use burn::tensor::{
    Tensor,
    activation::{gelu, gelu_approximate, relu, sigmoid, silu},
};

use crate::checkpoint::Activation;

/// Applies `activation` element by element.
pub(crate) fn activate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        // x σ(1.702 x), the approximation that CLIP was trained with.
        Activation::QuickGelu => x.clone() * sigmoid(x * 1.702),
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Silu => silu(x),
        Activation::Relu => relu(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Values of `torch.nn.functional` and `transformers.activations.QuickGELUActivation` at -1 and 2.
    #[test]
    fn agrees_with_pytorch() {
        for (activation, expected) in [
            (Activation::QuickGelu, [-0.154_204, 1.935_659]),
            (Activation::Gelu, [-0.158_655, 1.954_5]),
            (Activation::GeluTanh, [-0.158_808, 1.954_598]),
            (Activation::Silu, [-0.268_941, 1.761_594]),
        ] {
            let x = Tensor::from_floats([[-1.0, 2.0]], &Device::flex());
            let y = crate::matrix::read_now(activate(activation, x));
            for (found, expected) in y.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-5, "{activation:?}: {found} {expected}");
            }
        }
    }
}
