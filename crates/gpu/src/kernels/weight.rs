//! Matrices of weights in the formats that products read.

use std::borrow::Cow;

use super::MatrixUnits;
use crate::{Gpu, Kernel, Rows, Words};

/// How a weight's numbers lie, and the kernels that read them.
#[derive(Debug)]
pub(crate) struct Format {
    /// Columns that a kernel takes at once. Rows are padded with zeros to whole packs.
    pub(crate) columns: usize,
    /// Bits of a number, scales not counted.
    bits: usize,
    /// Words that a group of packs has beside its numbers, in formats that have groups.
    scale: usize,
    /// The product for few rows of x.
    pub(crate) few: Kernel,
    /// The product for many.
    pub(crate) tiled: Kernel,
    /// The product for many rows of x and of the weight, where there is another.
    pub(crate) large: Option<Kernel>,
    /// Whether its packs are eight f16, which matrix units take as they are.
    pub(crate) for_units: bool,
    /// Where rows can be gathered, the kernel that does it.
    pub(crate) gather: Option<Kernel>,
    /// What rounds x before its products.
    rounding: Option<&'static Kernel>,
}

impl Format {
    /// Every kernel that reads weights of `out` rows, or makes ready what is multiplied with them.
    pub(super) fn kernels(&'static self, gpu: &Gpu, out: usize) -> Vec<&'static Kernel> {
        let large = self.large.as_ref().filter(|_| out >= super::product::LARGE && gpu.shared() >= super::product::LARGE_SHARED);
        let units = gpu.matrix_units().filter(|_| self.for_units).map(MatrixUnits::kernels);
        let of_all = [Some(&self.few), Some(&self.tiled), large, self.gather.as_ref(), self.rounding].into_iter().flatten();
        of_all.chain(units.into_iter().flatten()).collect()
    }
}

/// A product's kernel reads x, words, scales, rounded x, bias, residual, and writes y.
const fn product(name: &'static str, source: &'static [&'static str]) -> Kernel {
    Kernel { name, source, reads: 6, writes: 1 }
}

/// Sources of a format whose packs are widened to eight `f32`.
macro_rules! widened {
    ($name:literal, $bits:literal, $scale:literal, $for_units:literal, $gather:expr) => {
        Format {
            columns: Weight::COLUMNS,
            bits: $bits,
            scale: $scale,
            few: product(
                concat!("product_few_", $name),
                &[include_str!("product.wgsl"), include_str!(concat!("weight_", $name, ".wgsl")), include_str!("product_few.wgsl")],
            ),
            tiled: product(
                concat!("product_tiled_", $name),
                &[include_str!("product.wgsl"), include_str!(concat!("weight_", $name, ".wgsl")), include_str!("product_tiled.wgsl")],
            ),
            large: Some(product(
                concat!("product_large_", $name),
                &[include_str!("product.wgsl"), include_str!(concat!("weight_", $name, ".wgsl")), include_str!("product_large.wgsl")],
            )),
            for_units: $for_units,
            gather: $gather,
            rounding: None,
        }
    };
}

/// Sources that gather rows of such a format.
macro_rules! gather {
    ($name:literal) => {
        Some(Kernel {
            name: concat!("gather_", $name),
            source: &[include_str!(concat!("weight_", $name, ".wgsl")), include_str!("gather.wgsl")],
            reads: 3,
            writes: 1,
        })
    };
}

/// Sources of the products of LLM.int8().
macro_rules! bytes {
    ($name:literal, $dot:literal) => {
        Format {
            columns: 16,
            bits: 8,
            scale: 1,
            few: product(
                concat!("product_few_", $name),
                &[include_str!("product.wgsl"), include_str!($dot), include_str!("int8.wgsl"), include_str!("int8_few.wgsl")],
            ),
            tiled: product(
                concat!("product_tiled_", $name),
                &[include_str!("product.wgsl"), include_str!($dot), include_str!("int8.wgsl"), include_str!("int8_tiled.wgsl")],
            ),
            large: None,
            for_units: false,
            gather: None,
            rounding: Some(&super::int8::ROUND),
        }
    };
}

pub(crate) static F32: Format = widened!("f32", 32, 0, false, gather!("f32"));
pub(crate) static F16: Format = widened!("f16", 16, 0, true, gather!("f16"));
pub(crate) static BF16: Format = widened!("bf16", 16, 0, false, gather!("bf16"));
pub(crate) static W4: Format = widened!("w4", 4, 1, false, gather!("w4"));
pub(crate) static CODED4: Format = widened!("coded4", 4, 2, false, None);
pub(crate) static CODED8: Format = widened!("coded8", 8, 2, false, None);
pub(crate) static INT8: Format = bytes!("int8", "dot_packed.wgsl");
/// As [`INT8`], for devices whose language has no dot product of packed bytes.
pub(crate) static INT8_PLAIN: Format = bytes!("int8_plain", "dot_plain.wgsl");

/// A matrix `W [out, in]` on a GPU, in the format that its numbers were stored in. Cheap to clone.
///
/// It is split into parts of consecutive rows where it is larger than what a kernel can see of one buffer.
#[derive(Clone, Debug)]
pub struct Weight {
    pub(crate) format: &'static Format,
    pub(crate) parts: Vec<Part>,
    pub(crate) shape: [usize; 2],
    /// Packs that share a scale.
    pub(crate) group: usize,
    /// Of LLM.int8(): activations of at least this magnitude take the float way.
    pub(crate) threshold: Option<f32>,
    /// What codes stand for, in formats that leave it open.
    pub(crate) book: Codebook,
    /// What becomes of x before the product.
    pub(crate) intake: Intake,
}

/// What the codes of [`Weight::coded`] stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codebook {
    /// The numbers themselves.
    #[default]
    Integers,
    /// 4 bits: sixteen quantiles of the normal distribution (QLoRA, arXiv 2305.14314).
    Nf4,
    /// 4 bits: bitsandbytes' floats.
    Fp4,
    /// 8 bits: FP8 E4M3.
    E4m3,
}

/// What becomes of x before a product.
#[derive(Clone, Debug, Default)]
pub(crate) enum Intake {
    #[default]
    AsItIs,
    /// Columns are taken in this order.
    Ordered(Words),
    /// Rows are rounded to FP8.
    E4m3,
    /// Columns are multiplied with a number each, `[1, in]`.
    Scaled(Rows),
}

/// Some consecutive rows.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Which of the weight's is the first.
    pub(crate) first: usize,
    pub(crate) rows: usize,
    /// Rows in front of them in their memory, which are another weight's.
    pub(crate) above: usize,
    pub(crate) words: Words,
    /// One per row or per group of a row, in formats that have scales.
    pub(crate) scales: Option<Words>,
}

