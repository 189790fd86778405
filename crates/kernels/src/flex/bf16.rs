//! bf16 weights on the CPU.

use super::unpack::Unpack;

/// The packed `[out, input]`.
pub(super) struct Bf16<'a> {
    /// Rows of whole words: an odd row has a zero behind it.
    halves: &'a [u16],
    out: usize,
    input: usize,
}

impl<'a> Bf16<'a> {
    pub(super) fn new(words: &'a [u32], [out, input]: [usize; 2]) -> Self {
        // The low half of a word comes first on burn's little-endian machines.
        Self { halves: bytemuck::cast_slice(words), out, input }
    }
}

impl Unpack for Bf16<'_> {
    type Scratch = ();

    #[inline(always)]
    fn shape(&self) -> [usize; 2] {
        [self.out, self.input]
    }

    #[inline(always)]
    fn scratch(&self) {}

    #[inline(always)]
    fn unpack(&self, row: usize, (): &mut (), into: &mut [f32]) {
        let halves = &self.halves[row * self.input.next_multiple_of(2)..][..self.input];
        for (value, &half) in into.iter_mut().zip(halves) {
            // A bf16 number is the upper half of an f32 number.
            *value = f32::from_bits(u32::from(half) << 16);
        }
    }
}
