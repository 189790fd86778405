//! Products that burn's backends do not have, as extension operations.

use burn::backend::backend_extension;
use burn::backend::tensor::{FloatTensor, IntTensor};

use crate::activation::Curve;
use crate::grouped::Layout;

/// Products, over packed weights and of floats, and functions with an exponential function in them.
#[backend_extension(Flex)]
pub(crate) trait PackedOps: burn::backend::Backend {
    /// `x [rows, K]` times the transpose of a matrix of codes in groups; gives `[rows, N]`.
    fn grouped_linear(x: FloatTensor<Self>, words: IntTensor<Self>, constants: IntTensor<Self>, layout: Layout) -> FloatTensor<Self>;

    /// A matrix of codes in groups as f32 `[N, K]`.
    fn grouped_widen(words: IntTensor<Self>, constants: IntTensor<Self>, layout: Layout) -> FloatTensor<Self>;

    /// `x [rows, K]` times the transpose of an 8-bit matrix: `words [N, ⌈K/4⌉]`, `scales [N]`; gives `[rows, N]`.
    fn int8_linear(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: FloatTensor<Self>,
        divisor: f32,
        threshold: f32,
    ) -> FloatTensor<Self>;

    /// `x [rows, K]` times the transpose of a bf16 matrix: `words [N, ⌈K/2⌉]`; gives `[rows, N]`.
    fn bf16_linear(x: FloatTensor<Self>, words: IntTensor<Self>) -> FloatTensor<Self>;

    /// Softmax of f32 numbers over the last dimension.
    fn softmax(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Of every f32 number `x` the product with `1 / (1 + e^-curve(x))`.
    fn weighted(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self>;

    /// f32 numbers `x [.., M, K]` times `y [.., K, N]`, of as many dimensions, two or three.
    fn product(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A few rows `x [rows, K]` times the transpose of a f32 matrix `[N, K]`; gives `[rows, N]`.
    fn dense_table(x: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The transpose of a matrix of floats, in f32 and row after row.
    fn across(matrix: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A bf16 matrix, `words [N, ⌈K/2⌉]`, as f32 `[N, K]`.
    fn bf16_widen(words: IntTensor<Self>, input: usize) -> FloatTensor<Self>;
}
