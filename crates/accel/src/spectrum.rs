//! The largest eigenvalues of a symmetric matrix and their eigenvectors.
//!
//! All eigenvectors at once are a library's, but it holds five matrices of this size to find them. Those of the largest eigenvalues alone need two: faer makes the matrix
//! tridiagonal and finds the eigenvalues, and each eigenvector of the tridiagonal matrix comes from its eigenvalue by inverse iteration (G. Peters and J. Wilkinson,
//! "Inverse iteration, ill-conditioned equations and Newton's method", 1979), as LAPACK's `dstein` finds them.

use std::ops::Range;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::evd::{tridiag, tridiagonal_self_adjoint_evd};
use faer::linalg::{householder, qr, temp_mat_scratch};
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Col, Conj, Mat, MatMut, Par};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// Eigenvalues that are nearer to each other than so much of the largest are of one cluster: their eigenvectors are made orthogonal, as inverse iteration alone does not.
const CLUSTER: f64 = 1e-7;
/// How often a vector is made more like its eigenvector; the second time mostly suffices.
const ITERATIONS: usize = 3;

/// The largest eigenvalues of a symmetric matrix `[n, n]`, from the largest on, and an eigenvector for each.
pub(crate) struct Leading {
    pub(crate) values: Vec<f64>,
    /// `[n, values]`, each of length 1 and orthogonal to the others.
    pub(crate) vectors: Mat<f64>,
}

impl Leading {
    /// Of all eigenvalues, from the largest on, the first so many as `count` says. Of the matrix only the lower triangle is read, and nothing is left; `None` where it is not of finite numbers.
    pub(crate) fn of(mut matrix: MatMut<'_, f64>, count: impl FnOnce(&[f64]) -> usize) -> Option<Self> {
        let n = matrix.nrows();
        let below = n.saturating_sub(1);
        let mut reflectors = Mat::zeros(qr::no_pivoting::factor::recommended_block_size::<f64>(n, n), below);
        if n > 0 {
            let mut room = MemBuffer::new(tridiag::tridiag_in_place_scratch::<f64>(n, all_threads(), faer::Spec::default()));
            tridiag::tridiag_in_place(matrix.rb_mut(), reflectors.as_mut(), all_threads(), MemStack::new(&mut room), faer::Spec::default());
        }
        let tridiagonal = Tridiagonal {
            diagonal: (0..n).map(|at| matrix[(at, at)]).collect(),
            beside: (0..below).map(|at| matrix[(at + 1, at)]).collect(),
        };
        let mut values = tridiagonal.eigenvalues()?;
        values.truncate(count(&values));
        let mut vectors = tridiagonal.eigenvectors(&values);
        if below > 0 {
            let room =
                householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(below, reflectors.nrows(), values.len());
            householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
                matrix.rb().submatrix(1, 0, below, below),
                reflectors.as_ref(),
                Conj::No,
                vectors.subrows_mut(1, below),
                all_threads(),
                MemStack::new(&mut MemBuffer::new(room)),
            );
        }
        Some(Self { values, vectors })
    }
}

#[cfg(not(target_family = "wasm"))]
fn all_threads() -> Par {
    Par::rayon(0)
}

#[cfg(target_family = "wasm")]
fn all_threads() -> Par {
    Par::Seq
}

/// A symmetric matrix with nothing beyond the places next to its diagonal.
struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
}

impl Tridiagonal {
    /// From the largest on.
    fn eigenvalues(&self) -> Option<Vec<f64>> {
        let n = self.diagonal.len();
        let (diagonal, beside) =
            (Col::from_fn(n, |at| self.diagonal[at]), Col::from_fn(n, |at| self.beside.get(at).copied().unwrap_or(0.0)));
        let mut values = Col::zeros(n);
        let mut room = MemBuffer::new(StackReq::all_of(&[temp_mat_scratch::<f64>(n, 1); 3]));
        let stack = MemStack::new(&mut room);
        let found = tridiagonal_self_adjoint_evd(
            diagonal.as_diagonal(),
            beside.as_diagonal(),
            values.as_diagonal_mut(),
            None::<MatMut<'_, f64>>,
            Par::Seq,
            stack,
            faer::Spec::default(),
        );
        let mut values: Vec<f64> = values.iter().copied().collect();
        values.sort_by(|a, b| b.total_cmp(a));
        (found.is_ok() && values.iter().all(|value| value.is_finite())).then_some(values)
    }

    /// One for each of `values`, from the largest on.
    fn eigenvectors(&self, values: &[f64]) -> Mat<f64> {
        let n = self.diagonal.len();
        let norm = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let norm = if norm > 0.0 { norm } else { 1.0 };
        let mut clusters: Vec<Range<usize>> = Vec::new();
        for at in 0..values.len() {
            match clusters.last_mut() {
                Some(cluster) if values[at - 1] - values[at] < CLUSTER * norm => cluster.end = at + 1,
                _ => clusters.push(at..at + 1),
            }
        }
        let found: Vec<Vec<Vec<f64>>> = clusters.into_par_iter().map(|cluster| self.of_cluster(cluster, values, norm)).collect();
        let found: Vec<Vec<f64>> = found.into_iter().flatten().collect();
        Mat::from_fn(n, values.len(), |row, column| found[column][row])
    }

