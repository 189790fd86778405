//! One file per kernel: its launcher in Rust, its text in WGSL beside it.

mod argmax;
mod attention;
mod e4m3;
mod elementwise;
mod gather;
mod int8;
mod join;
mod norm;
mod place;
mod product;
mod remember;
mod rotate;
mod round_heads;
mod units;
mod weight;

pub use argmax::{Seen, choose};
pub use attention::{Heads, Sight, attention, attention_row};
pub use elementwise::{Activation, activate, add, gated, multiply};
pub use join::{join, join_rows};
pub use norm::{Norm, norm};
pub use place::{beside, dense, gather, stack};
pub use product::{Epilogue, Layer, product, product_into, products};
pub use remember::{KeyValues, remember};
pub use rotate::rotate;
pub use units::MatrixUnits;
pub(crate) use units::{LANES, SHARED_BYTES};
pub use weight::{Codebook, Weight};

use crate::Kernel;

/// Those that every model needs, whatever its weights are kept as.
static SHARED: &[&Kernel] = &[
    &argmax::CHOOSE,
    &argmax::PARTIAL,
    &attention::BLOCK,
    &attention::COMBINE,
    &attention::FEW,
    &attention::ROW,
    &elementwise::KERNEL,
    &norm::KERNEL,
    &place::KERNEL,
    &remember::KERNEL,
    &rotate::KERNEL,
];

/// Every kernel that devices usually run; those for matrix units are [theirs](MatrixUnits::kernels), and [`PLAIN`] has what takes the place of
/// others. A model needs those of its weights' formats
/// alone: what [`Gpu::prepare`](crate::Gpu::prepare) is given may be less.
#[rustfmt::skip]
pub static ALL: &[&Kernel] = &[
    &argmax::CHOOSE,
    &argmax::PARTIAL,
    &attention::BLOCK,
    &attention::COMBINE,
    &attention::FEW,
    &attention::ROW,
    &e4m3::ROUND,
    &elementwise::KERNEL,
    &int8::ROUND,
    &norm::KERNEL,
    &place::KERNEL,
    &remember::KERNEL,
    &rotate::KERNEL,
    &round_heads::KERNEL,
    &weight::BF16.few, &weight::BF16.tiled, weight::BF16.large.as_ref().unwrap(), weight::BF16.gather.as_ref().unwrap(),
    &weight::CODED4.few, &weight::CODED4.tiled, weight::CODED4.large.as_ref().unwrap(),
    &weight::CODED8.few, &weight::CODED8.tiled, weight::CODED8.large.as_ref().unwrap(),
    &weight::F16.few, &weight::F16.tiled, weight::F16.large.as_ref().unwrap(), weight::F16.gather.as_ref().unwrap(),
    &weight::F32.few, &weight::F32.tiled, weight::F32.large.as_ref().unwrap(), weight::F32.gather.as_ref().unwrap(),
    &weight::INT8.few, &weight::INT8.tiled,
    &weight::W4.few, &weight::W4.tiled, weight::W4.large.as_ref().unwrap(), weight::W4.gather.as_ref().unwrap(),
];

/// What takes the place of kernels that a device's language is too small for.
pub static PLAIN: &[&Kernel] = &[&weight::INT8_PLAIN.few, &weight::INT8_PLAIN.tiled];

/// Most workgroups along one axis, on every device.
const MAX_GROUPS: usize = 65535;

/// `count` workgroups over two axes where one does not hold them; a kernel numbers them row by row and lets those beyond the last go.
fn spread(count: usize) -> [usize; 3] {
    if count <= MAX_GROUPS { [count, 1, 1] } else { [MAX_GROUPS, count.div_ceil(MAX_GROUPS), 1] }
}
