//! How well packed layers stand in for those in float: what they make of inputs that calibration did not see.

use std::collections::HashMap;

use rayon::prelude::*;
use steady_vlm::{Dense, Vlm};

use crate::apply::on_host;
use crate::calibrate::watch;
use crate::{AccelError, Inputs, Samples};

/// What became of one layer's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Its canonical name.
    pub linear: String,
    /// `|| X (W - Ŵ)^T ||² / || X W^T ||²` over all inputs `X` that the layer is given in float: the error that GPTQ and AWQ set out to make small
    /// (arXiv 2210.17323, 2306.00978), as a share of the outputs.
    pub error: f64,
}

/// Of each layer of `packed`, which was made of `model`: how far its outputs are from those in float, for what it is given while `model` reads `samples`.
/// Rounding of activations is not in it, nor are layers of a tower that nothing is taken from.
///
/// # Errors
/// [`AccelError`] when a sample cannot be read, or a layer is given nothing or numbers that are not finite.
pub async fn reconstruction(model: &Vlm, packed: &Vlm, samples: &dyn Samples) -> Result<Vec<Reconstruction>, AccelError> {
    let packed = packed.packed_linears();
    let layers: Vec<(&str, usize)> = packed.iter().map(|(name, linear)| (name.as_str(), linear.shape()[1])).collect();
    let seen = watch(model, &layers, samples, samples.count(), Inputs::new).await?;
    let mut dense: HashMap<String, Dense> = HashMap::new();
    model.map_linears(&mut |name, layer| {
        dense.insert(name.to_owned(), layer.clone());
        Ok::<_, AccelError>(None)
    })?;
    let mut layers = Vec::with_capacity(packed.len());
    for (name, linear) in packed {
        let Some(dense) = dense.remove(&name).filter(|_| seen[&name].rows > 0) else { continue };
        let named = (name, dense);
        let Some(weight) = on_host(&[&named]).await?.pop() else { continue };
        let (inputs, values) = (&seen[&named.0], linear.values());
        let rows = weight.data.par_chunks(weight.cols).zip(values.par_chunks(weight.cols));
        let (off, all) = rows
            .map(|(row, packed)| {
                let difference: Vec<f32> = row.iter().zip(packed).map(|(exact, found)| exact - found).collect();
                (inputs.squared(&difference, 0), inputs.squared(row, 0))
            })
            .reduce(|| (0.0, 0.0), |(off, all), (more_off, more)| (off + more_off, all + more));
        layers.push(Reconstruction { linear: named.0, error: if all > 0.0 { off / all } else { 0.0 } });
    }
    Ok(layers)
}
