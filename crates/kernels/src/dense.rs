//! Products with matrices of floats on the CPU.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use crate::flex::{DENSE_ROWS, LARGE};
use crate::ops::PackedOps;

fn floats<const D: usize>(x: &Tensor<D>, y: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && y.dtype() == DType::F32
}

/// `x [.., m, k]` times `y [.., k, n]`, of two or three dimensions.
pub(crate) fn product<const D: usize>(x: Tensor<D>, y: &Tensor<D>) -> Tensor<D> {
    if !floats(&x, y) {
        return x.matmul(y.clone());
    }
    Tensor::from_dispatch(<Dispatch as PackedOps>::product(x.into_dispatch(), y.clone().into_dispatch()))
}

/// `x [rows, width]` times every row of `table [out, width]`.
pub(crate) fn with_each_row(x: Tensor<2>, table: &Tensor<2>) -> Tensor<2> {
    if !(floats(&x, table) && x.dims()[0] < DENSE_ROWS && table.shape().num_elements() >= LARGE) {
        return product(x, &table.clone().transpose());
    }
    assert_eq!(x.dims()[1], table.dims()[1], "dense_table: the activations' width differs from the table's");
    Tensor::from_dispatch(<Dispatch as PackedOps>::dense_table(x.into_dispatch(), table.clone().into_dispatch()))
}
