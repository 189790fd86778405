//! Which files of a checkpoint decide its behaviour. Read by a build script too, so it stands alone.

use std::path::Path;

/// The files beside the weights that are read, where they are there, if only to refuse the model; a model card or a training log is none of
/// them.
pub const DECISIVE: [&str; 12] = [
    "adapter_config.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// Whether the file of this name decides the model's behaviour.
pub(crate) fn decides(name: &str) -> bool {
    is_weights(name) || DECISIVE.contains(&name)
}

/// Whether the file of this name holds weights.
pub(crate) fn is_weights(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "safetensors" || ending == "gguf") && !name.starts_with('.')
}
