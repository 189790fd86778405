//! A table that may be too large for one buffer: token embeddings and the head that shares their shape.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::linear::tensor_bytes;

/// A `[rows, width]` table in one or more parts of consecutive rows, each below a device's binding limit.
///
/// A 7B model's embedding is 262 MB in `f16`; many devices bind no more than 128 MiB.
#[derive(Clone, Debug)]
pub struct ShardedRows {
    /// All but the last have `rows_per_shard` rows.
    shards: Vec<Tensor<2>>,
    rows_per_shard: usize,
    rows: usize,
}

impl ShardedRows {
    pub(crate) fn new(data: Vec<f32>, [rows, width]: [usize; 2], max_bytes: usize, device: &Device, dtype: DType) -> Self {
        // At least one row: a device that cannot bind a single row cannot run the model anyway.
        let rows_per_shard = (max_bytes / (width * dtype.size())).clamp(1, rows);
        let shard = |part: Vec<f32>| {
            let held = part.len() / width;
            Tensor::from_data(TensorData::new(part, [held, width]), (device, dtype))
        };
        // One that needs no splitting is not copied: it may be the largest of all tensors.
        let shards = if rows_per_shard == rows {
            vec![shard(data)]
        } else {
            data.chunks(rows_per_shard * width).map(|part| shard(part.to_vec())).collect()
        };
        Self { shards, rows_per_shard, rows }
    }

    /// Number of rows of the whole table.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows `ids` (each below [`Self::rows`]) in that order: `[ids, width]`.
    pub(crate) fn gather(&self, ids: &[u32]) -> Tensor<2> {
        let device = self.shards[0].device();
        let select = |table: &Tensor<2>, rows: Vec<i32>| {
            let count = rows.len();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), (&device, DType::I32));
            table.clone().select(0, rows)
        };
        if let [table] = self.shards.as_slice() {
            return select(table, ids.iter().map(|&id| id as i32).collect());
        }
        // Gather from each shard what it holds, then put the rows back into the order asked for.
        let mut parts = Vec::new();
        let mut order = vec![0i32; ids.len()];
        let mut gathered = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            let first = index * self.rows_per_shard;
            let held = first..first + shard.dims()[0];
            let mut rows = Vec::new();
            for (place, &id) in ids.iter().enumerate() {
                if held.contains(&(id as usize)) {
                    order[place] = gathered;
                    gathered += 1;
                    rows.push((id as usize - first) as i32);
                }
            }
            if !rows.is_empty() {
                parts.push(select(shard, rows));
            }
        }
        select(&Tensor::cat(parts, 0), order)
    }

    /// The product with every row of the table, as a head without bias: `[tokens, width]` to `[tokens, rows]`.
    pub(crate) fn project(&self, x: &Tensor<2>) -> Tensor<2> {
        let parts: Vec<_> = self.shards.iter().map(|shard| x.clone().matmul(shard.clone().transpose())).collect();
        Tensor::cat(parts, 1)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(tensor_bytes).sum()
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
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        ) {
            let data: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let device = Device::flex();
            let table = ShardedRows::new(data.clone(), [rows, width], limit, &device, DType::F32);
            for shard in &table.shards {
                prop_assert!(shard.dims()[0] == 1 || tensor_bytes(shard) <= limit);
            }
            prop_assert_eq!(table.bytes(), rows * width * 4);

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
