//! A table that may be too large for one buffer: token embeddings and the head that shares their shape.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use steady_kernels::Bf16Weight;

use super::linear::tensor_bytes;
use crate::files::Values;
use crate::{Precision, VlmError};

/// A `[rows, width]` table in one or more parts of consecutive rows, each below a device's binding limit.
///
/// A 7B model's embedding is 262 MB in `f16`; many devices bind no more than 128 MiB.
#[derive(Clone, Debug)]
pub struct ShardedRows {
    /// All but the last have `rows_per_shard` rows.
    shards: Vec<Shard>,
    rows_per_shard: usize,
    rows: usize,
}

/// Consecutive rows.
#[derive(Clone, Debug)]
enum Shard {
    /// In the element type of activations.
    Tensor(Tensor<2>),
    /// As bf16.
    Bf16(Bf16Weight),
}

impl Shard {
    fn rows(&self) -> usize {
        match self {
            Self::Tensor(table) => table.dims()[0],
            Self::Bf16(table) => table.shape()[0],
        }
    }

    fn device(&self) -> Device {
        match self {
            Self::Tensor(table) => table.device(),
            Self::Bf16(table) => table.device(),
        }
    }

    /// The rows `indices` in that order, `[indices, width]`.
    fn select(&self, indices: Vec<i32>) -> Tensor<2> {
        let indices = indices_on(&self.device(), indices);
        match self {
            Self::Tensor(table) => table.clone().select(0, indices),
            Self::Bf16(table) => table.rows(indices),
        }
    }

    /// `[tokens, width]` to `[tokens, rows]`.
    fn project(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tensor(table) => x.matmul(table.clone().transpose()),
            Self::Bf16(table) => table.forward(x),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Tensor(table) => tensor_bytes(table),
            Self::Bf16(table) => table.bytes(),
        }
    }
}

fn indices_on(device: &Device, indices: Vec<i32>) -> Tensor<1, Int> {
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), (device, DType::I32))
}

impl ShardedRows {
    /// A table of `values`, which [`Precision::Bf16`] has as bf16 and every other precision as f32.
    ///
    /// # Errors
    /// When there are not as many values as the shape says.
    pub(crate) fn new(
        values: Values,
        [rows, width]: [usize; 2],
        max_bytes: usize,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, VlmError> {
        // At least one row: a device that cannot bind a single row cannot run the model anyway.
        let rows_per_shard = usize::try_from(max_bytes as u64 / precision.row_bytes(width)).unwrap_or(rows).clamp(1, rows);
        let shards = match values {
            Values::Bf16(values) => {
                let shard = |part: &[half::bf16]| Bf16Weight::new(part, [part.len() / width, width], device).map(Shard::Bf16);
                let shards: Result<_, _> = values.chunks(rows_per_shard * width).map(shard).collect();
                shards.map_err(|error| VlmError::Invalid { what: "table".to_owned(), problem: error.to_string() })?
            }
            Values::F32(values) => {
                let shard = |part: Vec<f32>| {
                    let held = part.len() / width;
                    Shard::Tensor(Tensor::from_data(TensorData::new(part, [held, width]), (device, precision.dtype())))
                };
                // One that needs no splitting is not copied: it may be the largest of all tensors.
                if rows_per_shard == rows {
                    vec![shard(values)]
                } else {
                    values.chunks(rows_per_shard * width).map(|part| shard(part.to_vec())).collect()
                }
            }
        };
        Ok(Self { shards, rows_per_shard, rows })
    }

    /// Number of rows of the whole table.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows `ids` (each below [`Self::rows`]) in that order: `[ids, width]`.
    pub(crate) fn gather(&self, ids: &[u32]) -> Tensor<2> {
        if let [table] = self.shards.as_slice() {
            return table.select(ids.iter().map(|&id| id as i32).collect());
        }
        // Gather from each shard what it holds, then put the rows back into the order asked for.
        let mut parts = Vec::new();
        let mut order = vec![0i32; ids.len()];
        let mut gathered = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            let first = index * self.rows_per_shard;
            let held = first..first + shard.rows();
            let mut rows = Vec::new();
            for (place, &id) in ids.iter().enumerate() {
                if held.contains(&(id as usize)) {
                    order[place] = gathered;
                    gathered += 1;
                    rows.push((id as usize - first) as i32);
                }
            }
            if !rows.is_empty() {
                parts.push(shard.select(rows));
            }
        }
        Tensor::cat(parts, 0).select(0, indices_on(&self.shards[0].device(), order))
    }

    /// The product with every row of the table, as a head without bias: `[tokens, width]` to `[tokens, rows]`.
    pub(crate) fn project(&self, x: &Tensor<2>) -> Tensor<2> {
        let parts: Vec<_> = self.shards.iter().map(|shard| shard.project(x.clone())).collect();
        Tensor::cat(parts, 1)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::read_now;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_split_table_is_the_table(
            rows in 1usize..20, width in 1usize..5, limit in 1usize..400,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..12), kept_as_bf16: bool,
        ) {
            // At most 76, which bf16 holds.
            let data: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let device = Device::flex();
            let (values, precision, row_bytes) = if kept_as_bf16 {
                let values = data.iter().map(|&value| half::bf16::from_f32(value)).collect();
                (Values::Bf16(values), Precision::Bf16, width.div_ceil(2) * 4)
            } else {
                (Values::F32(data.clone()), Precision::F32, width * 4)
            };
            let table = ShardedRows::new(values, [rows, width], limit, &device, precision).unwrap();
            for shard in &table.shards {
                prop_assert!(shard.rows() == 1 || shard.bytes() <= limit);
            }
            prop_assert_eq!(table.bytes(), rows * row_bytes);

            let ids: Vec<u32> = picks.iter().map(|pick| pick.index(rows) as u32).collect();
            let expected: Vec<f32> = ids
                .iter()
                .flat_map(|&id| data[id as usize * width..][..width].to_vec())
                .collect();
            prop_assert_eq!(read_now(table.gather(&ids)), expected);

            // Against the row of ones every product is the sum of a row; small integers are exact in f32.
            let ones = Tensor::<2>::ones([1, width], &device);
            let sums: Vec<f32> = data.chunks(width).map(|row| row.iter().sum()).collect();
            prop_assert_eq!(read_now(table.project(&ones)), sums);
        }
    }
}
