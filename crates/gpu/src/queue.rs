//! Launches on their way to the GPU, and numbers on their way back.

use std::{
    collections::HashMap,
    num::NonZero,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use bytemuck::Pod;

use crate::{Gpu, GpuError, Kernel, Rows, Words, device::lock, kernels, memory::Allocation};

/// Launches that are yet to be submitted.
#[derive(Debug)]
pub(crate) struct Recording {
    encoder: Option<wgpu::CommandEncoder>,
    /// Open while one launch follows another; copies stand between passes.
    pass: Option<wgpu::ComputePass<'static>>,
    /// The numbers of each launch, [`SLOT`] bytes apart.
    numbers: Vec<u8>,
    /// Where they are on the device while the launches run.
    uniform: wgpu::Buffer,
    /// Counts from 1.
    submission: u64,
    /// Bind groups by kernel and buffers: from token to token they are the same.
    groups: HashMap<(&'static str, Vec<u64>), wgpu::BindGroup>,
}

/// Bytes from one launch's numbers to the next one's: the least offset that every device takes.
const SLOT: usize = 256;
/// Launches of one submission. More are sent off in between, so that a long prompt's first layers run while the last are recorded.
const LAUNCHES: usize = 512;
/// Bind groups that are remembered.
const GROUPS: usize = 4096;

/// A buffer as a kernel sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a>(&'a Arc<Allocation>);

impl<'a> From<&'a Rows> for Bound<'a> {
    fn from(rows: &'a Rows) -> Self {
        Self(&rows.memory)
    }
}

impl<'a> From<&'a Words> for Bound<'a> {
    fn from(words: &'a Words) -> Self {
        Self(&words.memory)
    }
}

impl Recording {
    pub(crate) fn new(device: &wgpu::Device) -> Self {
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("numbers of launches"),
            size: (SLOT * LAUNCHES) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { encoder: None, pass: None, numbers: Vec::new(), uniform, submission: 1, groups: HashMap::new() }
    }

    pub(crate) fn submission(&self) -> u64 {
        self.submission
    }

    pub(crate) fn forget_groups(&mut self) {
        self.groups.clear();
    }

    fn encoder(&mut self, device: &wgpu::Device) -> &mut wgpu::CommandEncoder {
        self.encoder.get_or_insert_with(|| device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
    }
}

impl Gpu {
    /// Launches `kernel` on `reads` and `writes`, in as many workgroups as `groups` says (a launch of none does nothing); `numbers` is what its
    /// uniform holds.
    ///
    /// # Panics
    /// When buffers or numbers are not as many as the kernel says, or one buffer is both read and written: faults of the kernel's launcher.
    pub(crate) fn launch<N: Pod>(
        &self,
        kernel: &'static Kernel,
        reads: &[Bound<'_>],
        writes: &[Bound<'_>],
        numbers: N,
        groups: [usize; 3],
    ) {
        let bytes = bytemuck::bytes_of(&numbers);
        assert!(bytes.len() <= SLOT, "{}: {} bytes of numbers", kernel.name, bytes.len());
        assert_eq!((reads.len(), writes.len()), (kernel.reads as usize, kernel.writes as usize), "{}: buffers", kernel.name);
        let written = |read: &Bound<'_>| writes.iter().any(|write| write.0.id == read.0.id);
        assert!(!reads.iter().any(written), "{}: a buffer is both read and written", kernel.name);
        if groups.contains(&0) {
            return;
        }
        let pipeline = self.pipeline(kernel);
        let device = &self.0.device;
        let mut recording = lock(&self.0.recording);
        if recording.numbers.len() == SLOT * LAUNCHES {
            self.send(&mut recording);
        }
        let offset = recording.numbers.len();
        recording.numbers.extend_from_slice(bytes);
        recording.numbers.resize(offset + SLOT, 0);

        let bound = || reads.iter().chain(writes);
        let key = (kernel.name, bound().map(|bound| bound.0.id).collect::<Vec<_>>());
        if recording.groups.len() >= GROUPS {
            recording.groups.clear();
        }
        let uniform = recording.uniform.clone();
        let group = recording.groups.entry(key).or_insert_with(|| {
            let buffers = bound().map(|bound| bound.0.buffer.as_entire_binding());
            // As much as a slot holds: a kernel's uniform is at most that.
            let slot = wgpu::BufferBinding { buffer: &uniform, offset: 0, size: NonZero::new(SLOT as u64) };
            let resources = buffers.chain([wgpu::BindingResource::Buffer(slot)]);
            let entries: Vec<_> = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(kernel.name), layout: &pipeline.layout, entries: &entries })
        });
        let group = group.clone();
        for bound in bound() {
            bound.0.used_in(recording.submission);
        }
        if recording.pass.is_none() {
            let pass = recording.encoder(device).begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
            recording.pass = Some(pass);
        }
        if let Some(pass) = &mut recording.pass {
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[offset as u32]);
            let [x, y, z] = groups.map(|count| count as u32);
            pass.dispatch_workgroups(x, y, z);
        }
        self.0.counted.dispatches.fetch_add(1, Ordering::Relaxed);
    }

