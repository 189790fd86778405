//! A method as data: what the parser accepts, what listings print, what errors point to.

use std::fmt;

use crate::{Linears, ParameterKind, Value};

/// One acceleration method.
#[derive(Debug)]
pub struct Method {
    /// Its name in a spec.
    pub name: &'static str,
    /// What it changes.
    pub kind: MethodKind,
    /// Its parameters, in the order of the canonical text.
    pub parameters: &'static [Parameter],
    /// One line for listings and plans, in the field's terms.
    pub summary: &'static str,
    /// One sentence for a visitor of the page, in plain words.
    pub plain: &'static str,
    /// The paper or repository it is taken from.
    pub source: &'static str,
}

/// What a method changes. A spec holds at most one of each, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MethodKind {
    /// The weights of linear layers.
    Quantizer,
    /// Keys and values of the tokens that were read.
    Cache,
    /// The number of visual tokens, or what they show.
    TokenReducer(Place),
}

/// Where a token reducer acts, in the order in which a prompt passes these places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the picture, before the vision tower.
    Picture,
    /// In the blocks of the vision tower.
    Tower,
    /// Between the vision tower and the decoder.
    BeforeDecoder,
    /// Between layers of the decoder.
    Decoder,
}

/// One parameter of a method.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in a spec.
    pub name: &'static str,
    /// What values it takes.
    pub kind: ParameterKind,
    /// The canonical text of the value it has when it is not given; empty for a flag that is not set, and for no layers.
    pub default: &'static str,
    /// One line for listings.
    pub meaning: &'static str,
}

impl Method {
    /// The canonical text of this method with one of `values` per parameter, in their order: the name and every parameter.
    pub fn spell(&self, values: &[Value]) -> String {
        let mut text = self.name.to_owned();
        // The first separator sets the parameters off from the name; a name that holds one itself goes on with commas.
        let mut separator = if self.name.contains(':') { ',' } else { ':' };
        for (parameter, value) in self.parameters.iter().zip(values) {
            let value = match value {
                Value::Flag(false) => continue,
                Value::Linears(linears) if linears.is_empty() => continue,
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

impl MethodKind {
    /// What several of this kind are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Quantizer => "quantizers",
            Self::Cache => "quantizers of keys and values",
            Self::TokenReducer(Place::Picture) => "token reducers before the vision tower",
            Self::TokenReducer(Place::Tower) => "token reducers in the vision tower",
            Self::TokenReducer(Place::BeforeDecoder) => "token reducers between the vision tower and the decoder",
            Self::TokenReducer(Place::Decoder) => "token reducers in the decoder",
        }
    }
}

impl Parameter {
    /// Whether it says which layers a method is applied to, which is settled for all quantizers alike. Such parameters come last.
    pub fn chooses_layers(&self) -> bool {
        self.kind == ParameterKind::Linears || (self.kind == ParameterKind::Flag && ["vision", "projector", "head"].contains(&self.name))
    }

    /// The value of [`Self::default`]; `None` if its text is none that the parameter takes.
    pub(crate) fn default_value(&self) -> Option<Value> {
        match self.kind {
            ParameterKind::Flag => Some(Value::Flag(false)),
            ParameterKind::Linears => Some(Value::Linears(Linears::default())),
            kind => kind.parse(self.default),
        }
    }
}
