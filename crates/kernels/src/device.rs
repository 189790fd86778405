//! Where numbers are kept and computed with.

use thiserror::Error;

use crate::Kept;

/// Where numbers are kept and computed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU, through burn's Flex.
    Cpu,
    /// A GPU, through wgpu.
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Gpu),
}

/// What numbers are kept as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats. A GPU keeps weights so and widens them as they are used; activations are `f32` there.
    F16,
}

/// A device that stopped working.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct DeviceError(pub String);

#[cfg(feature = "gpu")]
impl From<steady_gpu::GpuError> for DeviceError {
    fn from(error: steady_gpu::GpuError) -> Self {
        Self(error.to_string())
    }
}

impl Device {
    /// What activations are kept as here where a model is kept as `element`.
    #[must_use]
    pub fn activations(&self, element: Element) -> Element {
        match self {
            Self::Cpu => element,
            #[cfg(feature = "gpu")]
            Self::Gpu(_) => Element::F32,
        }
    }
}

impl Device {
    /// Columns that a row of `width` takes where it is a dense weight's: a GPU's kernels take eight at a time.
    #[must_use]
    pub fn row(&self, width: usize) -> usize {
        match self {
            Self::Cpu => width,
            #[cfg(feature = "gpu")]
            Self::Gpu(_) => width.next_multiple_of(steady_gpu::Weight::COLUMNS),
        }
    }

    /// Waits until everything is compiled that the weights on this device will need. `progress` hears how much of it is ready; a CPU needs
    /// nothing.
    pub async fn prepare(&self, progress: &(dyn Fn(usize, usize) + Sync)) {
        match self {
            Self::Cpu => {
                let _ = progress;
            }
            #[cfg(feature = "gpu")]
            Self::Gpu(gpu) => gpu.prepare_wanted(progress).await,
        }
    }
}

#[cfg(not(target_family = "wasm"))]
impl Device {
    /// Waits until all that was asked of it is computed: for measuring. A CPU has computed it already.
    ///
    /// # Errors
    /// When the device failed.
    pub fn wait(&self) -> Result<(), DeviceError> {
        match self {
            Self::Cpu => Ok(()),
            #[cfg(feature = "gpu")]
            Self::Gpu(gpu) => Ok(gpu.wait()?),
        }
    }
}

impl Element {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// What a matrix is kept as whose numbers are this.
    pub fn kept(self) -> Kept {
        match self {
            Self::F32 => Kept::F32,
            Self::F16 => Kept::F16,
        }
    }

    pub(crate) fn dtype(self) -> burn::tensor::DType {
        match self {
            Self::F32 => burn::tensor::DType::F32,
            Self::F16 => burn::tensor::DType::F16,
        }
    }
}
