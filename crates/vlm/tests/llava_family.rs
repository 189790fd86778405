//! LLaVA-1.5 as published, LLaVA-NeXT and LLaVA-Med answer as in transformers: prompts, ids, pixels, logits and greedy tokens of the reference cases
//! (`tests/reference`, made by its `make_cases.py`); and what is said when the files of such a checkpoint disagree.

#![expect(clippy::unwrap_used, reason = "a case that cannot be read fails the test")]

#[path = "llava_family/folder.rs"]
mod folder;
#[path = "llava_family/parity.rs"]
mod parity;
#[path = "llava_family/refused.rs"]
mod refused;
#[path = "llava_family/variants.rs"]
mod variants;
