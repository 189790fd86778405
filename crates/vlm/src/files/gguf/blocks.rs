//! The kinds of blocks that ggml quantizes to (<https://github.com/ggml-org/ggml>, `src/ggml-common.h` and `src/ggml-quants.c`).

use half::f16;
use steady_kernels::{Codebook, Constants, GroupedCodes, Shift};

/// A kind of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// 32 weights `d·(q - 8)`: `d` in f16, then nibbles, the first half of the weights in the low ones.
    Q4_0,
    /// 32 weights `d·q`: `d` in f16, then signed bytes.
    Q8_0,
    /// 256 weights in eights of 32: `d·s·q - m·t`. `d` and `m` in f16, `s` and `t` in six bits each, then nibbles.
    Q4K,
    /// As [`Self::Q4K`] with a fifth bit for each weight.
    Q5K,
    /// 256 weights in sixteenths: `d·s·(q - 32)`. Four low bits, two high bits, `s` in signed bytes, `d` in f16.
    Q6K,
}

/// Name and number in a file, in which kind.
const KINDS: [(u64, &str, BlockKind); 5] = [
    (2, "Q4_0", BlockKind::Q4_0),
    (8, "Q8_0", BlockKind::Q8_0),
    (12, "Q4_K", BlockKind::Q4K),
    (13, "Q5_K", BlockKind::Q5K),
    (14, "Q6_K", BlockKind::Q6K),
];

/// Other kinds, which are not read.
const OTHERS: [(u64, &str); 14] = [
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (39, "MXFP4"),
];

/// What a type of a file is called.
pub(super) fn name_of(number: u64) -> &'static str {
    OTHERS.iter().find(|(other, _)| *other == number).map_or("an unknown one", |(_, name)| name)
}

impl BlockKind {
    pub(super) fn of(number: u64) -> Option<Self> {
        KINDS.iter().find(|(of_kind, ..)| *of_kind == number).map(|(.., kind)| *kind)
    }

    pub(super) fn known() -> String {
        KINDS.map(|(_, name, _)| name).join(", ")
    }

    /// Its number in a file.
    pub(super) fn number(self) -> u64 {
        KINDS.iter().find(|(.., kind)| *kind == self).map_or(0, |(number, ..)| *number)
    }

    /// As ggml calls it.
    pub(super) fn name(self) -> &'static str {
        KINDS.iter().find(|(.., kind)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Weights of a block.
    pub(crate) const fn weights(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 2 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4K => 2 + 2 + 12 + 128,
            Self::Q5K => 2 + 2 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
        }
    }

    /// Weights that share a scale.
    pub(crate) const fn group(self) -> usize {
        if matches!(self, Self::Q6K) { 16 } else { 32 }
    }

    /// What codes stand for, as they are packed.
    pub(crate) const fn book(self) -> Codebook {
        match self {
            Self::Q4_0 | Self::Q4K => Codebook::Int4,
            Self::Q8_0 | Self::Q5K | Self::Q6K => Codebook::Int8,
        }
    }

    /// What a group has beside its codes, as it is packed.
    pub(crate) const fn constants(self) -> Constants {
        match self {
            Self::Q4_0 | Self::Q8_0 | Self::Q6K => Constants::Scale,
            Self::Q4K | Self::Q5K => Constants::ScaleAndOffset,
        }
    }

    /// The codes of a matrix `[out, in]`, whose rows are whole blocks.
    pub(crate) fn codes(self, bytes: &[u8], [out, input]: [usize; 2]) -> GroupedCodes {
        let mut groups = Groups { codes: Vec::with_capacity(out * input), scales: Vec::new(), offsets: Vec::new() };
        for block in bytes.chunks_exact(self.bytes()) {
            match self {
                Self::Q4_0 => groups.q4_0(block),
                Self::Q8_0 => groups.q8_0(block),
                Self::Q4K => groups.k(block, None),
                Self::Q5K => groups.k(block, Some(16)),
                Self::Q6K => groups.q6_k(block),
            }
        }
        let Groups { codes, scales, offsets } = groups;
        let shift = if self.constants() == Constants::ScaleAndOffset { Shift::Offsets(offsets) } else { Shift::Middle };
        GroupedCodes { out, input, group: self.group(), book: self.book(), codes, scales, shift }
    }

