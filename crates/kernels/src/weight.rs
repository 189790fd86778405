//! One weight matrix, whichever way it is held.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor, TensorData};
use half::bf16;
use half::vec::HalfBitsVecExt;

#[cfg(feature = "gpu")]
use crate::matrix::apart;
use crate::matrix::{Matrix, Place, indices};
use crate::{Bf16Weight, Chosen, Device, DeviceError, Element, Floats, Kept, PackError, PackedLinear};
use crate::{choice::TokenPlace, codes::check_length, dense, ops::PackedOps};

/// The weight `W [out, in]` of a linear layer; `y = x Wᵀ`.
#[derive(Clone, Debug)]
pub struct Weight(Form);

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer: a box would cost a look-up and save nothing")]
enum Form {
    /// On the CPU, `[in, out]`: the contraction runs down the columns, which is what gemm packs fastest.
    Dense(Tensor<2>),
    /// On the CPU.
    Bf16(Bf16Weight),
    /// On the CPU.
    Packed(PackedLinear),
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Gpu, steady_gpu::Weight),
}

/// What is added to a product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Added<'a> {
    /// To every row, `[1, out]`.
    pub bias: Option<&'a Matrix>,
    /// Row by row, `[rows, out]`: the states that a layer's output is added to.
    pub residual: Option<&'a Matrix>,
}

impl Weight {
    /// Floats, `out × in` of them in row-major order, kept as `element`.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn dense(values: &[f32], shape: [usize; 2], device: &Device, element: Element) -> Self {
        Self::floats(Floats::F32(values), shape, device, element.kept())
    }

    /// Floats of any type, `out × in` of them in row-major order, kept as `kept`.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn floats(values: Floats<'_>, [out, input]: [usize; 2], device: &Device, kept: Kept) -> Self {
        assert_eq!(values.len(), out * input, "a weight [{out}, {input}] of other numbers");
        match device {
            Device::Cpu => Self(match kept {
                Kept::F32 => Form::Dense(f32_tensor(values.transposed_f32([out, input]), [input, out])),
                Kept::F16 => Form::Dense(f16_tensor(values.transposed_f16_bits([out, input]), [input, out])),
                Kept::Bf16 => Form::Bf16(Bf16Weight::of(values, [out, input])),
            }),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Self(Form::Gpu(gpu.clone(), on_gpu(gpu, values, [out, input], kept))),
        }
    }

    /// As [`Weight::dense`], of numbers that were published as bf16 and stay what they are.
    ///
    /// # Errors
    /// [`PackError::Length`] when there are not `out × in` of them.
    pub fn bf16(values: &[bf16], shape: [usize; 2], device: &Device) -> Result<Self, PackError> {
        check_length("values", shape[0], shape[1], shape[0] * shape[1], values.len())?;
        Ok(Self::floats(Floats::Bf16(values), shape, device, Kept::Bf16))
    }

    /// Packed, put onto `device`.
    pub fn packed(packed: PackedLinear, device: &Device) -> Self {
        match device {
            Device::Cpu => Self(Form::Packed(packed)),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Self(Form::Gpu(gpu.clone(), packed.on_gpu(gpu))),
        }
    }

    /// What is packed, on the CPU.
    pub fn as_packed(&self) -> Option<&PackedLinear> {
        match &self.0 {
            Form::Packed(packed) => Some(packed),
            _ => None,
        }
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        match &self.0 {
            Form::Dense(weight) => {
                let [input, out] = weight.dims();
                [out, input]
            }
            Form::Bf16(weight) => weight.shape(),
            Form::Packed(weight) => weight.shape(),
            #[cfg(feature = "gpu")]
            Form::Gpu(_, weight) => weight.shape(),
        }
    }

    /// Bytes on its device.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Dense(weight) => weight.shape().num_elements() * weight.dtype().size(),
            Form::Bf16(weight) => weight.bytes(),
            Form::Packed(weight) => weight.bytes(),
            #[cfg(feature = "gpu")]
            Form::Gpu(_, weight) => weight.bytes(),
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match &self.0 {
            Form::Dense(_) | Form::Bf16(_) | Form::Packed(_) => Device::Cpu,
            #[cfg(feature = "gpu")]
            Form::Gpu(gpu, _) => Device::Gpu(gpu.clone()),
        }
    }

    /// The matrix on the host, `[out, in]` in row-major order: of packed weights what the codes stand for, on the CPU alone.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn read(&self) -> Result<Vec<f32>, DeviceError> {
        match &self.0 {
            #[cfg(feature = "gpu")]
            Form::Gpu(gpu, weight) => {
                let all: Vec<u32> = (0..weight.shape()[0] as u32).collect();
                Ok(gpu.read(&weight.rows(gpu, &all)).await?)
            }
            _ => self.host().unwrap_or_else(|| Ok(Vec::new())),
        }
    }

    /// As [`Weight::read`] without waiting; `None` where it is on a GPU.
    pub fn host(&self) -> Option<Result<Vec<f32>, DeviceError>> {
        let values = match &self.0 {
            Form::Dense(weight) => Tensor::from_dispatch(<Dispatch as PackedOps>::across(weight.clone().into_dispatch())),
            Form::Bf16(weight) => weight.widen(),
            Form::Packed(weight) => weight.dequantize(),
            #[cfg(feature = "gpu")]
            Form::Gpu(..) => return None,
        };
        Some(values.into_data().try_into_vec().map_err(|error| DeviceError(format!("{error:?}"))))
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, with what is `added`.
    ///
    /// # Panics
    /// When `x` is not `in` wide.
    pub fn product(&self, x: &Matrix, added: Added<'_>) -> Matrix {
        let y = match (&self.0, &x.0) {
            (Form::Dense(weight), Place::Cpu(x)) => dense::product(x.clone(), weight),
            (Form::Bf16(weight), Place::Cpu(x)) => weight.forward(x.clone()),
            (Form::Packed(weight), Place::Cpu(x)) => weight.forward(x.clone()),
            #[cfg(feature = "gpu")]
            (Form::Gpu(gpu, weight), Place::Gpu(_, x)) => {
                let epilogue =
                    steady_gpu::kernels::Epilogue { bias: added.bias.map(Matrix::rows), residual: added.residual.map(Matrix::rows) };
                return Matrix(Place::Gpu(gpu.clone(), steady_gpu::kernels::product(gpu, x, weight, &epilogue)));
            }
            #[cfg(feature = "gpu")]
            _ => apart(),
        };
        let y = if let Some(bias) = added.bias { y + bias.tensor() } else { y };
        if let Some(residual) = added.residual { (residual.tensor() + y).into() } else { y.into() }
    }
}

