//! The tensors of one linear layer, read or only looked at.

use half::f16;
use safetensors::Dtype;
use steady_kernels::{GroupedCodes, GroupedWeight, PackError, PackedLinear, Shift};

use super::Stored;
use crate::VlmError;
use crate::files::gguf::BlockKind;
use crate::files::{Values, Weights};

/// The tensors of one linear layer in a checkpoint. A format asks for each by the part that its name ends in, once, whether the layer is
/// loaded or only surveyed: a survey checks what headers tell, marks the tensors as used, and gives nothing to read.
#[derive(Debug)]
pub struct LayerTensors<'a> {
    weights: &'a mut Weights,
    name: &'a str,
    survey: bool,
    /// Bytes in the file of what was asked for.
    stored: u64,
}

impl<'a> LayerTensors<'a> {
    pub(crate) fn new(weights: &'a mut Weights, name: &'a str, survey: bool) -> Self {
        Self { weights, name, survey, stored: 0 }
    }

    /// The layer's canonical name, without `.weight`.
    pub fn name(&self) -> &str {
        self.name
    }

    fn tensor(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// The tensor's name, which counts as asked for.
    fn claimed(&mut self, part: &str) -> String {
        let name = self.tensor(part);
        self.stored += self.weights.stored_bytes_of(&name).unwrap_or_default();
        name
    }

    /// Bytes in the file of what was asked for.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// Whether the layer has such a tensor.
    pub fn has(&self, part: &str) -> bool {
        self.weights.contains(&self.tensor(part))
    }

    /// The shape of a tensor in the file.
    pub fn shape(&self, part: &str) -> Option<&[usize]> {
        self.weights.shape(&self.tensor(part))
    }

    /// The element type of a tensor in the file.
    pub fn dtype(&self, part: &str) -> Option<Dtype> {
        self.weights.dtype(&self.tensor(part))
    }

    /// An error about a tensor of the layer, which names it as its file does.
    pub fn error(&self, part: &str, problem: impl Into<String>) -> VlmError {
        self.weights.error(&self.tensor(part), problem)
    }

    /// The sizes of a matrix; packed convolutions are not read.
    ///
    /// # Errors
    /// When `shape` has not two of them.
    pub fn matrix(&self, part: &str, shape: &[usize]) -> Result<[usize; 2], VlmError> {
        shape.try_into().map_err(|_| self.error(part, format!("is packed, which is read of matrices; this one has the shape {shape:?}")))
    }

    /// Floats; nothing in a survey.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn floats(&mut self, part: &str, shape: &[usize]) -> Result<Vec<f32>, VlmError> {
        let name = self.claimed(part);
        if self.survey {
            return self.weights.skip(&name, shape).map(|()| Vec::new());
        }
        Ok(self.weights.take(&name, shape)?.data)
    }

    /// 32-bit words; nothing in a survey.
    ///
    /// # Errors
    /// As [`Weights::take_words`].
    pub fn words(&mut self, part: &str, shape: &[usize]) -> Result<Vec<u32>, VlmError> {
        let name = self.claimed(part);
        if self.survey {
            return self.weights.skip(&name, shape).map(|()| Vec::new());
        }
        self.weights.take_words(&name, shape)
    }

    /// Bytes of a tensor of this type; nothing in a survey.
    ///
    /// # Errors
    /// When it is missing, has another shape or another type.
    pub fn bytes(&mut self, part: &str, dtype: Dtype, shape: &[usize]) -> Result<Vec<u8>, VlmError> {
        match self.dtype(part) {
            Some(found) if found != dtype => Err(self.error(part, format!("expected element type {dtype:?}, found {found:?}"))),
            _ => self.raw(part, shape),
        }
    }

    /// The kind of ggml's blocks that a tensor is stored in, if it is.
    pub(crate) fn blocks(&self, part: &str) -> Option<BlockKind> {
        self.weights.blocks(&self.tensor(part))
    }

    /// Bytes of a tensor as they are; nothing in a survey.
    ///
    /// # Errors
    /// When it is missing, or has another shape.
    pub(crate) fn raw(&mut self, part: &str, shape: &[usize]) -> Result<Vec<u8>, VlmError> {
        let name = self.claimed(part);
        self.weights.skip(&name, shape)?;
        if self.survey { Ok(Vec::new()) } else { Ok(self.weights.take_raw(&name)?.bytes) }
    }