    /// The blocks of these codes, with the kind that they are of: [`Self::Q4_0`] or [`Self::Q8_0`]; why not, if not.
    pub(crate) fn blocks_of(codes: &GroupedCodes) -> Result<(Self, Vec<u8>), String> {
        const BLOCK: usize = 32;
        let kind = match codes.book {
            Codebook::Int4 => Self::Q4_0,
            Codebook::Int8 => Self::Q8_0,
            other => return Err(format!("has no blocks of {other:?}")),
        };
        let middle = f32::from(codes.book.middle());
        if !codes.group.is_multiple_of(BLOCK) {
            return Err(format!("has a scale for every {BLOCK} weights, and these have one for {}", codes.group));
        }
        let mut bytes = Vec::with_capacity(codes.codes.len() / BLOCK * kind.bytes());
        for (at, block) in codes.codes.chunks_exact(BLOCK).enumerate() {
            let scale = codes.scales[at * BLOCK / codes.group];
            let half = f16::from_f32(scale);
            if half.to_f32().to_bits() != scale.to_bits() {
                return Err(format!("holds scales in f16, and {scale} is none"));
            }
            bytes.extend(half.to_le_bytes());
            let zero = match &codes.shift {
                Shift::Middle => middle,
                Shift::Zeros(zeros) => zeros[at * BLOCK / codes.group],
                Shift::Offsets(_) => return Err("has no offsets, and these weights have some".to_owned()),
            };
            // As steps from zero, and those from the middle on.
            let around =
                |code: &u8| Some(f32::from(*code) - zero + middle).filter(|code| (0.0..2.0 * middle).contains(code) && code.fract() == 0.0);
            let Some(block) = block.iter().map(|code| Some(around(code)? as u8)).collect::<Option<Vec<u8>>>() else {
                let problem = format!(
                    "holds weights from -{middle} to {} steps around zero, and with the zero points of these some lie outside",
                    middle - 1.0
                );
                return Err(format!("{problem}; give a symmetric quantizer, like w4:rtn,sym"));
            };
            match kind {
                Self::Q4_0 => bytes.extend(block[..16].iter().zip(&block[16..]).map(|(low, high)| low | (high << 4))),
                _ => bytes.extend(block.iter().map(|code| code ^ 128)),
            }
        }
        Ok((kind, bytes))
    }

    /// The numbers that blocks stand for.
    pub(crate) fn floats(self, bytes: &[u8]) -> Vec<f32> {
        let count = bytes.len() / self.bytes() * self.weights();
        let GroupedCodes { codes, scales, shift, group, book, .. } = self.codes(bytes, [1, count]);
        let number = |(at, code): (usize, u8)| match &shift {
            Shift::Offsets(offsets) => f32::from(code) * scales[at / group] + offsets[at / group],
            _ => (f32::from(code) - f32::from(book.middle())) * scales[at / group],
        };
        codes.into_iter().enumerate().map(number).collect()
    }
}

struct Groups {
    codes: Vec<u8>,
    scales: Vec<f32>,
    offsets: Vec<f32>,
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

impl Groups {
    fn q4_0(&mut self, block: &[u8]) {
        self.scales.push(half(block, 0));
        self.codes.extend(block[2..].iter().map(|pair| pair & 15));
        self.codes.extend(block[2..].iter().map(|pair| pair >> 4));
    }

    fn q8_0(&mut self, block: &[u8]) {
        self.scales.push(half(block, 0));
        // As they are packed, the middle of a byte's range stands for zero.
        self.codes.extend(block[2..].iter().map(|code| code ^ 128));
    }

    /// Q4_K, and Q5_K, whose fifth bits begin at `fifths`.
    fn k(&mut self, block: &[u8], fifths: Option<usize>) {
        let (d, m, sixes) = (half(block, 0), half(block, 2), &block[4..16]);
        let low = &block[block.len() - 128..];
        for eighth in 0..8 {
            let (s, t) = six_bits(sixes, eighth);
            self.scales.push(d * f32::from(s));
            self.offsets.push(-(m * f32::from(t)));
            // Two eighths share 32 bytes.
            let nibbles = low[eighth / 2 * 32..][..32].iter().map(|pair| (pair >> (4 * (eighth % 2))) & 15);
            match fifths {
                None => self.codes.extend(nibbles),
                Some(at) => self.codes.extend(nibbles.zip(&block[at..at + 32]).map(|(low, fifth)| low | (((fifth >> eighth) & 1) << 4))),
            }
        }
    }

