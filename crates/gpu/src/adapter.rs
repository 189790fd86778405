//! What could compute, and opening it.

use std::path::Path;

use wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor};

use crate::{Gpu, GpuError};

/// A graphics adapter that wgpu sees.
#[derive(Debug)]
pub struct Adapter(wgpu::Adapter);

fn instance() -> Instance {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::PRIMARY;
    Instance::new(descriptor)
}

/// Every adapter, as the drivers list them. A browser lists none, but offers one ([`Adapter::best`]).
pub async fn adapters() -> Vec<Adapter> {
    instance().enumerate_adapters(Backends::PRIMARY).await.into_iter().map(Adapter).collect()
}

impl Adapter {
    /// The one that computes fastest, as far as wgpu can tell; a software rasterizer if there is no other.
    ///
    /// # Errors
    /// When there is none.
    pub async fn best() -> Result<Self, GpuError> {
        let options = wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
        match instance().request_adapter(&options).await {
            Ok(adapter) => Ok(Self(adapter)),
            Err(error) => Err(GpuError::NoAdapter(error.to_string())),
        }
    }

    /// What the driver says of itself.
    pub fn info(&self) -> AdapterInfo {
        self.0.get_info()
    }

    /// Whether it is a GPU, and not the CPU in disguise.
    pub fn is_hardware(&self) -> bool {
        matches!(self.info().device_type, DeviceType::DiscreteGpu | DeviceType::IntegratedGpu | DeviceType::VirtualGpu)
    }

    /// Opens it, with all that it offers. What is compiled on it is kept in the folder `cache` for the next process, where the driver lets
    /// it be; the folder is made when it is first needed, and belongs to the user alone: drivers run what is in it.
    ///
    /// # Errors
    /// When the driver refuses.
    pub async fn open(self, cache: Option<&Path>) -> Result<Gpu, GpuError> {
        let wanted = wgpu::DeviceDescriptor {
            label: Some("steady"),
            required_features: self.0.features() & wgpu::Features::PIPELINE_CACHE,
            required_limits: self.0.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = self.0.request_device(&wanted).await.map_err(|error| GpuError::Refused(error.to_string()))?;
        Ok(Gpu::new(device, queue, self.info(), cache))
    }
}
