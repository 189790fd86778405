//! The list of methods as data: what the parser accepts, what `--help` prints, what errors point to.

use std::fmt;
use std::sync::Arc;

use steady_vlm::TokenReducer;

use crate::quantize::{Group, Quantizer, int8, rtn};
use crate::reduce::{Keep, divprune, fastv, random};

/// Every method a spec may name.
pub const METHODS: &[Method] = &[rtn::METHOD, int8::METHOD, divprune::METHOD, fastv::METHOD, random::METHOD];

/// One acceleration method.
#[derive(Debug)]
pub struct Method {
    /// Its name in a spec.
    pub name: &'static str,
    /// What it changes.
    pub kind: MethodKind,
    /// Its parameters, in the order of the canonical text.
    pub parameters: &'static [Parameter],
    /// One line for listings.
    pub summary: &'static str,
    /// The paper or repository it is taken from.
    pub source: &'static str,
    /// Makes the method from one value per parameter, in order.
    pub(crate) build: fn(&[Value]) -> Option<Part>,
}

/// What a method changes. A spec holds at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// The weights of linear layers.
    Quantizer,
    /// The number of visual tokens.
    TokenReducer,
}

/// One parameter of a method.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in a spec.
    pub name: &'static str,
    /// What values it takes.
    pub kind: ParameterKind,
    /// The canonical text of the value it has when it is not given; empty for a flag that is not set.
    pub default: &'static str,
    /// One line for listings.
    pub meaning: &'static str,
}

/// The values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// How many visual tokens stay, as a share or a count ([`Keep`]).
    Keep,
    /// A decoder layer, counted from 0; layer 0 has no layer before it and is not a choice.
    Layer,
    /// Any unsigned 64-bit integer.
    Seed,
    /// A number above 0.
    Positive,
    /// Inputs that share a scale ([`Group`]).
    Group,
    /// Present or absent, without a value.
    Flag,
}

/// A value of some [`ParameterKind`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Keep(Keep),
    Integer(u64),
    Number(f32),
    Group(Group),
    Flag(bool),
}

/// A method with its values.
pub(crate) enum Part {
    Quantizer(Arc<dyn Quantizer>),
    Reducer(Arc<dyn TokenReducer>),
}

impl Method {
    /// The canonical text of this method with `values`: the name and every parameter.
    pub(crate) fn spell(&self, values: &[Value]) -> String {
        let mut text = self.name.to_owned();
        // The first separator sets the parameters off from the name; a name that holds one itself goes on with commas.
        let mut separator = if self.name.contains(':') { ',' } else { ':' };
        for (parameter, value) in self.parameters.iter().zip(values) {
            let value = match value {
                Value::Flag(false) => continue,
                Value::Flag(true) => String::new(),
                value => format!("={value}"),
            };
            text.push(separator);
            text += parameter.name;
            text += &value;
            separator = ',';
        }
        text
    }
}

impl fmt::Display for Method {
    /// The canonical text with every default filled in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defaults: Vec<Value> = self.parameters.iter().filter_map(Parameter::default_value).collect();
        f.write_str(&self.spell(&defaults))
    }
}

impl Parameter {
    pub(crate) fn default_value(&self) -> Option<Value> {
        match self.kind {
            ParameterKind::Flag => Some(Value::Flag(false)),
            kind => kind.parse(self.default),
        }
    }
}

impl ParameterKind {
    /// What a valid value looks like.
    pub fn expects(self) -> &'static str {
        match self {
            Self::Keep => "a share in (0, 1] or a count of at least 2",
            Self::Layer => "a decoder layer from 1 on",
            Self::Seed => "an integer from 0 to 18446744073709551615",
            Self::Positive => "a number above 0",
            Self::Group => "`auto` or a multiple of 8",
            Self::Flag => "no value",
        }
    }

    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Keep => Keep::parse(text).map(Value::Keep),
            Self::Layer => text.parse().ok().filter(|&layer| layer >= 1).map(Value::Integer),
            Self::Seed => text.parse().ok().map(Value::Integer),
            Self::Positive => text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0).map(Value::Number),
            Self::Group => Group::parse(text).map(Value::Group),
            Self::Flag => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(keep) => keep.fmt(f),
            Self::Integer(integer) => integer.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Group(group) => group.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}
