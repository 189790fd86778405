//! Activation functions by the names that configurations use.

use steady_kernels::Activation;

use crate::VlmError;
use crate::files::Fields;

impl Fields<'_> {
    /// The activation that the field `name` names, by its name in transformers' `ACT2FN`.
    ///
    /// # Errors
    /// When it names none that is known.
    pub fn activation(&self, name: &str, default: Activation) -> Result<Activation, VlmError> {
        Ok(match self.text(name)? {
            None => default,
            Some("gelu") => Activation::Gelu,
            Some("gelu_pytorch_tanh" | "gelu_new") => Activation::GeluTanh,
            Some("quick_gelu") => Activation::QuickGelu,
            Some("silu" | "swish") => Activation::Silu,
            Some("relu") => Activation::Relu,
            Some(other) => {
                let known = ["gelu", "gelu_pytorch_tanh", "gelu_new", "quick_gelu", "silu", "swish", "relu"];
                return Err(self.unknown(name, other, &known));
            }
        })
    }
}
