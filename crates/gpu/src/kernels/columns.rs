//! A stretch of the columns of a matrix, where it lies.

use crate::Rows;

/// Columns of a wider matrix, not copied: one of queries, keys and values that a product left side by side. How many they are is for the
/// kernel to know.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The matrix.
    pub rows: &'a Rows,
    /// The first of the columns.
    pub first: usize,
}

impl<'a> From<&'a Rows> for Columns<'a> {
    /// All of them.
    fn from(rows: &'a Rows) -> Self {
        Self { rows, first: 0 }
    }
}

impl Columns<'_> {
    /// How many rows there are, if there are `width` columns.
    ///
    /// # Panics
    /// When there are not.
    pub(crate) fn height(&self, width: usize) -> usize {
        let [rows, cols] = self.rows.dims();
        assert!(self.first + width <= cols, "{width} columns from {} on, of {cols}", self.first);
        rows
    }

    /// Numbers in front of the first one, in its buffer.
    pub(crate) fn start(&self) -> u32 {
        (self.rows.start() + self.first) as u32
    }

    /// Numbers from one row to the next.
    pub(crate) fn stride(&self) -> u32 {
        self.rows.dims()[1] as u32
    }
}
