//! An acceleration meets a model.

use std::cmp::Reverse;
#[cfg(not(target_family = "wasm"))]
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use steady_kernels::PackedLinear;
use steady_methods::{Linears, MethodKind};
use steady_vlm::{Dense, Device, HostMatrix, Vlm, VlmError};

use crate::acceleration::HEAD;
use crate::{AccelError, Acceleration, Calibration, Fitted, Inputs, LinearShape, Quantizer, Samples, calibrate, factors};

/// What an acceleration does to one model, with everything settled that its spec leaves to the model. For plans and reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The spec as settled: `auto` values replaced by what they came to.
    pub spec: String,
    /// What happens to the weights.
    pub quantized: Option<QuantizedModules>,
    /// What keys and values are rounded to.
    #[serde(default)]
    pub cache: Option<String>,
    /// The token reducer.
    pub reducer: Option<String>,
}

/// The linear layers that are packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedModules {
    /// The method as settled, e.g. `w4:rtn,g=64,float=down_proj`. On one model, equal texts mean equal weights.
    pub method: String,
    /// The method as settled, without what is put back into float: equal texts mean that layers are packed alike.
    pub codes: String,
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

    /// Prompts that the quantizer calibrates with, or a reducer is searched for with; 0 where neither is.
    ///
    /// # Errors
    /// [`AccelError`] when the quantizer does not fit the model.
    pub fn calibrates_with(&self, model: &Vlm) -> Result<usize, AccelError> {
        let searched = self.searches_with();
        let Some((settled, _)) = self.settle(model)? else { return Ok(searched) };
        Ok(settled.fitted.calibration().samples().max(searched))
    }

    /// As [`Self::quantize`], with prompts for a quantizer that calibrates: it sees what goes into a layer when all layers before it are packed.
    ///
    /// # Errors
    /// [`AccelError`] when the quantizer does not fit the model, when there are too few prompts, or when what the layers see is of no use.
    pub async fn quantize_seeing(&self, model: &Vlm, samples: Option<&dyn Samples>) -> Result<Option<Vlm>, AccelError> {
        let packed = self.pack_all(model, samples).await?;
        let changes = packed.is_some() || self.cache.is_some();
        Ok(changes.then(|| self.finished(packed.as_ref().unwrap_or(model), model)))
    }

    /// As [`Self::quantize_seeing`], with the layers packed too that are to stay in float: accelerations with the same
    /// [codes](Description::codes) share it, and [`Self::finished`] makes of it what each is.
    ///
    /// # Errors
    /// As [`Self::quantize_seeing`].
    pub async fn pack_all(&self, model: &Vlm, samples: Option<&dyn Samples>) -> Result<Option<Vlm>, AccelError> {
        let Some((Settled { fitted, codes: method, .. }, taken)) = self.settle(model)? else { return Ok(None) };
        let model = &self.with_head(model);
        let (calibration, fitted) = (fitted.calibration(), fitted.as_ref());
        let wanted = calibration.samples();
        if wanted == 0 {
            let all: Vec<&Named> = taken.iter().collect();
            let mut packed = pack(fitted, &all, &HashMap::new(), &HashMap::new()).await?;
            return model.map_linears(&mut |name, _| Ok(packed.remove(name))).map(Some);
        }
        let samples = samples.ok_or_else(|| AccelError::Uncalibrated { method: fitted.method(), samples: wanted })?;
        if samples.count() < wanted {
            return Err(AccelError::TooFew { method: fitted.method(), samples: wanted, found: samples.count() });
        }
        #[cfg(not(target_family = "wasm"))]
        let kept = match samples.kept() {
            Some(folder) => folder.key(&method, samples, wanted)?.map(|key| (folder, key)),
            None => None,
        };
        #[cfg(target_family = "wasm")]
        drop(method);
        #[cfg(not(target_family = "wasm"))]
        if let Some(mut packed) = kept.as_ref().and_then(|(folder, key)| folder.find(key, &method, &taken)) {
            return model.map_linears(&mut |name, _| Ok(packed.remove(name))).map(Some);
        }
        #[cfg(not(target_family = "wasm"))]
        let mut made = BTreeMap::new();
        let mut current = model.clone();
        for stages in rounds(calibration, &taken) {
            let layers: Vec<&Named> = stages.iter().flatten().map(|&index| &taken[index]).collect();
            let names: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
            let (watched, empty): (_, fn(usize) -> Inputs) = match calibration {
                Calibration::Nothing | Calibration::Inputs { .. } => (&current, Inputs::new),
                Calibration::InFloat { .. } => (model, Inputs::new),
                Calibration::Magnitudes { .. } => (model, Inputs::magnitudes),
            };
            let seen = calibrate::watch(watched, &names, samples, wanted, empty).await?;
            let stages: Vec<Vec<&Named>> = stages.iter().map(|stage| stage.iter().map(|&index| &taken[index]).collect()).collect();
            let factors = factors::choose(fitted, model, &stages, &seen, samples).await?;
            let mut packed = pack(fitted, &layers, &seen, &factors).await?;
            #[cfg(not(target_family = "wasm"))]
            if kept.is_some() {
                made.extend(packed.iter().map(|(name, packed)| ((*name).to_owned(), packed.clone())));
            }
            current = current.map_linears(&mut |name, _| Ok::<_, AccelError>(packed.remove(name)))?;
        }
        #[cfg(not(target_family = "wasm"))]
        if let Some((folder, key)) = kept {
            folder.keep(&key, &method, &made);
        }
        Ok(Some(current))
    }

    /// What [`Self::pack_all`] made of `model`, or `model` where it packs nothing: with the layers that stay in float as they are there, and with
    /// keys and values rounded if they are to be.
    #[must_use]
    pub fn finished(&self, packed: &Vlm, model: &Vlm) -> Vlm {
        let in_float = || packed.with_linears_of(&self.with_head(model), &|name| self.float.hold(name));
        let model = if self.float.is_empty() { packed.clone() } else { in_float() };
        self.cache.map_or_else(|| model.clone(), |bits| model.with_cache_bits(bits))
    }

    /// What this does to `model`.
    ///
    /// # Errors
    /// As [`Self::quantize`].
    pub fn describe(&self, model: &Vlm) -> Result<Description, AccelError> {
        let quantized = self.settle(model)?.map(|(settled, _)| QuantizedModules {
            method: settled.method,
            codes: settled.codes,
            scope: settled.scope,
            linears: settled.packed,
        });
        let reducer = self.reducer.as_ref().map(|reducer| reducer.name());
        let cache = self.spec.part(MethodKind::Cache).map(ToString::to_string);
        let parts = quantized.iter().map(|quantized| quantized.method.as_str()).chain(cache.as_deref()).chain(reducer.as_deref());
        let parts: Vec<&str> = parts.collect();
        let spec = if parts.is_empty() { "none".to_owned() } else { parts.join("+") };
        Ok(Description { spec, quantized, cache, reducer })
    }
}