    /// Copies rows of `from` over the rows of `to` that begin at `row`. They are as wide, dense, and lie in other memory.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn copy(&self, from: &Rows, to: &Rows, row: usize) {
        assert!(from.is_dense() && to.is_dense(), "a copy of columns of a wider matrix");
        assert!(from.width == to.width && row + from.height <= to.height, "{:?} to row {row} of {:?}", from.dims(), to.dims());
        assert_ne!(from.memory.id, to.memory.id, "a copy within one buffer");
        if from.height * from.width == 0 {
            return;
        }
        let range = from.start..from.start + from.height * from.width;
        self.copy_words(&from.memory, range, &to.memory, to.start + row * to.width);
    }

    /// Copies the words `range` of one buffer to another, from its word `to` on.
    pub(crate) fn copy_words(&self, from: &Arc<Allocation>, range: Range<usize>, into: &Arc<Allocation>, to: usize) {
        let mut recording = lock(&self.0.recording);
        recording.pass = None;
        for memory in [from, into] {
            memory.used_in(recording.submission);
        }
        let [source, destination, bytes] = [range.start, to, range.len()].map(|words| 4 * words as u64);
        recording.encoder(&self.0.device).copy_buffer_to_buffer(&from.buffer, source, &into.buffer, destination, bytes);
    }

    /// Sends off what was launched so far. Nothing waits for it.
    pub fn submit(&self) {
        self.send(&mut lock(&self.0.recording));
    }

    /// Waits until all that was launched so far has run: for measuring.
    ///
    /// # Errors
    /// When the GPU failed since it was opened.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self) -> Result<(), GpuError> {
        self.submit();
        self.0.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| GpuError::Failed(error.to_string()))?;
        self.check()
    }

    /// Sends off what is recorded; there is no submission where nothing is.
    fn send(&self, recording: &mut Recording) -> Option<wgpu::SubmissionIndex> {
        recording.pass = None;
        let encoder = recording.encoder.take()?;
        self.0.queue.write_buffer(&recording.uniform, 0, &recording.numbers);
        recording.numbers.clear();
        let submission = self.0.queue.submit([encoder.finish()]);
        recording.submission += 1;
        // A bind group that is remembered would keep the memory of weights that are no more.
        let gone = self.0.pool.take_gone();
        if !gone.is_empty() {
            recording.groups.retain(|(_, buffers), _| !buffers.iter().any(|buffer| gone.contains(buffer)));
        }
        self.0.counted.submissions.fetch_add(1, Ordering::Relaxed);
        Some(submission)
    }

    /// The numbers of `rows`, when all that was launched before has run.
    ///
    /// # Errors
    /// When the GPU failed since it was opened.
    pub async fn read(&self, rows: &Rows) -> Result<Vec<f32>, GpuError> {
        Ok(self.read_all(&[rows]).await?.pop().unwrap_or_default())
    }

    /// As [`Self::read`], for several matrices with one wait.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_all(&self, all: &[&Rows]) -> Result<Vec<Vec<f32>>, GpuError> {
        let dense: Vec<_> = all.iter().map(|rows| kernels::dense(self, rows)).collect();
        let parts: Vec<_> =
            dense.iter().map(|rows| Part { memory: &rows.memory, start: rows.start, len: rows.height * rows.width }).collect();
        self.fetch(&parts).wait().await
    }

    /// Asks for `words` and does not wait: what is launched afterwards runs while they travel. Sends off what was launched so far.
    pub fn request(&self, words: &Words) -> Request {
        Request(self.fetch(&[Part { memory: &words.memory, start: 0, len: words.len }]))
    }

    /// Asks for `parts` by way of one buffer that the host can look at, where they lie one behind the other.
    fn fetch(&self, parts: &[Part<'_>]) -> Fetch {
        let lens: Vec<usize> = parts.iter().map(|part| part.len).collect();
        let bytes = 4 * lens.iter().sum::<usize>() as u64;
        if bytes == 0 {
            return Fetch { gpu: self.clone(), lens, pending: None };
        }
        let staging = self.0.staging.take(&self.0.device, bytes, None);
        #[cfg_attr(target_family = "wasm", expect(unused_variables, reason = "a browser waits by itself"))]
        let submission = {
            let mut recording = lock(&self.0.recording);
            recording.pass = None;
            let mut to = 0;
            for part in parts.iter().filter(|part| part.len > 0) {
                let (from, len) = (4 * part.start as u64, 4 * part.len as u64);
                recording.encoder(&self.0.device).copy_buffer_to_buffer(&part.memory.buffer, from, &staging.buffer, to, len);
                to += len;
            }
            self.send(&mut recording)
        };
        self.0.counted.reads.fetch_add(1, Ordering::Relaxed);
        let (sender, mapped) = futures_channel::oneshot::channel();
        staging.buffer.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| drop(sender.send(result)));
        Fetch {
            gpu: self.clone(),
            lens,
            pending: Some(Pending {
                staging: Mapped(staging),
                bytes,
                #[cfg(not(target_family = "wasm"))]
                submission,
                mapped,
            }),
        }
    }
}

