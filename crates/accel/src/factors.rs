//! What inputs of layers are divided by before they are rounded: which of some factors is taken, and how a layer is packed with them.
//!
//! AWQ and SmoothQuant multiply the columns of weights with factors, and divide what goes into them by the same. Published files fold the division
//! into what comes before: a norm, or the rows of another layer. Here it stays with the layer, so that each can be put back into float by itself,
//! and the norm still feeds those that are not packed. Both are the same numbers but for their rounding.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use steady_kernels::PackedLinear;
use steady_vlm::{HostMatrix, Vlm};

use crate::apply::{Named, on_host};
use crate::calibrate::{Watch, failed, in_encoder};
use crate::{AccelError, Fitted, Inputs, Samples, Together};

/// `weight [out, in]` packed, its inputs divided by `factors` if there are any.
///
/// # Errors
/// As [`Fitted::pack`].
pub(crate) fn packed(
    fitted: &dyn Fitted,
    linear: &str,
    weight: &HostMatrix,
    seen: Option<&Inputs>,
    factors: Option<&[f32]>,
) -> Result<PackedLinear, AccelError> {
    let Some(factors) = factors else { return fitted.pack(linear, weight, seen) };
    let data = weight.iter_rows().flat_map(|row| row.iter().zip(factors).map(|(value, factor)| value * factor)).collect();
    let scaled = HostMatrix::new(weight.rows, weight.cols, data);
    let seen = seen.map(|seen| seen.divided_by(factors));
    let packed = fitted.pack(linear, &scaled, seen.as_ref())?;
    packed.dividing_by(factors).map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })
}

/// The factors of each layer of `stages` that has some, by name. A stage is layers of the float model `model` that are given the same, which the
/// prompts `samples` showed to be `seen`.
///
/// # Errors
/// When the device fails, or a layer cannot be packed.
pub(crate) async fn choose(
    fitted: &dyn Fitted,
    model: &Vlm,
    stages: &[Vec<&Named>],
    seen: &HashMap<String, Arc<Inputs>>,
    samples: &dyn Samples,
) -> Result<HashMap<String, Arc<Vec<f32>>>, AccelError> {
    let feeds = model.norm_feeds();
    let (mut chosen, mut trials) = (HashMap::new(), Vec::new());
    for stage in stages {
        let names: Vec<&str> = stage.iter().map(|(name, _)| name.as_str()).collect();
        // Of the last one: in the decoder's last layer queries are those of one token.
        let Some(inputs) = names.last().and_then(|name| seen.get(*name)) else { continue };
        let weights = on_host(stage).await?;
        let candidates = fitted.factors(&Together { names: names.clone(), weights: &weights, seen: inputs });
        let best = match candidates.as_slice() {
            [] => continue,
            [_] => 0,
            _ if weights.len() == 1 || in_encoder(names[0]) => {
                let mut errors = vec![0.0; candidates.len()];
                for (name, weight) in names.iter().zip(&weights) {
                    for (sum, error) in errors.iter_mut().zip(errors_of_one(fitted, name, weight, inputs, &candidates)?) {
                        *sum += error;
                    }
                }
                first_least(&errors)
            }
            _ => {
                let feed = feeds.iter().find(|feed| feed.linears.iter().map(String::as_str).eq(names.iter().copied()));
                let norm =
                    feed.ok_or_else(|| failed(format!("{} and its neighbours read from no norm of their own", names[0])))?.norm.clone();
                trials.push(Trial::new(fitted, model, names, &weights, norm, candidates)?);
                continue;
            }
        };
        let factors = Arc::new(candidates.into_iter().nth(best).unwrap_or_default());
        chosen.extend(names.iter().map(|&name| (name.to_owned(), Arc::clone(&factors))));
    }
    if !trials.is_empty() {
        // The last of a stage sees all tokens.
        let watched: Vec<&str> = trials.iter().map(Trial::watched).collect();
        let watch = Watch::new(model, &watched, samples);
        for index in 0..fitted.calibration().samples() {
            let (prompt, seen) = watch.read(index).await?;
            for (name, x) in seen {
                if let Some(trial) = trials.iter_mut().find(|trial| trial.watched() == name) {
                    trial.add(model, &x, &prompt).await?;
                }
            }
        }
    }
    for Trial { names, candidates, errors, .. } in trials {
        let factors = Arc::new(candidates.into_iter().nth(first_least(&errors)).unwrap_or_default());
        chosen.extend(names.iter().map(|&name| (name.to_owned(), Arc::clone(&factors))));
    }
    Ok(chosen)
}

