//! From a checkpoint onto a device, one tensor at a time; or only a look at what would be loaded.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use steady_kernels::Bf16Weight;

use super::{Linear, Norm, ShardedRows};
use crate::files::{Stored, Values, WeightFormat, Weights};
use crate::{Precision, VlmError};

/// Takes tensors out of a checkpoint by canonical name and puts them on a device in one precision. At most one tensor is
/// on the host at a time.
///
/// A survey takes the same tensors in the same way without reading them: what it makes has the right names and nothing in it. So the
/// code that loads a model is also the one that says what loading takes.
#[derive(Debug)]
pub struct Loader<'a> {
    weights: Weights,
    format: Arc<dyn WeightFormat>,
    device: &'a Device,
    precision: Precision,
    /// Largest buffer that may be bound at once, in bytes.
    max_binding: usize,
    survey: Option<Survey>,
}

/// What a model is made of, by the headers of its files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The linear layers.
    pub(crate) linears: Vec<LinearSize>,
    /// Rows and widths of the tables.
    pub(crate) tables: Vec<[usize; 2]>,
    /// Elements beside linear layers' weights and tables that are held in the element type of activations.
    pub(crate) elements: u64,
    /// Elements of layer norms, which are held in `f32`.
    pub(crate) norms: u64,
    /// Elements of the largest tensor.
    pub(crate) largest: u64,
    /// Bytes of all tensors in the files.
    pub(crate) stored: u64,
    /// The precision that most of them are in.
    pub(crate) published: Precision,
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
    /// Bytes on the device, if the checkpoint holds it packed.
    pub packed: Option<u64>,
    /// Bytes of its weight in the checkpoint's files.
    pub stored: u64,
}

