//! A plain row-major `f32` matrix on the host: what reducers read and quantizers are given.

use steady_kernels::{Device, DeviceError, Element, Matrix};

use crate::VlmError;

/// Row-major `f32` matrix on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostMatrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// `rows * cols` values, row after row.
    pub data: Vec<f32>,
}

impl HostMatrix {
    /// Wraps `data`, which must hold `rows * cols` values.
    ///
    /// # Panics
    /// If the length does not match: a programming error, never a property of some input file.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * cols, "a {rows}x{cols} matrix needs {} values", rows * cols);
        Self { rows, cols, data }
    }

    /// Reads a matrix back from its device, as `f32`.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn from_device(matrix: &Matrix) -> Result<Self, VlmError> {
        let [rows, cols] = matrix.dims();
        Ok(Self::new(rows, cols, matrix.read().await?))
    }

    /// The same values on a device.
    pub(crate) fn on(&self, device: &Device, element: Element) -> Matrix {
        Matrix::new(self.data.clone(), [self.rows, self.cols], device, element)
    }

    /// Row `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.cols..][..self.cols]
    }

    /// All rows in order.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        // `max(1)`: a matrix without columns has no rows worth walking, and a chunk length of zero is not allowed.
        self.data.chunks_exact(self.cols.max(1))
    }

    /// Mean over the rows, one value a column (e.g. the mean over heads of `[heads, tokens]`).
    pub fn mean_over_rows(&self) -> Vec<f32> {
        let mut mean = vec![0.0; self.cols];
        for row in self.iter_rows() {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += value;
            }
        }
        for sum in &mut mean {
            *sum /= self.rows as f32;
        }
        mean
    }

    /// Its columns as rows.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let data = (0..self.cols).flat_map(|col| self.data.iter().skip(col).step_by(self.cols).copied()).collect();
        Self::new(self.cols, self.rows, data)
    }

    /// The rows `indices`, in that order.
    #[must_use]
    pub fn select_rows(&self, indices: &[usize]) -> Self {
        let data = indices.iter().flat_map(|&index| self.row(index).iter().copied()).collect();
        Self::new(indices.len(), self.cols, data)
    }
}

impl From<DeviceError> for VlmError {
    fn from(DeviceError(report): DeviceError) -> Self {
        Self::Device(cause(&report))
    }
}

/// What lies at the bottom of a report of causes with a backtrace, on one line.
fn cause(report: &str) -> String {
    let (causes, _) = report.split_once("Backtrace").unwrap_or((report, ""));
    let deepest = causes.rsplit("Caused by:").map(str::trim).find(|cause| !cause.is_empty());
    deepest.unwrap_or(report).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers of a matrix, for tests, which may wait.
#[cfg(test)]
pub(crate) fn read_now(matrix: &Matrix) -> Vec<f32> {
    pollster::block_on(matrix.read()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_cause_is_told() {
        let report = "An error happened during execution\nCaused by:\n  An error happened\nCaused by:\n  the staging buffer\n  could not be mapped\nBacktrace:\nNo backtrace";
        assert_eq!(cause(report), "the staging buffer could not be mapped");
        assert_eq!(cause("lost"), "lost");
        assert_eq!(cause(""), "");
    }
}
