//! `config.json` as the LLaVA repository writes it (LLaVA-Med v1.5, LLaVA-1.5 as first published): the decoder's fields at the top,
//! those of the vision side beside them as `mm_*`, and the CLIP tower in a folder of its own.

use super::config::{FeatureSelect, LlavaConfig, feature_layers};
use crate::VlmError;
use crate::decoder::{DecoderKind, LlamaConfig};
use crate::files::Fields;
use crate::nn::Activation;
use crate::text::Conversation;
use crate::vision::ClipVisionConfig;

/// What the repository's configuration says beside sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalLayout {
    /// The CLIP tower's hub id or path.
    pub vision_tower: String,
    /// Whether images are padded to a square (`image_aspect_ratio: pad`).
    pub pad: bool,
    /// How a question is put.
    pub conversation: Conversation,
}

/// The repository's `vicuna_v1`: a system sentence, `USER:` and `ASSISTANT:`. It picks a conversation by the model's name; here the
/// architecture decides.
pub const VICUNA: Conversation = Conversation {
    name: "Vicuna",
    template: "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and \
               polite answers to the user's questions. {% for message in messages %}{% if message['role'] == 'user' %}USER: \
               {{ message['content'] }} {% else %}ASSISTANT: {{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}\
               {% if add_generation_prompt %}ASSISTANT:{% endif %}",
};

/// The repository's `mistral_instruct`: `[INST] .. [/INST]`.
pub const MISTRAL: Conversation = Conversation {
    name: "Mistral",
    template: "{% for message in messages %}{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]{% else %} \
               {{ message['content'] }} {{ eos_token }}{% endif %}{% endfor %}",
};

/// The name of the tower, if this is a configuration of the LLaVA repository.
pub(crate) fn vision_tower<'a>(root: &Fields<'a>) -> Result<Option<&'a str>, VlmError> {
    const NAME: &str = "mm_vision_tower";
    match root.text("model_type")? {
        Some("llava_llama" | "llava_mistral") => root.text(NAME)?.map(Some).ok_or_else(|| root.error(NAME, "is missing")),
        // The first releases called themselves `llava`, the name that transformers uses now.
        Some("llava") if root.get("vision_config").is_none() => root.text(NAME),
        _ => Ok(None),
    }
}

/// Reads a configuration for which [`vision_tower`] is `tower`; `clip` is that tower's own `config.json`.
pub(crate) fn parse(root: &Fields<'_>, tower: &str, clip: &Fields<'_>) -> Result<LlavaConfig, VlmError> {
    let (kind, conversation) = match root.text("model_type")? {
        Some("llava_mistral") => (DecoderKind::Mistral, MISTRAL),
        _ => (DecoderKind::Llama, VICUNA),
    };
    let text = LlamaConfig::parse_as(root, kind)?;
    // A whole CLIP has its vision part in a section, a tower published alone at the top.
    let vision = match clip.object("vision_config")? {
        Some(section) => ClipVisionConfig::parse(&section)?,
        None => ClipVisionConfig::parse(clip)?,
    };
    if let Some(width) = root.size("mm_hidden_size")?
        && width != vision.hidden_size
    {
        let problem = format!("is {width}, but the vision tower `{tower}` is {} wide", vision.hidden_size);
        return Err(root.error("mm_hidden_size", problem));
    }
    only(root, "mm_projector_type", "mlp2x_gelu", &["mlp2x_gelu"])?;
    only(root, "mm_patch_merge_type", "flat", &["flat"])?;
    if root.bool("mm_use_im_start_end")?.unwrap_or(false) {
        return Err(root.error("mm_use_im_start_end", "expected false: marks around the image are not known"));
    }
    let pad = match root.text("image_aspect_ratio")? {
        Some("pad") => true,
        None | Some("square" | "original") => false,
        Some("anyres") => {
            let problem = "`anyres` is read from LLaVA-NeXT checkpoints in transformers' layout (llava-hf/llava-v1.6-*), not in this one";
            return Err(root.error("image_aspect_ratio", problem));
        }
        Some(other) => return Err(root.unknown("image_aspect_ratio", other, &["pad", "square", "original"])),
    };
    Ok(LlavaConfig {
        feature_layers: feature_layers(root, "mm_vision_select_layer", vision.num_layers)?,
        feature_select: match only(root, "mm_vision_select_feature", "patch", &["patch", "cls_patch"])? {
            "cls_patch" => FeatureSelect::Full,
            _ => FeatureSelect::Default,
        },
        projector_act: Activation::Gelu,
        projector_bias: true,
        tie_word_embeddings: root.bool("tie_word_embeddings")?.unwrap_or(false),
        image_token_id: text.vocab_size as u32,
        original: Some(OriginalLayout { vision_tower: tower.to_owned(), pad, conversation }),
        vision,
        text,
    })
}

/// One of the known values of a field.
fn only<'a>(root: &Fields<'a>, name: &str, default: &'a str, known: &[&str]) -> Result<&'a str, VlmError> {
    let value = root.text(name)?.unwrap_or(default);
    if known.contains(&value) { Ok(value) } else { Err(root.unknown(name, value, known)) }
}
