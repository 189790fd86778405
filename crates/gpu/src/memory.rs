//! Numbers in device memory.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::device::lock;

/// A buffer, and the pool that it goes back to.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) buffer: wgpu::Buffer,
    /// Unique on its device: bind groups are remembered by it.
    pub(crate) id: u64,
    /// The submission that used it last.
    last_use: AtomicU64,
    pool: Weak<Pool>,
    /// Whether it stays as long as somebody holds it, and is then the driver's again.
    kept: bool,
}

impl Allocation {
    pub(crate) fn used_in(&self, submission: u64) {
        self.last_use.store(submission, Ordering::Relaxed);
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        if self.kept {
            lock(&pool.gone).push(self.id);
        } else {
            let free = Free { buffer: self.buffer.clone(), id: self.id, last_use: *self.last_use.get_mut() };
            lock(&pool.free).entry(free.buffer.size()).or_default().push(free);
        }
    }
}

/// Buffers that nobody holds, by size.
#[derive(Debug)]
pub(crate) struct Pool {
    usage: wgpu::BufferUsages,
    free: Mutex<HashMap<u64, Vec<Free>>>,
    /// Kept buffers that nobody holds any more.
    gone: Mutex<Vec<u64>>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Free {
    buffer: wgpu::Buffer,
    id: u64,
    last_use: u64,
}

impl Pool {
    /// One of buffers for `usage`.
    pub(crate) fn new(usage: wgpu::BufferUsages) -> Self {
        Self { usage, free: Mutex::default(), gone: Mutex::default(), next_id: AtomicU64::new(0) }
    }

    /// At least `bytes`. With `before`, one that no launch of that submission or of a later one uses: what is written from the host is
    /// there before all of the launches that are yet to be submitted.
    pub(crate) fn take(self: &Arc<Self>, device: &wgpu::Device, bytes: u64, before: Option<u64>) -> Arc<Allocation> {
        let size = size_class(bytes);
        let mut free = lock(&self.free);
        let found = free.get_mut(&size).and_then(|of_size| {
            let fits = |free: &Free| before.is_none_or(|submission| free.last_use < submission);
            let at = of_size.iter().rposition(fits)?;
            Some(of_size.swap_remove(at))
        });
        drop(free);
        let Free { buffer, id, last_use } = found.unwrap_or_else(|| self.fresh(device, size));
        Arc::new(Allocation { buffer, id, last_use: AtomicU64::new(last_use), pool: Arc::downgrade(self), kept: false })
    }

    /// Exactly `bytes` that never come back to the pool: weights.
    pub(crate) fn keep(self: &Arc<Self>, device: &wgpu::Device, bytes: u64) -> Arc<Allocation> {
        let Free { buffer, id, last_use } = self.fresh(device, bytes.max(16).next_multiple_of(4));
        Arc::new(Allocation { buffer, id, last_use: AtomicU64::new(last_use), pool: Arc::downgrade(self), kept: true })
    }

    fn fresh(&self, device: &wgpu::Device, size: u64) -> Free {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage: self.usage, mapped_at_creation: false };
        let buffer = device.create_buffer(&descriptor);
        Free { buffer, id: self.next_id.fetch_add(1, Ordering::Relaxed), last_use: 0 }
    }

    /// Kept buffers that were let go of since this was asked last.
    pub(crate) fn take_gone(&self) -> Vec<u64> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Gives all that is free back to the driver.
    pub(crate) fn clear(&self) {
        lock(&self.free).clear();
    }

    /// How many buffers it has made.
    #[cfg(test)]
    pub(crate) fn made(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }
}

/// Sizes that the pool has: four between a power of two and the next, so that a prompt that is a token longer finds the buffers of the last.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 8).max(64);
    bytes.next_multiple_of(step)
}

/// A matrix of `f32` on a GPU, row after row. Cheap to clone: clones, [slices](Rows::slice) and [columns](Rows::columns) share memory. What it
/// holds never changes once it is written, but for a kernel that says so.
#[derive(Clone, Debug)]
pub struct Rows {
    pub(crate) memory: Arc<Allocation>,
    /// Numbers in front of the first.
    pub(crate) start: usize,
    /// Numbers from one row to the next: more than there are columns where they are columns of a wider matrix.
    pub(crate) pitch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Rows {
    /// A whole matrix at the beginning of `memory`.
    pub(crate) fn whole(memory: Arc<Allocation>, [height, width]: [usize; 2]) -> Self {
        Self { memory, start: 0, pitch: width, height, width }
    }

    /// `[rows, columns]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Numbers in front of the first one, in its buffer.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether its rows follow one another without a gap.
    pub fn is_dense(&self) -> bool {
        self.pitch == self.width || self.height <= 1
    }

    /// Some of the rows, in the same memory.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.height, "rows {rows:?} of {}", self.height);
        Self { start: self.start + rows.start * self.pitch, height: rows.len(), ..self.clone() }
    }

    /// Some of the columns, in the same memory: one of queries, keys and values that a product left side by side.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn columns(&self, columns: Range<usize>) -> Self {
        assert!(columns.start <= columns.end && columns.end <= self.width, "columns {columns:?} of {}", self.width);
        Self { start: self.start + columns.start, width: columns.len(), ..self.clone() }
    }

    /// The same numbers as a matrix of another shape, in the same memory.
    ///
    /// # Panics
    /// When it holds more or fewer numbers, or is [not dense](Self::is_dense).
    #[must_use]
    pub fn reshape(&self, [rows, cols]: [usize; 2]) -> Self {
        assert_eq!(rows * cols, self.height * self.width, "as many numbers in [{rows}, {cols}] as in [{}, {}]", self.height, self.width);
        assert!(self.is_dense(), "columns of a wider matrix in another shape");
        Self { pitch: cols, height: rows, width: cols, ..self.clone() }
    }
}

/// Whole 32-bit words on a GPU: packed weights, indices.
#[derive(Clone, Debug)]
pub struct Words {
    pub(crate) memory: Arc<Allocation>,
    pub(crate) len: usize,
}

impl Words {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first `len` of them, in the same memory.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn first(&self, len: usize) -> Self {
        assert!(len <= self.len, "{len} words of {}", self.len);
        Self { memory: Arc::clone(&self.memory), len }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn sizes_are_whole_and_waste_little() {
        for bytes in [1, 256, 257, 1000, 4096, 4100, 1_000_000, 123_456_789] {
            let size = size_class(bytes);
            assert!(size >= bytes && size.is_multiple_of(64), "{bytes} {size}");
            assert!(bytes < 1024 || size <= bytes + bytes / 4 + 64, "{bytes} {size}");
        }
    }
}