/// A weight, and what is added to every row of a product with it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[out, in]`
    pub weight: &'a Weight,
    /// `[1, out]`
    pub bias: Option<&'a Matrix>,
}

impl Weight {
    /// Moves weights that are multiplied with the same matrices together, so that [`Weight::products`] takes one launch for all of them: on
    /// a GPU, where they are of one format. Nothing else changes. Whether they were moved.
    pub fn join(weights: &mut [&mut Self]) -> bool {
        #[cfg(not(feature = "gpu"))]
        let _ = weights;
        #[cfg(feature = "gpu")]
        {
            let (mut gpus, mut on_gpu) = (Vec::new(), Vec::new());
            for weight in weights.iter_mut() {
                if let Form::Gpu(gpu, weight) = &mut weight.0 {
                    gpus.push(&*gpu);
                    on_gpu.push(weight);
                }
            }
            if let Some(gpu) = gpus.first() {
                return steady_gpu::kernels::join(gpu, &mut on_gpu);
            }
        }
        false
    }

    /// The products of one `x [rows, in]` with several layers, each `[rows, out]`: the same bits as one by one.
    ///
    /// # Panics
    /// When `x` is not `in` wide.
    pub fn products<const N: usize>(x: &Matrix, layers: [Layer<'_>; N]) -> [Matrix; N] {
        #[cfg(feature = "gpu")]
        if let Place::Gpu(gpu, x) = &x.0 {
            let layers = layers.map(|layer| {
                let Form::Gpu(_, weight) = &layer.weight.0 else { apart() };
                steady_gpu::kernels::Layer { weight, bias: layer.bias.map(Matrix::rows) }
            });
            return steady_gpu::kernels::products(gpu, x, layers).map(|rows| Matrix(Place::Gpu(gpu.clone(), rows)));
        }
        layers.map(|Layer { weight, bias }| weight.product(x, Added { bias, residual: None }))
    }
}

/// A table of rows that are looked up: token embeddings, and the head that shares their shape.
#[derive(Clone, Debug)]
pub struct Table(TableForm);

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer: a box would cost a look-up and save nothing")]
enum TableForm {
    Dense(Tensor<2>),
    Bf16(Bf16Weight),
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Gpu, steady_gpu::Weight),
}

impl Table {
    /// Floats, kept as `element`.
    ///
    /// # Panics
    /// When there are not `rows × width` of them.
    pub fn dense(values: &[f32], shape: [usize; 2], device: &Device, element: Element) -> Self {
        Self::floats(Floats::F32(values), shape, device, element.kept())
    }