/// Words on their way to the host. Whoever lets go of it gives them up.
#[derive(Debug)]
pub struct Request(Fetch);

impl Request {
    /// The words, when all that was launched before they were asked for has run; what was launched later is not waited for.
    ///
    /// # Errors
    /// When the GPU failed since it was opened.
    pub async fn wait(self) -> Result<Vec<u32>, GpuError> {
        Ok(self.0.wait().await?.pop().unwrap_or_default())
    }
}

/// Parts of buffers on their way to the host.
#[derive(Debug)]
struct Fetch {
    gpu: Gpu,
    /// Words of each part.
    lens: Vec<usize>,
    /// `None`: there are no words at all.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    staging: Mapped,
    bytes: u64,
    #[cfg(not(target_family = "wasm"))]
    submission: Option<wgpu::SubmissionIndex>,
    mapped: futures_channel::oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Fetch {
    async fn wait<T: Pod>(self) -> Result<Vec<Vec<T>>, GpuError> {
        let Self { gpu, lens, pending } = self;
        let Some(pending) = pending else {
            return gpu.check().map(|()| vec![Vec::new(); lens.len()]);
        };
        // A browser goes on by itself; elsewhere somebody has to wait.
        #[cfg(not(target_family = "wasm"))]
        {
            let polled = gpu.0.device.poll(wgpu::PollType::Wait { submission_index: pending.submission, timeout: None });
            // What failed first is the cause: a submission that was refused cannot be waited for either.
            gpu.check()?;
            polled.map_err(|error| GpuError::Failed(error.to_string()))?;
        }
        let Pending { staging, bytes, mapped, .. } = pending;
        let mapped = mapped.await;
        gpu.check()?;
        match mapped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(GpuError::Failed(error.to_string())),
            Err(_) => return Err(GpuError::Failed("it never answered".to_owned())),
        }
        let view = staging.0.buffer.slice(..bytes).get_mapped_range().map_err(|error| GpuError::Failed(error.to_string()))?;
        let mut rest = &view[..];
        let split = lens.iter().map(|len| {
            let (front, behind) = rest.split_at(4 * len);
            rest = behind;
            bytemuck::pod_collect_to_vec(front)
        });
        Ok(split.collect())
    }
}

