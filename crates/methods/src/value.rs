//! What a parameter may be set to.

use std::fmt;

/// The values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// How many visual tokens stay, as a share or a count ([`Keep`]).
    Keep,
    /// A decoder layer, counted from 0; layer 0 has no layer before it and is not a choice.
    Layer,
    /// As many decoder layers as the method acts before, ascending ([`Layers`]).
    Layers(usize),
    /// A number of tokens, 0 included.
    Count,
    /// A share, 0 and 1 included.
    Fraction,
    /// Rotary positions of what is left ([`Positions`]).
    Positions,
    /// Any unsigned 64-bit integer.
    Seed,
    /// A number above 0.
    Positive,
    /// Prompts to calibrate with, at least one.
    Samples,
    /// Inputs that share a scale ([`Group`]).
    Group,
    /// Linear layers, by parts of their names ([`Linears`]).
    Linears,
    /// Present or absent, without a value.
    Flag,
}

/// A value of the [`ParameterKind`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// How many visual tokens stay.
    Keep(Keep),
    /// A decoder layer, from 1 on.
    Layer(usize),
    /// Decoder layers.
    Layers(Layers),
    /// A number of tokens.
    Count(usize),
    /// A share in [0, 1].
    Fraction(f64),
    /// Rotary positions of what is left.
    Positions(Positions),
    /// A seed.
    Seed(u64),
    /// A finite number above 0.
    Positive(f32),
    /// Prompts to calibrate with.
    Samples(usize),
    /// Inputs that share a scale.
    Group(Group),
    /// Linear layers.
    Linears(Linears),
    /// Whether it is there.
    Flag(bool),
}

/// How many visual tokens stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// A share of them, in (0, 1].
    Share(f64),
    /// This many, at least 2. An image with fewer keeps them all.
    Count(usize),
}

/// Decoder layers that a method acts before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Those of the source, at the same shares of the decoder's depth.
    Auto,
    /// These, of which the first so many count: ascending, from 1 on.
    At([usize; 3], usize),
}

/// Rotary positions of what is left of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// As they were in the whole prompt.
    Keep,
    /// Counted anew.
    Renumber,
}

/// Linear layers, by parts of their canonical names: `layers.3` is a block, `down_proj` a kind, `layers.3.mlp.down_proj` one layer. A part
/// is met where its words stand one after the other in the name, so `layers.1` is not `layers.10`. Without parts it is no layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linears(Vec<String>);

/// How many inputs share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The largest of the usual sizes that divides the input width of every layer to be packed.
    Auto,
    /// This many, a multiple of 8.
    Size(usize),
}

impl ParameterKind {
    /// What a valid value looks like.
    pub fn expects(self) -> &'static str {
        match self {
            Self::Keep => "a share in (0, 1] or a count of at least 2",
            Self::Layer => "a decoder layer from 1 on",
            Self::Layers(1) => "`auto` or a decoder layer from 1 on",
            Self::Layers(_) => "`auto` or three decoder layers from 1 on, ascending, as in 8/16/24",
            Self::Count => "a whole number from 0 on",
            Self::Fraction => "a share in [0, 1]",
            Self::Positions => "`keep` or `renumber`",
            Self::Seed => "an integer from 0 to 18446744073709551615",
            Self::Positive => "a number above 0",
            Self::Samples => "an integer above 0",
            Self::Group => "`auto` or a multiple of 8",
            Self::Linears => "parts of layers' names with / between, as in layers.0/down_proj",
            Self::Flag => "no value",
        }
    }

    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Keep => Keep::parse(text).map(Value::Keep),
            Self::Layer => text.parse().ok().filter(|&layer| layer >= 1).map(Value::Layer),
            Self::Layers(count) => Layers::parse(text, count).map(Value::Layers),
            Self::Count => text.parse().ok().map(Value::Count),
            Self::Fraction => text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share)).map(Value::Fraction),
            Self::Positions => Positions::parse(text).map(Value::Positions),
            Self::Seed => text.parse().ok().map(Value::Seed),
            Self::Positive => text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0).map(Value::Positive),
            Self::Samples => text.parse().ok().filter(|&count| count >= 1).map(Value::Samples),
            Self::Group => Group::parse(text).map(Value::Group),
            Self::Linears => Linears::parse(text).map(Value::Linears),
            Self::Flag => None,
        }
    }
}

impl Keep {
    /// A share in (0, 1] or a whole number from 2 on; `1` is the share.
    fn parse(text: &str) -> Option<Self> {
        match text.parse::<usize>() {
            Ok(count) if count >= 2 => Some(Self::Count(count)),
            _ => text.parse().ok().filter(|&share: &f64| share > 0.0 && share <= 1.0).map(Self::Share),
        }
    }

    /// How many of `n` tokens stay: shares round half to even, as Python's `round`; never fewer than one.
    pub fn of(self, n: usize) -> usize {
        match self {
            Self::Share(share) => ((n as f64 * share).round_ties_even() as usize).clamp(1, n.max(1)),
            Self::Count(count) => count.min(n),
        }
    }
}

impl Layers {
    fn parse(text: &str, count: usize) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let mut layers = [0; 3];
        let mut given = 0;
        for part in text.split('/') {
            let layer: usize = part.trim().parse().ok()?;
            let above = layers[..given].last().is_none_or(|below| *below < layer);
            *layers.get_mut(given).filter(|_| layer >= 1 && above)? = layer;
            given += 1;
        }
        (given == count).then_some(Self::At(layers, given))
    }
}

impl Positions {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "keep" => Some(Self::Keep),
            "renumber" => Some(Self::Renumber),
            _ => None,
        }
    }
}

impl Linears {
    /// Parts of names with `/` between; `None` where a text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let parts: Vec<String> = text.split('/').map(|part| part.trim().to_owned()).collect();
        parts.iter().all(|part| part.split('.').all(is_word)).then_some(Self(parts))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts of names, as written.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the layer with this canonical name is one of them.
    pub fn hold(&self, linear: &str) -> bool {
        self.parts().any(|part| Self::meets(part, linear))
    }

    /// Whether the words of `part` stand one after the other in `linear`.
    pub fn meets(part: &str, linear: &str) -> bool {
        let (wanted, words): (Vec<&str>, Vec<&str>) = (part.split('.').collect(), linear.split('.').collect());
        words.windows(wanted.len()).any(|words| words == wanted)
    }
}

impl Group {
    fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let size = text.parse().ok().filter(|&size: &usize| size > 0 && size.is_multiple_of(8))?;
        Some(Self::Size(size))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(keep) => keep.fmt(f),
            Self::Layer(number) | Self::Count(number) | Self::Samples(number) => number.fmt(f),
            Self::Layers(layers) => layers.fmt(f),
            Self::Fraction(share) => share.fmt(f),
            Self::Positions(positions) => positions.fmt(f),
            Self::Seed(seed) => seed.fmt(f),
            Self::Positive(number) => number.fmt(f),
            Self::Group(group) => group.fmt(f),
            Self::Linears(linears) => linears.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::At(layers, count) => {
                let layers: Vec<String> = layers[..*count].iter().map(ToString::to_string).collect();
                f.write_str(&layers.join("/"))
            }
        }
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Renumber => "renumber",
        })
    }
}

impl fmt::Display for Linears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Size(size) => size.fmt(f),
        }
    }
}
