//! Where to compute, and in which precision.

mod memory;

use std::{fmt, str::FromStr};

use burn::tensor::{DType, Device};
use steady_kernels::Bf16Weight;

pub use memory::DeviceMemory;

use crate::VlmError;

/// The device that a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// Flex, burn's pure-Rust CPU backend.
    Cpu,
    /// A GPU through wgpu; a software rasterizer if there is no other.
    Gpu,
}

/// An opened device and what to call it in reports.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// The handle for tensors.
    pub device: Device,
    /// What computes, in words that tell apart what may round differently: adapter, API and driver, or CPU features. The number
    /// of threads is not among them: it decides who computes a number, not how.
    pub identity: String,
    /// What it computes in.
    pub memory: DeviceMemory,
    /// Most bytes that it binds at once; `None` where there is no limit.
    pub max_binding: Option<u64>,
}

/// What a model's weights are kept as, and what is computed in. Attention scores, softmax and norms run in `f32` whichever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, where the device computes in them.
    F16,
    /// Weights are kept as bf16, in half the memory of `f32`, and widened as they are used; activations and arithmetic are `f32`. So
    /// it runs on every device, and a checkpoint that was published in bf16 loses nothing.
    Bf16,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// For [`DeviceChoice::Gpu`], when no adapter is found or the program was built without the `gpu` feature.
    pub fn open(self) -> Result<OpenDevice, VlmError> {
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Gpu => gpu::open(),
            Self::Auto => Ok(gpu::open_hardware().unwrap_or_else(cpu)),
        }
    }
}

/// Everything that could compute here, in words: the CPU first, then every adapter that wgpu sees.
pub fn list_devices() -> Vec<String> {
    let threads = rayon::current_num_threads();
    std::iter::once(format!("{} ({threads} threads)", cpu().identity)).chain(gpu::list()).collect()
}

impl FromStr for DeviceChoice {
    type Err = VlmError;

    fn from_str(text: &str) -> Result<Self, VlmError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            other => Err(device_error(format!("expected auto, cpu or gpu, found `{other}`"))),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

impl Precision {
    /// The element type of activations.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Bf16 => DType::F32,
            Self::F16 => DType::F16,
        }
    }

    /// Bytes on the device of a matrix's row of `width` numbers.
    pub(crate) fn row_bytes(self, width: usize) -> u64 {
        match self {
            Self::F32 | Self::F16 => (width * self.dtype().size()) as u64,
            Self::Bf16 => Bf16Weight::row_bytes(width) as u64,
        }
    }

    /// This one where `device` computes in it, else the nearest that loses nothing.
    #[must_use]
    pub fn or_wider(self, device: &Device) -> Self {
        if self.check(device).is_ok() { self } else { Self::F32 }
    }

    /// Whether `device` computes in this precision.
    ///
    /// # Errors
    /// [`VlmError::Invalid`] when it does not.
    pub fn check(self, device: &Device) -> Result<(), VlmError> {
        if device.supports_dtype(self.dtype()) {
            return Ok(());
        }
        Err(VlmError::Invalid { what: "precision".to_owned(), problem: format!("{device:?} does not compute in {self}; use f32") })
    }
}

impl FromStr for Precision {
    type Err = VlmError;

    fn from_str(text: &str) -> Result<Self, VlmError> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            other => {
                Err(VlmError::Invalid { what: "precision".to_owned(), problem: format!("expected f32, f16 or bf16, found `{other}`") })
            }
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

fn device_error(problem: String) -> VlmError {
    VlmError::Invalid { what: "device".to_owned(), problem }
}

fn cpu() -> OpenDevice {
    let features = cpu_features().join("+");
    let identity = format!("flex, {} {features}", std::env::consts::ARCH).trim_end().to_owned();
    OpenDevice { device: Device::flex(), identity, memory: DeviceMemory::Shared, max_binding: None }
}

/// The instruction sets that decide which kernels run, and so how sums are rounded.
fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("avx2", std::is_x86_feature_detected!("avx2")),
            ("fma", std::is_x86_feature_detected!("fma")),
            ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ];
        found.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        if cfg!(target_feature = "simd128") { vec!["simd128"] } else { Vec::new() }
    }
}

/// Largest buffer that is safe to bind at once. WebGPU guarantees 128 MiB, and lavapipe offers no more; using it everywhere keeps
/// the parts, and so the sums, the same on every GPU. Flex has no such limit.
pub(crate) fn max_binding_bytes(device: &Device) -> usize {
    if *device == Device::flex() { usize::MAX } else { 128 << 20 }
}

