//! Numbers of a matrix as a file holds them, and what becomes of them on the way to a device: each is read once, narrowed or widened, and written
//! where it stays, on all cores.

use std::ops::Range;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use rayon::prelude::*;

/// Numbers in row-major order, in the type that they were published in.
#[derive(Clone, Copy, Debug)]
pub enum Floats<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 16-bit floats.
    F16(&'a [f16]),
    /// The upper halves of 32-bit floats.
    Bf16(&'a [bf16]),
}

/// What the numbers of a matrix are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
}

/// Numbers that a thread takes at once: enough for a wake-up, few enough for its cache.
const PIECE: usize = 1 << 16;
/// Numbers that are converted at once on their way into another type.
const CONVERTED: usize = 256;

impl Floats<'_> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Those of `range`.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::F16(values) => Self::F16(&values[range]),
            Self::Bf16(values) => Self::Bf16(&values[range]),
        }
    }

    /// The first that is no finite number, or would be none as it is `kept`.
    pub fn first_not_finite(self, kept: Kept) -> Option<usize> {
        match (self, kept) {
            (Self::F32(values), Kept::F32) => first(values, |value| !value.is_finite()),
            (Self::F32(values), Kept::F16) => first(values, |value| !f16::from_f32(value).is_finite()),
            (Self::F32(values), Kept::Bf16) => first(values, |value| !bf16::from_f32(value).is_finite()),
            // The narrowest range of the three.
            (Self::F16(values), _) => first(values, |value| !value.is_finite()),
            (Self::Bf16(values), Kept::F16) => first(values, |value| !f16::from_f32(value.to_f32()).is_finite()),
            (Self::Bf16(values), _) => first(values, |value| !value.is_finite()),
        }
    }

    /// All of them widened.
    pub fn to_f32(self) -> Vec<f32> {
        self.straight(Self::widen)
    }

    /// All of them as the bits of f16.
    pub(crate) fn to_f16_bits(self) -> Vec<u16> {
        self.straight(Self::to_f16)
    }

    /// All of them as the bits of bf16.
    #[cfg(feature = "gpu")]
    pub(crate) fn to_bf16_bits(self) -> Vec<u16> {
        self.straight(Self::to_bf16)
    }

    /// The numbers in their order, as `convert` makes them of stretches.
    fn straight<T: Copy + Default + Send>(self, convert: fn(Self, &mut [T])) -> Vec<T> {
        let mut into = vec![T::default(); self.len()];
        let piece = |(at, into): (usize, &mut [T])| convert(self.slice(at * PIECE..at * PIECE + into.len()), into);
        into.par_chunks_mut(PIECE).enumerate().for_each(piece);
        into
    }

    /// Of a matrix `[rows, columns]` the numbers of its transpose, in f32.
    pub(crate) fn transposed_f32(self, shape: [usize; 2]) -> Vec<f32> {
        self.transposed(shape, Self::widen)
    }

    /// Of a matrix `[rows, columns]` the numbers of its transpose, as the bits of f16.
    pub(crate) fn transposed_f16_bits(self, shape: [usize; 2]) -> Vec<u16> {
        self.transposed(shape, Self::to_f16)
    }

    /// The transpose of `[rows, columns]`, in blocks that stay in the cache on both sides; a thread writes some of its rows.
    fn transposed<T: Copy + Default + Send>(self, [rows, columns]: [usize; 2], convert: fn(Self, &mut [T])) -> Vec<T> {
        const BLOCK: usize = 32;
        const STRIP: usize = 2 * BLOCK;
        assert_eq!(self.len(), rows * columns, "a matrix {rows} x {columns} of other numbers");
        let mut into = vec![T::default(); rows * columns];
        let strip = |(at, into): (usize, &mut [T])| {
            let mut block = [[T::default(); STRIP]; BLOCK];
            let (left, width) = (at * STRIP, into.len() / rows.max(1));
            for top in (0..rows).step_by(BLOCK) {
                let height = BLOCK.min(rows - top);
                for (row, block) in block[..height].iter_mut().enumerate() {
                    let start = (top + row) * columns + left;
                    convert(self.slice(start..start + width), &mut block[..width]);
                }
                for (column, into) in into.chunks_exact_mut(rows.max(1)).enumerate() {
                    for (into, row) in into[top..top + height].iter_mut().zip(&block) {
                        *into = row[column];
                    }
                }
            }
        };
        into.par_chunks_mut((STRIP * rows).max(1)).enumerate().for_each(strip);
        into
    }

    /// As bf16 in words of two, the first in the low half: rows of `columns` numbers, each padded to a whole word.
    pub(crate) fn bf16_words(self, columns: usize) -> Vec<u32> {
        let (row, rows) = (columns.div_ceil(2), self.len() / columns.max(1));
        let mut words = vec![0u32; rows * row];
        let of_row = |(at, words): (usize, &mut [u32])| {
            // The low half of a word comes first on burn's little-endian machines.
            let halves: &mut [u16] = bytemuck::cast_slice_mut(words);
            self.slice(at * columns..(at + 1) * columns).to_bf16(&mut halves[..columns]);
        };
        words.par_chunks_mut(row.max(1)).enumerate().for_each(of_row);
        words
    }

    fn widen(self, into: &mut [f32]) {
        match self {
            Self::F32(values) => into.copy_from_slice(values),
            Self::F16(values) => values.convert_to_f32_slice(into),
            Self::Bf16(values) => values.convert_to_f32_slice(into),
        }
    }

    fn to_f16(self, into: &mut [u16]) {
        match self {
            Self::F16(values) => into.copy_from_slice(values.reinterpret_cast()),
            Self::F32(values) => into.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
            Self::Bf16(_) => self.through_f32(into, |into, values| into.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values)),
        }
    }

    fn to_bf16(self, into: &mut [u16]) {
        match self {
            Self::Bf16(values) => into.copy_from_slice(values.reinterpret_cast()),
            Self::F32(values) => into.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
            Self::F16(_) => self.through_f32(into, |into, values| into.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values)),
        }
    }

    fn through_f32(self, into: &mut [u16], narrow: fn(&mut [u16], &[f32])) {
        let mut wide = [0.0; CONVERTED];
        for (at, into) in into.chunks_mut(CONVERTED).enumerate() {
            let wide = &mut wide[..into.len()];
            self.slice(at * CONVERTED..at * CONVERTED + into.len()).widen(wide);
            narrow(into, wide);
        }
    }
}

