//! Directions of rows, and how alike two are: cosines.

use steady_vlm::HostMatrix;

pub(crate) use crate::dot::{SIDE, as_four, dot, dots, four_dots};
use crate::dot::{rounding, screened};

/// The rows at length 1. A row without direction (all zeros) stays what it is, so that it resembles nothing.
pub(crate) fn unit(rows: &HostMatrix) -> HostMatrix {
    let data = rows.iter_rows().flat_map(|row| {
        let norm = dot(row, row).sqrt();
        row.iter().map(move |value| if norm > 0.0 { value / norm } else { 0.0 })
    });
    HostMatrix::new(rows.rows, rows.cols, data.collect())
}

/// Rows and one over the length of each, from which cosines follow: of many rows a copy at length 1 would be as large as they are. A row without direction (all
/// zeros) has the cosine 0 with everything.
pub(crate) struct Cosines<'a> {
    pub(crate) rows: &'a HostMatrix,
    pub(crate) scales: Vec<f32>,
}

impl<'a> Cosines<'a> {
    pub(crate) fn of(rows: &'a HostMatrix) -> Self {
        Self::guarded(rows, 0.0)
    }

    /// With this added to the square of every length.
    pub(crate) fn guarded(rows: &'a HostMatrix, guard: f32) -> Self {
        Self { rows, scales: rows.iter_rows().map(|row| scale(row, guard)).collect() }
    }

    pub(crate) fn between(&self, i: usize, j: usize) -> f32 {
        self.scaled(dot(self.rows.row(i), self.rows.row(j)), i, j)
    }

    /// What [`Self::between`] makes of two rows whose inner product is this.
    pub(crate) fn scaled(&self, product: f32, i: usize, j: usize) -> f32 {
        product * self.scales[i] * self.scales[j]
    }

    /// The cosines of four rows with each of four others, each within [`Self::slack`] of what [`Self::between`] says.
    pub(crate) fn screened(&self, ones: [usize; SIDE], others: [usize; SIDE]) -> [[f32; SIDE]; SIDE] {
        self.screened_heads(self.rows.cols, ones, others)
    }

    /// What the first `columns` alone contribute to them.
    pub(crate) fn screened_heads(&self, columns: usize, ones: [usize; SIDE], others: [usize; SIDE]) -> [[f32; SIDE]; SIDE] {
        let of = |rows: [usize; SIDE]| rows.map(|row| &self.rows.row(row)[..columns]);
        let mut cosines = screened(of(ones), of(others));
        for (cosines, one) in cosines.iter_mut().zip(ones) {
            for (cosine, other) in cosines.iter_mut().zip(others) {
                *cosine = self.scaled(*cosine, one, other);
            }
        }
        cosines
    }

    /// How far a screened cosine may be from the exact one.
    pub(crate) fn slack(&self) -> f32 {
        rounding(self.rows.cols)
    }
}

/// What brings a row to length 1, with `guard` added to the square of its length; 0 where that is 0.
pub(crate) fn scale(row: &[f32], guard: f32) -> f32 {
    let length = (dot(row, row) + guard).sqrt();
    if length > 0.0 { 1.0 / length } else { 0.0 }
}

/// The mean of the `heads` keys of each token, which lie side by side: `[n, heads * head_dim]` to `[n, head_dim]`.
pub(crate) fn mean_key(keys: &HostMatrix, heads: usize) -> HostMatrix {
    let heads = heads.max(1);
    let width = keys.cols / heads;
    let data = keys
        .iter_rows()
        .flat_map(|row| (0..width).map(move |column| row.iter().skip(column).step_by(width).take(heads).sum::<f32>() / heads as f32));
    HostMatrix::new(keys.rows, width, data.collect())
}
