//! Building blocks that the architectures share. Batch is always 1, so a sequence is `[tokens, width]` and heads are
//! `[heads, tokens, head_dim]`.

mod activation;
pub(crate) mod attention;
mod linear;
mod load;
mod norm;
pub(crate) mod rope;
mod rows;

pub(crate) use activation::activate;
pub use linear::{Dense, LinearMap};
pub(crate) use linear::{Linear, tensor_bytes};
pub(crate) use load::Loader;
pub(crate) use norm::{LayerNorm, RmsNorm};
pub(crate) use rope::{Position, Rope, Rotation, in_line};
pub(crate) use rows::ShardedRows;
