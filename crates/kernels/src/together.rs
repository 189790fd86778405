//! Which rows may go through a product together.

use std::ops::Range;

use crate::flex::DENSE_ROWS;
use crate::{Device, Element};

/// Rows in one product at most, so that what is computed on the way stays small.
const MOST: usize = 1024;

/// Cuts sequences with so many `rows` each into runs of neighbours that may go through products with weights together, and afterwards their last rows: each row then has the bits
/// that it has where its sequence goes by itself.
///
/// On a CPU, in `f32`, a row does not see its neighbours, but a product of less than 16 rows takes another way than one of more, whatever the weights are packed as. So
/// sequences go together where all have 16 rows at least, or fewer in all, and never more than 15 of them. Elsewhere each goes by itself: nobody has made the products of GPUs
/// and of `f16` alike.
pub fn together(rows: &[usize], device: &Device, element: Element) -> Vec<Range<usize>> {
    let apart = *device != Device::Cpu || element != Element::F32;
    let mut runs: Vec<Range<usize>> = Vec::new();
    // Rows of the last run.
    let mut sum = 0;
    for (at, &rows) in rows.iter().enumerate() {
        let joins = |run: &&mut Range<usize>| {
            let alike = if rows < DENSE_ROWS { sum + rows < DENSE_ROWS } else { sum >= run.len() * DENSE_ROWS && sum + rows <= MOST };
            !apart && run.len() + 1 < DENSE_ROWS && alike
        };
        if let Some(run) = runs.last_mut().filter(joins) {
            run.end = at + 1;
            sum += rows;
        } else {
            runs.push(at..at + 1);
            sum = rows;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_together_where_no_bit_changes() {
        let of = |rows: &[usize]| together(rows, &Device::Cpu, Element::F32);
        assert!(of(&[]).is_empty());
        assert_eq!(of(&[20, 16, 90, 15, 17]), [0..3, 3..4, 4..5]);
        assert_eq!(of(&[7, 8, 1, 14, 1, 20]), [0..2, 2..4, 4..5, 5..6]);
        assert_eq!(of(&[1; 33]), [0..15, 15..30, 30..33]);
        assert_eq!(of(&[16; 20]), [0..15, 15..20]);
        assert_eq!(of(&[600, 400, 30, 2000, 20]), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(together(&[1; 3], &Device::Cpu, Element::F16), [0..1, 1..2, 2..3]);
    }
}
