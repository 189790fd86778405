//! Whether answers come to an end by themselves.

use crate::plan::Plan;

/// How long an answer may become, and what ends one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Most tokens of an answer.
    pub tokens: usize,
    /// Token ids that end it.
    ends: Vec<u32>,
}

impl Limit {
    /// The limit of a plan's decoding settings; `None` where they state none.
    pub fn of(plan: &Plan) -> Option<Self> {
        let tokens = plan.decoding.get("max_new_tokens")?.parse().ok()?;
        let ends = plan.decoding.get("eos_token_ids").and_then(|ids| serde_json::from_str(ids).ok()).unwrap_or_default();
        Some(Self { tokens, ends })
    }

    /// Whether an answer of these tokens was cut: it is as long as it may be, and its last token is none that ends one.
    pub fn cuts(&self, output_ids: &[u32]) -> bool {
        output_ids.len() >= self.tokens && output_ids.last().is_none_or(|last| !self.ends.contains(last))
    }
}