/// Opens the GPU that the browser offers through WebGPU; its name and the most bytes that it binds at once are the caller's to find out: browsers
/// tell programs of wgpu next to nothing about it.
/// Once per program; the device is to be kept.
///
/// # Errors
/// When the browser has no adapter to offer.
#[cfg(feature = "gpu")]
pub async fn open_webgpu(name: &str, max_binding: Option<u64>) -> Result<OpenDevice, VlmError> {
    let device = Device::wgpu_options()
        .init_async()
        .await
        .map_err(|error| device_error(format!("no GPU could be opened through WebGPU: {error}")))?;
    // Browsers say neither how much memory there is nor whose it is.
    Ok(OpenDevice { device, identity: format!("wgpu, {name}, WebGPU"), memory: DeviceMemory::Unknown, max_binding })
}

#[cfg(any(not(feature = "gpu"), target_family = "wasm"))]
mod gpu {
    use super::{OpenDevice, VlmError, device_error};

    pub(super) fn open() -> Result<OpenDevice, VlmError> {
        let reason = if cfg!(feature = "gpu") {
            "a browser's GPU is opened as WebGPU"
        } else {
            "this program was built without GPU support (cargo feature `gpu`)"
        };
        Err(device_error(reason.to_owned()))
    }

    pub(super) fn open_hardware() -> Option<OpenDevice> {
        None
    }

    pub(super) fn list() -> Vec<String> {
        Vec::new()
    }
}

#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
mod gpu {
    use std::{
        future::Future,
        pin::pin,
        sync::OnceLock,
        task::{Context, Poll, Waker},
    };

    use burn::tensor::Device;
    use wgpu::{Adapter, AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor};

    use super::{DeviceMemory, OpenDevice, VlmError, device_error};

    /// Opened once: a runtime that is set up cannot be set up again.
    static GPU: OnceLock<Result<OpenDevice, String>> = OnceLock::new();

    pub(super) fn open() -> Result<OpenDevice, VlmError> {
        GPU.get_or_init(|| {
            // Shaders go through WGSL: burn's native SPIR-V compiler is a cargo feature that this program does not turn on.
            let (device, setup) =
                Device::wgpu_options().init_with_setup().map_err(|error| format!("no GPU could be opened through wgpu: {error}"))?;
            let info = setup.adapter.get_info();
            let memory = match info.device_type {
                DeviceType::Cpu | DeviceType::IntegratedGpu => DeviceMemory::Shared,
                DeviceType::DiscreteGpu | DeviceType::VirtualGpu | DeviceType::Other => DeviceMemory::of_card(&info.device_pci_bus_id),
            };
            let max_binding = Some(setup.device.limits().max_storage_buffer_binding_size);
            Ok(OpenDevice { device, identity: describe(&info), memory, max_binding })
        })
        .clone()
        .map_err(device_error)
    }

    /// The GPU, if there is one that is not the CPU in disguise. A GPU that fails to open counts as none.
    pub(super) fn open_hardware() -> Option<OpenDevice> {
        let hardware = |adapter: &Adapter| {
            let kind = adapter.get_info().device_type;
            matches!(kind, DeviceType::DiscreteGpu | DeviceType::IntegratedGpu | DeviceType::VirtualGpu)
        };
        adapters().iter().any(hardware).then(open)?.ok()
    }

    /// Every adapter that wgpu sees, in words.
    pub(super) fn list() -> Vec<String> {
        adapters().iter().map(|adapter| describe(&adapter.get_info())).collect()
    }

    fn adapters() -> Vec<Adapter> {
        let mut descriptor = InstanceDescriptor::new_without_display_handle();
        descriptor.backends = Backends::PRIMARY;
        let instance = Instance::new(descriptor);
        // Native adapters are listed synchronously; the future is there for browsers.
        let future = pin!(instance.enumerate_adapters(Backends::PRIMARY));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(adapters) => adapters,
            Poll::Pending => Vec::new(),
        }
    }

    fn describe(info: &AdapterInfo) -> String {
        let kind = match info.device_type {
            DeviceType::Cpu => "software",
            DeviceType::DiscreteGpu => "discrete",
            DeviceType::IntegratedGpu => "integrated",
            DeviceType::VirtualGpu => "virtual",
            DeviceType::Other => "other",
        };
        let driver = format!("{} {}", info.driver, info.driver_info);
        format!("wgpu, {} ({kind}), {}, {}", info.name, info.backend, driver.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Gpu] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = "cuda".parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(error.contains("auto, cpu or gpu") && error.contains("cuda"), "{error}");
        let error = "f64".parse::<Precision>().unwrap_err().to_string();
        assert!(error.contains("f32, f16 or bf16") && error.contains("f64"), "{error}");
    }

    #[test]
    fn the_cpu_says_what_it_is() {
        let identity = DeviceChoice::Cpu.open().unwrap().identity;
        assert!(identity.starts_with(&format!("flex, {}", std::env::consts::ARCH)), "{identity}");
    }
}
