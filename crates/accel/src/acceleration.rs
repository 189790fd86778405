//! A spec, and what carries it out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use steady_methods::{Linears, Spec, SpecError};
use steady_vlm::{CacheBits, TokenReducer};

use crate::{Quantizer, Registry, Search};

/// What a [`Spec`] asks for, ready to be done to a model. Displays as the spec's canonical text.
#[derive(Clone, Default)]
pub struct Acceleration {
    pub(crate) spec: Spec,
    pub(crate) quantizer: Option<Arc<dyn Quantizer>>,
    /// Layers that are packed beside those of the quantizer.
    pub(crate) wider: Wider,
    /// Layers that are put back into float.
    pub(crate) float: Linears,
    /// Layers that are packed in 8 bits, unless they are put back into float.
    pub(crate) eight: Linears,
    pub(crate) cache: Option<CacheBits>,
    pub(crate) reducer: Option<Arc<dyn TokenReducer>>,
    /// What is to be searched for, and has not been.
    pub(crate) search: Option<Arc<dyn Search>>,
    /// The reducers in front of what is searched for.
    pub(crate) others: Vec<Arc<dyn TokenReducer>>,
}

/// Parts of a model whose layers are packed because somebody asks for it, beside those that the method packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wider {
    pub(crate) vision: bool,
    pub(crate) projector: bool,
    pub(crate) head: bool,
}

/// The parameter that names layers to put back into float.
pub(crate) const FLOAT: &str = "float";
/// The parameter that names layers to pack in 8 bits.
pub(crate) const EIGHT_BITS: &str = "w8";

/// The canonical name of the head.
pub(crate) const HEAD: &str = "lm_head";

impl Wider {
    /// Whether the linear layer of this canonical name is one of them. A patch embedding is a convolution in the published models.
    pub(crate) fn takes(self, linear: &str) -> bool {
        if linear == HEAD {
            return self.head;
        }
        let of_projector = linear.starts_with("multi_modal_projector.") || linear.starts_with("visual.merger.");
        let of_tower = linear.starts_with("vision_tower.") || linear.starts_with("visual.");
        if of_projector { self.projector } else { self.vision && of_tower && !linear.contains("patch_embed") }
    }

    /// As it stands behind a method's text.
    pub(crate) fn spelt(self, method: &str) -> String {
        let mut text = method.to_owned();
        for (_, name) in [(self.vision, "vision"), (self.projector, "projector"), (self.head, "head")].iter().filter(|(set, _)| *set) {
            text.push(if text.contains(':') { ',' } else { ':' });
            text += name;
        }
        text
    }

    /// What is packed, in words; without them it is `scope`.
    pub(crate) fn scope(self, scope: &str) -> String {
        let parts =
            [(self.vision, "the vision tower's linear layers"), (self.projector, "the projector's linear layers"), (self.head, "the head")];
        let also: Vec<&str> = parts.iter().filter(|(set, _)| *set).map(|(_, part)| *part).collect();
        if also.is_empty() {
            return scope.to_owned();
        }
        let never = if self.head { "embeddings, patch embedding" } else { "embeddings, patch embedding, head" };
        format!("the decoder's q, k, v, o, gate, up and down projections, {} (not {never})", also.join(", "))
    }
}

impl Acceleration {
    /// The baseline: nothing is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a spec of the methods that there are. Those of one's own are read by a [`Registry`] that holds them.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Registry::built_in().parse(text)
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether this is the baseline.
    pub fn is_none(&self) -> bool {
        self.spec.is_none()
    }

    /// The token reducer to hand to the model with each prompt. Where it is [searched for](Self::searched) and was not, it says so when it is asked.
    pub fn reducer(&self) -> Option<&dyn TokenReducer> {
        self.reducer.as_deref()
    }

    /// What keys and values are rounded to, if they are.
    pub fn cache_bits(&self) -> Option<CacheBits> {
        self.cache
    }

    /// The quantizer, if the weights change.
    pub fn quantizer(&self) -> Option<&dyn Quantizer> {
        self.quantizer.as_deref()
    }
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

impl fmt::Debug for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceleration({self})")
    }
}

impl PartialEq for Acceleration {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for Acceleration {}

impl FromStr for Acceleration {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}
