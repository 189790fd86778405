//! A normalisation of a model: what it is called, and which layers it feeds.

use std::sync::Arc;

use steady_kernels::{Matrix, Normalization};

use super::linear::Linear;
use crate::VlmError;

/// A layer norm or an RMS norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Canonical name without `.weight`.
    name: Arc<str>,
    by: Normalization,
    feeds: Vec<Arc<str>>,
}

impl Norm {
    pub(crate) fn new(name: &str, by: Normalization) -> Self {
        Self { name: name.into(), by, feeds: Vec::new() }
    }

    /// Says that `linears` multiply what this norm gives and nothing else: a factor may move from its weight into theirs.
    #[must_use]
    pub fn feeding(mut self, linears: &[&Linear]) -> Self {
        self.feeds = linears.iter().map(|linear| linear.name().into()).collect();
        self
    }

    /// Canonical name without `.weight`, e.g. `language_model.layers.3.input_layernorm`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Canonical names of the linear layers that multiply what this norm gives, and nothing else. Empty where something else reads it.
    pub fn feeds(&self) -> impl ExactSizeIterator<Item = &str> {
        self.feeds.iter().map(|name| &**name)
    }

    /// `[tokens, width]` to the same.
    pub fn forward(&self, x: &Matrix) -> Matrix {
        self.by.apply(x)
    }

    /// Divides what comes out by `factors`, one a feature, as AWQ and SmoothQuant do before they multiply the columns of the layers
    /// that it [feeds](Self::feeds) by the same.
    ///
    /// # Errors
    /// When there are not as many factors as features.
    pub fn divide(&mut self, factors: &[f32]) -> Result<(), VlmError> {
        let width = self.by.width();
        if factors.len() != width {
            let problem = format!("expected a factor for each of its {width} features, found {}", factors.len());
            return Err(VlmError::Invalid { what: self.name.to_string(), problem });
        }
        self.by.divide(factors);
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.by.bytes()
    }
}
