//! Activation functions by the names that configurations use.

use burn::tensor::{
    Tensor,
    activation::{gelu, gelu_approximate, relu, sigmoid, silu},
};

use crate::VlmError;
use crate::files::Fields;

/// Activations by their names in transformers' `ACT2FN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: exact, with the error function.
    Gelu,
    /// `gelu_pytorch_tanh`, `gelu_new`: the tanh approximation.
    GeluTanh,
    /// `quick_gelu`: `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `silu`, `swish`: `x * sigmoid(x)`.
    Silu,
    /// `relu`.
    Relu,
}

impl Activation {
    /// The one that the field `name` names.
    ///
    /// # Errors
    /// When it names none of these.
    pub fn read(fields: &Fields<'_>, name: &str, default: Self) -> Result<Self, VlmError> {
        Ok(match fields.text(name)? {
            None => default,
            Some("gelu") => Self::Gelu,
            Some("gelu_pytorch_tanh" | "gelu_new") => Self::GeluTanh,
            Some("quick_gelu") => Self::QuickGelu,
            Some("silu" | "swish") => Self::Silu,
            Some("relu") => Self::Relu,
            Some(other) => {
                let known = ["gelu", "gelu_pytorch_tanh", "gelu_new", "quick_gelu", "silu", "swish", "relu"];
                return Err(fields.unknown(name, other, &known));
            }
        })
    }
}

/// Applies `activation` element by element.
pub fn activate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
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
