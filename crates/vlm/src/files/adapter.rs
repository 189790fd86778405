//! Adapters of PEFT (LoRA and its kin): small weights that change a base model's. transformers applies one that lies in a model's folder.

use super::CONFIG;
use super::source::Source;
use crate::VlmError;

const SETTINGS: &str = "adapter_config.json";
const WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// Refuses a folder with an adapter in it, alone or beside a model: what it does to the weights is not computed here, and to pass over it would
/// be another model. Beside a model the weights of an adapter without its settings are nothing, as to transformers.
pub(crate) fn refuse(source: &Source) -> Result<(), VlmError> {
    let alone = !source.holds(CONFIG);
    let found = std::iter::once(SETTINGS).chain(WEIGHTS.into_iter().filter(|_| alone)).find(|file| source.holds(file));
    let Some(found) = found else { return Ok(()) };
    let settings = source.json(SETTINGS)?.unwrap_or_default();
    let text = |name: &str| settings.get(name).and_then(|value| value.as_str());
    let kind = text("peft_type").map(|kind| format!(" ({kind})")).unwrap_or_default();
    let base = text("base_model_name_or_path").map(|base| format!(" of {base}")).unwrap_or_default();
    let problem = format!(
        "is an adapter of PEFT{kind}{base}, which transformers applies to the model's weights; steady reads weights that hold it already: \
         peft.PeftModel.from_pretrained(BASE, FOLDER).merge_and_unload().save_pretrained(MERGED)"
    );
    Err(VlmError::NotItself { file: source.label_of(found), problem })
}
