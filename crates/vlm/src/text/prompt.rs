//! What becomes of the image placeholders in a prompt: as many ids in a row as the image has visual tokens.

use std::ops::Range;

use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::LlamaConfig;
use crate::checkpoint::source::Source;

/// Encodes prompts with placeholders in them.
#[derive(Clone, Debug)]
pub(super) struct PromptEncoder {
    tokenizer: Tokenizer,
    /// How the placeholder is written.
    mark: String,
    /// Id that stands for a visual token.
    id: u32,
    form: Form,
    vocab_size: usize,
}

/// How a placeholder becomes ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// It is a token, repeated in the text.
    Token,
    /// The tokenizer does not know it: what is before and behind it is encoded apart, as the LLaVA repository's
    /// `tokenizer_image_token` does, with one beginning of sequence.
    Gap { bos: Option<u32> },
}

impl PromptEncoder {
    /// `mark` is a token, with the `id` that the model's `field` in `config.json` names: the two must be the same token.
    pub(super) fn with_token(
        source: &Source,
        tokenizer: Tokenizer,
        mark: String,
        (field, id): (&str, u32),
        text: &LlamaConfig,
    ) -> Result<Self, VlmError> {
        let problem = match tokenizer.id(&mark) {
            Some(found) if found == id => return Ok(Self { tokenizer, mark, id, form: Form::Token, vocab_size: text.vocab_size }),
            Some(found) => format!("is {id}, but `{mark}` has id {found} in {}", tokenizer.file()),
            None => {
                let problem = format!("has no image token `{mark}`");
                return Err(VlmError::Tokenizer { file: tokenizer.file().to_owned(), problem });
            }
        };
        Err(VlmError::field(&source.label_of("config.json"), field, problem))
    }

    /// `mark` is text that the tokenizer never sees; `id` stands for a visual token without being one of the vocabulary.
    pub(super) fn with_gap(tokenizer: Tokenizer, mark: String, id: u32, text: &LlamaConfig) -> Self {
        Self { tokenizer, mark, id, form: Form::Gap { bos: text.bos_token_id }, vocab_size: text.vocab_size }
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Encodes a prompt with one placeholder for each image, in their order, of which each becomes that many visual tokens;
    /// returns the ids and where the visual tokens of each image are.
    pub(super) fn encode(&self, prompt: &str, visual_tokens: &[usize]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        let pieces: Vec<&str> = prompt.split(self.mark.as_str()).collect();
        let (found, images) = (pieces.len() - 1, visual_tokens.len());
        if found != images {
            let each = if images == 1 { "for the one image" } else { "one for each image" };
            return Err(VlmError::Prompt(format!("expected {images} `{}`, {each}, found {found}", self.mark)));
        }
        match self.form {
            Form::Token => self.encode_repeated(&pieces, visual_tokens),
            Form::Gap { bos } => self.encode_around(&pieces, visual_tokens, bos),
        }
    }

    fn encode_repeated(&self, pieces: &[&str], visual_tokens: &[usize]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        let mut text = pieces[0].to_owned();
        for (count, piece) in visual_tokens.iter().zip(&pieces[1..]) {
            text.push_str(&self.mark.repeat(*count));
            text.push_str(piece);
        }
        let ids = self.ids(&text)?;
        let mut spans = Vec::with_capacity(visual_tokens.len());
        let mut end = 0;
        for &count in visual_tokens {
            let start = end + ids[end..].iter().position(|id| *id == self.id).unwrap_or(ids.len() - end);
            let length = ids[start..].iter().take(count).take_while(|id| **id == self.id).count();
            if length != count {
                let problem = format!("`{}` does not become one token each: {length} in a row instead of {count}", self.mark);
                return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
            }
            end = start + count;
            spans.push(start..end);
        }
        Ok((ids, spans))
    }

    fn encode_around(&self, pieces: &[&str], visual_tokens: &[usize], bos: Option<u32>) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        let mut ids = self.ids(pieces[0])?;
        let mut spans = Vec::with_capacity(visual_tokens.len());
        for (count, piece) in visual_tokens.iter().zip(&pieces[1..]) {
            let start = ids.len();
            ids.resize(start + count, self.id);
            spans.push(start..ids.len());
            let behind = self.ids(piece)?;
            // A tokenizer that begins every text with one token begins what is behind an image with it, too.
            let begun = behind.first().is_some_and(|first| ids.first() == Some(first) && bos == Some(*first));
            ids.extend(&behind[usize::from(begun)..]);
        }
        Ok((ids, spans))
    }

    /// Token ids that the model has rows for.
    fn ids(&self, text: &str) -> Result<Vec<u32>, VlmError> {
        let ids = self.tokenizer.encode(text)?;
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
            let problem = format!("makes id {id} of the prompt, but the model knows {} tokens", self.vocab_size);
            return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
        }
        Ok(ids)
    }
}