/// Layers that read from a norm, packed with each of several factors; which are best shows behind the attention or the MLP that they are part of.
struct Trial<'a> {
    names: Vec<&'a str>,
    norm: String,
    candidates: Vec<Vec<f32>>,
    forms: Vec<Vlm>,
    /// Squared differences, added up.
    errors: Vec<f64>,
}

impl<'a> Trial<'a> {
    fn new(
        fitted: &dyn Fitted,
        model: &Vlm,
        names: Vec<&'a str>,
        weights: &[HostMatrix],
        norm: String,
        candidates: Vec<Vec<f32>>,
    ) -> Result<Self, AccelError> {
        let form = |factors: &Vec<f32>| {
            let mut forms = HashMap::with_capacity(names.len());
            for (&name, weight) in names.iter().zip(weights) {
                forms.insert(name, packed(fitted, name, weight, None, Some(factors))?);
            }
            Ok(forms)
        };
        let packed: Vec<_> = candidates.par_iter().map(form).collect::<Result<_, AccelError>>()?;
        let forms = packed.into_iter().map(|mut linears| model.map_linears(&mut |name, _| Ok(linears.remove(name))));
        let forms = forms.collect::<Result<Vec<_>, AccelError>>()?;
        let errors = vec![0.0; forms.len()];
        Ok(Self { names, norm, candidates, forms, errors })
    }

    fn watched(&self) -> &str {
        self.names.last().copied().unwrap_or_default()
    }

    async fn add(&mut self, model: &Vlm, x: &steady_vlm::Matrix, prompt: &steady_vlm::Prepared) -> Result<(), AccelError> {
        let behind = async |model: &Vlm| {
            let y = model.behind_norm(&self.norm, x, prompt).map_err(|error| failed(error.to_string()))?;
            y.read().await.map_err(|error| failed(error.to_string()))
        };
        let expected = behind(model).await?;
        for (form, error) in self.forms.iter().zip(&mut self.errors) {
            let found = behind(form).await?;
            *error += found.iter().zip(&expected).map(|(found, expected)| f64::from(found - expected).powi(2)).sum::<f64>();
        }
        Ok(())
    }
}

/// Squared differences of what a layer by itself makes of its inputs, packed with each of `candidates`: `sum of d H d^T` over the rows `d` of the
/// difference of the weights.
pub(crate) fn errors_of_one(
    fitted: &dyn Fitted,
    name: &str,
    weight: &HostMatrix,
    seen: &Inputs,
    candidates: &[Vec<f32>],
) -> Result<Vec<f64>, AccelError> {
    let error = |factors: &Vec<f32>| {
        let rounded = packed(fitted, name, weight, None, Some(factors))?;
        let rounded = rounded.values();
        let row = |(row, rounded): (&[f32], &[f32])| seen.squared(&row.iter().zip(rounded).map(|(a, b)| a - b).collect::<Vec<_>>(), 0);
        Ok(weight.iter_rows().zip(rounded.chunks_exact(weight.cols.max(1))).map(row).sum())
    };
    candidates.par_iter().map(error).collect()
}

/// The first of the least.
pub(crate) fn first_least(errors: &[f64]) -> usize {
    let mut best = 0;
    for (at, error) in errors.iter().enumerate() {
        if *error < errors[best] {
            best = at;
        }
    }
    best
}
