//! What a model's layers see while it reads prompts: what methods that calibrate go by.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use steady_vlm::{Decoding, Dense, Matrix, Observer, Prepared, Vlm};

use crate::AccelError;

/// Prompts to calibrate with. They are made one by one, so that a set may be larger than memory.
pub trait Samples {
    /// How many there are.
    fn count(&self) -> usize;

    /// The one at `index`, as the model reads it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn sample(&self, index: usize) -> Result<Prepared, AccelError>;
}

/// The inputs of a layer, added up: `X^T X` over all rows `X [rows, in]` that went into it.
#[derive(Clone, Debug)]
pub struct Gram {
    /// Width of the inputs.
    pub input: usize,
    /// Rows that were seen.
    pub rows: usize,
    /// `in × in` sums, row-major.
    pub sums: Vec<f64>,
}

impl Gram {
    /// Of nothing yet.
    pub fn new(input: usize) -> Self {
        Self { input, rows: 0, sums: vec![0.0; input * input] }
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
            }
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
}

/// In eight running sums, which compilers turn into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The layers `taken`, in the order in which a prompt passes them, in stages: what is packed in one stage is in place when the next is watched.
/// Within a decoder layer those are queries, keys and values; the output projection; gate and up; down (`true_sequential` of AutoGPTQ).
pub(crate) fn stages(taken: &[(String, Dense)]) -> Vec<Vec<usize>> {
    let stage = |name: &str| {
        let (layer, part) = name.rsplit_once('.').unwrap_or(("", name));
        let layer = layer.trim_end_matches(".self_attn").trim_end_matches(".mlp").to_owned();
        let rank = match part {
            "o_proj" => 1,
            "gate_proj" | "up_proj" => 2,
            "down_proj" => 3,
            _ => 0,
        };
        (layer, rank)
    };
    let mut stages: Vec<((String, usize), Vec<usize>)> = Vec::new();
    for (index, (name, _)) in taken.iter().enumerate() {
        let of = stage(name);
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

/// What the layers `names` of `model` see while it reads the first `count` of `samples`. Layers that see the same share it.
///
/// # Errors
/// When a sample cannot be made or read, or a layer saw a number that is not finite, or nothing.
pub(crate) async fn watch(
    model: &Vlm,
    names: &[&str],
    samples: &dyn Samples,
    count: usize,
) -> Result<HashMap<String, Arc<Gram>>, AccelError> {
    let watcher = Arc::new(Watcher { names: names.iter().map(|&name| name.to_owned()).collect(), seen: Mutex::default() });
    let observer: Arc<dyn Observer> = watcher.clone();
    let watched = model.observed(&observer);
    let failed = |problem: String| AccelError::Calibration { problem };
    // Only the prompt is of interest.
    let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let mut grams: Vec<Gram> = Vec::new();
    let mut of_layer: HashMap<String, usize> = HashMap::new();
    for index in 0..count {
        let prepared = samples.sample(index)?;
        Box::pin(watched.ask(&prepared, None, &options)).await.map_err(|error| failed(error.to_string()))?;
        let seen = std::mem::take(&mut *watcher.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut before: Option<(usize, Vec<f32>)> = None;
        for (name, x) in seen {
            let values = x.read().await.map_err(|error| failed(error.to_string()))?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(failed(format!("{name} is given numbers that are not finite by prompt {index}")));
            }
            // Neighbours that are given the same, as queries, keys and values are.
            let shared = before.as_ref().filter(|(_, other)| *other == values).map(|(gram, _)| *gram);
            let gram = *of_layer.entry(name).or_insert_with(|| {
                shared.unwrap_or_else(|| {
                    grams.push(Gram::new(x.dims()[1]));
                    grams.len() - 1
                })
            });
            if shared != Some(gram) {
                grams[gram].add(&values);
            }
            before = Some((gram, values));
        }
    }
    let grams: Vec<Arc<Gram>> = grams.into_iter().map(Arc::new).collect();
    match names.iter().find(|&&name| !of_layer.contains_key(name)) {
        Some(name) => Err(failed(format!("{name} was given nothing by {count} prompts"))),
        None => Ok(of_layer.into_iter().map(|(name, gram)| (name, Arc::clone(&grams[gram]))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_added_up() {
        let mut gram = Gram::new(3);
        gram.add(&[1.0, 2.0, 3.0, -1.0, 0.5, 0.0]);
        gram.add(&[0.0, 0.0, 2.0]);
        assert_eq!((gram.rows, gram.sums), (3, vec![2.0, 1.5, 3.0, 1.5, 4.25, 6.0, 3.0, 6.0, 13.0]));
    }

    #[test]
    fn a_dot_product_has_all_its_terms() {
        for length in [0, 1, 7, 8, 9, 31] {
            let values: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let expected: i32 = (0..length).map(|at| at * at).sum();
            assert_eq!(dot(&values, &values).to_bits(), (expected as f32).to_bits());
        }
    }
}
