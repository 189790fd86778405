//! Directions of rows, and how alike two are: cosines.

use steady_vlm::HostMatrix;

/// The rows at length 1. A row without direction (all zeros) stays what it is, so that it resembles nothing.
pub(crate) fn unit(rows: &HostMatrix) -> HostMatrix {
    let data = rows.iter_rows().flat_map(|row| {
        let norm = dot(row, row).sqrt();
        row.iter().map(move |value| if norm > 0.0 { value / norm } else { 0.0 })
    });
    HostMatrix::new(rows.rows, rows.cols, data.collect())
}

/// Inner product in a fixed number of partial sums: vector code, and the same bits on every machine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
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
