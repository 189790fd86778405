//! An acceleration meets a model.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use steady_kernels::PackedLinear;
use steady_vlm::{Dense, HostMatrix, Vlm};

use crate::{AccelError, Acceleration, Calibration, Fitted, Gram, LinearShape, Quantizer, Samples, calibrate};

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
    /// [`AccelError`] when the quantizer does not fit the model, or is one that calibrates: [`Self::quantize_seeing`].
    pub async fn quantize(&self, model: &Vlm) -> Result<Option<Vlm>, AccelError> {
        self.quantize_seeing(model, None).await
    }

    /// Prompts that the quantizer calibrates with; 0 where it does not.
    ///
    /// # Errors
    /// [`AccelError`] when the quantizer does not fit the model.
    pub fn calibrates_with(&self, model: &Vlm) -> Result<usize, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(0) };
        Ok(match settle(quantizer.as_ref(), model)?.0.calibration() {
            Calibration::Nothing => 0,
            Calibration::Inputs { samples } => samples,
        })
    }

    /// As [`Self::quantize`], with prompts for a quantizer that calibrates: it sees what goes into a layer when all layers before it are packed.
    ///
    /// # Errors
    /// [`AccelError`] when the quantizer does not fit the model, when there are too few prompts, or when what the layers see is of no use.
    pub async fn quantize_seeing(&self, model: &Vlm, samples: Option<&dyn Samples>) -> Result<Option<Vlm>, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(None) };
        let (fitted, taken) = settle(quantizer.as_ref(), model)?;
        let Calibration::Inputs { samples: wanted } = fitted.calibration() else {
            let all: Vec<&Named> = taken.iter().collect();
            let mut packed = pack(fitted.as_ref(), &all, &HashMap::new()).await?;
            return model.map_linears(&mut |name, _| Ok(packed.remove(name))).map(Some);
        };
        let samples = samples.ok_or_else(|| AccelError::Uncalibrated { method: fitted.method(), samples: wanted })?;
        if samples.count() < wanted {
            return Err(AccelError::TooFew { method: fitted.method(), samples: wanted, found: samples.count() });
        }
        let mut current = model.clone();
        for stage in calibrate::stages(&taken) {
            let layers: Vec<&Named> = stage.into_iter().map(|index| &taken[index]).collect();
            let names: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
            let seen = calibrate::watch(&current, &names, samples, wanted).await?;
            let mut packed = pack(fitted.as_ref(), &layers, &seen).await?;
            current = current.map_linears(&mut |name, _| Ok::<_, AccelError>(packed.remove(name)))?;
        }
        Ok(Some(current))
    }

    /// What this does to `model`.
    ///
    /// # Errors
    /// As [`Self::quantize`].
    pub fn describe(&self, model: &Vlm) -> Result<Description, AccelError> {
        let quantized = match &self.quantizer {
            None => None,
            Some(quantizer) => {
                let (fitted, taken) = settle(quantizer.as_ref(), model)?;
                Some(QuantizedModules { method: fitted.method(), scope: quantizer.scope().to_owned(), linears: shapes(&taken) })
            }
        };
        let reducer = self.reducer.as_ref().map(|reducer| reducer.name());
        let parts: Vec<&str> = quantized.iter().map(|quantized| quantized.method.as_str()).chain(reducer.as_deref()).collect();
        let spec = if parts.is_empty() { "none".to_owned() } else { parts.join("+") };
        Ok(Description { spec, quantized, reducer })
    }
}

/// `layers` packed, by name.
async fn pack<'a>(
    fitted: &dyn Fitted,
    layers: &[&'a Named],
    seen: &HashMap<String, Arc<Gram>>,
) -> Result<HashMap<&'a str, PackedLinear>, AccelError> {
    let mut packed = HashMap::with_capacity(layers.len());
    // On the host there are copies of no more layers at once than there are threads to pack them.
    for layers in layers.chunks(rayon::current_num_threads().max(1)) {
        let mut weights = Vec::with_capacity(layers.len());
        for (name, dense) in layers {
            let weight = dense.to_host().await.map_err(|error| AccelError::Read { linear: name.clone(), problem: error.to_string() })?;
            weights.push((name, weight));
        }
        let of = |(name, weight): &(&'a String, HostMatrix)| fitted.pack(name, weight, seen.get(*name).map(AsRef::as_ref));
        let linears: Vec<_> = weights.par_iter().map(of).collect();
        for ((name, _), linear) in layers.iter().zip(linears) {
            packed.insert(name.as_str(), linear?);
        }
    }
    Ok(packed)
}

/// A linear layer by its canonical name.
type Named = (String, Dense);

/// The quantizer fitted to `model`, and the layers it takes.
fn settle(quantizer: &dyn Quantizer, model: &Vlm) -> Result<(Box<dyn Fitted>, Vec<Named>), AccelError> {
    let mut taken: Vec<Named> = Vec::new();
    model.map_linears(&mut |name, dense| {
        if quantizer.takes(name) {
            taken.push((name.to_owned(), dense.clone()));
        }
        Ok::<_, AccelError>(None)
    })?;
    let (fitted, _) = settle_on(quantizer, shapes(&taken))?;
    Ok((fitted, taken))
}

/// The quantizer fitted to a model with these linear layers, and those that it takes.
pub(crate) fn settle_on(
    quantizer: &dyn Quantizer,
    mut linears: Vec<LinearShape>,
) -> Result<(Box<dyn Fitted>, Vec<LinearShape>), AccelError> {
    linears.retain(|linear| quantizer.takes(&linear.name));
    if linears.is_empty() {
        return Err(AccelError::NothingToQuantize { method: quantizer.name(), scope: quantizer.scope() });
    }
    Ok((quantizer.fit(&linears)?, linears))
}

fn shapes(taken: &[Named]) -> Vec<LinearShape> {
    taken.iter().map(|(name, dense)| LinearShape { name: name.clone(), out: dense.output(), input: dense.input() }).collect()
}

impl Description {
    /// The quantizer as settled, if the weights change. On one model, accelerations that agree in this have the same weights.
    pub fn weights(&self) -> Option<&str> {
        self.quantized.as_ref().map(|quantized| quantized.method.as_str())
    }
}

impl fmt::Display for Description {
    /// One line, e.g. `w4:rtn,g=64: 28 linear layers: the decoder's projections (not ..)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)?;
        match &self.quantized {
            Some(QuantizedModules { linears, scope, .. }) => write!(f, ": {} linear layers: {scope}", linears.len()),
            None => Ok(()),
        }
    }
}
