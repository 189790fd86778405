//! An acceleration meets a model.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use steady_vlm::{Dense, Vlm};

use crate::{AccelError, Acceleration, LinearShape, Quantizer};

/// What an acceleration does to one model, with everything settled that its spec leaves to the model. For plans and reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The spec as settled: `auto` values replaced by what they came to.
    pub spec: String,
    /// What happens to the weights.
    pub quantized: Option<QuantizedModules>,
    /// The token reducer.
    pub reducer: Option<String>,
}

/// The linear layers that are packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedModules {
    /// The method as settled, e.g. `w4:rtn,g=64`.
    pub method: String,
    /// Which layers, in words.
    pub scope: String,
    /// The layers.
    pub linears: Vec<LinearShape>,
}

impl Acceleration {
    /// The model with packed weights in place of those the quantizer takes; `None` when the weights do not change.
    ///
    /// # Errors
    /// [`AccelError`] when the quantizer does not fit the model.
    pub fn quantize(&self, model: &Vlm) -> Result<Option<Vlm>, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(None) };
        let (quantizer, _) = settle(quantizer.as_ref(), model)?;
        let mut pack = |name: &str, dense: &Dense| {
            if !quantizer.takes(name) {
                return Ok(None);
            }
            quantizer.quantize(name, &dense.to_host(), &dense.device()).map(Some)
        };
        model.map_linears(&mut pack).map(Some)
    }

    /// What this does to `model`.
    ///
    /// # Errors
    /// As [`Self::quantize`].
    pub fn describe(&self, model: &Vlm) -> Result<Description, AccelError> {
        let quantized = match &self.quantizer {
            None => None,
            Some(quantizer) => {
                let (settled, linears) = settle(quantizer.as_ref(), model)?;
                Some(QuantizedModules { method: settled.name(), scope: settled.scope().to_owned(), linears })
            }
        };
        let reducer = self.reducer.as_ref().map(|reducer| reducer.name());
        let parts: Vec<&str> = quantized.iter().map(|quantized| quantized.method.as_str()).chain(reducer.as_deref()).collect();
        let spec = if parts.is_empty() { "none".to_owned() } else { parts.join("+") };
        Ok(Description { spec, quantized, reducer })
    }
}

/// The quantizer with its settings for `model`, and the layers it takes.
fn settle(quantizer: &dyn Quantizer, model: &Vlm) -> Result<(Box<dyn Quantizer>, Vec<LinearShape>), AccelError> {
    let mut linears = Vec::new();
    model.map_linears(&mut |name, dense| {
        linears.push(LinearShape { name: name.to_owned(), out: dense.output(), input: dense.input() });
        Ok::<_, AccelError>(None)
    })?;
    settle_on(quantizer, linears)
}

/// As [`settle`], given the model's linear layers.
pub(crate) fn settle_on(
    quantizer: &dyn Quantizer,
    mut linears: Vec<LinearShape>,
) -> Result<(Box<dyn Quantizer>, Vec<LinearShape>), AccelError> {
    linears.retain(|linear| quantizer.takes(&linear.name));
    if linears.is_empty() {
        return Err(AccelError::NothingToQuantize { method: quantizer.name(), scope: quantizer.scope() });
    }
    Ok((quantizer.fit(&linears)?, linears))
}

impl fmt::Display for Description {
    /// One line, e.g. `w4:rtn,g=64: 28 linear layers (down_proj, gate_proj, ..)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)?;
        match &self.quantized {
            Some(QuantizedModules { linears, .. }) => {
                let kinds: BTreeSet<&str> = linears.iter().filter_map(|linear| linear.name.rsplit('.').next()).collect();
                let kinds: Vec<&str> = kinds.into_iter().collect();
                write!(f, ": {} linear layers ({})", linears.len(), kinds.join(", "))
            }
            None => Ok(()),
        }
    }
}
