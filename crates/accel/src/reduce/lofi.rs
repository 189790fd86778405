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
//! Products and eigenvectors are computed in f64, of the smaller of the two products of the matrix with itself. It asks no question.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, unzip, zip};
use rayon::prelude::*;
use steady_methods::{Keep, LOFI, Positions, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::rank::highest;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};
use crate::spectrum::Leading;

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
        let leverage = leverage(features, self.energy).ok_or_else(|| VlmError::Invalid {
            what: format!("token reducer {}", LOFI.name),
            problem: "was given features that are not finite numbers".to_owned(),
        })?;
        Ok(Reduction::keep(highest(&leverage, keep)))
    }
}

/// The leverage of each row in the smallest approximation that holds `energy` of the sum of squares; `None` of what is no finite number.
fn leverage(rows: &HostMatrix, energy: f64) -> Option<Vec<f32>> {
    let matrix = MatRef::from_row_major_slice(&rows.data, rows.rows, rows.cols);
    let is_wide = rows.rows <= rows.cols;
    // Products of rows where those are fewer, of columns otherwise.
    let lines = if is_wide { matrix } else { matrix.transpose() };
    let Leading { values, mut vectors } = {
        let mut products = products(lines);
        Leading::of(columns(&mut products, lines.nrows()), |values| rank(values, energy))?
    };
    if is_wide {
        // The left singular vectors themselves.
        return Some(vectors.row_iter().map(|row| row.squared_norm_l2() as f32).collect());
    }
    // They follow from the right ones.
    for (mut vector, value) in vectors.col_iter_mut().zip(&values) {
        vector.for_each_mut(|entry| *entry /= value.sqrt());
    }
    let of_tokens = |start: usize| {
        let mut tokens = Mat::zeros(rows.cols, TOKENS.min(rows.rows - start));
        widen(lines.subcols(start, tokens.ncols()), tokens.as_mut());
        let mut singular = Mat::zeros(values.len(), tokens.ncols());
        matmul(&mut singular, Accum::Replace, vectors.transpose(), &tokens, 1.0, Par::Seq);
        singular.col_iter().map(|token| token.squared_norm_l2() as f32).collect::<Vec<_>>()
    };
    let starts: Vec<usize> = (0..rows.rows).step_by(TOKENS).collect();
    Some(starts.into_par_iter().flat_map_iter(of_tokens).collect())
}

/// How many eigenvalues, from the largest on, hold `energy` of their sum.
fn rank(values: &[f64], energy: f64) -> usize {
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let mut held = 0.0;
    let needed = values.iter().take_while(|&&value| {
        let within = value > 0.0 && (held < energy * total || held <= 0.0);
        held += value;
        within
    });
    needed.count()
}

/// Tokens whose leverage a thread computes together.
const TOKENS: usize = 128;
/// Columns of a matrix whose products with themselves are added at once.
const ADDED: usize = 512;
/// Columns of the products that a thread computes.
const PART: usize = 128;

/// The inner products of all `lines`, the lower triangle of `[lines, lines]`. What they are of is widened a part at a time: of many tokens all of it would be large.
fn products(lines: MatRef<'_, f32>) -> Vec<f64> {
    let n = lines.nrows();
    let mut products = vec![0.0; n * n];
    let mut part = vec![0.0; n * ADDED.min(lines.ncols())];
    for start in (0..lines.ncols()).step_by(ADDED) {
        let lines = lines.subcols(start, ADDED.min(lines.ncols() - start));
        let part = &mut part[..n * lines.ncols()];
        part.par_chunks_mut(n * PART).enumerate().for_each(|(at, part)| {
            let part = columns(part, n);
            widen(lines.subcols(at * PART, part.ncols()), part);
        });
        let part = MatRef::from_column_major_slice(part, n, lines.ncols());
        products.par_chunks_mut(n * PART).enumerate().for_each(|(at, products)| {
            let (first, products) = (at * PART, columns(products, n));
            let others = part.subrows(first, products.ncols()).transpose();
            matmul(products.subrows_mut(first, n - first), Accum::Add, part.subrows(first, n - first), others, 1.0, Par::Seq);
        });
    }
    products
}

/// Columns of so many numbers.
fn columns(numbers: &mut [f64], rows: usize) -> MatMut<'_, f64> {
    let count = numbers.len() / rows.max(1);
    MatMut::from_column_major_slice_mut(numbers, rows, count)
}

fn widen(matrix: MatRef<'_, f32>, into: MatMut<'_, f64>) {
    zip!(into, matrix).for_each(|unzip!(into, value)| *into = f64::from(*value));
}
