//! The header of a safetensors file, read by itself: which tensors the file holds, of which element type and shape, and where.
//!
//! Format: <https://github.com/huggingface/safetensors>. The `safetensors` crate parses files that lie in memory and counts in addresses; a file
//! here may be larger than either.

use std::collections::{BTreeMap, HashMap};

use safetensors::Dtype;
use serde::Deserialize;

use super::bytes::Bytes;
use crate::VlmError;

/// Bytes of the number that a file begins with: the length of its header.
const PREFIX: u64 = size_of::<u64>() as u64;
/// Longest header that the format allows.
const LONGEST: u64 = 100_000_000;

/// A tensor as the header describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct TensorInfo {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Where it begins and ends, counted from the end of the header.
    data_offsets: (u64, u64),
}

/// The tensors of a file by name.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) tensors: BTreeMap<String, TensorInfo>,
    /// Where the header ends.
    end: u64,
}

/// As it is written.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "__metadata__", default)]
    _metadata: Option<HashMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// Reads the header of the file that messages call `label`, and checks that its tensors fill the file, one after the other.
    pub(crate) fn read(label: &str, bytes: &Bytes) -> Result<Self, VlmError> {
        let broken = |problem: String| VlmError::Safetensors { file: label.to_owned(), problem };
        let io = |source| VlmError::Io { path: label.into(), source };
        let size = bytes.size();
        let prefix = bytes.stretch(0..PREFIX.min(size)).map_err(io)?;
        let length = prefix.first_chunk().map(|prefix| u64::from_le_bytes(*prefix));
        let length = length.ok_or_else(|| broken(format!("it has {size} bytes, fewer than the {PREFIX} of the header length")))?;
        if length > LONGEST {
            return Err(broken(format!("its header length says {length} bytes, more than the {LONGEST} the format allows")));
        }
        let end = PREFIX + length;
        if end > size {
            return Err(broken(format!("its header length says {length} bytes, but the file has {size} in all")));
        }
        let written: Written = serde_json::from_slice(&bytes.stretch(PREFIX..end).map_err(io)?)
            .map_err(|error| broken(format!("invalid JSON in header: {error}")))?;
        let header = Self { tensors: written.tensors, end };
        let filled = header.filled().map_err(broken)?;
        if end.checked_add(filled) != Some(size) {
            return Err(broken(format!(
                "the tensors do not end where the file ends ({size} bytes): it is truncated or has bytes behind them"
            )));
        }
        Ok(header)
    }

    /// Where in the file a tensor of this header is.
    pub(crate) fn place(&self, tensor: &TensorInfo) -> std::ops::Range<u64> {
        let (start, end) = tensor.data_offsets;
        self.end + start..self.end + end
    }

    /// Bytes that the tensors take together; an error when they overlap, leave a gap, or are not as long as their shape says.
    fn filled(&self) -> Result<u64, String> {
        let mut in_order: Vec<_> = self.tensors.iter().collect();
        in_order.sort_by_key(|(_, tensor)| tensor.data_offsets);
        let mut filled = 0;
        for (name, TensorInfo { dtype, shape, data_offsets: (start, end) }) in in_order {
            if *start != filled || end < start {
                return Err(format!("tensor `{name}`: its offsets overlap the tensor before it or leave a gap"));
            }
            let bits = shape.iter().try_fold(dtype.bitsize() as u64, |bits, &size| bits.checked_mul(size as u64));
            let bits = bits.ok_or_else(|| format!("tensor `{name}`: overflow computing its size from shape and element type"))?;
            if bits % 8 != 0 || end - start != bits / 8 {
                return Err(format!("tensor `{name}`: its offsets do not span the bytes of its shape and element type"));
            }
            filled = *end;
        }
        Ok(filled)
    }
}
