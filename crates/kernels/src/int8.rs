//! An 8-bit matrix on the CPU, whose product rounds activations as well.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::codes::{Int8Codes, PackError};
use crate::grouped::words;
use crate::ops::PackedOps;

/// A matrix `W [out, in]` of signed 8-bit codes with the mixed product of LLM.int8() (Dettmers et al., NeurIPS 2022). Without outliers that is
/// W8A8 with dynamic scales a token, as vLLM computes it (`csrc/quantization/w8a8/int8/scaled_quant.cu`).
///
/// `words [out, ⌈in/4⌉]` holds four codes per `u32`, the lowest byte first, rows padded with zeros; `scales [out]` in
/// f32, of which a code is so many `divisor`ths. A call splits each row of `x [rows, in]`, which is a token, by itself:
///
/// * an entry with `|x| ≥ threshold` is an *outlier* and takes the float way: `x·code·scale/divisor`;
/// * the other entries are rounded, `round_half_even(x·127/s)` with `s` the largest magnitude among them, multiplied in
///   integers, and scaled back: `acc·s·scale/(127·divisor)`.
///
/// So what comes out for a token depends on that token alone, to the bit: not on which tokens share its call, and hence not on where
/// a prompt is cut.
///
/// bitsandbytes, the authors' own code, decides by column instead: a column with an outlier in *any* row of the call takes the float
/// way in *all* of its rows. For a call of one row, which is every token after the prompt, both are the same. In a prompt the rows
/// without an outlier in such a column are rounded here and are not there, so a column's other entries carry a rounding error of up
/// to `s/254` more. (bitsandbytes also casts activations to f16 first; here they stay in the model's precision.)
#[derive(Clone, Debug)]
pub struct Int8Weight {
    words: Tensor<2, Int>,
    scales: Tensor<1>,
    divisor: f32,
    input: usize,
    threshold: f32,
}

impl Int8Weight {
    /// Packs `codes` .
    ///
    /// # Errors
    /// [`PackError`] when lengths or scales do not fit the layout.
    pub fn new(codes: &Int8Codes) -> Result<Self, PackError> {
        codes.check()?;
        let words = words(bytemuck::cast_slice(&codes.codes), codes.input, 8);
        let columns = codes.input.div_ceil(4);
        Ok(Self {
            words: Tensor::from_data(TensorData::new(words, [codes.out, columns]), (&Device::flex(), DType::U32)),
            scales: Tensor::from_data(TensorData::new(codes.scales.clone(), [codes.out]), (&Device::flex(), DType::F32)),
            divisor: codes.divisor,
            input: codes.input,
            threshold: codes.outlier_threshold,
        })
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        assert_eq!(x.dims()[1], self.input, "int8_linear: the activations' width differs from the weight's");
        Tensor::from_dispatch(<Dispatch as PackedOps>::int8_linear(
            x.into_dispatch(),
            self.words.clone().into_dispatch(),
            self.scales.clone().into_dispatch(),
            self.divisor,
            self.threshold,
        ))
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.words.dims()[0], self.input]
    }

    /// Activations of at least this magnitude take the float way.
    pub fn outlier_threshold(&self) -> f32 {
        self.threshold
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.shape())
    }

    /// Device memory in bytes of a matrix of this shape.
    pub fn bytes_of([out, input]: [usize; 2]) -> usize {
        4 * out * (input.div_ceil(4) + 1)
    }

    /// The codes, as [`Self::new`] takes them.
    pub fn codes(&self) -> Int8Codes {
        let [out, input] = self.shape();
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        let of_row = |row: &[u32]| row.iter().flat_map(|word| word.to_le_bytes()).take(input).map(u8::cast_signed).collect::<Vec<_>>();
        let codes = words.chunks_exact(input.div_ceil(4).max(1)).flat_map(of_row).collect();
        let scales = self.scales.to_data().iter::<f32>().collect();
        Int8Codes { out, input, codes, scales, divisor: self.divisor, outlier_threshold: self.threshold }
    }

    /// The matrix the codes stand for, `[out, in]` in f32. Reads the codes back: for tests and inspection.
    pub fn dequantize(&self) -> Tensor<2> {
        let [out, input] = self.shape();
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        let scales: Vec<f32> = self.scales.to_data().iter::<f32>().collect();
        // bitsandbytes multiplies in this order.
        let unit = 1.0 / self.divisor;
        let values: Vec<f32> = words
            .chunks_exact(input.div_ceil(4).max(1))
            .zip(&scales)
            .flat_map(|(row, &scale)| {
                let codes = row.iter().flat_map(|word| word.to_le_bytes());
                codes.take(input).map(move |code| f32::from(code.cast_signed()) * scale * unit)
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [out, input]), (&Device::flex(), DType::F32))
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        // There, scales are maxima.
        let maxima: Vec<f32> = self.scales.to_data().iter::<f32>().map(|scale| scale * (Int8Codes::OF_MAXIMA / self.divisor)).collect();
        steady_gpu::Weight::int8(gpu, &words, &maxima, self.threshold, self.shape())
    }
}