impl LinearSize {
    pub(crate) fn elements(&self) -> u64 {
        self.out as u64 * self.input as u64
    }
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        mut weights: Weights,
        format: Arc<dyn WeightFormat>,
        device: &'a Device,
        precision: Precision,
        max_binding: usize,
    ) -> Self {
        weights.keep_as(precision);
        Self { weights, format, device, precision, max_binding, survey: None }
    }

    /// One that reads headers alone. `device` is where its empty tensors are.
    pub(crate) fn survey(weights: Weights, format: Arc<dyn WeightFormat>, device: &'a Device) -> Self {
        Self {
            survey: Some(Survey { stored: weights.stored_bytes(), published: weights.published(), ..Survey::default() }),
            ..Self::new(weights, format, device, Precision::F32, usize::MAX)
        }
    }

    /// Checks that every tensor of the files was taken or skipped.
    pub(crate) fn finish(self) -> Result<(), VlmError> {
        self.weights.finish()
    }

    /// What a survey saw.
    pub(crate) fn surveyed(self) -> Survey {
        self.survey.unwrap_or_default()
    }

    /// Where the model is put.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// The element type of activations.
    pub fn dtype(&self) -> DType {
        self.precision.dtype()
    }

    fn upload<const D: usize>(&self, data: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(data, shape), (self.device, self.dtype()))
    }

    /// Stands for a tensor in a survey.
    fn nothing<const D: usize>(&self) -> Tensor<D> {
        self.upload(vec![0.0], [1; D])
    }

    /// The values of a tensor; `None` in a survey, which counts them with `count`.
    fn take(&mut self, name: &str, shape: &[usize], count: impl FnOnce(&mut Survey, u64)) -> Result<Option<Values>, VlmError> {
        let Some(survey) = &mut self.survey else { return self.weights.values(name, shape).map(Some) };
        self.weights.skip(name, shape)?;
        let elements = shape.iter().map(|&size| size as u64).product();
        survey.largest = survey.largest.max(elements);
        count(survey, elements);
        Ok(None)
    }

    fn counted<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        count: impl FnOnce(&mut Survey, u64),
    ) -> Result<Tensor<D>, VlmError> {
        let taken = self.take(name, &shape, count)?;
        Ok(taken.map_or_else(|| self.nothing(), |values| self.upload(values.into_f32(), shape)))
    }

    /// A tensor as stored.
    ///
    /// # Errors
    /// When it is missing, of another shape, or holds what is no number.
    pub fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, VlmError> {
        self.counted(name, shape, |survey, elements| survey.elements += elements)
    }

    /// Marks a tensor as known but not needed: its shape is checked, its values are not read.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub fn skip(&mut self, name: &str, shape: &[usize]) -> Result<(), VlmError> {
        self.weights.skip(name, shape)
    }

    /// The linear layer `name` with a weight `[out, in]`, as the checkpoint's format holds it, and, with `bias`, `{name}.bias`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn linear(&mut self, name: &str, [input, output]: [usize; 2], bias: bool) -> Result<Linear, VlmError> {
        self.linear_of_shape(name, &[output, input], bias)
    }

    /// As [`Self::linear`] for a weight stored as `[out, ..]` whose trailing dimensions together are the inputs (a
    /// convolution over non-overlapping patches).
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn linear_of_shape(&mut self, name: &str, shape: &[usize], bias: bool) -> Result<Linear, VlmError> {
        let (output, input) = (shape[0], shape[1..].iter().product());
        let format = Arc::clone(&self.format);
        if let Some(survey) = &mut self.survey {
            let packed = format.survey(&mut self.weights, name, shape)?;
            let stored = packed.or_else(|| self.weights.stored_bytes_of(&format!("{name}.weight"))).unwrap_or_default();
            let linear = LinearSize { name: name.to_owned(), out: output, input, packed, stored };
            survey.largest = survey.largest.max(linear.elements());
            survey.linears.push(linear);
            let linear = Linear::dense(name, self.nothing());
            return self.biased(linear, output, bias);
        }
        let linear = match format.take(&mut self.weights, name, shape, self.device)? {
            Stored::Dense(Values::F32(values)) => Linear::dense(name, self.upload(transposed(&values, output, input), [input, output])),
            Stored::Dense(Values::Bf16(values)) => {
                let weight = Bf16Weight::new(&values, [output, input], self.device);
                Linear::bf16(name, weight.map_err(|error| VlmError::Invalid { what: name.to_owned(), problem: error.to_string() })?)
            }
            Stored::Packed(packed) => Linear::packed(name, *packed),
        };
        self.biased(linear, output, bias)
    }

    fn biased(&mut self, linear: Linear, output: usize, bias: bool) -> Result<Linear, VlmError> {
        if !bias {
            return Ok(linear);
        }
        let name = format!("{}.bias", linear.name());
        Ok(linear.with_bias(self.tensor(&name, [output])?))
    }

    /// The layer norm `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn layer_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<Norm, VlmError> {
        let mut part = |part: &str| self.counted(&format!("{name}.{part}"), [width], |survey, elements| survey.norms += elements);
        Ok(Norm::layer(name, part("weight")?, part("bias")?, epsilon))
    }

    /// The RMS norm `{name}.weight`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn rms_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<Norm, VlmError> {
        Ok(Norm::rms(name, self.tensor(&format!("{name}.weight"), [width])?, epsilon))
    }

    /// A `[rows, width]` table, split by rows so that no part exceeds the device's binding limit.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn rows(&mut self, name: &str, shape: [usize; 2]) -> Result<ShardedRows, VlmError> {
        let table = self.take(name, &shape, |survey, _| survey.tables.push(shape))?;
        let (values, shape) = table.map_or((Values::F32(vec![0.0]), [1, 1]), |values| (values, shape));
        ShardedRows::new(values, shape, self.max_binding, self.device, self.precision)
    }
}

/// `[rows, cols]` to `[cols, rows]`, in blocks that stay in cache on both sides.
fn transposed(data: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; data.len()];
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..cols).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for col in left..cols.min(left + BLOCK) {
                    out[col * rows + row] = data[row * cols + col];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::transposed;
    use proptest::prelude::*;

    #[test]
    fn transposes_a_small_matrix() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 2, 3), [1., 4., 2., 5., 3., 6.]);
    }

    proptest! {
        #[test]
        fn twice_is_the_identity_across_block_edges(rows in 1usize..70, cols in 1usize..70) {
            let data: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
            prop_assert_eq!(transposed(&transposed(&data, rows, cols), cols, rows), data);
        }
    }
}
