//! Tokens that files beside `tokenizer.json` add to it, as transformers' `TokenizersBackend` does.

use std::collections::BTreeMap;

use serde_json::Value;
use tokenizers::{AddedToken, Tokenizer};

use super::tokenizer::CONFIG;
use crate::VlmError;
use crate::files::{Fields, Source};

const LEGACY: &str = "added_tokens.json";
const DECODER: &str = "added_tokens_decoder";
/// The special tokens that every tokenizer may have, by name.
const STANDARD: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Lists of special tokens without names.
const LISTS: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// Why the tokens could not be added.
pub(super) enum Incomplete {
    /// A file that cannot be read.
    File(VlmError),
    /// The tokenizer library's reason.
    Library(String),
}

impl From<VlmError> for Incomplete {
    fn from(error: VlmError) -> Self {
        Self::File(error)
    }
}

/// Adds what `tokenizer.json` lacks: the tokens of `added_tokens_decoder`, or of `added_tokens.json` where there is no such field, by their ids;
/// then the special tokens that `tokenizer_config.json` names. The library numbers them in that order.
pub(super) fn complete(tokenizer: &mut Tokenizer, source: &Source, config: Option<&Value>) -> Result<(), Incomplete> {
    let label = source.label_of(CONFIG);
    let empty = Value::Object(serde_json::Map::new());
    let config = Fields::root(&label, config.unwrap_or(&empty))?;
    let special = special_tokens(&config, |name| name.ends_with("_token"));
    let mut tokens = if let Some(decoder) = config.object(DECODER)? {
        by_id(decoder.keys().map(|id| (id.parse().ok(), decoder.get(id).and_then(token))))
    } else {
        let json = source.json(LEGACY)?.unwrap_or_else(|| empty.clone());
        // A token that only a model's own name makes special (`image_token`) is sought in normalized text.
        let standard = special_tokens(&config, |name| STANDARD.contains(&name));
        let label = source.label_of(LEGACY);
        let legacy = Fields::root(&label, &json)?;
        by_id(legacy.keys().map(|content| {
            let among = |tokens: &[AddedToken]| tokens.iter().any(|token| token.content == content);
            let token = AddedToken::from(content, among(&special)).normalized(!among(&standard));
            (legacy.get(content).and_then(Value::as_u64), Some(token))
        }))
    };
    tokens.extend(special);
    let mut known: Vec<String> = tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    for token in tokens {
        if known.contains(&token.content) {
            continue;
        }
        known.push(token.content.clone());
        let added = if token.special { tokenizer.add_special_tokens([token]) } else { tokenizer.add_tokens([token]) };
        added.map_err(|error| Incomplete::Library(error.to_string()))?;
    }
    Ok(())
}

fn by_id(tokens: impl Iterator<Item = (Option<u64>, Option<AddedToken>)>) -> Vec<AddedToken> {
    let by_id: BTreeMap<u64, AddedToken> = tokens.filter_map(|(id, token)| Some((id?, token?))).collect();
    by_id.into_values().collect()
}

/// The tokens that have a name of their own (`bos_token`, `image_token`), which `counts`, and those of the lists.
fn special_tokens(config: &Fields<'_>, counts: impl Fn(&str) -> bool) -> Vec<AddedToken> {
    let named = config.keys().filter(|name| counts(name)).filter_map(|name| config.get(name));
    let listed = LISTS.iter().filter_map(|name| config.get(name)).flat_map(|list| match list {
        Value::Array(list) => list.iter().collect::<Vec<_>>(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    });
    named.chain(listed).filter_map(token).map(|token| token.special(true)).collect()
}

/// A token, written as its text, which makes it a special one, or as an object.
fn token(value: &Value) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, true));
    }
    let content = value.get("content")?.as_str()?;
    let flag = |name: &str| value.get(name).and_then(Value::as_bool);
    let special = flag("special").unwrap_or(false);
    Some(
        AddedToken::from(content, special)
            .single_word(flag("single_word").unwrap_or(false))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special)),
    )
}
