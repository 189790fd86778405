//! Rows of numbers on a device.

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::{Device, DeviceError, Element};

/// A matrix `[rows, columns]` on a device, row after row. Cheap to clone; what it holds never changes.
///
/// Operations take matrices of one device and give one of that device. They panic where shapes do not fit, as burn's own do: shapes are
/// the caller's, never a file's.
#[derive(Clone, Debug)]
pub struct Matrix(pub(crate) Place);

/// Where its numbers are.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer: a box would cost a look-up and save nothing")]
pub(crate) enum Place {
    Cpu(Tensor<2>),
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Gpu, steady_gpu::Rows),
}

impl From<Tensor<2>> for Matrix {
    fn from(tensor: Tensor<2>) -> Self {
        Self(Place::Cpu(tensor))
    }
}

/// Two matrices that one operation takes lie on two devices: the model was put together wrongly.
#[cfg(feature = "gpu")]
pub(crate) fn apart() -> ! {
    panic!("matrices of two devices in one operation")
}

impl Matrix {
    /// `values`, row after row, kept as `element` where the device keeps activations so.
    ///
    /// # Panics
    /// When there are not `rows × columns` of them.
    pub fn new(values: Vec<f32>, shape: [usize; 2], device: &Device, element: Element) -> Self {
        match device {
            Device::Cpu => Tensor::from_data(TensorData::new(values, shape), (&burn::tensor::Device::flex(), element.dtype())).into(),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Self(Place::Gpu(gpu.clone(), gpu.rows(&values, shape))),
        }
    }

    /// As [`Matrix::new`], for what stays as long as the model.
    ///
    /// # Panics
    /// As [`Matrix::new`].
    pub fn kept(values: Vec<f32>, shape: [usize; 2], device: &Device, element: Element) -> Self {
        match device {
            Device::Cpu => Self::new(values, shape, device, element),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Self(Place::Gpu(gpu.clone(), gpu.kept_rows(&values, shape))),
        }
    }

    /// `[rows, columns]`.
    pub fn dims(&self) -> [usize; 2] {
        match &self.0 {
            Place::Cpu(tensor) => tensor.dims(),
            #[cfg(feature = "gpu")]
            Place::Gpu(_, rows) => rows.dims(),
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match &self.0 {
            Place::Cpu(_) => Device::Cpu,
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, _) => Device::Gpu(gpu.clone()),
        }
    }

    /// What its numbers are kept as.
    pub fn element(&self) -> Element {
        match &self.0 {
            Place::Cpu(tensor) if tensor.dtype() == DType::F16 => Element::F16,
            _ => Element::F32,
        }
    }

    /// Bytes that it takes on its device.
    pub fn bytes(&self) -> usize {
        let [rows, columns] = self.dims();
        rows * columns * self.element().size()
    }

    /// Its numbers on the host, row after row, widened to `f32`. A browser's GPU answers only to those who give way meanwhile, which makes
    /// everything that reads `async`; a CPU is ready at once.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn read(&self) -> Result<Vec<f32>, DeviceError> {
        match &self.0 {
            Place::Cpu(_) => self.host(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => Ok(gpu.read(rows).await?),
        }
    }

    /// As [`Matrix::read`], of a matrix on the CPU.
    ///
    /// # Panics
    /// When it is elsewhere.
    pub(crate) fn host(&self) -> Result<Vec<f32>, DeviceError> {
        let data = self.tensor().cast(DType::F32).into_data();
        data.try_to_vec::<f32>().map_err(|error| DeviceError(format!("{error:?}")))
    }

