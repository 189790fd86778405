//! One packed matrix, whichever its layout.

use burn::tensor::{Device, Tensor, TensorData};

use crate::codebook::to_e4m3;
use crate::matrix::indices;
use crate::{GroupedWeight, Int8Weight, PackError};

/// A weight matrix `W [out, in]` packed, on the host; `y = x Wᵀ` is computed from the packed form. Onto a device goes
/// [`Weight::packed`](crate::Weight::packed).
#[derive(Clone, Debug)]
pub struct PackedLinear {
    form: Form,
    intake: Intake,
}

#[derive(Clone, Debug)]
enum Form {
    Grouped(GroupedWeight),
    Int8(Int8Weight),
}

/// What becomes of activations before they are multiplied.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Intake {
    AsTheyAre,
    /// Columns of `W` are packed in another order: the first is input `order[0]`.
    Ordered(Vec<u32>),
    /// Each row is rounded to FP8.
    E4m3,
}

/// What FP8's largest number is, and what a row's scale is not below: activations are rounded as vLLM rounds them
/// (`csrc/quantization/w8a8/fp8/common.cu`, dynamic scales per token).
const E4M3_MAX: f32 = 448.0;
const SMALLEST_SCALE: f32 = 1.0 / (448.0 * 512.0);

impl PackedLinear {
    /// The same weight, whose columns were packed in another order than that of its inputs: the first column is input `order[0]`.
    ///
    /// # Errors
    /// [`PackError::Order`] when `order` is not each input once.
    pub fn ordered(self, order: Vec<u32>) -> Result<Self, PackError> {
        let [_, input] = self.shape();
        let mut seen = vec![false; input];
        for &at in &order {
            match seen.get_mut(at as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(PackError::Order { input }),
            }
        }
        if order.len() != input {
            return Err(PackError::Order { input });
        }
        let in_order = order.iter().enumerate().all(|(at, &from)| at == from as usize);
        Ok(Self { intake: if in_order { Intake::AsTheyAre } else { Intake::Ordered(order) }, ..self })
    }

    /// The same weight, to be multiplied with activations that are rounded to FP8 (E4M3), row by row: each is divided by its scale, the largest
    /// magnitude over 448, and multiplied with it again. That is W8A8 in FP8 with dynamic scales a token, in floats.
    #[must_use]
    pub fn rounding_to_e4m3(self) -> Self {
        Self { intake: Intake::E4m3, ..self }
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`. A bias is the caller's.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = match &self.intake {
            Intake::AsTheyAre => x,
            Intake::Ordered(order) => x.select(1, indices(order.iter().map(|&at| at as i32).collect())),
            Intake::E4m3 => rounded_to_e4m3(x),
        };
        match &self.form {
            Form::Grouped(weight) => weight.forward(x),
            Form::Int8(weight) => weight.forward(x),
        }
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        match &self.form {
            Form::Grouped(weight) => weight.shape(),
            Form::Int8(weight) => weight.shape(),
        }
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        let weight = match &self.form {
            Form::Grouped(weight) => weight.bytes(),
            Form::Int8(weight) => weight.bytes(),
        };
        weight + if let Intake::Ordered(order) = &self.intake { size_of_val(order.as_slice()) } else { 0 }
    }

    /// The matrix the codes stand for, `[out, in]` in f32, in the order of its inputs.
    pub fn dequantize(&self) -> Tensor<2> {
        let weight = match &self.form {
            Form::Grouped(weight) => weight.dequantize(),
            Form::Int8(weight) => weight.dequantize(),
        };
        let Intake::Ordered(order) = &self.intake else { return weight };
        let mut places = vec![0; order.len()];
        for (place, &at) in (0..).zip(order) {
            places[at as usize] = place;
        }
        weight.select(1, indices(places))
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        let weight = match &self.form {
            Form::Grouped(weight) => weight.on_gpu(gpu),
            Form::Int8(weight) => weight.on_gpu(gpu),
        };
        match &self.intake {
            Intake::AsTheyAre => weight,
            Intake::Ordered(order) => weight.ordered(gpu, order),
            Intake::E4m3 => weight.rounding_to_e4m3(gpu),
        }
    }
}

/// Rows of `x` rounded to FP8 and back.
fn rounded_to_e4m3(x: Tensor<2>) -> Tensor<2> {
    let ([rows, width], dtype) = (x.dims(), x.dtype());
    let mut values: Vec<f32> = x.into_data().iter::<f32>().collect();
    for row in values.chunks_exact_mut(width.max(1)) {
        let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = (largest / E4M3_MAX).max(SMALLEST_SCALE);
        for value in row {
            *value = to_e4m3(*value / scale) * scale;
        }
    }
    Tensor::from_data(TensorData::new(values, [rows, width]), (&Device::flex(), dtype))
}

impl From<GroupedWeight> for PackedLinear {
    fn from(weight: GroupedWeight) -> Self {
        Self { form: Form::Grouped(weight), intake: Intake::AsTheyAre }
    }
}

impl From<Int8Weight> for PackedLinear {
    fn from(weight: Int8Weight) -> Self {
        Self { form: Form::Int8(weight), intake: Intake::AsTheyAre }
    }
}