    /// Floats of any type, in row-major order, kept as `kept`.
    ///
    /// # Panics
    /// When there are not `rows × width` of them.
    pub fn floats(values: Floats<'_>, shape: [usize; 2], device: &Device, kept: Kept) -> Self {
        assert_eq!(values.len(), shape[0] * shape[1], "a table {shape:?} of other numbers");
        match device {
            Device::Cpu => Self(match kept {
                Kept::F32 => TableForm::Dense(f32_tensor(values.to_f32(), shape)),
                Kept::F16 => TableForm::Dense(f16_tensor(values.to_f16_bits(), shape)),
                Kept::Bf16 => TableForm::Bf16(Bf16Weight::of(values, shape)),
            }),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Self(TableForm::Gpu(gpu.clone(), on_gpu(gpu, values, shape, kept))),
        }
    }

    /// The same numbers as the weight of a linear layer, `[rows, width]`, whose products are those of [`Table::project`]. Nothing is copied.
    pub fn weight(&self) -> Weight {
        Weight(match &self.0 {
            TableForm::Dense(table) => Form::Dense(table.clone().transpose()),
            TableForm::Bf16(table) => Form::Bf16(table.clone()),
            #[cfg(feature = "gpu")]
            TableForm::Gpu(gpu, table) => Form::Gpu(gpu.clone(), table.clone()),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.0 {
            TableForm::Dense(table) => table.dims()[0],
            TableForm::Bf16(table) => table.shape()[0],
            #[cfg(feature = "gpu")]
            TableForm::Gpu(_, table) => table.shape()[0],
        }
    }

    /// Bytes on its device.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            TableForm::Dense(table) => table.shape().num_elements() * table.dtype().size(),
            TableForm::Bf16(table) => table.bytes(),
            #[cfg(feature = "gpu")]
            TableForm::Gpu(_, table) => table.bytes(),
        }
    }

    /// The rows `ids`, each below [`Table::rows`], in that order: `[ids, width]`.
    pub fn gather(&self, ids: &[u32]) -> Matrix {
        let picked = || indices(ids.iter().map(|&id| id as i32).collect());
        match &self.0 {
            TableForm::Dense(table) => table.clone().select(0, picked()).into(),
            TableForm::Bf16(table) => table.rows(picked()).into(),
            #[cfg(feature = "gpu")]
            TableForm::Gpu(gpu, table) => Matrix(Place::Gpu(gpu.clone(), table.rows(gpu, ids))),
        }
    }

    /// The row of a token that was chosen, also where the host does not know yet which: `[1, width]`.
    ///
    /// # Panics
    /// When the token has no row, as far as the host knows it, or was chosen on another device.
    pub fn chosen(&self, chosen: &Chosen) -> Matrix {
        match (&chosen.0, &self.0) {
            (TokenPlace::Host(token), _) => self.gather(&[*token]),
            #[cfg(feature = "gpu")]
            (TokenPlace::Gpu(choice), TableForm::Gpu(gpu, table)) => Matrix(Place::Gpu(gpu.clone(), table.chosen(gpu, choice))),
            #[cfg(feature = "gpu")]
            _ => apart(),
        }
    }

    /// The product with every row, as a head without bias: `x [tokens, width]` to `[tokens, rows]`.
    pub fn project(&self, x: &Matrix) -> Matrix {
        match (&self.0, &x.0) {
            (TableForm::Dense(table), Place::Cpu(x)) => dense::with_each_row(x.clone(), table).into(),
            (TableForm::Bf16(table), Place::Cpu(x)) => table.forward(x.clone()).into(),
            #[cfg(feature = "gpu")]
            (TableForm::Gpu(gpu, table), Place::Gpu(_, x)) => {
                Matrix(Place::Gpu(gpu.clone(), steady_gpu::kernels::product(gpu, x, table, &steady_gpu::kernels::Epilogue::default())))
            }
            #[cfg(feature = "gpu")]
            _ => apart(),
        }
    }
}

fn f32_tensor(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (&burn::tensor::Device::flex(), DType::F32))
}

fn f16_tensor(bits: Vec<u16>, shape: [usize; 2]) -> Tensor<2> {
    let values = bits.reinterpret_into::<half::f16>();
    Tensor::from_data(TensorData::new(values, shape), (&burn::tensor::Device::flex(), DType::F16))
}

#[cfg(feature = "gpu")]
fn on_gpu(gpu: &steady_gpu::Gpu, values: Floats<'_>, shape: [usize; 2], kept: Kept) -> steady_gpu::Weight {
    match kept {
        Kept::F32 => steady_gpu::Weight::f32(gpu, &values.to_f32(), shape),
        Kept::F16 => steady_gpu::Weight::f16(gpu, &values.to_f16_bits(), shape),
        Kept::Bf16 => steady_gpu::Weight::bf16(gpu, &values.to_bf16_bits(), shape),
    }
}