    /// The rows `range`.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Place::Cpu(tensor) => {
                let columns = tensor.dims()[1];
                tensor.clone().slice([range, 0..columns]).into()
            }
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => Self(Place::Gpu(gpu.clone(), rows.slice(range))),
        }
    }

    /// The columns `range`; on a GPU where they lie.
    #[must_use]
    pub fn columns(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Place::Cpu(tensor) => {
                let rows = tensor.dims()[0];
                tensor.clone().slice([0..rows, range]).into()
            }
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => Self(Place::Gpu(gpu.clone(), rows.columns(range))),
        }
    }

    /// The same numbers in rows of another length.
    #[must_use]
    pub fn reshape(&self, shape: [usize; 2]) -> Self {
        match &self.0 {
            Place::Cpu(tensor) => tensor.clone().reshape(shape).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => Self(Place::Gpu(gpu.clone(), steady_gpu::kernels::dense(gpu, rows).reshape(shape))),
        }
    }

    /// The rows `indices`, in that order.
    #[must_use]
    pub fn gather(&self, indices: &[usize]) -> Self {
        let [rows, _] = self.dims();
        if indices.is_empty() {
            return self.slice(0..0);
        }
        if indices.len() == rows && indices.iter().enumerate().all(|(row, index)| row == *index) {
            return self.clone();
        }
        match &self.0 {
            Place::Cpu(tensor) => tensor.clone().select(0, self::indices(indices.iter().map(|&index| index as i32).collect())).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => {
                let indices: Vec<u32> = indices.iter().map(|&index| index as u32).collect();
                Self(Place::Gpu(gpu.clone(), steady_gpu::kernels::gather(gpu, rows, &gpu.words(&indices))))
            }
        }
    }

    /// Matrices of one width, one below the other.
    ///
    /// # Panics
    /// When there are none.
    pub fn stack(parts: &[Self]) -> Self {
        Self::joined(parts, 0)
    }

    /// Matrices of as many rows, side by side.
    ///
    /// # Panics
    /// When there are none.
    pub fn beside(parts: &[Self]) -> Self {
        Self::joined(parts, 1)
    }

    fn joined(parts: &[Self], dimension: usize) -> Self {
        if let [one] = parts {
            return one.clone();
        }
        match &parts[0].0 {
            Place::Cpu(_) => Tensor::cat(parts.iter().map(Self::tensor).collect(), dimension).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, _) => {
                let rows: Vec<&steady_gpu::Rows> = parts.iter().map(Self::rows).collect();
                let joined = if dimension == 0 { steady_gpu::kernels::stack(gpu, &rows) } else { steady_gpu::kernels::beside(gpu, &rows) };
                Self(Place::Gpu(gpu.clone(), joined))
            }
        }
    }

    /// Moves matrices of one row side by side where that makes one product of several ([`Weight::join`](crate::Weight::join)): on a GPU.
    pub fn join(rows: &mut [&mut Self]) {
        #[cfg(not(feature = "gpu"))]
        let _ = rows;
        #[cfg(feature = "gpu")]
        {
            let (mut gpus, mut on_gpu) = (Vec::new(), Vec::new());
            for matrix in rows.iter_mut() {
                if let Place::Gpu(gpu, rows) = &mut matrix.0 {
                    gpus.push(&*gpu);
                    on_gpu.push(rows);
                }
            }
            if let Some(gpu) = gpus.first() {
                steady_gpu::kernels::join_rows(gpu, &mut on_gpu);
            }
        }
    }

    /// The sum with a matrix of the same shape.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Place::Cpu(a), Place::Cpu(b)) => (a.clone() + b.clone()).into(),
            #[cfg(feature = "gpu")]
            (Place::Gpu(gpu, a), Place::Gpu(_, b)) => Self(Place::Gpu(gpu.clone(), steady_gpu::kernels::add(gpu, a, b))),
            #[cfg(feature = "gpu")]
            _ => apart(),
        }
    }

    /// Its numbers on the CPU.
    ///
    /// # Panics
    /// When they are elsewhere.
    pub(crate) fn tensor(&self) -> Tensor<2> {
        match &self.0 {
            Place::Cpu(tensor) => tensor.clone(),
            #[cfg(feature = "gpu")]
            Place::Gpu(..) => apart(),
        }
    }

    /// Its numbers on a GPU.
    ///
    /// # Panics
    /// When they are elsewhere.
    #[cfg(feature = "gpu")]
    pub(crate) fn rows(&self) -> &steady_gpu::Rows {
        match &self.0 {
            Place::Cpu(_) => apart(),
            Place::Gpu(_, rows) => rows,
        }
    }
}

/// Row numbers as burn takes them.
pub(crate) fn indices(indices: Vec<i32>) -> Tensor<1, Int> {
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), (&burn::tensor::Device::flex(), DType::I32))
}