impl Weight {
    /// Columns to whose multiple the rows of dense weights are padded.
    pub const COLUMNS: usize = 8;

    /// A matrix of `f32`, row after row.
    ///
    /// # Panics
    /// When there are not `out × in` values.
    pub fn f32(gpu: &Gpu, values: &[f32], shape: [usize; 2]) -> Self {
        Self::new(gpu, &F32, bytemuck::cast_slice(values), &[], shape, gpu.max_binding())
    }

    /// A matrix of the bits of f16 numbers, row after row.
    ///
    /// # Panics
    /// When there are not `out × in` values.
    pub fn f16(gpu: &Gpu, values: &[u16], shape: [usize; 2]) -> Self {
        Self::new(gpu, &F16, bytemuck::cast_slice(values), &[], shape, gpu.max_binding())
    }

    /// A matrix of the bits of bf16 numbers, row after row.
    ///
    /// # Panics
    /// When there are not `out × in` values.
    pub fn bf16(gpu: &Gpu, values: &[u16], shape: [usize; 2]) -> Self {
        Self::new(gpu, &BF16, bytemuck::cast_slice(values), &[], shape, gpu.max_binding())
    }

    /// A matrix of 4-bit codes whose groups along the input have a scale `s` and a zero point `z` each: a weight is `(code - z) s`.
    ///
    /// * `words [out, in / 8]`: eight codes a word, the lowest nibble first;
    /// * `groups [out, in / group]`: the f16 bits of `s` in the low half, those of `z` in the high half.
    ///
    /// # Panics
    /// When there are not as many words, or not as many groups in every row, of whole words each.
    pub fn w4(gpu: &Gpu, words: &[u32], groups: &[u32], shape: [usize; 2]) -> Self {
        assert!(shape[1].is_multiple_of(8), "a weight {shape:?} in 4 bits: eight codes a word");
        Self::new(gpu, &W4, bytemuck::cast_slice(words), groups, shape, gpu.max_binding())
    }

    /// A matrix of codes of 4 or 8 `bits`, whose groups along the input have a scale `s` and an offset `o` each: a weight is `v s + o`, where `v` is
    /// what its code stands for.
    ///
    /// * `words [out, ⌈in · bits / 32⌉]`: the lowest bits of a word first;
    /// * `groups [out, in / group]`: `s` and `o`. Groups are whole packs of 8 inputs, or all of them.
    ///
    /// # Panics
    /// When there are not as many words, or not as many groups in every row.
    pub fn coded(gpu: &Gpu, book: Codebook, bits: usize, words: &[u32], groups: &[[f32; 2]], shape: [usize; 2]) -> Self {
        let format = if bits == 4 { &CODED4 } else { &CODED8 };
        let weight = Self::new(gpu, format, bytemuck::cast_slice(words), bytemuck::cast_slice(groups), shape, gpu.max_binding());
        Self { book, ..weight }
    }

