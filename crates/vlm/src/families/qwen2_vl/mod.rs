//! Qwen2-VL (Wang et al., 2024): images at their own resolution, a vision tower with two-dimensional rotary positions, M-RoPE.

mod tower;

use super::{Family, qwen_vl};
use qwen_vl::{QwenVl, config::QwenVlConfig};
use tower::Qwen2Vl;

pub(crate) const FAMILY: Family = Family {
    name: "qwen2-vl",
    model_types: &["qwen2_vl"],
    architectures: &["Qwen2VLForConditionalGeneration"],
    names: &qwen_vl::NAMES,
    open: |opening| {
        QwenVl::open(opening, QwenVlConfig::qwen2_vl(&opening.root)?, |loader, config| Ok(Box::new(Qwen2Vl::load(loader, config)?)))
    },
};
