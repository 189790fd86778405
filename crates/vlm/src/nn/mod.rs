//! Building blocks that the architectures share. Batch is always 1, so a sequence is a matrix, `[tokens, width]`, with the heads of queries,
//! keys and values side by side.

mod activation;
mod linear;
mod load;
mod norm;
mod part;
pub(crate) mod rope;

pub use linear::{Dense, Linear, LinearMap, Observer};
pub(crate) use load::Survey;
pub use load::{LinearSize, Loader};
pub use norm::Norm;
pub(crate) use part::bytes_of;
pub use part::{Part, Visit, Visitor};
pub(crate) use rope::Rope;
pub use rope::{Position, in_line};
pub use steady_kernels::Activation;