    /// The same, whose columns lie in another order than x's: the first is x's column `order[0]`.
    #[must_use]
    pub fn ordered(self, gpu: &Gpu, order: &[u32]) -> Self {
        Self { intake: Intake::Ordered(gpu.kept_words(order)), ..self }
    }

    /// The same, to be multiplied with rows that are rounded to FP8 (E4M3): each is divided by its scale, the largest magnitude over 448, and
    /// multiplied with it again.
    #[must_use]
    pub fn rounding_to_e4m3(self, gpu: &Gpu) -> Self {
        gpu.want(&[&super::e4m3::ROUND]);
        Self { intake: Intake::E4m3, ..self }
    }

    /// The same, to be multiplied with rows whose columns are multiplied with `by` first, a number each.
    ///
    /// # Panics
    /// When there are not as many as columns.
    #[must_use]
    pub fn scaling(self, gpu: &Gpu, by: &[f32]) -> Self {
        Self { intake: Intake::Scaled(gpu.kept_rows(by, [1, self.shape[1]])), ..self }
    }

    /// A matrix of signed 8-bit codes with the mixed product of LLM.int8() (Dettmers et al., 2022): a weight is `code · absmax / 127`.
    ///
    /// * `words [out, ⌈in / 4⌉]`: four codes a word, the lowest byte first;
    /// * `absmax [out]`: the largest magnitude of each row.
    ///
    /// A product splits each row of x by itself, so what comes out for a token depends on that token alone. An entry with `|x| ≥ threshold` is
    /// an outlier and is multiplied in floats; the others are rounded, `round_half_even(x · 127 / s)` with `s` the largest magnitude among
    /// them, multiplied in integers, and scaled back by `s · absmax / 127²`.
    ///
    /// # Panics
    /// When there are not as many words or maxima.
    pub fn int8(gpu: &Gpu, words: &[u32], absmax: &[f32], threshold: f32, shape: [usize; 2]) -> Self {
        assert_eq!(absmax.len(), shape[0], "a weight {shape:?}: a maximum for each row");
        let format = if gpu.has_packed_dots() { &INT8 } else { &INT8_PLAIN };
        let weight = Self::new(gpu, format, bytemuck::cast_slice(words), bytemuck::cast_slice(absmax), shape, gpu.max_binding());
        Self { threshold: Some(threshold), ..weight }
    }

    /// In parts of at most `limit` bytes.
    fn new(gpu: &Gpu, format: &'static Format, values: &[u8], scales: &[u32], [out, input]: [usize; 2], limit: u64) -> Self {
        // What the host has in whole words a row, but f16 and bf16: there, rows follow each other without a gap.
        let word = if format.bits == 16 { 2 } else { 4 };
        let row = (input * format.bits).div_ceil(8 * word) * word;
        assert_eq!(values.len(), out * row, "bytes of a weight [{out}, {input}]");
        let packs = input.div_ceil(format.columns);
        let padded = packs * format.columns * format.bits / 8;
        let scales_per_row = scales.len() / out.max(1);
        assert_eq!(scales.len(), out * scales_per_row, "scales of a weight [{out}, {input}]");
        let groups = scales_per_row / format.scale.max(1);
        assert!(
            groups == 0 || format.columns != Self::COLUMNS || packs.is_multiple_of(groups),
            "{groups} groups in {packs} packs of a row"
        );
        gpu.want(super::SHARED);
        gpu.want(&format.kernels(gpu, out));
        let rows_per_part = (limit / padded.max(1) as u64) as usize;
        assert!(rows_per_part > 0, "a row of {padded} bytes, of which a kernel sees {limit}");
        let parts = (0..out).step_by(rows_per_part).map(|first| {
            let rows = rows_per_part.min(out - first);
            let bytes = padded_rows(&values[first * row..(first + rows) * row], row, padded);
            let words = Words { memory: gpu.kept(&bytes), len: bytes.len() / 4 };
            let of_part = &scales[first * scales_per_row..(first + rows) * scales_per_row];
            let scales = (!of_part.is_empty()).then(|| gpu.kept_words(of_part));
            Part { first, rows, above: 0, words, scales }
        });
        Self {
            format,
            parts: parts.collect(),
            shape: [out, input],
            group: packs / groups.max(1),
            threshold: None,
            book: Codebook::default(),
            intake: Intake::default(),
        }
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        4 * self.shape[0] * (self.words_per_row() + self.scales_per_row())
    }

    /// Rows `ids` as f32, `[ids, in]`: a token's embedding is a row.
    ///
    /// # Panics
    /// When there is no such row, or the weight is one of LLM.int8().
    pub fn rows(&self, gpu: &Gpu, ids: &[u32]) -> Rows {
        super::gather::gather(gpu, self, ids)
    }

