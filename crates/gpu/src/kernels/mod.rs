//! One file per kernel: its launcher in Rust, its text in WGSL beside it.

mod attention;
mod elementwise;
mod gather;
mod int8;
mod norm;
mod place;
mod product;
mod remember;
mod rotate;
mod weight;

pub use attention::{Heads, Sight, attention, attention_row};
pub use elementwise::{Activation, activate, add, gated, gated_halves, multiply};
pub use norm::{Norm, norm};
pub use place::{beside, columns, gather, stack};
pub use product::{Epilogue, product, product_into};
pub use remember::KeyValues;
pub use rotate::rotate;
pub use weight::Weight;

/// Most workgroups along one axis, on every device.
const MAX_GROUPS: usize = 65535;

/// `count` workgroups over two axes where one does not hold them; a kernel numbers them row by row and lets those beyond the last go.
fn spread(count: usize) -> [usize; 3] {
    if count <= MAX_GROUPS { [count, 1, 1] } else { [MAX_GROUPS, count.div_ceil(MAX_GROUPS), 1] }
}
