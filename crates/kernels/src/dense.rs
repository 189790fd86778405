//! Products with matrices of floats on the CPU.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use crate::flex::{DENSE_ROWS, PARALLEL_WORK};
use crate::ops::PackedOps;

fn few_and_large(x: &Tensor<2>, matrix: &Tensor<2>, most: usize) -> bool {
    let floats = x.dtype() == DType::F32 && matrix.dtype() == DType::F32;
    floats && x.dims()[0] <= most && matrix.shape().num_elements() >= PARALLEL_WORK
}

/// `x [rows, in]` times `weight [in, out]`.
pub(crate) fn product(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    if !few_and_large(&x, weight, 1) {
        return x.matmul(weight.clone());
    }
    assert_eq!(x.dims()[1], weight.dims()[0], "dense_row: the activations' width differs from the weight's");
    Tensor::from_dispatch(<Dispatch as PackedOps>::dense_row(x.into_dispatch(), weight.clone().into_dispatch()))
}

/// `x [rows, width]` times every row of `table [out, width]`.
pub(crate) fn with_each_row(x: Tensor<2>, table: &Tensor<2>) -> Tensor<2> {
    if !few_and_large(&x, table, DENSE_ROWS - 1) {
        return x.matmul(table.clone().transpose());
    }
    assert_eq!(x.dims()[1], table.dims()[1], "dense_table: the activations' width differs from the table's");
    Tensor::from_dispatch(<Dispatch as PackedOps>::dense_table(x.into_dispatch(), table.clone().into_dispatch()))
}