    /// The row that was chosen on the GPU ([`choose`](super::choose)), widened: `[1, in]`.
    ///
    /// # Panics
    /// When the format gathers no rows.
    pub fn chosen(&self, gpu: &Gpu, choice: &Words) -> Rows {
        super::gather::gather_chosen(gpu, self, choice)
    }

    /// Packs in a row.
    pub(crate) fn packs(&self) -> usize {
        self.shape[1].div_ceil(self.format.columns)
    }

    /// Words of a row's packs.
    pub(crate) fn words_per_row(&self) -> usize {
        self.packs() * self.format.columns * self.format.bits / 32
    }

    /// Scales of a row.
    pub(crate) fn scales_per_row(&self) -> usize {
        let scaled = self.parts.iter().any(|part| part.scales.is_some());
        if scaled { self.packs() / self.group * self.format.scale } else { 0 }
    }
}

/// Rows of `from` bytes as rows of `to`, the rest zeros.
fn padded_rows(bytes: &[u8], from: usize, to: usize) -> Cow<'_, [u8]> {
    if from == to {
        return Cow::Borrowed(bytes);
    }
    let mut padded = Vec::with_capacity(bytes.len() / from * to);
    for row in bytes.chunks_exact(from) {
        padded.extend_from_slice(row);
        padded.resize(padded.len() + to - from, 0);
    }
    Cow::Owned(padded)
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;

    use super::{BF16, CODED4, CODED8, F16, F32, Format, INT8, INT8_PLAIN, Kernel, W4, Weight};
    use crate::{
        Adapter,
        kernels::{Epilogue, product},
    };

    #[test]
    fn parts_are_one_matrix() {
        let gpu = Adapter::best().block_on().unwrap().open(None).block_on().unwrap();
        let read = |rows| gpu.read(&rows).block_on().unwrap();
        let numbers = |count: usize| (0..count).map(|at| (at * at % 17) as f32 / 17.0).collect::<Vec<_>>();
        let (out, input) = (11, 32);
        for (format, scales) in [(&F32, 0), (&F16, 0), (&BF16, 0), (&W4, 2 * out), (&CODED4, 4 * out), (&CODED8, 8 * out), (&INT8, out)] {
            // Halves of f32 are small numbers of either kind.
            let bytes: Vec<u8> = numbers(out * input * format.bits / 32).iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            // As words for 4 bits, f16 of about one; as numbers for 8 bits, of about one as well.
            let scales: Vec<u32> = (0..scales as u32).map(|at| 0x3f80_3c00 + at).collect();
            let row = (input * format.bits / 8) as u64;
            let in_parts_of = |rows: u64| {
                let weight = Weight::new(&gpu, format, &bytes, &scales, [out, input], rows * row + row - 1);
                Weight { threshold: format.rounding.is_some().then_some(0.5), ..weight }
            };
            let (whole, parts) = (in_parts_of(11), in_parts_of(3));
            assert_eq!((whole.parts.len(), parts.parts.len()), (1, 4), "{format:?}");
            assert_eq!(whole.bytes(), parts.bytes());
            for rows in [2, 12] {
                let x = gpu.rows(&numbers(rows * input), [rows, input]);
                let (bias, residual) = (gpu.rows(&numbers(out), [1, out]), gpu.rows(&numbers(rows * out), [rows, out]));
                let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual) };
                let of = |weight: &Weight| read(product(&gpu, &x, weight, &epilogue));
                let expected = of(&whole);
                assert!(expected.iter().all(|value| value.is_finite()), "{format:?}");
                assert_eq!(of(&parts), expected, "{format:?}, {rows} rows");
            }
            if format.gather.is_some() {
                let of = |weight: &Weight| read(weight.rows(&gpu, &[10, 3, 2, 0, 9, 3]));
                assert_eq!(of(&parts), of(&whole), "{format:?}");
                for row in [0, 2, 3, 10] {
                    assert_eq!(read(parts.chosen(&gpu, &gpu.words(&[row, 0]))), read(whole.rows(&gpu, &[row])), "{format:?}");
                }
            }
        }
    }

    #[test]
    fn kernels_are_told_apart_by_name() {
        let formats = [&F32, &F16, &BF16, &W4, &CODED4, &CODED8, &INT8, &INT8_PLAIN];
        let of = |format: &'static Format| [Some(&format.few), Some(&format.tiled), format.large.as_ref(), format.gather.as_ref()];
        let kernels = formats.into_iter().flat_map(of).flatten();
        let names: Vec<_> = kernels.map(|Kernel { name, .. }| name).collect();
        let unique: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (26, 26), "{names:?}");
    }
}
