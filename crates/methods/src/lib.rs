//! What can be asked of a model, without a tensor: the methods, their parameters, and the short text that names them.
//!
//! A [`Spec`] is at most one method of each kind, written the way users type it and reports carry it:
//! `w4:rtn,g=64+divprune:keep=0.33`. Parsing fills every default in, so the text of a parsed spec says all there is to say.
//! [`METHODS`] is the list of what exists, [`PRESETS`] the named sets. What a method does to a model is steady-accel's.

mod method;
mod preset;
mod spec;
mod table;
mod value;

pub use method::{Method, MethodKind, Parameter};
pub use preset::{FIRST3, FIRST5, PRESETS, Preset};
pub use spec::{Part, Spec, SpecError};
pub use table::{DIVPRUNE, FASTV, INT8, METHODS, RANDOM, W4_RTN};
pub use value::{Group, Keep, ParameterKind, Value};
