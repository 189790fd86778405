//! What is done to a model: quantizers and visual-token reducers, named by a short spec.
//!
//! An [`Acceleration`] is at most one quantizer and at most one token reducer, written the way users type it and reports
//! carry it: `w4:rtn,g=64+divprune:keep=0.33`. Parsing fills every default in, so the text of a parsed acceleration says
//! all there is to say. [`METHODS`] is the list of what exists, [`PRESETS`] the named sets.
//!
//! A [`Quantizer`] turns a float matrix into a packed one; [`Acceleration::quantize`] applies it to the linear layers it
//! is meant for. A token reducer implements [`steady_vlm::TokenReducer`] and is handed to the model with each prompt.

mod apply;
pub mod memory;
mod method;
mod preset;
mod quantize;
mod reduce;
mod spec;

pub use apply::{Description, QuantizedModules};
pub use method::{METHODS, Method, MethodKind, Parameter, ParameterKind};
pub use preset::{PRESETS, Preset};
pub use quantize::{AccelError, Group, Int8, LinearShape, Quantizer, Rtn};
pub use reduce::{DivPrune, FastV, Keep, RandomKeep};
pub use spec::{Acceleration, SpecError};