    /// The eigenvectors of near eigenvalues.
    fn of_cluster(&self, cluster: Range<usize>, values: &[f64], norm: f64) -> Vec<Vec<f64>> {
        let mut found: Vec<Vec<f64>> = Vec::with_capacity(cluster.len());
        for at in cluster {
            let shifted = self.factors(values[at], f64::EPSILON * norm);
            // any start will do that is not orthogonal to it
            let mut random = ChaCha8Rng::seed_from_u64(at as u64);
            let mut vector: Vec<f64> = (0..self.diagonal.len()).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5).collect();
            for _ in 0..ITERATIONS {
                to_length_1(&mut vector);
                shifted.solve(&mut vector);
                to_length_1(&mut vector);
                for other in &found {
                    let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                    vector.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
                }
            }
            to_length_1(&mut vector);
            found.push(vector);
        }
        found
    }

    /// This matrix less `shift` on its diagonal, by Gaussian elimination with exchange of rows; pivots are `least` at least.
    fn factors(&self, shift: f64, least: f64) -> Factors {
        let n = self.diagonal.len();
        let pivot = |value: f64| if value.abs() < least { least.copysign(value) } else { value };
        let mut rows: Vec<[f64; 3]> =
            (0..n).map(|at| [self.diagonal[at] - shift, self.beside.get(at).copied().unwrap_or(0.0), 0.0]).collect();
        let mut steps = Vec::with_capacity(n);
        for (at, &below) in self.beside.iter().enumerate() {
            let (upper, lower) = (rows[at], [below, rows[at + 1][0], rows[at + 1][1]]);
            let is_exchanged = below.abs() > upper[0].abs();
            let (first, second) = if is_exchanged { (lower, upper) } else { (upper, lower) };
            let first = [pivot(first[0]), first[1], first[2]];
            let times = second[0] / first[0];
            rows[at] = first;
            rows[at + 1] = [second[1] - times * first[1], second[2] - times * first[2], 0.0];
            steps.push((is_exchanged, times));
        }
        if let Some([last, ..]) = rows.last_mut() {
            *last = pivot(*last);
        }
        Factors { rows, steps }
    }
}

/// What elimination makes of a tridiagonal matrix.
struct Factors {
    /// The diagonal and two places behind it.
    rows: Vec<[f64; 3]>,
    /// Whether a row is exchanged with the next, and how often it is then taken from that.
    steps: Vec<(bool, f64)>,
}

impl Factors {
    /// Makes of a right side what solves it.
    fn solve(&self, vector: &mut [f64]) {
        for (at, &(is_exchanged, times)) in self.steps.iter().enumerate() {
            if is_exchanged {
                vector.swap(at, at + 1);
            }
            vector[at + 1] -= times * vector[at];
        }
        let (mut next, mut second) = (0.0, 0.0);
        for (value, [pivot, beside, beyond]) in vector.iter_mut().zip(&self.rows).rev() {
            *value = (*value - beside * next - beyond * second) / pivot;
            (next, second) = (*value, next);
        }
    }
}

fn to_length_1(vector: &mut [f64]) {
    let most = vector.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let length = vector.iter().map(|value| (value / most).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    for value in vector {
        *value = *value / most / length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// By what eigenvectors are: the matrix makes each so much longer, and they are orthogonal. Of few different rows, so that many eigenvalues are equal or nothing,
        /// and of parts that have nothing to do with each other.
        #[test]
        fn they_are_what_they_are_called(n in 0_usize..90, rows in 1_usize..40, kinds in 1_usize..40, count in 0_usize..90, steps in 1_i32..9, numbers in prop::collection::vec(-9_i32..9, 97)) {
            let entry = |row: usize, column: usize| f64::from(numbers[((row % kinds) * 31 + column * (1 + row % 3)) % 97] / steps);
            let apart = |row: usize, column: usize| if row % 2 == column % 2 { entry(row, column) } else { 0.0 };
            let matrix = Mat::from_fn(n, n, |i, j| (0..rows).map(|row| apart(row, i) * apart(row, j)).sum::<f64>());
            let all = Leading::of(matrix.clone().as_mut(), <[f64]>::len).unwrap();
            let scale = all.values.first().copied().unwrap_or(0.0).max(1e-300);
            let trace: f64 = (0..n).map(|at| matrix[(at, at)]).sum();
            prop_assert!((trace - all.values.iter().sum::<f64>()).abs() <= 1e-12 * n as f64 * scale);
            let Leading { values, vectors } = Leading::of(matrix.clone().as_mut(), |values| count.min(values.len())).unwrap();
            prop_assert_eq!((vectors.nrows(), vectors.ncols(), values.len()), (n, count.min(n), count.min(n)));
            prop_assert!(values.is_sorted_by(|a, b| a >= b));
            let (longer, products) = (&matrix * &vectors, vectors.transpose() * &vectors);
            for column in 0..values.len() {
                for row in 0..n {
                    let off = longer[(row, column)] - values[column] * vectors[(row, column)];
                    prop_assert!(off.abs() <= 1e-12 * scale, "{off} of {scale}");
                }
                for other in 0..values.len() {
                    let expected = if column == other { 1.0 } else { 0.0 };
                    prop_assert!((products[(column, other)] - expected).abs() <= 1e-8, "{}", products[(column, other)]);
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_has_none() {
        assert!(Leading::of(Mat::from_fn(3, 3, |_, _| f64::NAN).as_mut(), <[f64]>::len).is_none());
    }
}
