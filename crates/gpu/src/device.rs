//! An opened GPU.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use wgpu::BufferUsages;

#[cfg(target_family = "wasm")]
use crate::browser::{BrowserDevice, Compiling};
#[cfg(not(target_family = "wasm"))]
use crate::cache::Cache;
use crate::{
    kernel::Kernel,
    kernels::MatrixUnits,
    memory::{Allocation, Pool, Rows, Words},
    queue::Recording,
};

/// An opened GPU. Cheap to clone; equal to its clones.
#[derive(Clone, Debug)]
pub struct Gpu(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    ways: Ways,
    pub(crate) pool: Arc<Pool>,
    /// Memory that the host can look at: what is read comes through here.
    pub(crate) staging: Arc<Pool>,
    pub(crate) recording: Mutex<Recording>,
    pipelines: Mutex<HashMap<&'static str, Arc<OnceLock<Pipeline>>>>,
    /// Compiled programs that outlive the process, where the API has such a thing.
    #[cfg(not(target_family = "wasm"))]
    cache: Option<Cache>,
    pub(crate) counted: Counted,
    /// Kernels that what is on the device will need.
    wanted: Mutex<Vec<&'static Kernel>>,
    /// Of these, those that a browser may still be compiling; nothing beside one that it compiles when it is first asked for.
    #[cfg(target_family = "wasm")]
    compiling: Mutex<Vec<(&'static Kernel, Option<Compiling>)>>,
    /// The device as the browser knows it.
    #[cfg(target_family = "wasm")]
    browser: Option<BrowserDevice>,
    /// Bytes of weights that were written and not yet sent off.
    waiting: AtomicU64,
    /// The first thing that went wrong on the device, as the driver put it: it shows at the next read.
    failure: Arc<OnceLock<String>>,
}

/// What a device does that not every device does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways {
    pub(crate) units: Option<MatrixUnits>,
    pub(crate) packed_dots: bool,
    /// Bytes that the lanes of a workgroup can share.
    pub(crate) shared: u32,
}

/// A kernel, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// What went wrong on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is none.
    #[error("no GPU was found: {0}")]
    NoAdapter(String),
    /// The driver does not open it.
    #[error("the GPU could not be opened: {0}")]
    Refused(String),
    /// It has no matrix units, or others than our kernel is written for.
    #[error(
        "{0} has no matrix units that steady can use: it takes 16 x 16 in f16 with sums in f32, through Vulkan, in subgroups of 32, and 28 kB that a workgroup shares"
    )]
    NoUnits(String),
    /// It stopped working, or refused a launch.
    #[error("the GPU failed: {0}")]
    Failed(String),
}

/// What has been asked of a GPU since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels compiled.
    pub pipelines: u64,
    /// Bytes of WGSL in them.
    pub wgsl_bytes: u64,
    /// Launches.
    pub dispatches: u64,
    /// Command buffers sent off.
    pub submissions: u64,
    /// Times that somebody waited for numbers.
    pub reads: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counted {
    pipelines: AtomicU64,
    wgsl_bytes: AtomicU64,
    pub(crate) dispatches: AtomicU64,
    pub(crate) submissions: AtomicU64,
    pub(crate) reads: AtomicU64,
}

