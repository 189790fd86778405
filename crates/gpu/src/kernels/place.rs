//! Rows and columns of matrices put elsewhere: one kernel, which copies from a rectangle of one matrix to a rectangle of another.

use std::borrow::Cow;

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, Words, queue::Bound};

/// Reads `x` and row numbers; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "place", source: &[include_str!("place.wgsl")], reads: 2, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    y: u32,
    x_pitch: u32,
    y_pitch: u32,
    rows: u32,
    columns: u32,
    filled: u32,
    listed: u32,
}

/// What is listed of `x`.
#[derive(Clone, Copy)]
enum Listed<'a> {
    /// As many rows as `y` has.
    Nothing,
    Rows(&'a Words),
    Columns(&'a Words),
}

/// Rows of `x` to those of `y`, which end in zeros where they are longer.
fn place(gpu: &Gpu, x: &Rows, listed: Listed<'_>, y: &Rows) {
    let [rows, columns] = y.dims();
    let numbers = Numbers {
        x: x.start as u32,
        y: y.start as u32,
        x_pitch: x.pitch as u32,
        y_pitch: y.pitch as u32,
        rows: rows as u32,
        columns: columns as u32,
        filled: x.width as u32,
        listed: match listed {
            Listed::Nothing => 0,
            Listed::Rows(_) => 1,
            Listed::Columns(_) => 2,
        },
    };
    let groups = (rows * columns).div_ceil(64);
    let ids = match listed {
        // Reads no list; something must be bound all the same.
        Listed::Nothing => Bound::from(x),
        Listed::Rows(ids) | Listed::Columns(ids) => ids.into(),
    };
    gpu.launch(&KERNEL, &[x.into(), ids], &[y.into()], numbers, super::spread(groups));
}

/// The rows `ids` of `x`, each below their number, in that order.
pub fn gather(gpu: &Gpu, x: &Rows, ids: &Words) -> Rows {
    let y = gpu.empty([ids.len(), x.width]);
    place(gpu, x, Listed::Rows(ids), &y);
    y
}

/// The columns `ids` of `x`, each below their number, in that order.
pub(super) fn columns(gpu: &Gpu, x: &Rows, ids: &Words) -> Rows {
    let y = gpu.empty([x.height, ids.len()]);
    place(gpu, x, Listed::Columns(ids), &y);
    y
}

/// `x` itself where its rows follow one another without a gap, else a copy of which they do.
pub fn dense<'a>(gpu: &Gpu, x: &'a Rows) -> Cow<'a, Rows> {
    if x.is_dense() { Cow::Borrowed(x) } else { Cow::Owned(padded(gpu, x, x.width)) }
}

/// A copy whose rows end in zeros, `width` columns wide.
pub(super) fn padded(gpu: &Gpu, x: &Rows, width: usize) -> Rows {
    let y = gpu.empty([x.height, width]);
    place(gpu, x, Listed::Nothing, &y);
    y
}

/// Matrices of as many rows, side by side.
///
/// # Panics
/// When there are none, or they have not as many rows.
pub fn beside(gpu: &Gpu, parts: &[&Rows]) -> Rows {
    let rows = parts[0].dims()[0];
    let y = gpu.empty([rows, parts.iter().map(|part| part.dims()[1]).sum()]);
    let mut column = 0;
    for part in parts {
        let [of_part, width] = part.dims();
        assert_eq!(of_part, rows, "rows of matrices side by side");
        place(gpu, part, Listed::Nothing, &y.columns(column..column + width));
        column += width;
    }
    y
}

/// Matrices of one width, one below the other. A launch a part: a copy of the command encoder's would end the pass that launches share.
///
/// # Panics
/// When there are none, or they are of different widths.
pub fn stack(gpu: &Gpu, parts: &[&Rows]) -> Rows {
    let width = parts[0].dims()[1];
    let y = gpu.empty([parts.iter().map(|part| part.dims()[0]).sum(), width]);
    let mut row = 0;
    for part in parts {
        let [rows, of_part] = part.dims();
        assert_eq!(of_part, width, "columns of matrices one below the other");
        place(gpu, part, Listed::Nothing, &y.slice(row..row + rows));
        row += rows;
    }
    y
}
