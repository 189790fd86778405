//! A 4-bit matrix on the CPU.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::f16;

use crate::codes::{PackError, W4Codes};
use crate::ops::PackedOps;

/// A matrix `W [out, in]` of 4-bit codes; `y = x Wᵀ` is computed from the packed form.
///
/// * `words [out, in/8]`: eight codes per `u32`, the lowest nibble first, the input contiguous;
/// * `groups [out, in/group]`: one `u32` per group, the f16 bits of its scale in the low half, of its zero point in
///   the high half.
///
/// So a weight costs 4 bits plus 32 bits per group (4.25 bits at a group of 128). All arithmetic is f32: `ŵ = (q − z)·s`.
#[derive(Clone, Debug)]
pub struct W4Weight {
    words: Tensor<2, Int>,
    groups: Tensor<2, Int>,
}

impl W4Weight {
    /// Packs `codes` .
    ///
    /// # Errors
    /// [`PackError`] when lengths, group size, code range or scales do not fit the layout.
    pub fn new(codes: &W4Codes) -> Result<Self, PackError> {
        codes.check()?;
        let words: Vec<u32> =
            codes.codes.chunks_exact(8).map(|eight| eight.iter().rev().fold(0, |word, &code| (word << 4) | u32::from(code))).collect();
        let half_bits = |value: f32| u32::from(f16::from_f32(value).to_bits());
        let groups: Vec<u32> =
            codes.scales.iter().zip(&codes.zeros).map(|(&scale, &zero)| half_bits(scale) | (half_bits(zero) << 16)).collect();
        let tensor = |values, columns| Tensor::from_data(TensorData::new(values, [codes.out, columns]), (&Device::flex(), DType::U32));
        Ok(Self { words: tensor(words, codes.input / 8), groups: tensor(groups, codes.input / codes.group) })
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [_, input] = self.shape();
        assert_eq!(x.dims()[1], input, "w4_linear: the activations' width differs from the weight's");
        Tensor::from_dispatch(<Dispatch as PackedOps>::w4_linear(
            x.into_dispatch(),
            self.words.clone().into_dispatch(),
            self.groups.clone().into_dispatch(),
        ))
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        let [out, words] = self.words.dims();
        [out, words * 8]
    }

    /// Inputs that share a scale.
    pub fn group(&self) -> usize {
        self.shape()[1] / self.groups.dims()[1]
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.shape(), self.group())
    }

    /// Device memory in bytes of a matrix of this shape with groups of so many inputs.
    pub fn bytes_of([out, input]: [usize; 2], group: usize) -> usize {
        4 * out * (input / 8 + input / group)
    }

    /// The matrix the codes stand for, `[out, in]` in f32. Reads the codes back: for tests and inspection.
    pub fn dequantize(&self) -> Tensor<2> {
        let ([out, input], group) = (self.shape(), self.group());
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        let groups: Vec<u32> = self.groups.to_data().iter::<u32>().collect();
        let values: Vec<f32> = words
            .iter()
            .flat_map(|word| (0..8).map(move |nibble| (word >> (4 * nibble)) & 15))
            .enumerate()
            .map(|(at, code)| {
                let (scale, zero) = scale_and_zero(groups[at / group]);
                (code as f32 - zero) * scale
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [out, input]), (&Device::flex(), DType::F32))
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        let words = |tensor: &Tensor<2, Int>| tensor.to_data().iter::<u32>().collect::<Vec<_>>();
        steady_gpu::Weight::w4(gpu, &words(&self.words), &words(&self.groups), self.shape())
    }
}

/// The two f16 numbers of a group's word.
fn scale_and_zero(group: u32) -> (f32, f32) {
    let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
    (half(group & 0xFFFF), half(group >> 16))
}
