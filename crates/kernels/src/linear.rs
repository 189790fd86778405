//! One packed matrix, whichever its layout.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::codebook::to_e4m3;
use crate::matrix::indices;
use crate::{GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, PackError, codes::check_length};

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
#[derive(Clone, Debug, PartialEq)]
pub enum Intake {
    /// Nothing.
    AsTheyAre,
    /// Columns of `W` are packed in another order: the first is input `order[0]`.
    Ordered(Vec<u32>),
    /// Each row is rounded to FP8.
    E4m3,
    /// Each input is multiplied with a number of its own.
    Scaled(Vec<f32>),
}

/// What a packed matrix holds, unpacked.
#[derive(Clone, Debug, PartialEq)]
pub enum Codes {
    /// Codes in groups.
    Grouped(GroupedCodes),
    /// Bytes.
    Int8(Int8Codes),
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

    /// The same weight, whose inputs are divided by `factors` before they are multiplied: what AWQ and SmoothQuant fold into the layer before,
    /// when its columns were multiplied with them.
    ///
    /// # Errors
    /// [`PackError`] when there is not a factor for each input, or one whose inverse is no finite number.
    pub fn dividing_by(self, factors: &[f32]) -> Result<Self, PackError> {
        let [out, input] = self.shape();
        check_length("factors", out, input, input, factors.len())?;
        let inverses: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
        match inverses.iter().position(|inverse| !inverse.is_finite()) {
            Some(at) => Err(PackError::NotFinite { field: "inverse of the factor", value: factors[at], row: at }),
            None => Ok(Self { intake: Intake::Scaled(inverses), ..self }),
        }
    }

    /// What [`Self::codes`] and [`Self::intake`] gave, packed again.
    ///
    /// # Errors
    /// [`PackError`] when they fit no layout, or not each other.
    pub fn of(codes: &Codes, intake: Intake) -> Result<Self, PackError> {
        let plain: Self = match codes {
            Codes::Grouped(codes) => GroupedWeight::new(codes)?.into(),
            Codes::Int8(codes) => Int8Weight::new(codes)?.into(),
        };
        match &intake {
            Intake::AsTheyAre | Intake::E4m3 => {}
            Intake::Ordered(order) => return plain.ordered(order.clone()),
            Intake::Scaled(inverses) => {
                let [out, input] = plain.shape();
                check_length("inverses of factors", out, input, input, inverses.len())?;
                if let Some(at) = inverses.iter().position(|inverse| !inverse.is_finite()) {
                    return Err(PackError::NotFinite { field: "inverse of the factor", value: inverses[at], row: at });
                }
            }
        }
        Ok(Self { intake, ..plain })
    }

    /// What becomes of activations before they are multiplied.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// What inputs are divided by, if they are ([`Self::dividing_by`]).
    pub fn factors(&self) -> Option<Vec<f32>> {
        let Intake::Scaled(inverses) = &self.intake else { return None };
        Some(inverses.iter().map(|inverse| 1.0 / inverse).collect())
    }

    /// The codes, whose columns are in the order in which they were packed.
    pub fn codes(&self) -> Codes {
        match &self.form {
            Form::Grouped(weight) => Codes::Grouped(weight.codes()),
            Form::Int8(weight) => Codes::Int8(weight.codes()),
        }
    }

    /// Whether activations are rounded to FP8 before they are multiplied.
    pub fn rounds_to_e4m3(&self) -> bool {
        self.intake == Intake::E4m3
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`. A bias is the caller's.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let x = match &self.intake {
            Intake::AsTheyAre => x,
            Intake::Ordered(order) => x.select(1, indices(order.iter().map(|&at| at as i32).collect())),
            Intake::E4m3 => rounded_to_e4m3(x),
            // Wide: a norm that such factors are folded into gives its numbers rounded once, and so do these.
            Intake::Scaled(inverses) => x.cast(DType::F32) * one_row(inverses),
        };
        let y = match &self.form {
            Form::Grouped(weight) => weight.forward(x),
            Form::Int8(weight) => weight.forward(x),
        };
        y.cast(dtype)
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
        weight
            + match &self.intake {
                Intake::AsTheyAre | Intake::E4m3 => 0,
                Intake::Ordered(order) => size_of_val(order.as_slice()),
                Intake::Scaled(inverses) => size_of_val(inverses.as_slice()),
            }
    }

    /// The matrix the codes stand for, `[out, in]` in f32, in the order of its inputs and with what these are multiplied with.
    pub fn dequantize(&self) -> Tensor<2> {
        let weight = match &self.form {
            Form::Grouped(weight) => weight.dequantize(),
            Form::Int8(weight) => weight.dequantize(),
        };
        let order = match &self.intake {
            Intake::AsTheyAre | Intake::E4m3 => return weight,
            Intake::Scaled(inverses) => return weight * one_row(inverses),
            Intake::Ordered(order) => order,
        };
        let mut places = vec![0; order.len()];
        for (place, &at) in (0..).zip(order) {
            places[at as usize] = place;
        }
        weight.select(1, indices(places))
    }

    /// The numbers of [`Self::dequantize`], row after row.
    pub fn values(&self) -> Vec<f32> {
        self.dequantize().into_data().iter::<f32>().collect()
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
            Intake::Scaled(inverses) => weight.scaling(gpu, inverses),
        }
    }
}

fn one_row(values: &[f32]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), (&Device::flex(), DType::F32))
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