/// The [stages](calibrate::stages) that are watched at once.
fn rounds(calibration: Calibration, taken: &[Named]) -> Vec<Vec<Vec<usize>>> {
    let stages = calibrate::stages(taken);
    let alike = |a: &[usize], b: &[usize]| match calibration {
        Calibration::Nothing | Calibration::Inputs { .. } => false,
        // Products of all inputs of a decoder layer are as many as are held at once.
        Calibration::InFloat { .. } => calibrate::block(&taken[a[0]].0) == calibrate::block(&taken[b[0]].0),
        Calibration::Magnitudes { .. } => true,
    };
    stages.chunk_by(|a, b| alike(a, b)).map(<[_]>::to_vec).collect()
}

/// `layers` packed, by name.
async fn pack<'a>(
    fitted: &dyn Fitted,
    layers: &[&'a Named],
    seen: &HashMap<String, Arc<Inputs>>,
    factors: &HashMap<String, Arc<Vec<f32>>>,
) -> Result<HashMap<&'a str, PackedLinear>, AccelError> {
    let mut packed = HashMap::with_capacity(layers.len());
    // Layers that are as large take as long.
    let mut layers = layers.to_vec();
    layers.sort_by_key(|(_, dense)| Reverse(dense.output() * dense.input()));
    // On the host there are copies of no more layers at once than there are threads to pack them.
    for layers in layers.chunks(rayon::current_num_threads().max(1)) {
        let on_cpu = layers.iter().all(|(_, dense)| dense.device() == Device::Cpu);
        let read = if on_cpu { Vec::new() } else { on_host(layers).await? };
        let of = |(at, (name, dense)): (usize, &&Named)| {
            let (seen, factors) = (seen.get(name).map(AsRef::as_ref), factors.get(name).map(|factors| factors.as_slice()));
            // What is on the CPU is read by the thread that packs it.
            match (read.get(at), dense.on_cpu()) {
                (Some(weight), _) => factors::packed(fitted, name, weight, seen, factors),
                (None, Some(weight)) => factors::packed(fitted, name, &weight.map_err(|error| unread(name, &error))?, seen, factors),
                (None, None) => Err(AccelError::Read { linear: name.clone(), problem: "it is on no device".to_owned() }),
            }
        };
        let linears: Vec<_> = layers.par_iter().enumerate().map(of).collect();
        for ((name, _), linear) in layers.iter().zip(linears) {
            packed.insert(name.as_str(), linear?);
        }
    }
    Ok(packed)
}

