//! Building blocks that the architectures share. Batch is always 1, so a sequence is `[tokens, width]` and heads are
//! `[heads, tokens, head_dim]`.

mod activation;
pub(crate) mod attention;
mod linear;
mod load;
mod norm;
mod part;
pub(crate) mod rope;
mod rows;

pub use activation::{Activation, activate};
pub(crate) use linear::tensor_bytes;
pub use linear::{Dense, Linear, LinearMap, Observer};
pub(crate) use load::Survey;
pub use load::{LinearSize, Loader};
pub use norm::Norm;
pub(crate) use part::bytes_of;
pub use part::{Part, Visit, Visitor};
pub use rope::{Position, in_line};
pub(crate) use rope::{Rope, Rotation};
pub use rows::ShardedRows;
