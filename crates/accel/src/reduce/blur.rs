//! The control of a smaller image: as many visual tokens as before, of an image that lost its details.
//!
//! What a method that drops three of four visual tokens has to beat is not only chance ([`random`](super::random)). A smaller image holds a
//! quarter of the pixels as well, and costs nothing to make. Here the image that the model is shown, resized and normalised as for it, is
//! made smaller by the mean of each of its parts and enlarged again between their middles. `keep` is the share of pixels that the smaller
//! image has, so that it stands beside a method's share of visual tokens: `keep=0.25` halves both sides.
//!
//! The means are `torch.nn.functional.interpolate`'s of `mode="area"`, the way back is its `mode="bilinear"`. Each view of a LLaVA-NeXT is made
//! smaller by itself.

use std::sync::Arc;

use steady_methods::{BLUR, Value};
use steady_vlm::{HostMatrix, PositionPolicy, Site, Step, TokenReducer, VlmError};

use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &BLUR,
    build: |values| match *values {
        [Value::Fraction(keep)] => Some(Built::Reducer(Arc::new(Blur { keep }))),
        _ => None,
    },
};

/// Shows a smaller image in as many tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blur {
    /// Pixels of the smaller image, as a share.
    pub keep: f64,
}

impl TokenReducer for Blur {
    fn name(&self) -> String {
        BLUR.spell(&[Value::Fraction(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(Site::BeforeTower, PositionPolicy::Renumber)]
    }

    fn redraw(&self, _: usize, plane: HostMatrix) -> Result<HostMatrix, VlmError> {
        let side = |side: usize| ((side as f64 * self.keep.sqrt()).round_ties_even() as usize).max(1);
        let (rows, cols) = (side(plane.rows), side(plane.cols));
        if (rows, cols) == (plane.rows, plane.cols) {
            return Ok(plane);
        }
        // Rows, then columns as rows.
        let smaller = means(&means(&plane, rows).transposed(), cols);
        Ok(between(&between(&smaller, plane.cols).transposed(), plane.rows))
    }
}

/// `count` means of `rows`: each of those that it covers, in part or whole.
fn means(rows: &HostMatrix, count: usize) -> HostMatrix {
    let mut data = Vec::with_capacity(count * rows.cols);
    for index in 0..count {
        let covered = index * rows.rows / count..((index + 1) * rows.rows).div_ceil(count);
        data.extend(rows.select_rows(&covered.collect::<Vec<_>>()).mean_over_rows());
    }
    HostMatrix::new(count, rows.cols, data)
}

/// `count` rows between the middles of `rows`.
fn between(rows: &HostMatrix, count: usize) -> HostMatrix {
    let mut data = Vec::with_capacity(count * rows.cols);
    for index in 0..count {
        let at = ((index as f64 + 0.5) * rows.rows as f64 / count as f64 - 0.5).max(0.0);
        let (above, way) = (at as usize, (at - at.floor()) as f32);
        let below = (above + 1).min(rows.rows - 1);
        data.extend(rows.row(above).iter().zip(rows.row(below)).map(|(above, below)| above + (below - above) * way));
    }
    HostMatrix::new(count, rows.cols, data)
}
