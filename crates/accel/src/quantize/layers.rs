//! Which layers methods pack where they do not say otherwise, in groups of how many inputs, and what they all do with codes.

use steady_kernels::{PackError, PackedLinear, vectorized};
use steady_methods::Group;
use steady_vlm::HostMatrix;

use super::{AccelError, LinearShape};

/// What methods that deployed recipes keep to the decoder pack, in words.
pub(super) const SCOPE: &str = "the decoder's q, k, v, o, gate, up and down projections (not embeddings, head, vision tower, projector)";
/// What the names of these layers begin with.
pub(crate) const DECODER: &str = "language_model.layers.";

/// Numbers side by side.
const LANES: usize = 16;

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
#[inline]
pub(super) fn largest(values: &[f32]) -> f32 {
    fold(values, |largest, value| largest.max(value.abs())).into_iter().fold(0.0, f32::max)
}

/// The least and the largest of some values and zero.
#[inline]
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    let least = fold(values, f32::min).into_iter().fold(0.0, f32::min);
    (least, fold(values, f32::max).into_iter().fold(0.0, f32::max))
}

/// `step` through the values from 0 on, in lanes side by side, so that it is vector code.
#[inline]
fn fold(values: &[f32], step: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut folded = [0.0; LANES];
    for chunk in chunks {
        for (folded, &value) in folded.iter_mut().zip(chunk) {
            *folded = step(*folded, value);
        }
    }
    for (folded, &value) in folded.iter_mut().zip(rest) {
        *folded = step(*folded, value);
    }
    folded
}

/// The scale of a row whose largest magnitude is so many steps. A row of zeros has any.
pub(super) fn row_scale(row: &[f32], steps: f32) -> f32 {
    Some(largest(row) / steps).filter(|scale| *scale > 0.0).unwrap_or(f32::EPSILON)
}

/// The codes of a matrix, as `code` makes a whole number that fits a byte of a row and a value.
pub(super) fn in_bytes(weight: &HostMatrix, code: impl Fn(usize, f32) -> f32) -> Vec<i8> {
    let mut codes = vec![0; weight.data.len()];
    vectorized(|| {
        for (row, (values, codes)) in weight.iter_rows().zip(codes.chunks_exact_mut(weight.cols.max(1))).enumerate() {
            for (into, &value) in codes.iter_mut().zip(values) {
                *into = code(row, value) as i8;
            }
        }
    });
    codes
}

/// What became of the codes of the layer `linear`.
pub(super) fn packed(linear: &str, weight: Result<impl Into<PackedLinear>, PackError>) -> Result<PackedLinear, AccelError> {
    weight.map(Into::into).map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })
}
