//! The fast tokenizer of `tokenizer.json`.

use std::collections::BTreeMap;

use tokenizers::ModelWrapper;

use super::added_tokens::{self, Incomplete};
use crate::VlmError;
use crate::files::{Fields, Source};

const FILE: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "tokenizer_config.json";
const SENTENCEPIECE: &str = "tokenizer.model";

/// Text to token ids and back, as transformers' fast tokenizers do it.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: String,
    clean_up_spaces: bool,
    special: SpecialTokens,
}

/// The texts of the special tokens, as far as the checkpoint names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecialTokens {
    pub(crate) bos: Option<String>,
    pub(crate) eos: Option<String>,
    pub(crate) unk: Option<String>,
    pub(crate) pad: Option<String>,
}

impl Tokenizer {
    /// From `tokenizer.json` and what lies beside it.
    ///
    /// # Errors
    /// When it is missing or broken.
    pub fn read(source: &Source) -> Result<Self, VlmError> {
        let file = source.label_of(FILE);
        let bytes = match source.json_text(FILE)? {
            Some(bytes) => bytes,
            None if source.get(SENTENCEPIECE)?.is_some() => {
                let how = "text is encoded by it; the tokenizer.model beside it is the slow format, which transformers turns into it: \
                           AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)";
                return Err(source.missing(FILE, how));
            }
            None => return Err(source.missing(FILE, "text is encoded by it (the slow formats are not read)")),
        };
        let broken = |problem: String| VlmError::Tokenizer { file: file.clone(), problem };
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| broken(error.to_string()))?;
        // A file may carry the truncation and padding of its training run; transformers switches both off for a plain call.
        inner.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        inner.with_padding(None);
        let config = source.json(CONFIG)?;
        let label = source.label_of(CONFIG);
        let clean_up_spaces = match &config {
            Some(config) => cleans_up(&Fields::root(&label, config)?, &inner)?,
            None => false,
        };
        added_tokens::complete(&mut inner, source, config.as_ref()).map_err(|error| match error {
            Incomplete::File(error) => error,
            Incomplete::Library(problem) => broken(problem),
        })?;
        let special = SpecialTokens::read(source)?;
        Ok(Self { inner, file, clean_up_spaces, special })
    }

    /// Token ids of `text`, special tokens such as BOS added by the file's post-processor. Special tokens that are
    /// written out in the text become their ids. A text that already starts with the BOS token gets no second one,
    /// as in transformers' `ProcessorMixin.apply_chat_template`.
    ///
    /// # Errors
    /// When the tokenizer cannot encode the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, VlmError> {
        let add_special = !self.special.bos.as_ref().is_some_and(|bos| text.starts_with(bos.as_str()));
        let encoding = self.inner.encode_fast(text, add_special).map_err(|error| self.error(&error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The first token, in the order of its text, that another tokenizer has otherwise or not at all: what each has of it, in words. `None` where both
    /// have the same vocabulary.
    pub fn difference(&self, other: &Self) -> Option<(String, String)> {
        let vocabulary = |tokenizer: &Self| tokenizer.inner.get_vocab(true).into_iter().collect::<BTreeMap<String, u32>>();
        let (ours, theirs) = (vocabulary(self), vocabulary(other));
        let token = ours.keys().chain(theirs.keys()).filter(|&token| ours.get(token) != theirs.get(token)).min()?;
        let said = |vocabulary: &BTreeMap<String, u32>| match vocabulary.get(token) {
            Some(id) => format!("{token:?} as token {id}"),
            None => format!("no {token:?}"),
        };
        Some((said(&ours), said(&theirs)))
    }

    /// The text of `ids` without special tokens. Spaces before punctuation are tightened where the checkpoint asks for
    /// it (`clean_up_tokenization_spaces`, not for BPE, as in transformers 5).
    ///
    /// # Errors
    /// When the tokenizer cannot decode the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, VlmError> {
        let text = self.inner.decode(ids, true).map_err(|error| self.error(&error))?;
        Ok(if self.clean_up_spaces { clean_up(&text) } else { text })
    }

    /// The token with this id as the vocabulary spells it, for display.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token as the vocabulary spells it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included. A model's embedding may have more rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The tokens that are no part of the vocabulary that text is merged by, and whether each is a special one.
    pub(crate) fn added(&self) -> BTreeMap<u32, bool> {
        self.inner.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.special)).collect()
    }

    /// The texts of the special tokens.
    pub(crate) fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// The file, for error messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    fn error(&self, error: &tokenizers::Error) -> VlmError {
        VlmError::Tokenizer { file: self.file.clone(), problem: error.to_string() }
    }
}

fn cleans_up(config: &Fields<'_>, tokenizer: &tokenizers::Tokenizer) -> Result<bool, VlmError> {
    let forced = config.bool("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output")?.unwrap_or(false);
    let bpe = matches!(tokenizer.get_model(), ModelWrapper::BPE(_));
    Ok(config.bool("clean_up_tokenization_spaces")?.unwrap_or(false) && (forced || !bpe))
}

/// transformers' fixed list of English contractions and punctuation.
fn clean_up(text: &str) -> String {
    const TIGHTER: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    TIGHTER.iter().fold(text.to_owned(), |text, (loose, tight)| text.replace(loose, tight))
}

impl SpecialTokens {
    /// From `tokenizer_config.json`, or `special_tokens_map.json` where the former is silent.
    pub(crate) fn read(source: &Source) -> Result<Self, VlmError> {
        let mut tokens = Self::default();
        for file in [CONFIG, "special_tokens_map.json"] {
            let Some(json) = source.json(file)? else { continue };
            let label = source.label_of(file);
            let fields = Fields::root(&label, &json)?;
            for (name, token) in [
                ("bos_token", &mut tokens.bos),
                ("eos_token", &mut tokens.eos),
                ("unk_token", &mut tokens.unk),
                ("pad_token", &mut tokens.pad),
            ] {
                if token.is_none() {
                    *token = token_text(&fields, name)?;
                }
            }
        }
        Ok(tokens)
    }
}

/// A special token, written as its text or as an object with `content`.
fn token_text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, VlmError> {
    let text = match fields.get(name) {
        Some(serde_json::Value::Object(_)) => match fields.object(name)? {
            Some(object) => object.text("content")?,
            None => None,
        },
        _ => fields.text(name)?,
    };
    Ok(text.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::clean_up;

    #[test]
    fn spaces_before_punctuation_go_as_the_list_says() {
        assert_eq!(clean_up("it 's a dog , is n't it ?"), "it's a dog, isn't it?");
    }
}
