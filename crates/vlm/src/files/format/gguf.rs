//! Layers in ggml's blocks, from llama.cpp's files.

use steady_kernels::GroupedWeight;

use super::{LayerTensors, Stored, WeightFormat};
use crate::VlmError;
use crate::files::Values;

/// Layers of llama.cpp's files. Those that turn pairs of neighbouring numbers where transformers turns halves have rows in another order.
#[derive(Debug)]
pub(crate) struct Gguf {
    /// Heads of queries and of keys, where rows are in another order.
    pub(crate) heads: Option<[usize; 2]>,
}

impl Gguf {
    /// Which row of the file is row `out` of `outs`, by the layer's name: rows of a head are its first half and its second, one by one
    /// (`LlamaModel.permute` in `convert_hf_to_gguf.py`).
    pub(crate) fn rows(&self, name: &str, outs: usize) -> Option<impl Fn(usize) -> usize + use<>> {
        let [queries, keys] = self.heads?;
        let (_, part) = name.strip_prefix("language_model.layers.")?.rsplit_once('.')?;
        let heads = match part {
            "q_proj" => queries,
            "k_proj" => keys,
            _ => return None,
        };
        let wide = outs.checked_div(heads).filter(|wide| *wide > 1)?;
        Some(move |out| {
            let (head, at) = (out / wide, out % wide);
            head * wide + 2 * (at % (wide / 2)) + at / (wide / 2)
        })
    }
}

impl WeightFormat for Gguf {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        let rows = self.rows(tensors.name(), shape.first().copied().unwrap_or_default());
        let Some(kind) = tensors.blocks("weight") else {
            let input = shape[1..].iter().product();
            return Ok(match (tensors.dense(shape)?, rows) {
                (Stored::Dense(values), Some(rows)) => Stored::Dense(Values::F32(reordered(values.into_f32(), input, Some(&rows)))),
                (stored, _) => stored,
            });
        };
        let [out, input] = tensors.matrix("weight", shape)?;
        let bytes = tensors.raw("weight", shape)?;
        tensors.packed(GroupedWeight::bytes_of([out, input], kind.group(), kind.book(), kind.constants()), || {
            let row = input / kind.weights() * kind.bytes();
            tensors.grouped("weight", &kind.codes(&reordered(bytes, row, rows.as_ref()), [out, input]))
        })
    }
}

/// Rows of `width`, of which row `at` is row `from(at)`.
fn reordered<T: Copy>(rows: Vec<T>, width: usize, from: Option<&impl Fn(usize) -> usize>) -> Vec<T> {
    let Some(from) = from else { return rows };
    (0..rows.len() / width.max(1)).flat_map(|at| &rows[from(at) * width..][..width]).copied().collect()
}