/// Some 32-bit words of a buffer.
struct Part<'a> {
    memory: &'a Allocation,
    /// Words in front of the first.
    start: usize,
    len: usize,
}

/// Memory that the host looks at, until nobody does: then others may be read through it, also when a wait for it was given up.
#[derive(Debug)]
struct Mapped(Arc<Allocation>);

impl Drop for Mapped {
    fn drop(&mut self) {
        self.0.buffer.unmap();
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;

    use super::{Gpu, GpuError, Kernel};
    use crate::Adapter;

    /// One of its own: tests break it, or count what it has.
    fn gpu() -> Gpu {
        Adapter::best().block_on().unwrap().open(None).block_on().unwrap()
    }

    #[test]
    fn what_the_driver_refuses_shows_at_the_next_read() {
        static BROKEN: Kernel = Kernel { name: "broken", source: &["fn main( {"], reads: 1, writes: 1 };
        let gpu = gpu();
        let [x, y] = [gpu.rows(&[1.0], [1, 1]), gpu.empty([1, 1])];
        assert_eq!(gpu.read(&x).block_on(), Ok(vec![1.0]));
        gpu.launch(&BROKEN, &[(&x).into()], &[(&y).into()], 0u32, [1, 1, 1]);
        let failed = |result| matches!(result, Err(GpuError::Failed(cause)) if cause.contains("broken"));
        assert!(failed(gpu.read(&y).block_on()), "{:?}", gpu.read(&y).block_on());
        assert!(failed(gpu.read(&x).block_on()), "a failure does not pass");
    }

    #[test]
    fn weights_that_are_let_go_of_are_forgotten() {
        let gpu = gpu();
        let groups = || super::lock(&gpu.0.recording).groups.len();
        let x = gpu.rows(&[1.0; 8], [1, 8]);
        let by = |gain: f32| crate::kernels::Norm { weight: gpu.kept_rows(&[gain; 8], [1, 8]), bias: None, epsilon: 0.0 };
        let (one, two) = (by(1.0), by(2.0));
        let y = [&one, &two].map(|by| crate::kernels::norm(&gpu, &x, by));
        assert_eq!(gpu.read(&y[1]).block_on(), Ok(vec![2.0; 8]));
        assert_eq!(groups(), 2);
        // Launched, let go of, and only then sent off: it still computes.
        let z = crate::kernels::norm(&gpu, &y[1], &one);
        drop(one);
        assert_eq!(gpu.read(&z).block_on(), Ok(vec![1.0; 8]));
        assert_eq!(groups(), 1, "those of `two`");
    }

    #[test]
    fn reads_of_one_size_share_a_buffer() {
        let gpu = gpu();
        let [x, y] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].map(|values| gpu.rows(&values, [3, 1]));
        for _ in 0..5 {
            assert_eq!(gpu.read(&x).block_on(), Ok(vec![1.0, 2.0, 3.0]));
            assert_eq!(gpu.read_all(&[&y.slice(1..3), &x]).block_on(), Ok(vec![vec![5.0, 6.0], vec![1.0, 2.0, 3.0]]));
        }
        assert_eq!(gpu.0.staging.made(), 1);
        let large = gpu.rows(&vec![7.0; 100_000], [100_000, 1]);
        assert_eq!(gpu.read(&large).block_on().map(|values| values.len()), Ok(100_000));
        assert_eq!(gpu.0.staging.made(), 2);
    }
}
