//! Where to compute, and in which precision.

mod memory;
mod pace;
#[cfg(not(target_family = "wasm"))]
mod paces;

use std::{fmt, str::FromStr};

use steady_kernels::{Bf16Weight, Device, Element, Kept};

pub use memory::DeviceMemory;
pub use pace::{Asked, Faster, Pace, Work};

use crate::VlmError;

/// The device that a user asks for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
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
}

/// What a model's weights are kept as, and what is computed in. Attention scores, softmax and norms run in `f32` whichever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats. A CPU also computes in them; a GPU keeps weights so and computes in `f32`.
    F16,
    /// Weights are kept as bf16, in half the memory of `f32`, and widened as they are used; activations and arithmetic are `f32`. So
    /// it runs on every device, and a checkpoint that was published in bf16 loses nothing.
    Bf16,
}

impl DeviceChoice {
    /// Opens the device. Of a GPU the environment variable `STEADY_MATRIX_UNITS` may ask that prompts be multiplied with f16 weights by its matrix
    /// units (`cooperative`), or as such units would (`plain`), which rounds activations to f16; the device's identity then says so.
    ///
    /// # Errors
    /// For [`DeviceChoice::Gpu`], when no adapter is found, it has no matrix units that were asked for, or the program was built without the
    /// `gpu` feature.
    pub fn open(self) -> Result<OpenDevice, VlmError> {
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Gpu => gpu::open(),
        }
    }
}

impl OpenDevice {
    /// How fast it is, tried out now. The next [`open_faster`] goes by it.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(not(target_family = "wasm"))]
    pub fn measure(&self) -> Result<Pace, VlmError> {
        paces::measured(self)
    }

    /// Whether it is a CPU, or a GPU that is not the CPU in disguise.
    pub fn is_hardware(&self) -> bool {
        match &self.device {
            Device::Cpu => true,
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.info().device_type != steady_gpu::DeviceType::Cpu,
        }
    }
}

