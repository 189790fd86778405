//! What can be asked of a model, without a tensor: the methods, their parameters, and the short text that names them.
//!
//! A [`Spec`] is at most one method of each kind, written the way users type it and reports carry it:
//! `w4:rtn,g=64+divprune:keep=0.33`. Parsing fills every default in, so the text of a parsed spec says all there is to say.
//! [`METHODS`] is the list of what exists, [`PRESETS`] the named sets, [`CONTROLS`] the changes that should not matter. What a method does to a
//! model is steady-accel's.
//!
//! ```
//! use steady_methods::{MethodKind, Place, Spec};
//!
//! let spec: Spec = "fastv + w4:rtn,g=64".parse()?;
//! assert_eq!(spec.to_string(), "w4:rtn,g=64+fastv:k=2,keep=0.5");
//! let kinds: Vec<MethodKind> = spec.parts().iter().map(|part| part.method().kind).collect();
//! assert_eq!(kinds, [MethodKind::Quantizer, MethodKind::TokenReducer(Place::Decoder)]);
//!
//! let error = Spec::parse("w4:rtn,g=60").unwrap_err();
//! assert_eq!(error.to_string(), "`w4:rtn`: g=60: expected `auto` or a multiple of 8");
//! # Ok::<(), steady_methods::SpecError>(())
//! ```

mod control;
mod method;
mod preset;
mod spec;
mod sweep;
mod table;
mod value;

pub use control::{Baseline, CONTROLS, Change, Control, UnknownControl};
pub use method::{Method, MethodKind, Parameter, Place};
pub use preset::{DEPLOYED, FIRST3, FIRST5, PAPER8, PRESETS, Preset, REDUCERS};
pub use spec::{Part, Spec, SpecError};
pub use sweep::{NoSweep, Sweep};
pub use table::*;
pub use value::{Group, Keep, Layers, Linears, ParameterKind, Positions, Value};