/// The first that is `refused`.
fn first<T: Copy + Sync>(values: &[T], refused: impl Fn(T) -> bool + Sync) -> Option<usize> {
    let piece = values.par_chunks(PIECE).position_first(|piece| piece.iter().fold(false, |any, &value| any | refused(value)))?;
    let start = piece * PIECE;
    values[start..].iter().position(|&value| refused(value)).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::{Floats, Kept, PIECE};

    #[test]
    fn transposes_a_small_matrix() {
        assert_eq!(Floats::F32(&[1., 2., 3., 4., 5., 6.]).transposed_f32([2, 3]), [1., 4., 2., 5., 3., 6.]);
    }

    #[test]
    fn rows_of_bf16_are_padded_to_words() {
        let words = Floats::F32(&[1.0, -2.0, 3.0, 1.0, -2.0, 3.0]).bf16_words(3);
        assert_eq!(words, [0xc000_3f80, 0x0000_4040, 0xc000_3f80, 0x0000_4040]);
    }

    /// By the definition of the formats: 65,504 is the largest of f16, 65,520 lies halfway to what would come next.
    #[test]
    fn what_is_too_large_for_its_place_is_found() {
        let mut values = vec![0.5f32; 2 * PIECE + 3];
        assert_eq!(Floats::F32(&values).first_not_finite(Kept::F16), None);
        values[PIECE + 7] = 65_519.0;
        values[PIECE + 9] = 65_520.0;
        values[2 * PIECE + 1] = 3.4e38;
        let found = |kept| Floats::F32(&values).first_not_finite(kept);
        assert_eq!([found(Kept::F32), found(Kept::F16), found(Kept::Bf16)], [None, Some(PIECE + 9), Some(2 * PIECE + 1)]);
        let wide = [bf16::from_f32(1.0), bf16::from_f32(1e30), bf16::NEG_INFINITY];
        let found = |kept| Floats::Bf16(&wide).first_not_finite(kept);
        assert_eq!([found(Kept::F32), found(Kept::F16), found(Kept::Bf16)], [Some(2), Some(1), Some(2)]);
        assert_eq!(Floats::F16(&[f16::MAX, f16::NAN]).first_not_finite(Kept::Bf16), Some(1));
    }

    proptest! {
        /// One number at a time, by half's own conversions.
        #[test]
        fn every_type_into_every_other(rows in 1usize..70, columns in 1usize..150) {
            let wide: Vec<f32> = (0..rows * columns).map(|at| (at as f32 * 0.37).sin() * (at as f32 * 0.01).exp2()).collect();
            let halves: Vec<f16> = wide.iter().map(|&value| f16::from_f32(value)).collect();
            let uppers: Vec<bf16> = wide.iter().map(|&value| bf16::from_f32(value)).collect();
            let of_halves: Vec<f32> = halves.iter().map(|value| value.to_f32()).collect();
            let of_uppers: Vec<f32> = uppers.iter().map(|value| value.to_f32()).collect();
            for (floats, values) in [(Floats::F32(&wide), &wide), (Floats::F16(&halves), &of_halves), (Floats::Bf16(&uppers), &of_uppers)] {
                prop_assert_eq!(&floats.to_f32(), values);
                let across = (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column]));
                prop_assert_eq!(floats.transposed_f32([rows, columns]), across.clone().collect::<Vec<_>>());
                let bits: Vec<u16> = across.map(|value| f16::from_f32(value).to_bits()).collect();
                prop_assert_eq!(floats.transposed_f16_bits([rows, columns]), bits);
                let straight: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
                prop_assert_eq!(floats.to_f16_bits(), straight);
                let words = floats.bf16_words(columns);
                let narrow = |at: usize| u32::from(bf16::from_f32(values[at]).to_bits());
                for row in 0..rows {
                    for column in 0..columns {
                        let word = words[row * columns.div_ceil(2) + column / 2];
                        prop_assert_eq!((word >> (16 * (column % 2))) & 0xffff, narrow(row * columns + column));
                    }
                }
            }
        }
    }
}
