//! Directions of rows, and how alike two are: cosines.

use steady_vlm::HostMatrix;

pub(crate) use crate::dot::dot;

/// The rows at length 1. A row without direction (all zeros) stays what it is, so that it resembles nothing.
pub(crate) fn unit(rows: &HostMatrix) -> HostMatrix {
    let data = rows.iter_rows().flat_map(|row| {
        let norm = dot(row, row).sqrt();
        row.iter().map(move |value| if norm > 0.0 { value / norm } else { 0.0 })
    });
    HostMatrix::new(rows.rows, rows.cols, data.collect())
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
