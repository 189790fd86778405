//! The inner product of two rows.

/// In a fixed number of partial sums: vector code, and the same bits on every machine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::dot;

    #[test]
    fn it_has_all_its_terms() {
        for length in [0, 1, 7, 15, 16, 17, 31] {
            let values: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let expected: i32 = (0..length).map(|at| at * at).sum();
            assert_eq!(dot(&values, &values).to_bits(), (expected as f32).to_bits());
        }
    }
}
