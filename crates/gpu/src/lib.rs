//! The kernels of a vision-language model in WGSL, and how they are launched: on wgpu alone, natively and in a browser.
//!
//! A kernel is a folder entry in `kernels`: a text in WGSL and, beside it, the function that launches it. Its header says what it computes,
//! how its numbers lie, and from where the algorithm comes. All arithmetic is `f32`; weights may be narrower and are widened as they are used.
//!
//! Three rules keep a GPU busy and a browser's first answer quick:
//!
//! * **Shapes are read at run time.** A pipeline serves every length, so there are few of them and none is made late.
//! * **Nothing waits.** A launch appends to a command buffer ([`Gpu::submit`] sends it off); only [`Gpu::read`] waits, and [`Request::wait`].
//! * **Buffers are used again.** What is let go of goes back to a pool and is handed out to the next launch that needs as much; the queue
//!   runs launches in order, so none sees what another is still to write.

mod adapter;
#[cfg(target_family = "wasm")]
mod browser;
#[cfg(not(target_family = "wasm"))]
mod cache;
mod device;
mod kernel;
pub mod kernels;
mod memory;
mod queue;

pub use adapter::{Adapter, adapters};
pub use device::{Counts, Gpu, GpuError};
pub use kernel::Kernel;
pub use kernels::{Codebook, MatrixUnits, Weight};
pub use memory::{Rows, Words};
pub use queue::Request;
pub use wgpu::{AdapterInfo, DeviceType};
