//! 4-bit weights on the CPU.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::unpack::Unpack;

/// The packed `[out, input]`.
pub(super) struct W4<'a> {
    words: &'a [u32],
    /// Scale and zero point per group.
    constants: Vec<f32>,
    out: usize,
    input: usize,
}

impl<'a> W4<'a> {
    pub(super) fn new(words: &'a [u32], groups: &[u32], [out, input]: [usize; 2]) -> Self {
        // Scale, zero point, scale, ..: the low half of a word comes first on burn's little-endian machines.
        let mut constants = vec![0.0; groups.len() * 2];
        bytemuck::cast_slice::<u32, u16>(groups).reinterpret_cast::<half::f16>().convert_to_f32_slice(&mut constants);
        Self { words, constants, out, input }
    }
}

impl Unpack for W4<'_> {
    /// A byte per input.
    type Scratch = Vec<u8>;

    #[inline(always)]
    fn shape(&self) -> [usize; 2] {
        [self.out, self.input]
    }

    #[inline(always)]
    fn scratch(&self) -> Vec<u8> {
        vec![0; self.input]
    }

    /// `(q − z)·s`.
    #[inline(always)]
    fn unpack(&self, row: usize, codes: &mut Vec<u8>, into: &mut [f32]) {
        // The lowest nibble comes first: two codes a byte, in order.
        let bytes: &[u8] = bytemuck::cast_slice(&self.words[row * self.input / 8..][..self.input / 8]);
        for (pair, byte) in codes.as_chunks_mut().0.iter_mut().zip(bytes) {
            *pair = [byte & 15, byte >> 4];
        }
        let per_row = self.constants.len() / self.out;
        let (constants, _) = self.constants[row * per_row..][..per_row].as_chunks();
        let group = self.input / constants.len();
        for ((codes, values), &[scale, zero]) in codes.chunks_exact(group).zip(into.chunks_exact_mut(group)).zip(constants) {
            for (value, &code) in values.iter_mut().zip(codes) {
                *value = (f32::from(code) - zero) * scale;
            }
        }
    }
}
