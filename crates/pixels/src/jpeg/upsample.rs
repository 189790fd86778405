//! Components at the picture's size: libjpeg's fancy (triangle) upsampling by two, and plain repetition elsewhere (`jdsample.c`).

use super::Problem;
use super::frame::{Component, Frame};

/// A component whose rows can be asked for at the picture's width.
pub(super) struct Upsampled<'a> {
    part: &'a Component,
    kind: Kind,
}

enum Kind {
    /// Every sample stands for so many, across and down.
    Repeated(usize, usize),
    /// Twice as wide, 3:1 between neighbours.
    Across,
    /// Twice as high, 3:1 between neighbours.
    Down,
    /// Both.
    Both,
}

impl<'a> Upsampled<'a> {
    pub(super) fn new(frame: &Frame, part: &'a Component) -> Result<Self, Problem> {
        let (h, v) = part.sampling;
        let (most_h, most_v) = frame.most;
        if !most_h.is_multiple_of(h) || !most_v.is_multiple_of(v) {
            return Err(format!("samples a component {h}x{v} where another has {most_h}x{most_v}: neither libjpeg nor Pillow does that"));
        }
        let kind = match (most_h / h, most_v / v) {
            (2, 1) if part.width > 2 => Kind::Across,
            (1, 2) => Kind::Down,
            (2, 2) if part.width > 2 => Kind::Both,
            (across, down) => Kind::Repeated(across, down),
        };
        Ok(Self { part, kind })
    }

    /// Row `y` of the picture; `out` is as wide as the picture.
    pub(super) fn row(&self, y: usize, out: &mut [u8]) {
        match self.kind {
            Kind::Repeated(across, down) => {
                let row = self.part.row(y / down);
                if across == 1 {
                    out.copy_from_slice(row);
                } else {
                    out.iter_mut().enumerate().for_each(|(x, out)| *out = row[x / across]);
                }
            }
            Kind::Across => across(self.part.row(y), out),
            Kind::Down => {
                // The two halves of a sample are rounded in different directions.
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for (out, sum) in out.iter_mut().zip(self.between(y)) {
                    *out = ((sum + bias) >> 2) as u8;
                }
            }
            Kind::Both => both(&self.between(y).collect::<Vec<_>>(), out),
        }
    }

    /// Three parts of the row that row `y` of the picture lies in and one of the next nearest.
    fn between(&self, y: usize) -> impl Iterator<Item = u32> {
        let near = y / 2;
        let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(self.part.height - 1) };
        self.part.row(near).iter().zip(self.part.row(far)).map(|(near, far)| 3 * u32::from(*near) + u32::from(*far))
    }
}

/// Each sample becomes two: three parts of it and one of its neighbour on that side.
fn across(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    out[0] = row[0];
    for (two, pair) in row.windows(2).zip(out[1..].chunks_mut(2)) {
        let (left, right) = (u32::from(two[0]), u32::from(two[1]));
        pair[0] = ((3 * left + right + 2) >> 2) as u8;
        if let Some(next) = pair.get_mut(1) {
            *next = ((3 * right + left + 1) >> 2) as u8;
        }
    }
    if let Some(end) = out.get_mut(2 * last + 1) {
        *end = row[last];
    }
}

/// The same of sums that carry two fractional bits.
fn both(sums: &[u32], out: &mut [u8]) {
    let last = sums.len() - 1;
    out[0] = ((4 * sums[0] + 8) >> 4) as u8;
    for (two, pair) in sums.windows(2).zip(out[1..].chunks_mut(2)) {
        let (left, right) = (two[0], two[1]);
        pair[0] = ((3 * left + right + 7) >> 4) as u8;
        if let Some(next) = pair.get_mut(1) {
            *next = ((3 * right + left + 8) >> 4) as u8;
        }
    }
    if let Some(end) = out.get_mut(2 * last + 1) {
        *end = ((4 * sums[last] + 7) >> 4) as u8;
    }
}