impl PartialEq for Gpu {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gpu {}

impl Gpu {
    /// `folder` is where compiled programs are kept.
    pub(crate) fn new(device: wgpu::Device, queue: wgpu::Queue, info: wgpu::AdapterInfo, ways: Ways, folder: Option<&Path>) -> Self {
        let failure = Arc::new(OnceLock::new());
        let seen = Arc::clone(&failure);
        // Whatever comes first is the cause, what follows its consequences.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| drop(seen.set(error.to_string()))));
        let lost = Arc::clone(&failure);
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed || !message.is_empty() {
                drop(lost.set(format!("it was lost: {message}")));
            }
        });
        let recording = Mutex::new(Recording::new(&device));
        #[cfg(not(target_family = "wasm"))]
        let cache = folder.and_then(|folder| Cache::open(&device, &info, folder));
        #[cfg(target_family = "wasm")]
        let _ = folder;
        Self(Arc::new(Inner {
            device,
            queue,
            info,
            ways,
            pool: Arc::new(Pool::new(BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST)),
            staging: Arc::new(Pool::new(BufferUsages::MAP_READ | BufferUsages::COPY_DST)),
            recording,
            pipelines: Mutex::default(),
            #[cfg(not(target_family = "wasm"))]
            cache,
            counted: Counted::default(),
            wanted: Mutex::default(),
            #[cfg(target_family = "wasm")]
            compiling: Mutex::default(),
            #[cfg(target_family = "wasm")]
            browser: BrowserDevice::last(),
            waiting: AtomicU64::new(0),
            failure,
        }))
    }

    /// What the driver says of itself.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// Who multiplies f16 weights with many rows, if products by matrix units were [asked for](crate::Adapter::with_matrix_units).
    pub fn matrix_units(&self) -> Option<MatrixUnits> {
        self.0.ways.units
    }

    /// Bytes that the lanes of a workgroup can share; 16,384 on every device.
    pub(crate) fn shared(&self) -> u32 {
        self.0.ways.shared
    }

    /// Whether its language has a dot product of packed bytes.
    pub(crate) fn has_packed_dots(&self) -> bool {
        self.0.ways.packed_dots
    }

    /// Most bytes of one buffer that a kernel can see.
    pub fn max_binding(&self) -> u64 {
        let limits = self.0.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// What has been asked of it so far.
    pub fn counts(&self) -> Counts {
        let counted = &self.0.counted;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            pipelines: read(&counted.pipelines),
            wgsl_bytes: read(&counted.wgsl_bytes),
            dispatches: read(&counted.dispatches),
            submissions: read(&counted.submissions),
            reads: read(&counted.reads),
        }
    }

    /// Compiles `kernels`, several at a time, so that none is compiled when it is first needed. `progress` hears how many of them are ready.
    /// What was compiled is kept for the next process if [`Adapter::open`](crate::Adapter::open) was given a folder.
    #[cfg(not(target_family = "wasm"))]
    pub fn prepare(&self, kernels: &[&'static Kernel], progress: &(dyn Fn(usize, usize) + Sync)) {
        use std::sync::atomic::AtomicUsize;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(kernels.len());
        let (next, ready) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(kernel) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.pipeline(kernel);
                        progress(ready.fetch_add(1, Ordering::Relaxed) + 1, kernels.len());
                    }
                });
            }
        });
        // Without the file the next process compiles again: that is no failure of this one.
        drop(self.0.cache.as_ref().map(Cache::save));
    }

    /// Says that `kernels` will be needed. They are compiled beside what the program does meanwhile, which is loading weights.
    pub(crate) fn want(&self, kernels: &[&'static Kernel]) {
        let mut wanted = lock(&self.0.wanted);
        let new: Vec<&'static Kernel> =
            kernels.iter().copied().filter(|kernel| wanted.iter().all(|other| other.name != kernel.name)).collect();
        if new.is_empty() {
            return;
        }
        wanted.extend(&new);
        drop(wanted);
        #[cfg(not(target_family = "wasm"))]
        {
            let gpu = self.clone();
            drop(std::thread::spawn(move || gpu.prepare(&new, &|_, _| ())));
        }
        #[cfg(target_family = "wasm")]
        lock(&self.0.compiling)
            .extend(new.into_iter().map(|kernel| (kernel, self.0.browser.as_ref().and_then(|device| device.compile(kernel)))));
    }

    /// Waits until every kernel that what is on the device will need is compiled. `progress` hears how many of them are ready. Natively nobody
    /// else runs meanwhile.
    #[cfg(not(target_family = "wasm"))]
    #[expect(clippy::unused_async, reason = "in a browser it waits")]
    pub async fn prepare_wanted(&self, progress: &(dyn Fn(usize, usize) + Sync)) {
        let wanted = lock(&self.0.wanted).clone();
        self.prepare(&wanted, progress);
    }

    /// Waits until every kernel that what is on the device will need is compiled. `progress` hears how many of them are ready.
    #[cfg(target_family = "wasm")]
    pub async fn prepare_wanted(&self, progress: &(dyn Fn(usize, usize) + Sync)) {
        let compiling = std::mem::take(&mut *lock(&self.0.compiling));
        if compiling.is_empty() {
            return;
        }
        let (all, left) = (lock(&self.0.wanted).len(), compiling.len());
        for (at, (kernel, compiled)) in compiling.into_iter().enumerate() {
            progress(all - left + at, all);
            if let Some(compiled) = compiled {
                // wgpu hears of what does not compile when it asks for it below, and the next read says so.
                let held = compiled.await;
                self.pipeline(kernel);
                drop(held);
            } else {
                self.pipeline(kernel);
            }
        }
        progress(all, all);
    }

    /// `kernel`, compiled now if it was not yet.
    pub(crate) fn pipeline(&self, kernel: &'static Kernel) -> Pipeline {
        let place = Arc::clone(lock(&self.0.pipelines).entry(kernel.name).or_default());
        place.get_or_init(|| self.compile(kernel)).clone()
    }

    fn compile(&self, kernel: &Kernel) -> Pipeline {
        let device = &self.0.device;
        let text = kernel.text();
        self.0.counted.pipelines.fetch_add(1, Ordering::Relaxed);
        self.0.counted.wgsl_bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        let layout = kernel.layout(device);
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        #[cfg(not(target_family = "wasm"))]
        let cache = self.0.cache.as_ref().map(|cache| &cache.programs);
        #[cfg(target_family = "wasm")]
        let cache = None;
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache,
        });
        Pipeline { pipeline, layout }
    }

    /// A matrix of numbers that are not yet written.
    pub fn empty(&self, [rows, cols]: [usize; 2]) -> Rows {
        let memory = self.0.pool.take(&self.0.device, 4 * (rows * cols) as u64, None);
        Rows::whole(memory, [rows, cols])
    }

    /// Words that are not yet written.
    pub(crate) fn empty_words(&self, len: usize) -> Words {
        Words { memory: self.0.pool.take(&self.0.device, 4 * len as u64, None), len }
    }

    /// Numbers of the host, row after row.
    ///
    /// # Panics
    /// When there are not `rows × columns` of them.
    pub fn rows(&self, values: &[f32], [rows, cols]: [usize; 2]) -> Rows {
        assert_eq!(values.len(), rows * cols, "as many values as in [{rows}, {cols}]");
        Rows::whole(self.transient(bytemuck::cast_slice(values)), [rows, cols])
    }

    /// As [`Self::rows`], for what stays as long as the program: weights. Its memory is not handed out again.
    ///
    /// # Panics
    /// As [`Self::rows`].
    pub fn kept_rows(&self, values: &[f32], [rows, cols]: [usize; 2]) -> Rows {
        assert_eq!(values.len(), rows * cols, "as many values as in [{rows}, {cols}]");
        Rows::whole(self.kept(bytemuck::cast_slice(values)), [rows, cols])
    }

    /// Words of the host that are soon let go of: indices.
    pub fn words(&self, values: &[u32]) -> Words {
        Words { memory: self.transient(bytemuck::cast_slice(values)), len: values.len() }
    }

    /// Words of the host that stay: packed weights.
    pub fn kept_words(&self, values: &[u32]) -> Words {
        Words { memory: self.kept(bytemuck::cast_slice(values)), len: values.len() }
    }

    fn transient(&self, bytes: &[u8]) -> Arc<Allocation> {
        let submission = lock(&self.0.recording).submission();
        let memory = self.0.pool.take(&self.0.device, bytes.len() as u64, Some(submission));
        self.0.queue.write_buffer(&memory.buffer, 0, bytes);
        memory
    }

    /// Bytes of the host that stay.
    pub(crate) fn kept(&self, bytes: &[u8]) -> Arc<Allocation> {
        let memory = self.0.pool.keep(&self.0.device, bytes.len() as u64);
        self.0.queue.write_buffer(&memory.buffer, 0, bytes);
        // What was written waits on the host for the next submission, and a model is loaded without launches.
        let waiting = bytes.len() as u64 + self.0.waiting.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if waiting > UPLOADS {
            self.0.waiting.store(0, Ordering::Relaxed);
            self.0.queue.submit([]);
        }
        memory
    }

    /// Gives memory that nobody holds back to the driver.
    pub fn trim(&self) {
        lock(&self.0.recording).forget_groups();
        self.0.pool.clear();
        self.0.staging.clear();
    }

    /// What went wrong so far, if anything did.
    ///
    /// # Errors
    /// When something did.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        self.0.failure.get().map_or(Ok(()), |failure| Err(GpuError::Failed(failure.clone())))
    }
}

/// Bytes of weights that wait on the host to be sent off.
const UPLOADS: u64 = 64 << 20;

/// A panic while the lock was held leaves nothing half done that matters more than the panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
