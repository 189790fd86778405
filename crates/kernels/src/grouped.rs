//! A matrix of codes in groups, on the CPU.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::Codebook;
use crate::codes::{GroupedCodes, PackError, Shift};
use crate::ops::PackedOps;

/// A matrix `W [out, in]` of 4-bit or 8-bit codes whose groups of inputs have a scale each; `y = x Wᵀ` is computed from the packed form.
///
/// * `words [out, ⌈in·bits/32⌉]`: eight or four codes per `u32`, the lowest bits first, the input contiguous, rows padded with zeros;
/// * `constants [out, in/group]`: of each group, by its [`Shift`], the f16 bits of its scale in the low half and of its zero point in
///   the high half; or a f32 scale; or, in two words, a f32 scale and a f32 offset.
///
/// So a 4-bit weight costs 4 bits plus 32 bits per group (4.25 bits at a group of 128). All arithmetic is f32: `ŵ = (v − z)·s`, or
/// `v·s + offset`, where `v` is what the [code stands for](Codebook).
#[derive(Clone, Debug)]
pub struct GroupedWeight {
    words: Tensor<2, Int>,
    constants: Tensor<2, Int>,
    layout: Layout,
}

/// Rows of `input` codes of so many bits, 4 or 8, in words, the first code in the lowest bits; rows are padded with zeros.
pub(crate) fn words(codes: &[u8], input: usize, bits: usize) -> Vec<u32> {
    let (row, rows) = ((input * bits).div_ceil(32), codes.len() / input.max(1));
    let mut words = vec![0; rows * row];
    for (codes, words) in codes.chunks_exact(input.max(1)).zip(words.chunks_exact_mut(row.max(1))) {
        if bits == 4 {
            let (eights, rest) = codes.as_chunks::<8>();
            for (word, eight) in words.iter_mut().zip(eights) {
                *word = nibbles(*eight);
            }
            if let Some(word) = words.get_mut(eights.len()) {
                *word = nibbles(padded(rest));
            }
        } else {
            let (fours, rest) = codes.as_chunks::<4>();
            for (word, four) in words.iter_mut().zip(fours) {
                *word = u32::from_le_bytes(*four);
            }
            if let Some(word) = words.get_mut(fours.len()) {
                *word = u32::from_le_bytes(padded(rest));
            }
        }
    }
    words
}

/// The low halves of eight bytes, moved together in three steps.
fn nibbles(codes: [u8; 8]) -> u32 {
    let pairs = u64::from_le_bytes(codes);
    let bytes = (pairs | (pairs >> 4)) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    (halves | (halves >> 16)) as u32
}

/// `codes` with zeros behind them.
fn padded<const N: usize>(codes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| codes.get(at).copied().unwrap_or(0))
}

/// How the words of a [`GroupedWeight`] lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) out: usize,
    pub(crate) input: usize,
    pub(crate) group: usize,
    pub(crate) book: Codebook,
    pub(crate) constants: Constants,
}

/// What a group has beside its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constants {
    /// A word: scale and zero point in f16.
    Halves,
    /// A word: a scale in f32.
    Scale,
    /// Two words: scale and offset in f32.
    ScaleAndOffset,
}

impl Constants {
    /// Words of a group.
    pub(crate) const fn words(self) -> usize {
        match self {
            Self::Halves | Self::Scale => 1,
            Self::ScaleAndOffset => 2,
        }
    }
}

impl Layout {
    /// Words of a row of codes.
    pub(crate) fn row(&self) -> usize {
        (self.input * self.book.bits()).div_ceil(32)
    }

    /// Groups of a row.
    pub(crate) fn groups(&self) -> usize {
        self.input / self.group.max(1)
    }

    fn bytes(&self) -> usize {
        4 * self.out * (self.row() + self.groups() * self.constants.words())
    }

    /// Of every group its scale, and its zero point or, with offsets, what is added.
    pub(crate) fn expanded(&self, constants: &[u32]) -> Vec<[f32; 2]> {
        let mut expanded = Vec::new();
        self.expand(constants, &mut expanded);
        expanded
    }

    /// As [`Self::expanded`], in place of what was in `into`.
    #[expect(
        clippy::inline_always,
        reason = "products do it row by row in an instruction set of their own, which what is called does not have"
    )]
    #[inline(always)]
    pub(crate) fn expand(&self, constants: &[u32], into: &mut Vec<[f32; 2]>) {
        into.clear();
        match self.constants {
            Constants::Halves => {
                into.resize(constants.len(), [0.0; 2]);
                // The low half of a word comes first on burn's little-endian machines.
                let halves: &[u16] = bytemuck::cast_slice(constants);
                halves.reinterpret_cast::<f16>().convert_to_f32_slice(into.as_flattened_mut());
            }
            Constants::Scale => {
                into.resize(constants.len(), [0.0, self.book.middle().into()]);
                for ([scale, _], word) in into.iter_mut().zip(constants) {
                    *scale = f32::from_bits(*word);
                }
            }
            Constants::ScaleAndOffset => into.extend(constants.as_chunks().0.iter().map(|words| words.map(f32::from_bits))),
        }
    }
}