    fn q6_k(&mut self, block: &[u8]) {
        let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], half(block, 208));
        self.scales.extend(scales.iter().map(|&scale| d * f32::from(scale.cast_signed())));
        for at in 0..256 {
            // In each half of the block, 64 bytes of nibbles and 32 of pairs of bits; a quarter of the half takes the next nibble, or pair.
            let (in_half, half) = (at % 128, at / 128);
            let nibble = (low[half * 64 + in_half % 64] >> (4 * (in_half / 64))) & 15;
            let pair = (high[half * 32 + in_half % 32] >> (2 * (in_half / 32))) & 3;
            // From -32 on; as they are packed, from the middle.
            self.codes.push((nibble | (pair << 4)) + (128 - 32));
        }
    }
}

/// Scale and offset of an eighth of a K block, in six bits each: the first four as they are, of the others the low four bits apart from the two
/// high ones (`get_scale_min_k4`).
fn six_bits(sixes: &[u8], eighth: usize) -> (u8, u8) {
    if eighth < 4 {
        (sixes[eighth] & 63, sixes[eighth + 4] & 63)
    } else {
        let fours = sixes[eighth + 4];
        ((fours & 15) | ((sixes[eighth - 4] >> 6) << 4), (fours >> 4) | ((sixes[eighth] >> 6) << 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever blocks there are, their codes become the same ones again.
        #[test]
        fn blocks_of_codes_of_blocks(random in prop::collection::vec(any::<u8>(), 2 * 3 * 34), scale in -65000.0f32..65000.0) {
            for kind in [BlockKind::Q4_0, BlockKind::Q8_0] {
                let mut bytes = random[..6 * kind.bytes()].to_vec();
                for block in bytes.chunks_exact_mut(kind.bytes()) {
                    block[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
                }
                let codes = kind.codes(&bytes, [2, 96]);
                prop_assert_eq!(BlockKind::blocks_of(&codes), Ok((kind, bytes)));
            }
        }
    }

    #[test]
    fn a_scale_of_more_weights_is_written_for_each_block() {
        let codes = GroupedCodes {
            out: 1,
            input: 128,
            group: 64,
            book: Codebook::Int4,
            codes: (0..128).map(|at| (at % 16) as u8).collect(),
            scales: vec![0.5, -0.25],
            shift: Shift::Zeros(vec![8.0, 8.0]),
        };
        let (kind, bytes) = BlockKind::blocks_of(&codes).unwrap();
        assert_eq!((kind, bytes.len()), (BlockKind::Q4_0, 4 * 18));
        let expected: Vec<f32> = (0..128).map(|at| ((at % 16) as f32 - 8.0) * if at < 64 { 0.5 } else { -0.25 }).collect();
        assert_eq!(kind.floats(&bytes), expected);
        let refused = |codes: &GroupedCodes| BlockKind::blocks_of(codes).unwrap_err();
        assert!(refused(&GroupedCodes { shift: Shift::Zeros(vec![8.0, 7.0]), ..codes.clone() }).contains("from -8 to 7 steps around zero"));
        assert!(refused(&GroupedCodes { shift: Shift::Zeros(vec![8.0, 7.5]), ..codes.clone() }).contains("symmetric quantizer"));
        // Three bits have room beside their zero points.
        let three =
            GroupedCodes { codes: (0..128).map(|at| (at % 8) as u8).collect(), shift: Shift::Zeros(vec![0.0, 7.0]), ..codes.clone() };
        let (kind, bytes) = BlockKind::blocks_of(&three).unwrap();
        let expected: Vec<f32> = (0..128).map(|at| if at < 64 { (at % 8) as f32 * 0.5 } else { ((at % 8) as f32 - 7.0) * -0.25 }).collect();
        assert_eq!(kind.floats(&bytes), expected);
        assert!(refused(&GroupedCodes { scales: vec![0.5, 0.1], ..codes.clone() }).contains("0.1 is none"));
        assert!(refused(&GroupedCodes { group: 16, scales: vec![0.5; 8], shift: Shift::Middle, ..codes.clone() }).contains("one for 16"));
        assert!(refused(&GroupedCodes { book: Codebook::Nf4, ..codes }).contains("no blocks of Nf4"));
    }
}
