//! The products as burn extension operations.

use burn::backend::backend_extension;
use burn::backend::tensor::{FloatTensor, IntTensor};

/// Products over packed weights.
#[backend_extension(Flex)]
pub(crate) trait PackedOps: burn::backend::Backend {
    /// `x [rows, K]` times the transpose of a 4-bit matrix: `words [N, K/8]`, `groups [N, K/G]`; gives `[rows, N]`.
    fn w4_linear(x: FloatTensor<Self>, words: IntTensor<Self>, groups: IntTensor<Self>) -> FloatTensor<Self>;

    /// `x [rows, K]` times the transpose of an 8-bit matrix: `words [N, ⌈K/4⌉]`, `absmax [N]`; gives `[rows, N]`.
    fn int8_linear(x: FloatTensor<Self>, words: IntTensor<Self>, absmax: FloatTensor<Self>, threshold: f32) -> FloatTensor<Self>;

    /// `x [rows, K]` times the transpose of a bf16 matrix: `words [N, ⌈K/2⌉]`; gives `[rows, N]`.
    fn bf16_linear(x: FloatTensor<Self>, words: IntTensor<Self>) -> FloatTensor<Self>;

    /// A bf16 matrix, `words [N, ⌈K/2⌉]`, as f32 `[N, K]`.
    fn bf16_widen(words: IntTensor<Self>, input: usize) -> FloatTensor<Self>;
}
