//! Rows and columns of matrices put elsewhere: one kernel, which copies from a rectangle of one matrix to a rectangle of another.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, Words, queue::Bound};

/// Reads `x` and row numbers; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "place", source: &[include_str!("place.wgsl")], reads: 2, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Numbers {
    x: u32,
    y: u32,
    x_pitch: u32,
    y_pitch: u32,
    rows: u32,
    columns: u32,
    listed: u32,
}

/// `rows × columns` numbers from the place `numbers.x` of `x` on, to the place `numbers.y` of `y` on.
fn place(gpu: &Gpu, x: &Rows, ids: Option<&Words>, y: &Rows, numbers: Numbers) {
    let numbers = Numbers { x_pitch: x.dims()[1] as u32, y_pitch: y.dims()[1] as u32, listed: u32::from(ids.is_some()), ..numbers };
    let groups = (numbers.rows as usize * numbers.columns as usize).div_ceil(64);
    // What is not listed reads no list; something must be bound all the same.
    let ids = ids.map_or(Bound::from(x), Bound::from);
    gpu.launch(&KERNEL, &[x.into(), ids], &[y.into()], numbers, super::spread(groups));
}

/// The rows `ids` of `x`, each below their number, in that order.
pub fn gather(gpu: &Gpu, x: &Rows, ids: &Words) -> Rows {
    let columns = x.dims()[1];
    let y = gpu.empty([ids.len(), columns]);
    let numbers = Numbers { x: x.start() as u32, y: 0, rows: ids.len() as u32, columns: columns as u32, ..Numbers::default() };
    place(gpu, x, Some(ids), &y, numbers);
    y
}

/// The columns `range` of `x`.
///
/// # Panics
/// When there are not so many.
pub fn columns(gpu: &Gpu, x: &Rows, range: Range<usize>) -> Rows {
    let [rows, width] = x.dims();
    assert!(range.end <= width, "columns {range:?} of {width}");
    let y = gpu.empty([rows, range.len()]);
    let numbers = Numbers { x: (x.start() + range.start) as u32, rows: rows as u32, columns: range.len() as u32, ..Numbers::default() };
    place(gpu, x, None, &y, numbers);
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
        let numbers = Numbers { x: part.start() as u32, y: column as u32, rows: rows as u32, columns: width as u32, ..Numbers::default() };
        place(gpu, part, None, &y, numbers);
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
        let numbers =
            Numbers { x: part.start() as u32, y: (row * width) as u32, rows: rows as u32, columns: width as u32, ..Numbers::default() };
        place(gpu, part, None, &y, numbers);
        row += rows;
    }
    y
}
