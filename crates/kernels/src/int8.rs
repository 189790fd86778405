//! An 8-bit matrix on the CPU, with the mixed product of LLM.int8().

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::codes::{Int8Codes, PackError};
use crate::ops::PackedOps;

/// A matrix `W [out, in]` of signed 8-bit codes with the mixed product of LLM.int8() (Dettmers et al., NeurIPS 2022).
///
/// `words [out, ⌈in/4⌉]` holds four codes per `u32`, the lowest byte first, rows padded with zeros; `absmax [out]` in
/// f32. A call splits each row of `x [rows, in]`, which is a token, by itself:
///
/// * an entry with `|x| ≥ threshold` is an *outlier* and takes the float way: `x·code·absmax/127`;
/// * the other entries are rounded, `round_half_even(x·127/s)` with `s` the largest magnitude among them, multiplied in
///   integers, and scaled back: `acc·s·absmax/127²`.
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
    absmax: Tensor<1>,
    input: usize,
    threshold: f32,
}

impl Int8Weight {
    /// Packs `codes` .
    ///
    /// # Errors
    /// [`PackError`] when lengths, code range or maxima do not fit the layout.
    pub fn new(codes: &Int8Codes) -> Result<Self, PackError> {
        codes.check()?;
        let words: Vec<u32> = codes
            .codes
            .chunks_exact(codes.input.max(1))
            .flat_map(|row| row.chunks(4))
            .map(|four| four.iter().rev().fold(0, |word, &code| (word << 8) | u32::from(code.cast_unsigned())))
            .collect();
        let columns = codes.input.div_ceil(4);
        Ok(Self {
            words: Tensor::from_data(TensorData::new(words, [codes.out, columns]), (&Device::flex(), DType::U32)),
            absmax: Tensor::from_data(TensorData::new(codes.absmax.clone(), [codes.out]), (&Device::flex(), DType::F32)),
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
            self.absmax.clone().into_dispatch(),
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
        4 * (self.words.shape().num_elements() + self.absmax.shape().num_elements())
    }

    /// The matrix the codes stand for, `[out, in]` in f32. Reads the codes back: for tests and inspection.
    pub fn dequantize(&self) -> Tensor<2> {
        let [out, input] = self.shape();
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        let absmax: Vec<f32> = self.absmax.to_data().iter::<f32>().collect();
        let values: Vec<f32> = words
            .chunks_exact(input.div_ceil(4).max(1))
            .zip(&absmax)
            .flat_map(|(row, &absmax)| {
                let codes = row.iter().flat_map(|word| word.to_le_bytes());
                codes.take(input).map(move |code| f32::from(code.cast_signed()) * (absmax / 127.0))
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [out, input]), (&Device::flex(), DType::F32))
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        let words: Vec<u32> = self.words.to_data().iter::<u32>().collect();
        let absmax: Vec<f32> = self.absmax.to_data().iter::<f32>().collect();
        steady_gpu::Weight::int8(gpu, &words, &absmax, self.threshold, self.shape())
    }
}
