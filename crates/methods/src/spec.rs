//! The text that names what is asked of a model.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Linears, METHODS, Method, MethodKind, Parameter, ParameterKind, Value};

/// At most one method of each kind, each with all its parameters; none at all is the baseline.
///
/// The text is parts joined by `+`; a part is a method and its parameters, `name:key=value,flag`. `none` is the
/// baseline. [`fmt::Display`] gives the canonical text: quantizer first, every default spelled out. Two specs are equal
/// when their canonical texts are.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Spec {
    /// In the order of their kinds.
    parts: Vec<Part>,
}

/// A method with a value for each of its parameters.
#[derive(Clone)]
pub struct Part {
    method: &'static Method,
    values: Vec<Value>,
}

/// Why a text is not a spec, or a spec cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// No method has this name.
    #[error("unknown acceleration `{part}`; valid: none, {valid}")]
    UnknownMethod {
        /// The part as written.
        part: String,
        /// The names of all methods.
        valid: String,
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
    /// The row of a method and what carries it out do not belong together: a mistake of whoever paired them.
    #[error("`{part}`: what carries the method out does not take these parameters, or changes something else than its row says")]
    Mismatched {
        /// The part, canonical.
        part: String,
    },
}

impl SpecError {
    /// [`Self::UnknownMethod`] where there are only these.
    pub fn unknown_method(part: &str, methods: &[&Method]) -> Self {
        let valid: Vec<&str> = methods.iter().map(|method| method.name).collect();
        Self::UnknownMethod { part: part.to_owned(), valid: valid.join(", ") }
    }
}

impl Spec {
    /// The baseline: nothing is asked.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a spec of the [`METHODS`] that there are.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Self::parse_of(&METHODS, text)
    }

    /// Reads a spec of these methods, which have different names.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse_of(methods: &[&'static Method], text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::none();
        if text.trim() == "none" {
            return Ok(spec);
        }
        for text in text.split('+').map(str::trim) {
            if text == "none" {
                return Err(SpecError::NoneCombined);
            }
            let part = Part::parse(methods, text)?;
            let kind = part.method.kind;
            if let Some(first) = spec.part(kind) {
                return Err(SpecError::Two { first: first.to_string(), second: part.to_string(), kind: kind.plural() });
            }
            spec.parts.push(part);
        }
        spec.parts.sort_by_key(|part| part.method.kind);
        Ok(spec)
    }

    /// Whether this is the baseline.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty()
    }

    /// Its parts, in the order of the canonical text.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The same with these layers for `parameter`, whatever they were; `None` where no method has such a parameter.
    #[must_use]
    pub fn with_layers(mut self, parameter: &str, layers: Linears) -> Option<Self> {
        let (at, part) = self.parts.iter_mut().find_map(|part| Some((part.place_of_layers(parameter)?, part)))?;
        part.values[at] = Value::Linears(layers);
        Some(self)
    }

    /// The same with `parameter` set to `value` in the last part that has it; `None` where none does.
    ///
    /// # Errors
    /// [`SpecError::Value`] when it is no value of the parameter.
    pub fn with(&self, parameter: &str, value: &str) -> Result<Option<Self>, SpecError> {
        let mut spec = self.clone();
        let has = |part: &&mut Part| part.method.parameters.iter().any(|known| known.name == parameter);
        let Some(part) = spec.parts.iter_mut().rev().find(has) else { return Ok(None) };
        let (at, value) = parse_parameter(part.method, &format!("{parameter}={value}"))?;
        part.values[at] = value;
        Ok(Some(spec))
    }

    /// The part of this kind.
    pub fn part(&self, kind: MethodKind) -> Option<&Part> {
        self.parts.iter().find(|part| part.method.kind == kind)
    }
}

impl Part {
    /// Reads one part: `name`, then parameters set off by `:` or `,`.
    fn parse(methods: &[&'static Method], text: &str) -> Result<Self, SpecError> {
        let unknown = || SpecError::unknown_method(text, methods);
        // One name may begin another: `w4` and `w4:rtn`. The longer one is meant.
        let named = |method: &&'static Method| {
            let rest = text.strip_prefix(method.name)?;
            if rest.is_empty() { Some((*method, None)) } else { Some((*method, Some(rest.trim_start().strip_prefix([':', ','])?))) }
        };
        let (method, parameters) = methods.iter().filter_map(named).max_by_key(|(method, _)| method.name.len()).ok_or_else(unknown)?;
        let mut given: Vec<Option<Value>> = vec![None; method.parameters.len()];
        for text in parameters.iter().flat_map(|parameters| parameters.split(',')).map(str::trim) {
            let (at, value) = parse_parameter(method, text)?;
            if given[at].replace(value).is_some() {
                return Err(SpecError::Repeated { method: method.name, parameter: method.parameters[at].name });
            }
        }
        let or_default = |(given, parameter): (Option<Value>, &Parameter)| given.or_else(|| parameter.default_value());
        let values: Option<Vec<Value>> = given.into_iter().zip(method.parameters).map(or_default).collect();
        Ok(Self { method, values: values.ok_or_else(unknown)? })
    }

    /// The method.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// The layers that `parameter` names: `float`, those that stay in float although the method would pack them, or `w8`, those in 8 bits. None where the
    /// method has no such parameter.
    pub fn layers(&self, parameter: &str) -> Linears {
        match self.place_of_layers(parameter).map(|at| &self.values[at]) {
            Some(Value::Linears(layers)) => layers.clone(),
            _ => Linears::default(),
        }
    }

    /// Where the parameter of this name is, if it takes layers.
    fn place_of_layers(&self, parameter: &str) -> Option<usize> {
        self.method.parameters.iter().position(|own| own.name == parameter && own.kind == ParameterKind::Linears)
    }

    /// Whether a flag of this name is set.
    pub fn flag(&self, name: &str) -> bool {
        self.method.parameters.iter().zip(&self.values).any(|(parameter, value)| parameter.name == name && *value == Value::Flag(true))
    }

    /// The values of the parameters that are the method's own: not [which layers](Parameter::chooses_layers) it is applied to.
    pub fn own_values(&self) -> Vec<Value> {
        let all = self.method.parameters.iter().zip(&self.values);
        all.filter(|(parameter, _)| !parameter.chooses_layers()).map(|(_, value)| value.clone()).collect()
    }

    /// One value per parameter of the method, in their order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
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

fn valid_parameters(method: &Method) -> String {
    let one = |parameter: &Parameter| match parameter.kind {
        ParameterKind::Flag => parameter.name.to_owned(),
        kind => format!("{}=<{}>", parameter.name, kind.expects()),
    };
    method.parameters.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(ToString::to_string).collect();
        f.pad(&if parts.is_empty() { "none".to_owned() } else { parts.join("+") })
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({self})")
    }
}

impl fmt::Display for Part {
    /// The canonical text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method.spell(&self.values))
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({self})")
    }
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Spec {}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Spec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        Self::parse(&text)
    }
}

impl From<Spec> for String {
    fn from(spec: Spec) -> Self {
        spec.to_string()
    }
}
