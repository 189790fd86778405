//! LoFi-like: keep the visual tokens with the highest statistical leverage.
//!
//! Sun et al., "Does Acceleration Cause Hidden Instability in Vision Language Models?", EMNLP 2025 (arXiv 2503.06794), propose LoFi: it scores
//! visual tokens by their leverage in a low-rank approximation by SVD. Which layer, which rank and whether centred could not be read, and
//! there is no code of theirs. So this is not LoFi, but the textbook's leverage (Mahoney, 2011, arXiv 1104.5557), and called LoFi-like:
//!
//! - The matrix is that of the projected visual tokens, a row each, as they are.
//! - The rank is the smallest whose singular values hold `energy` of the sum of all squares.
//! - A token's leverage is the squared length of its row among so many left singular vectors. The highest stay, in the image's order.
//!
//! Squares and eigenvectors are computed in f64, of the smaller of the two products of the matrix with itself. It asks no question.

use std::sync::Arc;

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use steady_methods::{Keep, LOFI, Positions, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::rank::highest;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &LOFI,
    build: |values| match *values {
        [Value::Keep(keep), Value::Fraction(energy), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(Lofi { keep, energy, positions })))
        }
        _ => None,
    },
};

/// Keeps the visual tokens of the highest leverage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lofi {
    /// How many stay.
    pub keep: Keep,
    /// Share of the sum of squares that the approximation holds.
    pub energy: f64,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for Lofi {
    fn name(&self) -> String {
        LOFI.spell(&[Value::Keep(self.keep), Value::Fraction(self.energy), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let seeing = Needs { features: true, ..Needs::default() };
        vec![Step::at(Site::AfterProjector, policy(self.positions)).seeing(seeing)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(LOFI.name, "projected features"))?;
        let keep = self.keep.of(features.rows);
        if keep >= features.rows {
            return Ok(Reduction::keep((0..features.rows).collect()));
        }
        Ok(Reduction::keep(highest(&leverage(features, self.energy), keep)))
    }
}

/// The leverage of each row in the smallest approximation that holds `energy` of the sum of squares.
fn leverage(rows: &HostMatrix, energy: f64) -> Vec<f32> {
    let wide = rows.rows <= rows.cols;
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(if wide { products(rows) } else { products_of_columns(rows) });
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]).then(a.cmp(&b)));
    let total: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
    let mut held = 0.0;
    order.retain(|&at| {
        let within = eigenvalues[at] > 0.0 && (held < energy * total || held <= 0.0);
        held += if within { eigenvalues[at] } else { 0.0 };
        within
    });
    let leverage = |index: usize| {
        let of = |&at: &usize| {
            // The left singular vector itself, or from the right one.
            let vector = eigenvectors.column(at);
            if wide { vector[index].powi(2) } else { along(rows.row(index), vector.as_slice()).powi(2) / eigenvalues[at] }
        };
        order.iter().map(of).sum::<f64>() as f32
    };
    (0..rows.rows).into_par_iter().map(leverage).collect()
}

/// The inner product of a row with a vector, in a fixed number of partial sums.
fn along(row: &[f32], vector: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (row, vector) in row.chunks(8).zip(vector.chunks(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(row.iter().zip(vector)) {
            *sum += f64::from(*a) * b;
        }
    }
    sums.iter().sum()
}

/// The inner products of all rows, `[n, n]`.
fn products(rows: &HostMatrix) -> DMatrix<f64> {
    let n = rows.rows;
    let below = |i: usize| (0..=i).map(|j| rows.row(i).iter().zip(rows.row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()).collect();
    let triangle: Vec<Vec<f64>> = (0..n).into_par_iter().map(below).collect();
    DMatrix::from_fn(n, n, |i, j| if i >= j { triangle[i][j] } else { triangle[j][i] })
}

/// Columns whose products are summed up together.
const TILE: usize = 32;

/// The inner products of all columns, `[d, d]`, without a copy of the rows: of many tokens it would be as large as they are.
fn products_of_columns(rows: &HostMatrix) -> DMatrix<f64> {
    let d = rows.cols;
    let mut products = vec![0.0; d * d];
    products.par_chunks_mut((TILE * d).max(1)).enumerate().for_each(|(tile, products)| {
        for start in (0..=tile).map(|tile| tile * TILE) {
            let mut sums = [[0.0; TILE]; TILE];
            for row in rows.iter_rows() {
                let (one, other) = (&row[tile * TILE..], &row[start..(start + TILE).min(d)]);
                for (sums, a) in sums.iter_mut().zip(one) {
                    for (sum, b) in sums.iter_mut().zip(other) {
                        *sum += f64::from(*a) * f64::from(*b);
                    }
                }
            }
            for (products, sums) in products.chunks_mut(d).zip(&sums) {
                products[start..].iter_mut().zip(sums).for_each(|(product, sum)| *product = *sum);
            }
        }
    });
    // What is above the diagonal is what is below it.
    let mut products = DMatrix::from_vec(d, d, products);
    products.fill_lower_triangle_with_upper_triangle();
    products
}
