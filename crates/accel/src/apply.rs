//! An acceleration meets a model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use steady_kernels::PackedLinear;
use steady_methods::{Group, Linears, MethodKind};
use steady_vlm::{Dense, Device, HostMatrix, Vlm, VlmError};

use crate::acceleration::{EIGHT_BITS, FLOAT, HEAD};
use crate::role::block;
use crate::{AccelError, Acceleration, Calibration, Fitted, Inputs, LinearShape, Quantizer, Rtn, Samples, calibrate, factors};

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
    /// The method as settled, without what is put back into float or 8 bits: equal texts mean that layers are packed alike.
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
        if packed.is_none() && self.cache.is_none() {
            return Ok(None);
        }
        self.finished(packed.as_ref().unwrap_or(model), model).await.map(Some)
    }

    /// As [`Self::quantize_seeing`], with the layers packed too that are to stay in float: accelerations with the same
    /// [codes](Description::codes) share it, and [`Self::finished`] makes of it what each is.
    ///
    /// # Errors
    /// As [`Self::quantize_seeing`].
    #[tracing::instrument(skip_all, name = "pack", fields(spec = %self))]
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
        let kept = match samples.kept() {
            Some(kept) => kept.key(&method, samples, wanted)?.map(|key| (kept, key)),
            None => None,
        };
        let shapes: Vec<LinearShape> = taken.iter().map(shape).collect();
        if let Some(mut packed) = kept.as_ref().and_then(|(kept, key)| kept.find(key, &method, &shapes)) {
            return model.map_linears(&mut |name, _| Ok(packed.remove(name))).map(Some);
        }
        let mut made = BTreeMap::new();
        let mut current = model.clone();
        for stages in rounds(calibration, &taken) {
            let layers: Vec<&Named> = stages.iter().flatten().map(|&index| &taken[index]).collect();
            let shown: Vec<(&str, usize)> = layers.iter().map(|(name, dense)| (name.as_str(), dense.input())).collect();
            let (watched, empty): (_, fn(usize) -> Inputs) = match calibration {
                Calibration::Nothing | Calibration::Inputs { .. } => (&current, Inputs::new),
                Calibration::InFloat { .. } => (model, Inputs::new),
                Calibration::Magnitudes { .. } => (model, Inputs::magnitudes),
            };
            let seen = calibrate::watch(watched, &shown, samples, wanted, empty).await?;
            let stages: Vec<Vec<&Named>> = stages.iter().map(|stage| stage.iter().map(|&index| &taken[index]).collect()).collect();
            let factors = factors::choose(fitted, model, &stages, &seen, samples).await?;
            let mut packed = pack(fitted, &layers, &seen, &factors).await?;
            if kept.is_some() {
                made.extend(packed.iter().map(|(name, packed)| ((*name).to_owned(), packed.clone())));
            }
            current = current.map_linears(&mut |name, _| Ok::<_, AccelError>(packed.remove(name)))?;
        }
        if let Some((kept, key)) = kept {
            kept.keep(&key, &method, &made);
        }
        Ok(Some(current))
    }

    /// What [`Self::pack_all`] made of `model`, or `model` where it packs nothing: with the layers that stay in float as they are there, those in 8 bits
    /// packed so, and with keys and values rounded if they are to be.
    ///
    /// # Errors
    /// When layers that are to be in 8 bits cannot be packed.
    pub async fn finished(&self, packed: &Vlm, model: &Vlm) -> Result<Vlm, AccelError> {
        let mut finished = packed.clone();
        if !(self.float.is_empty() && self.eight.is_empty()) {
            finished = packed.with_linears_of(&self.with_head(model), &|name| self.float.hold(name) || self.eight.hold(name));
        }
        if let Some((Settled { eight: Some(InEight { fitted, linears }), .. }, taken)) = self.settle(model)? {
            let layers: Vec<&Named> = taken.iter().filter(|(name, _)| linears.iter().any(|linear| linear.name == *name)).collect();
            let mut packed = pack(fitted.as_ref(), &layers, &HashMap::new(), &HashMap::new()).await?;
            finished = finished.map_linears(&mut |name, _| Ok::<_, AccelError>(packed.remove(name)))?;
        }
        Ok(match self.cache {
            Some(bits) => finished.with_cache_bits(bits),
            None => finished,
        })
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
            linears: settled.packed.into_iter().chain(settled.eight.into_iter().flat_map(|eight| eight.linears)).collect(),
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
        // Products of all inputs of a block are as many as are held at once.
        Calibration::InFloat { .. } => block(&taken[a[0]].0) == block(&taken[b[0]].0),
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

/// How layers are packed that are to be in 8 bits: as files of all tools hold them.
const EIGHT: Rtn = Rtn { bits: 8, group: Group::Auto, symmetric: true };

fn unread(linear: &str, error: &VlmError) -> AccelError {
    AccelError::Read { linear: linear.to_owned(), problem: error.to_string() }
}

/// A linear layer by its canonical name.
pub(crate) type Named = (String, Dense);

fn shape((name, dense): &Named) -> LinearShape {
    LinearShape { name: name.clone(), out: dense.output(), input: dense.input() }
}

/// What a quantizer comes to on a model's linear layers.
pub(crate) struct Settled {
    pub(crate) fitted: Box<dyn Fitted>,
    /// The canonical text, with what stays in float or is in 8 bits.
    pub(crate) method: String,
    /// The same without these.
    pub(crate) codes: String,
    scope: String,
    /// Layers that are packed and stay so.
    pub(crate) packed: Vec<LinearShape>,
    /// Layers that are packed and put back into float.
    pub(crate) float: Vec<LinearShape>,
    /// Layers that are packed in 8 bits, if there are any.
    pub(crate) eight: Option<InEight>,
}

/// Layers that are packed in 8 bits in the place of fewer.
pub(crate) struct InEight {
    pub(crate) fitted: Box<dyn Fitted>,
    pub(crate) linears: Vec<LinearShape>,
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
        Ok(self.settle_on(taken.iter().map(shape).collect())?.map(|settled| (settled, taken)))
    }

    /// The quantizer fitted to a model with these linear layers; `None` when there is no quantizer.
    pub(crate) fn settle_on(&self, mut linears: Vec<LinearShape>) -> Result<Option<Settled>, AccelError> {
        let Some(quantizer) = &self.quantizer else { return Ok(None) };
        linears.retain(|linear| self.packs(quantizer.as_ref(), &linear.name));
        let scope = quantizer.scope();
        let Some(first) = linears.first() else { return Err(AccelError::NothingToQuantize { method: quantizer.name(), scope }) };
        let fitted = quantizer.fit(&linears)?;
        let codes = self.wider.spelt(&fitted.method());
        let mut method = codes.clone();
        let asked = [(EIGHT_BITS, &self.eight), (FLOAT, &self.float)];
        for (parameter, layers) in asked {
            if let Some(part) = layers.parts().find(|part| !linears.iter().any(|linear| Linears::meets(part, &linear.name))) {
                let (part, example) = (part.to_owned(), first.name.clone());
                return Err(AccelError::NoSuchLinear { method, parameter, part, example });
            }
        }
        let back: Vec<String> =
            asked.iter().filter(|(_, layers)| !layers.is_empty()).map(|(parameter, layers)| format!("{parameter}={layers}")).collect();
        // Rounded in groups that all layers have, so that a layer is the same whichever others are.
        let in_eight = (!self.eight.is_empty()).then(|| EIGHT.fit(&linears)).transpose()?;
        let (float, rest): (Vec<_>, Vec<_>) = linears.into_iter().partition(|linear| self.float.hold(&linear.name));
        let (eight, packed): (Vec<_>, Vec<_>) = rest.into_iter().partition(|linear| self.eight.hold(&linear.name));
        if packed.is_empty() {
            return Err(AccelError::AllBack { method, back: back.join(",") });
        }
        if !back.is_empty() {
            let separator = if method.contains(':') { ',' } else { ':' };
            method = format!("{method}{separator}{}", back.join(","));
        }
        let eight = in_eight.filter(|_| !eight.is_empty()).map(|fitted| InEight { fitted, linears: eight });
        Ok(Some(Settled { fitted, method, codes, scope: self.wider.scope(scope), packed, float, eight }))
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

    /// The quantizer as settled, if the weights change, whatever is put back into float or 8 bits: accelerations that agree in this pack layers alike.
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