/// The device that is done first with `work`, and why it is that one. How fast devices are is tried out once and remembered in the user's cache
/// folder, so that the same work stays on the same device. A GPU is not looked at where the CPU is done before one would be ready, nor one that is
/// the CPU in disguise.
///
/// # Errors
/// When the CPU fails; a GPU that fails is not chosen.
#[cfg(not(target_family = "wasm"))]
pub fn open_faster(work: &Work) -> Result<(OpenDevice, String), VlmError> {
    if let Some(asked) = gpu::asks_for_units() {
        return Ok((gpu::open()?, asked));
    }
    let here = cpu();
    let cpu_pace = paces::remembered(&here)?;
    if cpu_pace.makes_short_work_of(work) {
        let Faster { reason, .. } = Faster::cpu_at_once(&cpu_pace, work);
        return Ok((here, reason));
    }
    let gpu = match gpu::open_hardware() {
        Ok(gpu) => gpu,
        Err(reason) => return Ok((here, reason)),
    };
    let Ok(gpu_pace) = paces::remembered(&gpu) else {
        return Ok((here, format!("the GPU fails: {}", gpu.identity)));
    };
    let Faster { gpu: faster, reason } = Faster::of(&cpu_pace, &gpu_pace, work);
    Ok((if faster { gpu } else { here }, reason))
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
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            other => Err(device_error(format!("expected cpu or gpu, found `{other}`"))),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

impl Precision {
    /// What weights are kept as, where they are not bf16, and what a CPU computes in.
    pub fn element(self) -> Element {
        match self {
            Self::F32 | Self::Bf16 => Element::F32,
            Self::F16 => Element::F16,
        }
    }

    /// What weights are kept as.
    pub(crate) fn kept(self) -> Kept {
        match self {
            Self::F32 => Kept::F32,
            Self::F16 => Kept::F16,
            Self::Bf16 => Kept::Bf16,
        }
    }

    /// Bytes on the device of a matrix's row of `width` numbers.
    pub(crate) fn row_bytes(self, width: usize) -> u64 {
        match self {
            Self::F32 | Self::F16 => (width * self.element().size()) as u64,
            Self::Bf16 => Bf16Weight::row_bytes(width) as u64,
        }
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
    OpenDevice { device: Device::Cpu, identity, memory: DeviceMemory::Shared }
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

/// Opens the GPU that the browser offers through WebGPU; its name is the caller's to find out: browsers tell programs of wgpu next to nothing
/// about it.
/// Once per program; the device is to be kept.
///
/// # Errors
/// When the browser has no adapter to offer.
#[cfg(feature = "gpu")]
pub async fn open_webgpu(name: &str) -> Result<OpenDevice, VlmError> {
    let failed = |error| device_error(format!("no GPU could be opened through WebGPU: {error}"));
    let adapter = steady_gpu::Adapter::best().await.map_err(failed)?;
    let device = Device::Gpu(adapter.open(None).await.map_err(failed)?);
    // Browsers say neither how much memory there is nor whose it is.
    Ok(OpenDevice { device, identity: format!("wgpu, {name}, WebGPU"), memory: DeviceMemory::Unknown })
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

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn open_hardware() -> Result<OpenDevice, String> {
        Err("this program was built without GPU support (cargo feature `gpu`)".to_owned())
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn asks_for_units() -> Option<String> {
        None
    }

    pub(super) fn list() -> Vec<String> {
        Vec::new()
    }
}

#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
mod gpu {
    use std::sync::OnceLock;

    use pollster::FutureExt;
    use steady_gpu::{Adapter, AdapterInfo, DeviceType, MatrixUnits};
    use steady_kernels::Device;

    use super::{DeviceMemory, OpenDevice, VlmError, device_error};

    /// Asks for products by matrix units.
    const UNITS: &str = "STEADY_MATRIX_UNITS";

    /// Opened once: models that are loaded one after the other share its compiled kernels.
    static GPU: OnceLock<Result<OpenDevice, String>> = OnceLock::new();

    pub(super) fn open() -> Result<OpenDevice, VlmError> {
        // Native drivers answer at once; the futures are there for browsers.
        let opened = || {
            // Compiled kernels are kept there from one run to the next.
            let cache = crate::files::cache_home().map(|folder| folder.join("steady"));
            let units = asked_units(&std::env::var(UNITS).unwrap_or_default())?;
            let gpu = async {
                let adapter = Adapter::best().await?;
                let adapter = if let Some(units) = units { adapter.with_matrix_units(units)? } else { adapter };
                adapter.open(cache.as_deref()).await
            };
            let gpu = gpu.block_on().map_err(|error| format!("no GPU could be opened through wgpu: {error}"))?;
            let info = gpu.info();
            let memory = match info.device_type {
                DeviceType::Cpu | DeviceType::IntegratedGpu => DeviceMemory::Shared,
                DeviceType::DiscreteGpu | DeviceType::VirtualGpu | DeviceType::Other => DeviceMemory::of_card(&info.device_pci_bus_id),
            };
            let identity = match units {
                None => describe(info),
                Some(MatrixUnits::Cooperative) => format!("{}, f16 by matrix units", describe(info)),
                Some(MatrixUnits::Plain) => format!("{}, f16 as by matrix units", describe(info)),
            };
            Ok(OpenDevice { device: Device::Gpu(gpu), identity, memory })
        };
        GPU.get_or_init(opened).clone().map_err(device_error)
    }

    /// A GPU that is not the CPU in disguise, or why there is none.
    pub(super) fn open_hardware() -> Result<OpenDevice, String> {
        let adapters = steady_gpu::adapters().block_on();
        if !adapters.iter().any(Adapter::is_hardware) {
            let found: Vec<String> = adapters.iter().map(|adapter| describe(&adapter.info())).collect();
            return Err(if found.is_empty() {
                "there is no GPU".to_owned()
            } else {
                format!("there is no GPU but a software one: {}", found.join("; "))
            });
        }
        open().map_err(|error| error.to_string())
    }

    /// Every adapter that wgpu sees, in words.
    pub(super) fn list() -> Vec<String> {
        let of = |adapter: &Adapter| {
            let units = if adapter.has_matrix_units() { ", with matrix units" } else { "" };
            describe(&adapter.info()) + units
        };
        steady_gpu::adapters().block_on().iter().map(of).collect()
    }

    /// That the environment asks for a GPU, by asking for its matrix units.
    pub(super) fn asks_for_units() -> Option<String> {
        std::env::var_os(UNITS).filter(|value| !value.is_empty()).map(|_| format!("{UNITS} asks for a GPU's matrix units"))
    }

    /// What the environment asks for.
    fn asked_units(value: &str) -> Result<Option<MatrixUnits>, String> {
        match value {
            "" => Ok(None),
            "cooperative" => Ok(Some(MatrixUnits::Cooperative)),
            "plain" => Ok(Some(MatrixUnits::Plain)),
            other => Err(format!("{UNITS}: expected cooperative or plain, found `{other}`")),
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

    #[cfg(test)]
    mod tests {
        use super::{MatrixUnits, asked_units};

        #[test]
        fn matrix_units_are_asked_for_by_name() {
            assert_eq!(asked_units(""), Ok(None));
            assert_eq!(asked_units("plain"), Ok(Some(MatrixUnits::Plain)));
            assert_eq!(asked_units("cooperative"), Ok(Some(MatrixUnits::Cooperative)));
            let error = asked_units("on").unwrap_err();
            assert!(error.contains("cooperative or plain") && error.contains("on"), "{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = "cuda".parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(error.contains("cpu or gpu") && error.contains("cuda"), "{error}");
        let error = "f64".parse::<Precision>().unwrap_err().to_string();
        assert!(error.contains("f32, f16 or bf16") && error.contains("f64"), "{error}");
    }

    #[test]
    fn the_cpu_says_what_it_is() {
        let identity = DeviceChoice::Cpu.open().unwrap().identity;
        assert!(identity.starts_with(&format!("flex, {}", std::env::consts::ARCH)), "{identity}");
    }
}