    /// Whole numbers of a small tensor, of 32 or 64 bits; a survey reads them, too.
    ///
    /// # Errors
    /// When it is missing, or holds something else.
    pub fn numbers(&mut self, part: &str) -> Result<Vec<i64>, VlmError> {
        let name = self.claimed(part);
        let raw = self.weights.take_raw(&name)?;
        let size = match raw.dtype {
            Dtype::I64 => 8,
            Dtype::I32 => 4,
            other => return Err(self.error(part, format!("expected I64 or I32, found {other:?}"))),
        };
        let number = |bytes: &[u8]| match *bytes {
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
            _ => bytes.try_into().map_or(0, i64::from_le_bytes),
        };
        Ok(raw.bytes.chunks_exact(size).map(number).collect())
    }

    /// Bytes of a small tensor as they are; a survey reads them, too.
    ///
    /// # Errors
    /// When it is missing, or of another type.
    pub fn text(&mut self, part: &str) -> Result<Vec<u8>, VlmError> {
        let name = self.claimed(part);
        let raw = self.weights.take_raw(&name)?;
        if raw.dtype != Dtype::U8 {
            return Err(self.error(part, format!("expected element type U8, found {:?}", raw.dtype)));
        }
        Ok(raw.bytes)
    }

    /// Marks a tensor that says nothing, if it is there and all zeros, and says whether that is so.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pass_over_zeros(&mut self, part: &str, shape: &[usize]) -> Result<bool, VlmError> {
        let name = self.tensor(part);
        if self.weights.shape(&name) != Some(shape) || !self.weights.peek_zeros(&name)? {
            return Ok(false);
        }
        self.weights.skip(&name, shape).map(|()| true)
    }

    /// The layer as `{name}.weight` in floats.
    ///
    /// # Errors
    /// As [`Weights::values`].
    pub fn dense(&mut self, shape: &[usize]) -> Result<Stored, VlmError> {
        let name = self.claimed("weight");
        if self.survey {
            return self.weights.skip(&name, shape).map(|()| Stored::Surveyed(None));
        }
        self.weights.values(&name, shape).map(Stored::Dense)
    }

    /// The layer as `layer` packs it, which takes so many bytes; a survey does not ask it to.
    ///
    /// # Errors
    /// What `layer` gives.
    pub fn packed(&self, bytes: usize, layer: impl FnOnce() -> Result<PackedLinear, VlmError>) -> Result<Stored, VlmError> {
        if self.survey {
            return Ok(Stored::Surveyed(Some(bytes as u64)));
        }
        layer().map(Box::new).map(Stored::Packed)
    }

    /// The layer in floats, though it is stored packed: what a form on the device cannot hold. Whatever numbers these are, the model keeps them in
    /// its precision.
    ///
    /// # Errors
    /// When they are not as many as the layer has.
    pub fn unpacked(&self, values: impl FnOnce() -> Values) -> Result<Stored, VlmError> {
        Ok(if self.survey { Stored::Surveyed(None) } else { Stored::Dense(values()) })
    }

    /// `codes` packed; scales and zero points, where they are kept as f16, must be numbers of it. Scales are those of the tensor `part`.
    ///
    /// # Errors
    /// When something would be lost, or the codes do not fit the layout.
    pub fn grouped(&self, part: &str, codes: &GroupedCodes) -> Result<PackedLinear, VlmError> {
        #[expect(clippy::float_cmp, reason = "whether anything is lost at all")]
        let lost = |scale: &&f32| f16::from_f32(**scale).to_f32() != **scale;
        if let Some(scale) = codes.scales.iter().find(lost).filter(|_| matches!(codes.shift, Shift::Zeros(_))) {
            return Err(self.error(part, format!("scale {scale} is not exactly a number in f16, as which it is kept here")));
        }
        GroupedWeight::new(codes).map(PackedLinear::from).map_err(|error| self.misfit(part, &error))
    }

    /// What the packed form says about numbers of the tensor `part`.
    pub fn misfit(&self, part: &str, error: &PackError) -> VlmError {
        self.error(part, error.to_string())
    }
}
