//! How much memory a model takes, from the headers of its weight files: known before anything is allocated.

use std::collections::BTreeSet;

use crate::{
    Precision,
    checkpoint::{LlamaConfig, Weights},
    cost,
};

/// Sizes of a checkpoint's weights, and of what it remembers of a prompt.
#[derive(Clone, Debug)]
pub struct Footprint {
    linears: Vec<LinearSize>,
    /// Elements beside the linear layers' weights that are held in the model's element type.
    elements: u64,
    /// Elements of layer norms, which are held in `f32`.
    norms: u64,
    /// Elements of the largest tensor.
    largest: u64,
    text: LlamaConfig,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearSize {
    /// Canonical name without `.weight`.
    pub name: String,
    /// Output features.
    pub out: usize,
    /// Input features.
    pub input: usize,
}

/// Tables of rows that are looked up; they are no linear layers.
const TABLES: [&str; 3] = ["language_model.embed_tokens.weight", "lm_head.weight", "vision_tower.embeddings.position_embedding.weight"];
/// Known, but not needed for features of the tower's layers.
const UNREAD: &str = "vision_tower.post_layernorm.";

impl Footprint {
    pub(crate) fn of(weights: &Weights, text: &LlamaConfig) -> Self {
        let shapes: Vec<(&str, &[usize])> = weights.shapes().filter(|(name, _)| !name.starts_with(UNREAD)).collect();
        let biases: BTreeSet<&str> = shapes.iter().filter_map(|(name, _)| name.strip_suffix(".bias")).collect();
        // A layer norm has a weight of one dimension, as an RMS norm has, and a bias.
        let layer_norms: BTreeSet<&str> = shapes
            .iter()
            .filter(|(_, shape)| shape.len() == 1)
            .filter_map(|(name, _)| name.strip_suffix(".weight"))
            .filter(|name| biases.contains(name))
            .collect();
        let mut footprint = Self { linears: Vec::new(), elements: 0, norms: 0, largest: 0, text: text.clone() };
        for (name, shape) in shapes {
            let elements = shape.iter().map(|&size| size as u64).product();
            footprint.largest = footprint.largest.max(elements);
            let layer = name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias")).unwrap_or(name);
            match (shape, name.strip_suffix(".weight")) {
                ([out, inputs @ ..], Some(layer)) if !inputs.is_empty() && !TABLES.contains(&name) => {
                    footprint.linears.push(LinearSize { name: layer.to_owned(), out: *out, input: inputs.iter().product() });
                }
                _ if layer_norms.contains(layer) => footprint.norms += elements,
                _ => footprint.elements += elements,
            }
        }
        footprint
    }

    /// The linear layers, in no particular order.
    pub fn linears(&self) -> &[LinearSize] {
        &self.linears
    }

    /// Bytes of all weights in this precision, none of them packed: what [`Vlm::weight_bytes`](crate::Vlm::weight_bytes) will be.
    pub fn weight_bytes(&self, precision: Precision) -> u64 {
        let linears: u64 = self.linears.iter().map(LinearSize::elements).sum();
        (linears + self.elements) * element_bytes(precision) + self.norms * size_of::<f32>() as u64
    }

    /// Bytes of the keys and values of `tokens` tokens.
    pub fn cache_bytes(&self, precision: Precision, tokens: usize) -> u64 {
        cost::kv_bytes(&self.text, &vec![tokens; self.text.num_layers], element_bytes(precision) as usize) as u64
    }

    /// Bytes of the largest tensor on its way to the device, as `f32` on the host.
    pub fn passing_bytes(&self) -> u64 {
        self.largest * size_of::<f32>() as u64
    }

    /// The largest single weight that a device must bind at once, and its bytes; tables are split by rows.
    pub fn largest_linear(&self, precision: Precision) -> Option<(&str, u64)> {
        let largest = self.linears.iter().max_by_key(|linear| linear.elements())?;
        Some((&largest.name, largest.elements() * element_bytes(precision)))
    }
}

impl LinearSize {
    fn elements(&self) -> u64 {
        self.out as u64 * self.input as u64
    }
}

fn element_bytes(precision: Precision) -> u64 {
    precision.dtype().size() as u64
}
