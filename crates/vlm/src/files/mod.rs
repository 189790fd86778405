//! The files of a checkpoint, in the layout that Hugging Face publishes, on disk, compiled in or fetched: bytes, JSON fields, tensors.

mod adapter;
mod bytes;
mod decisive;
mod fields;
mod format;
mod generation_config;
mod gguf;
mod header;
mod hub_cache;
mod names;
mod pointer;
mod publish;
mod source;
mod weights;

pub(crate) use adapter::refuse as refuse_adapter;
pub use bytes::ReadAt;
pub(crate) use bytes::{Bytes, pieces};
pub use decisive::DECISIVE;
pub(crate) use decisive::is_weights;
pub use fields::Fields;
pub(crate) use fields::expected;
pub(crate) use format::of as format_of;
pub use format::{FORMATS, FormatRow, LayerTensors, Stored, WeightFormat};
pub use generation_config::GenerationConfig;
pub use gguf::{GgufFacts, GgufValue, is_gguf};
pub(crate) use gguf::{format_of as gguf_format, open as gguf_files};
pub use hub_cache::{cache_home, hub_cache, hub_home};
pub use names::canonical_name;
pub use publish::Layout;
pub(crate) use publish::{Description, publish, unlike, vocabulary};
pub use safetensors::Dtype;
pub use source::Source;
pub(crate) use weights::shards;
pub use weights::{HostTensor, RawTensor, StoredFloats, Values, Weights};

/// The file that names a checkpoint's family and its sizes.
pub(crate) const CONFIG: &str = "config.json";
/// All weights in one file. As in transformers it wins over an index.
pub const SINGLE: &str = "model.safetensors";
/// Which of several weight files (shards) holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
