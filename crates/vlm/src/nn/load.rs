//! From a checkpoint onto a device, one tensor at a time; or only a look at what would be loaded.

use std::sync::Arc;

use half::bf16;
use steady_kernels::{Device, Element, Floats, Matrix, Normalization, Table, Weight};

use super::{Linear, Norm};
use crate::files::{LayerTensors, Stored, Values, WeightFormat, Weights};
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
    survey: Option<Survey>,
}

/// What a model is made of, by the headers of its files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The linear layers.
    pub(crate) linears: Vec<LinearSize>,
    /// Rows and widths of the tables.
    pub(crate) tables: Vec<[usize; 2]>,
    /// The head as a linear layer; one that is the embedding takes no bytes of its own in the files.
    pub(crate) head: Option<LinearSize>,
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
    pub(crate) fn new(mut weights: Weights, format: Arc<dyn WeightFormat>, device: &'a Device, precision: Precision) -> Self {
        weights.keep_as(precision);
        Self { weights, format, device, precision, survey: None }
    }

    /// One that reads headers alone. `device` is where its empty tensors are.
    pub(crate) fn survey(weights: Weights, format: Arc<dyn WeightFormat>, device: &'a Device) -> Self {
        Self {
            survey: Some(Survey { stored: weights.stored_bytes(), published: weights.published(), ..Survey::default() }),
            ..Self::new(weights, format, device, Precision::F32)
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

    /// What dense weights, and on a CPU activations, are kept as.
    pub fn element(&self) -> Element {
        self.precision.element()
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

    /// The values of a tensor in the model's precision; one value in a survey.
    fn counted(&mut self, name: &str, shape: &[usize], count: impl FnOnce(&mut Survey, u64)) -> Result<Vec<f32>, VlmError> {
        let mut values = self.take(name, shape, count)?.map_or_else(|| vec![0.0], Values::into_f32);
        // What is neither a linear layer nor a table is kept as f32 then, and nobody rounds it after this.
        if self.precision == Precision::Bf16 {
            for value in &mut values {
                *value = bf16::from_f32(*value).to_f32();
            }
        }
        Ok(values)
    }

    /// A tensor `[rows, columns]`, or a vector, which becomes one row.
    ///
    /// # Errors
    /// When it is missing, of another shape, or holds what is no number.
    pub fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<Matrix, VlmError> {
        let values = self.counted(name, shape, |survey, elements| survey.elements += elements)?;
        let columns = if self.survey.is_some() { 1 } else { shape.last().copied().unwrap_or(1) };
        let rows = values.len() / columns.max(1);
        Ok(Matrix::kept(values, [rows, columns], self.device, self.element()))
    }

    /// Whether the files leave out every tensor whose name begins so, because no answer depends on it.
    pub fn leaves_out(&self, prefix: &str) -> bool {
        self.weights.leaves_out(prefix)
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
    /// As [`Self::matrix`].
    pub fn linear(&mut self, name: &str, [input, output]: [usize; 2], bias: bool) -> Result<Linear, VlmError> {
        self.linear_of_shape(name, &[output, input], bias)
    }

    /// As [`Self::linear`] for a weight stored as `[out, ..]` whose trailing dimensions together are the inputs (a
    /// convolution over non-overlapping patches).
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn linear_of_shape(&mut self, name: &str, shape: &[usize], bias: bool) -> Result<Linear, VlmError> {
        let (output, input) = (shape[0], shape[1..].iter().product());
        let mut tensors = LayerTensors::new(&mut self.weights, name, self.survey.is_some());
        let layer = self.format.layer(&mut tensors, shape)?;
        let stored = tensors.stored();
        let linear = match layer {
            Stored::Surveyed(packed) => {
                let linear = LinearSize { name: name.to_owned(), out: output, input, packed, stored };
                if let Some(survey) = &mut self.survey {
                    survey.largest = survey.largest.max(linear.elements());
                    survey.linears.push(linear);
                }
                Linear::dense(name, Weight::dense(&[0.0], [1, 1], self.device, self.element()))
            }
            Stored::Dense(values) => {
                let expected = output * input;
                if values.floats().len() != expected {
                    let problem = format!("expected {expected} numbers, found {}", values.floats().len());
                    return Err(VlmError::Invalid { what: name.to_owned(), problem });
                }
                Linear::dense(name, Weight::floats(values.floats(), [output, input], self.device, self.precision.kept()))
            }
            Stored::Packed(packed) => Linear::packed(name, Weight::packed(*packed, self.device)),
        };
        self.biased(linear, output, bias)
    }

    fn biased(&mut self, linear: Linear, output: usize, bias: bool) -> Result<Linear, VlmError> {
        if !bias {
            return Ok(linear);
        }
        let name = format!("{}.bias", linear.name());
        Ok(linear.with_bias(self.matrix(&name, &[output])?))
    }

    /// The layer norm `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn layer_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<Norm, VlmError> {
        let mut part = |part: &str| self.counted(&format!("{name}.{part}"), &[width], |survey, elements| survey.norms += elements);
        let (weight, bias) = (part("weight")?, part("bias")?);
        // What was rounded to the model's element type and what was not would differ otherwise.
        let rounded = |values| rounded(values, self.element());
        Ok(Norm::new(name, Normalization::layer(rounded(weight), rounded(bias), epsilon, self.device)))
    }

    /// The RMS norm `{name}.weight`.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn rms_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<Norm, VlmError> {
        let weight = self.counted(&format!("{name}.weight"), &[width], |survey, elements| survey.elements += elements)?;
        Ok(Norm::new(name, Normalization::rms(weight, epsilon, self.device, self.element())))
    }

    /// The head called `name`, a table of this shape; `None` where it is `tied` to the embedding.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub(crate) fn head(&mut self, name: &str, shape: [usize; 2], tied: bool) -> Result<Option<Table>, VlmError> {
        let weight = format!("{name}.weight");
        let stored = if tied { 0 } else { self.weights.stored_bytes_of(&weight).unwrap_or_default() };
        if let Some(survey) = &mut self.survey {
            let [out, input] = shape;
            survey.head = Some(LinearSize { name: name.to_owned(), out, input, packed: None, stored });
        }
        if tied { Ok(None) } else { self.table(&weight, shape).map(Some) }
    }

    /// A `[rows, width]` table.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn table(&mut self, name: &str, shape: [usize; 2]) -> Result<Table, VlmError> {
        let [rows, width] = shape;
        let spare = self.weights.spare_rows(name, shape);
        match self.take(name, &[rows - spare, width], |survey, _| survey.tables.push(shape))? {
            None => Ok(Table::dense(&[0.0], [1, 1], self.device, self.element())),
            Some(values) if spare == 0 => Ok(Table::floats(values.floats(), shape, self.device, self.precision.kept())),
            Some(values) => {
                let values = filled(values.into_f32(), spare, width);
                Ok(Table::floats(Floats::F32(&values), shape, self.device, self.precision.kept()))
            }
        }
    }
}

/// A table with `spare` rows more, which repeat the first. As a head's they are chosen over nothing: of logits that are equal the first is.
fn filled(mut values: Vec<f32>, spare: usize, width: usize) -> Vec<f32> {
    for _ in 0..spare {
        values.extend_from_within(..width);
    }
    values
}

/// Numbers as `element` holds them.
fn rounded(mut values: Vec<f32>, element: Element) -> Vec<f32> {
    if element == Element::F16 {
        for value in &mut values {
            *value = half::f16::from_f32(*value).to_f32();
        }
    }
    values
}
