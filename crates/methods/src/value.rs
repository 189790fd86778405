//! What a parameter may be set to.

use std::fmt;

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
    /// An integer above 0.
    Count,
    /// Inputs that share a scale ([`Group`]).
    Group,
    /// Present or absent, without a value.
    Flag,
}

/// A value of the [`ParameterKind`] of the same name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// How many visual tokens stay.
    Keep(Keep),
    /// A decoder layer, from 1 on.
    Layer(usize),
    /// A seed.
    Seed(u64),
    /// A finite number above 0.
    Positive(f32),
    /// An integer above 0.
    Count(usize),
    /// Inputs that share a scale.
    Group(Group),
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
            Self::Seed => "an integer from 0 to 18446744073709551615",
            Self::Positive => "a number above 0",
            Self::Count => "an integer above 0",
            Self::Group => "`auto` or a multiple of 8",
            Self::Flag => "no value",
        }
    }

    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Keep => Keep::parse(text).map(Value::Keep),
            Self::Layer => text.parse().ok().filter(|&layer| layer >= 1).map(Value::Layer),
            Self::Seed => text.parse().ok().map(Value::Seed),
            Self::Positive => text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0).map(Value::Positive),
            Self::Count => text.parse().ok().filter(|&count| count >= 1).map(Value::Count),
            Self::Group => Group::parse(text).map(Value::Group),
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
            Self::Layer(layer) => layer.fmt(f),
            Self::Seed(seed) => seed.fmt(f),
            Self::Positive(number) => number.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Group(group) => group.fmt(f),
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

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Size(size) => size.fmt(f),
        }
    }
}
