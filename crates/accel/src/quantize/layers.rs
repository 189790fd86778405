//! Which layers methods pack where they do not say otherwise, in groups of how many inputs, and what they all do with codes.

use steady_kernels::{PackError, PackedLinear};
use steady_methods::Group;

use super::{AccelError, LinearShape};

/// What methods that deployed recipes keep to the decoder pack, in words.
pub(super) const SCOPE: &str = "the decoder's q, k, v, o, gate, up and down projections (not embeddings, head, vision tower, projector)";
/// What the names of these layers begin with.
pub(crate) const DECODER: &str = "language_model.layers.";

/// The group size for these layers: of `candidates`, the usual one first, where it is to be found.
pub(super) fn settle(group: Group, candidates: &'static [usize], linears: &[LinearShape]) -> Result<usize, AccelError> {
    let misfit = |size: usize| linears.iter().find(|linear| !linear.input.is_multiple_of(size));
    match group {
        Group::Size(group) => match misfit(group) {
            Some(linear) => Err(AccelError::Group { linear: linear.name.clone(), input: linear.input, group }),
            None => Ok(group),
        },
        Group::Auto => {
            let mut ruled_out = None;
            for &group in candidates {
                ruled_out = misfit(group);
                if ruled_out.is_none() {
                    return Ok(group);
                }
            }
            let (linear, input) = ruled_out.map_or((String::new(), 0), |linear| (linear.name.clone(), linear.input));
            Err(AccelError::NoGroup { linear, input, candidates })
        }
    }
}

/// The largest magnitude.
pub(super) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, &value| largest.max(value.abs()))
}

/// The scale of a row whose largest magnitude is so many steps. A row of zeros has any.
pub(super) fn row_scale(row: &[f32], steps: f32) -> f32 {
    Some(largest(row) / steps).filter(|scale| *scale > 0.0).unwrap_or(f32::EPSILON)
}

/// What became of the codes of the layer `linear`.
pub(super) fn packed(linear: &str, weight: Result<impl Into<PackedLinear>, PackError>) -> Result<PackedLinear, AccelError> {
    weight.map(Into::into).map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })
}
