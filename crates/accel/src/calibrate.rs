//! What a model's layers see while it reads prompts: what methods that calibrate go by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use steady_kernels::PackedLinear;
use steady_vlm::{Decoding, Dense, Matrix, Observer, Prepared, Vlm};

use crate::AccelError;
use crate::acceleration::HEAD;
use crate::dot::dot;
use crate::quantize::{DECODER, LinearShape};
use crate::role::{Role, block};

/// Prompts to calibrate with. They are made one by one, so that a set may be larger than memory.
pub trait Samples {
    /// How many there are.
    fn count(&self) -> usize;

    /// The one at `index`, as the model reads it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn sample(&self, index: usize) -> Result<Prepared, AccelError>;

    /// Where layers are kept that were packed with them, if they are.
    fn kept(&self) -> Option<&dyn KeptLayers> {
        None
    }
}

/// Packed layers of earlier times: calibrating takes minutes, and reading what came of it seconds.
pub trait KeptLayers {
    /// Under what to look for what `method`, as settled, makes of the first `count` of `samples`; `None` where nothing can be kept.
    ///
    /// # Errors
    /// When a sample cannot be made.
    fn key(&self, method: &str, samples: &dyn Samples, count: usize) -> Result<Option<String>, AccelError>;

    /// What is kept of `method` under `key`, if it is there, whole, and holds layers of these shapes.
    fn find(&self, key: &str, method: &str, layers: &[LinearShape]) -> Option<HashMap<String, PackedLinear>>;

    /// Keeps what `method` made, under `key`, by the names of the layers.
    fn keep(&self, key: &str, method: &str, packed: &BTreeMap<String, PackedLinear>);
}

/// What went into a layer, added up over all rows `X [rows, in]`.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Width of the inputs.
    pub input: usize,
    /// Rows that were seen.
    pub rows: usize,
    /// `X^T X`: `in × in` sums, row-major. None where magnitudes are enough.
    pub sums: Vec<f64>,
    /// Of each input its magnitudes, added up.
    pub magnitudes: Vec<f64>,
    /// Of each input the largest magnitude.
    pub largest: Vec<f32>,
}

impl Inputs {
    /// Of nothing yet.
    pub fn new(input: usize) -> Self {
        Self { sums: vec![0.0; input * input], ..Self::magnitudes(input) }
    }

    /// Of nothing yet, without products.
    pub fn magnitudes(input: usize) -> Self {
        Self { input, rows: 0, sums: Vec::new(), magnitudes: vec![0.0; input], largest: vec![0.0; input] }
    }

    /// Of a layer that no prompt passes: as if each input came by itself once, so that all weigh alike.
    fn unseen(empty: Self) -> Self {
        let (input, mut sums) = (empty.input, empty.sums);
        sums.iter_mut().step_by(input + 1).for_each(|sum| *sum = 1.0);
        Self { input, rows: 0, sums, magnitudes: vec![1.0; input], largest: vec![1.0; input] }
    }

    /// Adds `x [rows, in]`, row-major. Products are summed up in `f32` over one call, and in `f64` over calls.
    pub fn add(&mut self, x: &[f32]) {
        let input = self.input;
        let rows = x.len() / input;
        self.rows += rows;
        // Columns become neighbours, so that a sum is a dot product of two slices.
        let mut columns = vec![0.0; x.len()];
        for (row, values) in x.chunks_exact(input).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                columns[column * rows + row] = value;
                self.magnitudes[column] += f64::from(value.abs());
                self.largest[column] = self.largest[column].max(value.abs());
            }
        }
        if self.sums.is_empty() {
            return;
        }
        let column = |at: usize| &columns[at * rows..(at + 1) * rows];
        self.sums.par_chunks_mut(input).enumerate().for_each(|(i, sums)| {
            for (j, sum) in sums[..=i].iter_mut().enumerate() {
                *sum += f64::from(dot(column(i), column(j)));
            }
        });
        for i in 0..input {
            for j in 0..i {
                self.sums[j * input + i] = self.sums[i * input + j];
            }
        }
    }

    /// The squares of the products of `row`, which stands for the inputs from `first` on, with all rows that were seen, added up.
    pub fn squared(&self, row: &[f32], first: usize) -> f64 {
        let of = |(at, &weight): (usize, &f32)| {
            let sums = &self.sums[(first + at) * self.input + first..][..row.len()];
            f64::from(weight) * sums.iter().zip(row).map(|(sum, &other)| sum * f64::from(other)).sum::<f64>()
        };
        row.iter().enumerate().map(of).sum()
    }

    /// Those of a layer whose inputs are divided by `factors`, one each.
    #[must_use]
    pub fn divided_by(&self, factors: &[f32]) -> Self {
        let wide: Vec<f64> = factors.iter().map(|&factor| f64::from(factor)).collect();
        let row = |(sums, own): (&[f64], &f64)| sums.iter().zip(&wide).map(|(sum, factor)| sum / (own * factor)).collect::<Vec<_>>();
        Self {
            sums: self.sums.chunks(self.input.max(1)).zip(&wide).flat_map(row).collect(),
            magnitudes: self.magnitudes.iter().zip(&wide).map(|(sum, factor)| sum / factor).collect(),
            largest: self.largest.iter().zip(factors).map(|(largest, factor)| largest / factor).collect(),
            ..*self
        }
    }
}

/// The layers `taken`, in the order in which a prompt passes them, in stages: what is packed in one stage is in place when the next is watched.
/// Within a block those are queries, keys and values; what takes the attention; the way into the MLP; the way out (`true_sequential` of AutoGPTQ).
pub(crate) fn stages(taken: &[(String, Dense)]) -> Vec<Vec<usize>> {
    let mut stages: Vec<((&str, Role), Vec<usize>)> = Vec::new();
    for (index, (name, _)) in taken.iter().enumerate() {
        let of = (block(name), Role::of(name));
        match stages.iter_mut().find(|(other, _)| *other == of) {
            Some((_, layers)) => layers.push(index),
            None => stages.push((of, vec![index])),
        }
    }
    stages.into_iter().map(|(_, layers)| layers).collect()
}

