//! Qwen2.5-VL (Bai et al., 2025): as Qwen2-VL, with another vision tower, whose attention stays within windows in most blocks.

mod tower;

use super::{Family, qwen_vl};
use qwen_vl::{QwenVl, config::QwenVlConfig};
use tower::Qwen2_5Vl;

pub(crate) const FAMILY: Family = Family {
    name: "qwen2.5-vl",
    model_types: &["qwen2_5_vl"],
    architectures: &["Qwen2_5_VLForConditionalGeneration"],
    names: &qwen_vl::NAMES,
    open: |opening| {
        QwenVl::open(opening, QwenVlConfig::qwen2_5_vl(&opening.root)?, |loader, config| Ok(Box::new(Qwen2_5Vl::load(loader, config)?)))
    },
};
