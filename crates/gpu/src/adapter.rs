//! What could compute, and opening it.

use std::path::Path;

use wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor};

use crate::{
    Gpu, GpuError,
    device::Ways,
    kernels::{LANES, MatrixUnits, SHARED_BYTES},
};

/// What the kernel for matrix units asks of a device.
const UNITS: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// A graphics adapter that wgpu sees.
#[derive(Debug)]
pub struct Adapter {
    adapter: wgpu::Adapter,
    ways: Ways,
}

fn instance() -> Instance {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::PRIMARY;
    Instance::new(descriptor)
}

/// Every adapter, as the drivers list them. A browser lists none, but offers one ([`Adapter::best`]).
pub async fn adapters() -> Vec<Adapter> {
    let instance = instance();
    let of = |adapter| Adapter::of(&instance, adapter);
    instance.enumerate_adapters(Backends::PRIMARY).await.into_iter().map(of).collect()
}

impl Adapter {
    fn of(instance: &Instance, adapter: wgpu::Adapter) -> Self {
        let packed_dots = instance.wgsl_language_features().contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        let shared = adapter.limits().max_compute_workgroup_storage_size;
        Self { adapter, ways: Ways { units: None, packed_dots, shared } }
    }

    /// The one that computes fastest, as far as wgpu can tell; a software rasterizer if there is no other.
    ///
    /// # Errors
    /// When there is none.
    pub async fn best() -> Result<Self, GpuError> {
        let options = wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
        #[cfg(target_family = "wasm")]
        crate::browser::listen();
        let instance = instance();
        match instance.request_adapter(&options).await {
            Ok(adapter) => Ok(Self::of(&instance, adapter)),
            Err(error) => Err(GpuError::NoAdapter(error.to_string())),
        }
    }

    /// What the driver says of itself.
    pub fn info(&self) -> AdapterInfo {
        self.adapter.get_info()
    }

    /// Whether it is a GPU, and not the CPU in disguise.
    pub fn is_hardware(&self) -> bool {
        matches!(self.info().device_type, DeviceType::DiscreteGpu | DeviceType::IntegratedGpu | DeviceType::VirtualGpu)
    }

    /// Whether it has matrix units of the kind that our kernel is written for: matrices of 16 × 16, f16 in and sums in `f32`, held by subgroups
    /// of 32 lanes. NVIDIA's cards have, since Volta, through Vulkan.
    pub fn has_matrix_units(&self) -> bool {
        use wgpu::CooperativeScalarType::{F16, F32};
        let info = self.info();
        let fits = |found: &wgpu::CooperativeMatrixProperties| {
            let sizes = [found.m_size, found.n_size, found.k_size];
            sizes == [16; 3] && (found.ab_type, found.cr_type) == (F16, F32) && !found.saturating_accumulation
        };
        info.backend == wgpu::Backend::Vulkan
            && [info.subgroup_min_size, info.subgroup_max_size] == [LANES; 2]
            && self.adapter.features().contains(UNITS)
            && self.adapter.cooperative_matrix_properties().iter().any(fits)
    }

    /// This adapter, whose products of f16 weights and more than eight rows are to be computed by matrix units. They round activations, which
    /// nobody should be surprised by: without this no device does so.
    ///
    /// # Errors
    /// When units of the device are asked for and [there are none](Self::has_matrix_units), or workgroups have too little memory for either.
    pub fn with_matrix_units(self, units: MatrixUnits) -> Result<Self, GpuError> {
        if self.ways.shared < SHARED_BYTES || (units == MatrixUnits::Cooperative && !self.has_matrix_units()) {
            return Err(GpuError::NoUnits(self.info().name));
        }
        Ok(Self { ways: Ways { units: Some(units), ..self.ways }, ..self })
    }

    /// This adapter without what only some of them have: as the least of them. For tests.
    #[must_use]
    pub fn as_least(self) -> Self {
        Self { ways: Ways { units: None, packed_dots: false, shared: 16_384 }, ..self }
    }

    /// Opens it, with all that it offers. What is compiled on it is kept in the folder `cache` for the next process, where the driver lets
    /// it be; the folder is made when it is first needed, and belongs to the user alone: drivers run what is in it.
    ///
    /// # Errors
    /// When the driver refuses.
    pub async fn open(self, cache: Option<&Path>) -> Result<Gpu, GpuError> {
        let mut wanted = wgpu::DeviceDescriptor {
            label: Some("steady"),
            required_features: self.adapter.features() & wgpu::Features::PIPELINE_CACHE,
            required_limits: self.adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        if self.ways.units == Some(MatrixUnits::Cooperative) {
            wanted.required_features |= UNITS;
            #[expect(
                unsafe_code,
                reason = "wgpu calls cooperative matrices experimental and wants to hear that this is known; one kernel uses them"
            )]
            let known = unsafe { wgpu::ExperimentalFeatures::enabled() };
            wanted.experimental_features = known;
        }
        let (device, queue) = self.adapter.request_device(&wanted).await.map_err(|error| GpuError::Refused(error.to_string()))?;
        Ok(Gpu::new(device, queue, self.info(), self.ways, cache))
    }
}