/// The weights of `layers` on the host.
pub(crate) async fn on_host(layers: &[&Named]) -> Result<Vec<HostMatrix>, AccelError> {
    let mut weights = Vec::with_capacity(layers.len());
    for (name, dense) in layers {
        weights.push(dense.to_host().await.map_err(|error| unread(name, &error))?);
    }
    Ok(weights)
}

fn unread(linear: &str, error: &VlmError) -> AccelError {
    AccelError::Read { linear: linear.to_owned(), problem: error.to_string() }
}

/// A linear layer by its canonical name.
pub(crate) type Named = (String, Dense);

/// What a quantizer comes to on a model's linear layers.
pub(crate) struct Settled {
    pub(crate) fitted: Box<dyn Fitted>,
    /// The canonical text, with what stays in float.
    pub(crate) method: String,
    /// The same without what stays in float.
    pub(crate) codes: String,
    scope: String,
    /// Layers that are packed and stay so.
    pub(crate) packed: Vec<LinearShape>,
    /// Layers that are packed and put back into float.
    pub(crate) float: Vec<LinearShape>,
}

impl Acceleration {
    /// `model`, with a head that can be packed if it is to be.
    fn with_head(&self, model: &Vlm) -> Vlm {
        if self.wider.head { model.with_linear_head() } else { model.clone() }
    }

    /// Whether the linear layer of this canonical name is packed: the head only where somebody asks for it.
    fn packs(&self, quantizer: &dyn Quantizer, linear: &str) -> bool {
        self.wider.takes(linear) || (linear != HEAD && quantizer.takes(linear))
    }

    /// The quantizer fitted to `model`, and the layers it takes; `None` when there is no quantizer.
    fn settle(&self, model: &Vlm) -> Result<Option<(Settled, Vec<Named>)>, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(None) };
        let mut taken: Vec<Named> = Vec::new();
        self.with_head(model).map_linears(&mut |name, dense| {
            if self.packs(quantizer.as_ref(), name) {
                taken.push((name.to_owned(), dense.clone()));
            }
            Ok::<_, AccelError>(None)
        })?;
        let shape = |(name, dense): &Named| LinearShape { name: name.clone(), out: dense.output(), input: dense.input() };
        Ok(self.settle_on(taken.iter().map(shape).collect())?.map(|settled| (settled, taken)))
    }

    /// The quantizer fitted to a model with these linear layers; `None` when there is no quantizer.
    pub(crate) fn settle_on(&self, mut linears: Vec<LinearShape>) -> Result<Option<Settled>, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(None) };
        linears.retain(|linear| self.packs(quantizer.as_ref(), &linear.name));
        let scope = quantizer.scope();
        let Some(first) = linears.first() else { return Err(AccelError::NothingToQuantize { method: quantizer.name(), scope }) };
        let fitted = quantizer.fit(&linears)?;
        let (codes, example) = (self.wider.spelt(&fitted.method()), first.name.clone());
        let mut method = codes.clone();
        if let Some(part) = self.float.parts().find(|part| !linears.iter().any(|linear| Linears::meets(part, &linear.name))) {
            return Err(AccelError::NoSuchLinear { method, part: part.to_owned(), example });
        }
        let (float, packed): (Vec<_>, Vec<_>) = linears.into_iter().partition(|linear| self.float.hold(&linear.name));
        if packed.is_empty() {
            return Err(AccelError::AllFloat { method, float: self.float.to_string() });
        }
        if !float.is_empty() {
            let separator = if method.contains(':') { ',' } else { ':' };
            method = format!("{method}{separator}float={}", self.float);
        }
        Ok(Some(Settled { fitted, method, codes, scope: self.wider.scope(scope), packed, float }))
    }
}

impl Description {
    /// The quantizer as settled, if the weights change. On one model, accelerations that agree in this have the same weights.
    pub fn weights(&self) -> Option<&str> {
        self.quantized.as_ref().map(|quantized| quantized.method.as_str())
    }

    /// The form of the model that answers, if it is another than the model itself: accelerations that agree in this ask the same one.
    pub fn form(&self) -> Option<String> {
        let parts: Vec<&str> = self.weights().into_iter().chain(self.cache.as_deref()).collect();
        (!parts.is_empty()).then(|| parts.join("+"))
    }

    /// The quantizer as settled, if the weights change, whatever is put back into float: accelerations that agree in this pack layers alike.
    pub fn codes(&self) -> Option<&str> {
        self.quantized.as_ref().map(|quantized| quantized.codes.as_str())
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
