//! The text of an acceleration.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steady_vlm::TokenReducer;
use thiserror::Error;

use crate::method::{METHODS, Method, Parameter, ParameterKind, Part, Value};
use crate::quantize::Quantizer;

/// At most one quantizer and at most one token reducer, each with all its parameters.
///
/// The text is parts joined by `+`; a part is a method and its parameters, `name:key=value,flag`. `none` is the
/// baseline. [`fmt::Display`] gives the canonical text: quantizer first, every default spelled out. Two accelerations
/// are equal when their canonical texts are.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Acceleration {
    pub(crate) quantizer: Option<Arc<dyn Quantizer>>,
    pub(crate) reducer: Option<Arc<dyn TokenReducer>>,
}

/// Why a text is not an acceleration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// No method has this name.
    #[error("unknown acceleration `{part}`; valid: none, {}", valid_methods())]
    UnknownMethod {
        /// The part as written.
        part: String,
    },
    /// The method has no such parameter.
    #[error("`{method}` has no parameter `{parameter}`; valid: {valid}")]
    UnknownParameter {
        /// The method.
        method: &'static str,
        /// The parameter as written.
        parameter: String,
        /// Its parameters with what they expect.
        valid: String,
    },
    /// A parameter's value is missing or not one it takes.
    #[error("`{method}`: {parameter}={value}: expected {expected}")]
    Value {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The value as written.
        value: String,
        /// What is valid.
        expected: &'static str,
    },
    /// A parameter is given twice.
    #[error("`{method}`: parameter `{parameter}` is given twice")]
    Repeated {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// Two methods change the same thing.
    #[error("`{first}` and `{second}` are both {kind}: an acceleration has at most one")]
    Two {
        /// The earlier part, canonical.
        first: String,
        /// The later part, canonical.
        second: String,
        /// What both are.
        kind: &'static str,
    },
    /// The baseline is combined with something.
    #[error("`none` is the baseline and stands alone")]
    NoneCombined,
}

impl Acceleration {
    /// The baseline: nothing is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a spec.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut acceleration = Self::none();
        if text.trim() == "none" {
            return Ok(acceleration);
        }
        for part in text.split('+').map(str::trim) {
            if part == "none" {
                return Err(SpecError::NoneCombined);
            }
            match parse_part(part)? {
                Part::Quantizer(quantizer) => {
                    let second = quantizer.name();
                    if let Some(first) = acceleration.quantizer.replace(quantizer) {
                        return Err(SpecError::Two { first: first.name(), second, kind: "quantizers" });
                    }
                }
                Part::Reducer(reducer) => {
                    let second = reducer.name();
                    if let Some(first) = acceleration.reducer.replace(reducer) {
                        return Err(SpecError::Two { first: first.name(), second, kind: "token reducers" });
                    }
                }
            }
        }
        Ok(acceleration)
    }

    /// Whether this is the baseline.
    pub fn is_none(&self) -> bool {
        self.quantizer.is_none() && self.reducer.is_none()
    }

    /// The token reducer to hand to the model with each prompt.
    pub fn reducer(&self) -> Option<&dyn TokenReducer> {
        self.reducer.as_deref()
    }

    /// The quantizer, if the weights change.
    pub fn quantizer(&self) -> Option<&dyn Quantizer> {
        self.quantizer.as_deref()
    }
}

/// Reads one part: `name`, then parameters set off by `:` or `,`.
fn parse_part(part: &str) -> Result<Part, SpecError> {
    let unknown = || SpecError::UnknownMethod { part: part.to_owned() };
    let (method, parameters) = METHODS
        .iter()
        .find_map(|method| {
            let rest = part.strip_prefix(method.name)?;
            if rest.is_empty() { Some((method, None)) } else { Some((method, Some(rest.trim_start().strip_prefix([':', ','])?))) }
        })
        .ok_or_else(unknown)?;
    let mut given: Vec<Option<Value>> = vec![None; method.parameters.len()];
    for text in parameters.iter().flat_map(|parameters| parameters.split(',')).map(str::trim) {
        let (at, value) = parse_parameter(method, text)?;
        if given[at].replace(value).is_some() {
            return Err(SpecError::Repeated { method: method.name, parameter: method.parameters[at].name });
        }
    }
    let or_default = |(given, parameter): (Option<Value>, &Parameter)| given.or_else(|| parameter.default_value());
    let values: Option<Vec<Value>> = given.into_iter().zip(method.parameters).map(or_default).collect();
    values.and_then(|values| (method.build)(&values)).ok_or_else(unknown)
}

/// Reads `key=value` or `flag`: which parameter, and its value.
fn parse_parameter(method: &'static Method, text: &str) -> Result<(usize, Value), SpecError> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name.trim(), Some(value.trim())));
    let Some(at) = method.parameters.iter().position(|parameter| parameter.name == name) else {
        return Err(SpecError::UnknownParameter { method: method.name, parameter: text.to_owned(), valid: valid_parameters(method) });
    };
    let parameter = &method.parameters[at];
    let parsed = match value {
        Some(value) => parameter.kind.parse(value),
        None => (parameter.kind == ParameterKind::Flag).then_some(Value::Flag(true)),
    };
    match parsed {
        Some(parsed) => Ok((at, parsed)),
        None => Err(SpecError::Value {
            method: method.name,
            parameter: parameter.name,
            value: value.unwrap_or_default().to_owned(),
            expected: parameter.kind.expects(),
        }),
    }
}

fn valid_methods() -> String {
    METHODS.iter().map(|method| method.name).collect::<Vec<_>>().join(", ")
}

fn valid_parameters(method: &Method) -> String {
    let one = |parameter: &Parameter| match parameter.kind {
        ParameterKind::Flag => parameter.name.to_owned(),
        kind => format!("{}=<{}>", parameter.name, kind.expects()),
    };
    method.parameters.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantizer = self.quantizer.iter().map(|quantizer| quantizer.name());
        let reducer = self.reducer.iter().map(|reducer| reducer.name());
        let parts: Vec<String> = quantizer.chain(reducer).collect();
        f.pad(&if parts.is_empty() { "none".to_owned() } else { parts.join("+") })
    }
}

impl fmt::Debug for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceleration({self})")
    }
}

impl PartialEq for Acceleration {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Acceleration {}

impl FromStr for Acceleration {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Acceleration {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        Self::parse(&text)
    }
}

impl From<Acceleration> for String {
    fn from(acceleration: Acceleration) -> Self {
        acceleration.to_string()
    }
}
