//! `pack-quantized`: integer weights of 2 to 8 bits in words (W4A16, W8A16; `compressors/pack_quantized`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `weight_packed` | i32 | `[out, in·bits/32]`, inputs one behind the other, also across words |
//! | `weight_scale` | f16, bf16 or f32 | `[out, in/group]` |
//! | `weight_zero_point` | i32 | `[out·bits/32, in/group]`, outputs likewise; where quantization is not symmetric |
//! | `weight_shape` | i64 or i32 | `[2]`: out, in |
//! | `weight_g_idx` | i32 | `[in]`, the group of each input; where inputs were ordered by their activations (`actorder: group`) |
//!
//! Codes and zero points are stored half their range above what they are, so `ŵ = (code - zero)·scale` as they are stored, and the zero point of
//! a symmetric file is the middle.

use safetensors::Dtype;

use crate::VlmError;
use crate::files::format::integers::{Integers, Read};
use crate::files::format::{LayerTensors, Stored, WeightFormat};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PackQuantized {
    pub(super) integers: Integers,
    pub(super) symmetric: bool,
    /// Inputs were ordered by their activations, and groups are not neighbours.
    pub(super) ordered: bool,
}

impl WeightFormat for PackQuantized {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !tensors.has("weight_packed") {
            return tensors.dense(shape);
        }
        let grouped = self.integers.of(tensors, "weight_packed", shape)?;
        let (out, input, groups) = (grouped.out, grouped.input, grouped.groups());
        let words = grouped.words(input);
        let codes = tensors.words("weight_packed", &[out, words])?;
        let halves = tensors.dtype("weight_scale") == Some(Dtype::F16);
        let scales = tensors.floats("weight_scale", &[out, groups])?;
        let zeros = if self.symmetric { None } else { Some(tensors.words("weight_zero_point", &[grouped.words(out), groups])?) };
        let told = tensors.numbers("weight_shape")?;
        if told.iter().map(|&size| usize::try_from(size).ok()).ne([Some(out), Some(input)]) {
            return Err(tensors.error("weight_shape", format!("says {told:?}, expected [{out}, {input}]")));
        }
        let listed = tensors.has("weight_g_idx");
        if self.ordered && !listed && groups > 1 {
            let problem = "is missing: the configuration says that inputs were ordered by their activations (actorder: group), and only this \
                           tensor says which group each of them belongs to";
            return Err(tensors.error("weight_g_idx", problem));
        }
        let order = if listed { grouped.order(tensors, "weight_g_idx")? } else { None };
        let zero =
            zeros.map(|zeros| move |output: usize, group: usize| f32::from(grouped.code(output, |word| zeros[word * groups + group])));
        let read = Read {
            code: |output, input| grouped.code(input, |word| codes[output * words + word]),
            scale: |output, group| scales[output * groups + group],
            zero,
            scales: "weight_scale",
            halves,
        };
        grouped.stored(tensors, order.as_ref(), &read)
    }
}
