//! What a kernel is, before a device has seen it.

/// A program in WGSL with one entry point, `main`.
///
/// Its bindings are numbered from 0: first the buffers that it reads, then those that it writes, then a uniform with the numbers of this
/// launch. A buffer is bound whole, so where in it a matrix begins is one of those numbers.
#[derive(Debug)]
pub struct Kernel {
    /// What it is called in counts, errors and progress. Unique.
    pub name: &'static str,
    /// The text, in pieces: kernels may share some.
    pub source: &'static [&'static str],
    /// Buffers that are read.
    pub reads: u32,
    /// Buffers that are written.
    pub writes: u32,
}

impl Kernel {
    /// The whole text.
    pub fn text(&self) -> String {
        self.source.concat()
    }

    /// Its bindings: their numbers, what they hold, and whether each launch says where in it its own begins.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (u32, wgpu::BufferBindingType, bool)> {
        use wgpu::BufferBindingType::{Storage, Uniform};
        let (reads, buffers) = (self.reads, self.reads + self.writes);
        (0..buffers).map(move |binding| (binding, Storage { read_only: binding < reads }, false)).chain([(buffers, Uniform, true)])
    }

    /// The layout of its bindings on `device`.
    pub(crate) fn layout(&self, device: &wgpu::Device) -> wgpu::BindGroupLayout {
        let entry = |(binding, ty, has_dynamic_offset)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let entries: Vec<_> = self.bindings().map(entry).collect();
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(self.name), entries: &entries })
    }
}
