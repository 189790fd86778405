//! Where a model's numbers end.

use std::fmt;

/// A logit that is infinite or no number: there is no next token, not even a wrong one. In `f16` numbers end at 65,504; in `f32` it is
/// the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// Tokens of the answer before it.
    pub after: usize,
    /// First decoder layer that has keys or values which are not finite; `None` where all are.
    pub layer: Option<usize>,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the logits ")?;
        match self.after {
            0 => f.write_str("of the first token")?,
            1 => f.write_str("after 1 token")?,
            after => write!(f, "after {after} tokens")?,
        }
        f.write_str(" are not finite: ")?;
        match self.layer {
            None => f.write_str(
                "the keys and values of every decoder layer are, so it begins in the last layer, the norm behind it or the head",
            ),
            Some(0) => f.write_str(
                "the keys or values of decoder layer 0 are the first, so it begins in the visual tokens, the embedding or that layer",
            ),
            Some(layer) => {
                write!(f, "the keys or values of decoder layer {layer} are the first, so it begins in layer {} or in that one", layer - 1)
            }
        }
    }
}
