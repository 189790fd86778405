//! What is done to a model: quantizers and visual-token reducers, named by a short spec.
//!
//! Which methods there are and how a spec is written is steady-methods's. An [`Acceleration`] is a parsed spec with what carries
//! it out; a [`Registry`] pairs methods with code, those of this crate and one's own.
//!
//! A [`Quantizer`] is fitted to a model's layers, and what comes of it, a [`Fitted`], turns a float matrix into a packed one;
//! [`Acceleration::quantize`] applies it to the linear layers it is meant for. A token reducer implements
//! [`steady_vlm::TokenReducer`] and is handed to the model with each prompt.

mod acceleration;
mod apply;
mod implementation;
pub mod memory;
mod quantize;
mod reduce;
mod registry;

pub use acceleration::Acceleration;
pub use apply::{Description, QuantizedModules};
pub use implementation::{Built, Implementation};
pub use quantize::{AccelError, Calibration, Fitted, FittedRtn, Int8, LinearShape, Quantizer, Rtn};
pub use reduce::{DivPrune, FastV, RandomKeep};
pub use registry::Registry;
pub use steady_methods::{Group, Keep, SpecError};