impl GroupedWeight {
    /// Packs `codes` .
    ///
    /// # Errors
    /// [`PackError`] when lengths, group size, code range or scales do not fit the layout.
    pub fn new(codes: &GroupedCodes) -> Result<Self, PackError> {
        codes.check()?;
        let words = words(&codes.codes, codes.input, codes.book.bits());
        let half = |value: f32| u32::from(f16::from_f32(value).to_bits());
        let scales = codes.scales.iter();
        let (kind, constants): (_, Vec<u32>) = match &codes.shift {
            Shift::Middle => (Constants::Scale, scales.map(|scale| scale.to_bits()).collect()),
            Shift::Zeros(zeros) => (Constants::Halves, scales.zip(zeros).map(|(&scale, &zero)| half(scale) | (half(zero) << 16)).collect()),
            Shift::Offsets(offsets) => {
                (Constants::ScaleAndOffset, scales.zip(offsets).flat_map(|(scale, offset)| [scale.to_bits(), offset.to_bits()]).collect())
            }
        };
        let layout = Layout { out: codes.out, input: codes.input, group: codes.group, book: codes.book, constants: kind };
        let tensor =
            |values: Vec<u32>, columns| Tensor::from_data(TensorData::new(values, [layout.out, columns]), (&Device::flex(), DType::U32));
        Ok(Self { words: tensor(words, layout.row()), constants: tensor(constants, layout.groups() * kind.words()), layout })
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        assert_eq!(x.dims()[1], self.layout.input, "grouped_linear: the activations' width differs from the weight's");
        Tensor::from_dispatch(<Dispatch as PackedOps>::grouped_linear(
            x.into_dispatch(),
            self.words.clone().into_dispatch(),
            self.constants.clone().into_dispatch(),
            self.layout,
        ))
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.layout.out, self.layout.input]
    }

    /// Inputs that share a scale.
    pub fn group(&self) -> usize {
        self.layout.group
    }

    /// What codes stand for.
    pub fn book(&self) -> Codebook {
        self.layout.book
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// Device memory in bytes of a matrix of this shape with groups of so many inputs, whose codes stand for numbers of `book`.
    pub fn bytes_of([out, input]: [usize; 2], group: usize, book: Codebook, constants: Constants) -> usize {
        Layout { out, input, group, book, constants }.bytes()
    }

    /// The codes, as [`Self::new`] takes them.
    pub fn codes(&self) -> GroupedCodes {
        let numbers = |tensor: &Tensor<2, Int>| tensor.to_data().iter::<u32>().collect::<Vec<_>>();
        let Layout { out, input, group, book, constants } = self.layout;
        let bits = book.bits();
        let of_word = |word: &u32| (0..32 / bits).map(|at| (word >> (at * bits)) as u8 & (u8::MAX >> (8 - bits))).collect::<Vec<_>>();
        let rows = numbers(&self.words);
        let codes = rows.chunks(self.layout.row().max(1)).flat_map(|row| row.iter().flat_map(of_word).take(input)).collect();
        let expanded = self.layout.expanded(&numbers(&self.constants));
        let scales = expanded.iter().map(|[scale, _]| *scale).collect();
        let others = || expanded.iter().map(|[_, other]| *other).collect();
        let shift = match constants {
            Constants::Halves => Shift::Zeros(others()),
            Constants::Scale => Shift::Middle,
            Constants::ScaleAndOffset => Shift::Offsets(others()),
        };
        GroupedCodes { out, input, group, book, codes, scales, shift }
    }

    /// The matrix the codes stand for, `[out, in]` in f32. Reads the codes back: for tests and inspection.
    pub fn dequantize(&self) -> Tensor<2> {
        let (words, constants) = (self.words.clone().into_dispatch(), self.constants.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as PackedOps>::grouped_widen(words, constants, self.layout))
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        let numbers = |tensor: &Tensor<2, Int>| tensor.to_data().iter::<u32>().collect::<Vec<_>>();
        let (words, constants) = (numbers(&self.words), numbers(&self.constants));
        let book = match self.layout.book {
            Codebook::Int4 if self.layout.constants == Constants::Halves => {
                return steady_gpu::Weight::w4(gpu, &words, &constants, self.shape());
            }
            Codebook::Int4 | Codebook::Int8 => steady_gpu::Codebook::Integers,
            Codebook::Nf4 => steady_gpu::Codebook::Nf4,
            Codebook::Fp4 => steady_gpu::Codebook::Fp4,
            Codebook::E4m3 => steady_gpu::Codebook::E4m3,
        };
        // There, every group has a scale and an offset.
        let added = |[scale, other]: [f32; 2]| match self.layout.constants {
            Constants::Halves | Constants::Scale => [scale, -other * scale],
            Constants::ScaleAndOffset => [scale, other],
        };
        let groups: Vec<[f32; 2]> = self.layout.expanded(&constants).into_iter().map(added).collect();
        steady_gpu::Weight::coded(gpu, book, self.layout.book.bits(), &words, &groups, self.shape())
    }
}