/// Keeps what goes into some layers until it is taken.
#[derive(Debug)]
struct Watcher {
    names: HashSet<String>,
    seen: Mutex<Vec<(String, Matrix)>>,
}

impl Observer for Watcher {
    fn inputs(&self, linear: &str, x: &Matrix) {
        if self.names.contains(linear) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((linear.to_owned(), x.clone()));
        }
    }
}

/// A model that reads prompts while some of its layers are watched.
pub(crate) struct Watch<'a> {
    watcher: Arc<Watcher>,
    model: Vlm,
    samples: &'a dyn Samples,
    /// No layer behind the projector is watched, so prompts are looked at and not read.
    looks: bool,
}

impl<'a> Watch<'a> {
    /// Of the layers `names` of `model`.
    pub(crate) fn new(model: &Vlm, names: &[&str], samples: &'a dyn Samples) -> Self {
        let watcher = Arc::new(Watcher { names: names.iter().map(|&name| name.to_owned()).collect(), seen: Mutex::default() });
        let observer: Arc<dyn Observer> = watcher.clone();
        let looks = names.iter().all(|name| in_encoder(name));
        Self { watcher, model: model.observed(&observer), samples, looks }
    }

    /// The prompt at `index`, and what went into the layers, by name and in order, while it was read.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub(crate) async fn read(&self, index: usize) -> Result<(Prepared, Vec<(String, Matrix)>), AccelError> {
        // Only the prompt is of interest.
        let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
        let prepared = self.samples.sample(index)?;
        if self.looks {
            Box::pin(self.model.encode(&prepared.pixels)).await.map(drop)
        } else {
            Box::pin(self.model.ask(&prepared, None, &options)).await.map(drop)
        }
        .map_err(|error| failed(error.to_string()))?;
        let seen = std::mem::take(&mut *self.watcher.seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((prepared, seen))
    }
}

/// Whether the layer called `linear` is part of tower or projector.
pub(crate) fn in_encoder(linear: &str) -> bool {
    !linear.starts_with(DECODER) && linear != HEAD
}

/// Why calibration came to nothing.
pub(crate) fn failed(problem: impl Into<String>) -> AccelError {
    AccelError::Calibration { problem: problem.into() }
}

/// What `layers` of `model`, by name with their width, see while it reads the first `count` of `samples`, begun as `empty` has it. Layers that see the same share it.
/// Where features leave a tower below its last layers, those see nothing, and have [no rows](Inputs::rows).
///
/// # Errors
/// When a sample cannot be made or read, or a layer saw a number that is not finite, or nothing.
#[tracing::instrument(skip_all, name = "calibrate", fields(layers = layers.len(), prompts = count))]
pub(crate) async fn watch(
    model: &Vlm,
    layers: &[(&str, usize)],
    samples: &dyn Samples,
    count: usize,
    empty: fn(usize) -> Inputs,
) -> Result<HashMap<String, Arc<Inputs>>, AccelError> {
    let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
    let watch = Watch::new(model, &names, samples);
    let mut all: Vec<Inputs> = Vec::new();
    let mut of_layer: HashMap<String, usize> = HashMap::new();
    for index in 0..count {
        let (_, seen) = watch.read(index).await?;
        let mut before: Option<(usize, Vec<f32>)> = None;
        for (name, x) in seen {
            let values = x.read().await.map_err(|error| failed(error.to_string()))?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(failed(format!("{name} is given numbers that are not finite by prompt {index}")));
            }
            // Neighbours that are given the same, as queries, keys and values are.
            let shared = before.as_ref().filter(|(_, other)| *other == values).map(|(at, _)| *at);
            let at = *of_layer.entry(name).or_insert_with(|| {
                shared.unwrap_or_else(|| {
                    all.push(empty(x.dims()[1]));
                    all.len() - 1
                })
            });
            if shared != Some(at) {
                all[at].add(&values);
            }
            before = Some((at, values));
        }
    }
    let all: Vec<Arc<Inputs>> = all.into_iter().map(Arc::new).collect();
    let mut seen: HashMap<String, Arc<Inputs>> = of_layer.into_iter().map(|(name, at)| (name, Arc::clone(&all[at]))).collect();
    for &(name, width) in layers {
        if seen.contains_key(name) {
            continue;
        }
        if !in_encoder(name) {
            return Err(failed(format!("{name} was given nothing by {count} prompts")));
        }
        seen.insert(name.to_owned(), Arc::new(Inputs::unseen(empty(width))));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_added_up() {
        let mut seen = Inputs::new(3);
        seen.add(&[1.0, 2.0, 3.0, -1.0, 0.5, 0.0]);
        seen.add(&[0.0, 0.0, 2.0]);
        let divided = seen.divided_by(&[1.0, 0.5, 2.0]);
        assert_eq!((seen.rows, seen.sums), (3, vec![2.0, 1.5, 3.0, 1.5, 4.25, 6.0, 3.0, 6.0, 13.0]));
        assert_eq!((seen.magnitudes, seen.largest), (vec![2.0, 2.5, 5.0], vec![1.0, 2.0, 3.0]));
        assert_eq!((divided.rows, divided.sums), (3, vec![2.0, 3.0, 1.5, 3.0, 17.0, 6.0, 1.5, 6.0, 3.25]));
        assert_eq!((divided.magnitudes, divided.largest), (vec![2.0, 5.0, 2.5], vec![1.0, 4.0, 1.5]));
    }
}
