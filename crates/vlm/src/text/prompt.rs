//! What becomes of the image placeholders in a prompt: an id for each visual token of the image, and whatever text its family puts between
//! them.

use std::ops::Range;

use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::decoder::LlamaConfig;
use crate::files::Source;

/// Encodes prompts with placeholders in them.
#[derive(Clone, Debug)]
pub struct PromptEncoder {
    tokenizer: Tokenizer,
    /// How the placeholder is written.
    mark: String,
    /// Id that stands for a visual token.
    id: u32,
    form: Form,
    vocab_size: usize,
}

/// A piece of what an image placeholder becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// That many visual tokens.
    Visual(usize),
    /// Text, special tokens included (the row and column words of an image in tiles, say).
    Text(String),
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
    ///
    /// # Errors
    /// When they are not.
    pub fn with_token(
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
    pub fn with_gap(tokenizer: Tokenizer, mark: String, id: u32, text: &LlamaConfig) -> Self {
        Self { tokenizer, mark, id, form: Form::Gap { bos: text.bos_token_id }, vocab_size: text.vocab_size }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Encodes a prompt with one placeholder for each image, in their order, of which each becomes its pieces; returns the ids and the runs
    /// of visual tokens of each image.
    pub(super) fn encode(&self, prompt: &str, images: &[&[Piece]]) -> Result<(Vec<u32>, Vec<Runs>), VlmError> {
        let texts: Vec<&str> = prompt.split(self.mark.as_str()).collect();
        let (found, expected) = (texts.len() - 1, images.len());
        if found != expected {
            let each = if expected == 1 { "for the one image" } else { "one for each image" };
            return Err(VlmError::Prompt(format!("expected {expected} `{}`, {each}, found {found}", self.mark)));
        }
        match self.form {
            Form::Token => self.encode_repeated(&texts, images),
            Form::Gap { bos } => self.encode_around(&texts, images, bos),
        }
    }

    fn encode_repeated(&self, texts: &[&str], images: &[&[Piece]]) -> Result<(Vec<u32>, Vec<Runs>), VlmError> {
        let mut text = texts[0].to_owned();
        for (pieces, behind) in images.iter().zip(&texts[1..]) {
            for piece in *pieces {
                match piece {
                    Piece::Visual(count) => text.push_str(&self.mark.repeat(*count)),
                    Piece::Text(between) => text.push_str(between),
                }
            }
            text.push_str(behind);
        }
        let ids = self.ids(&text)?;
        let mut end = 0;
        let mut run = |count: usize| {
            let start = end + ids[end..].iter().position(|id| *id == self.id).unwrap_or(ids.len() - end);
            let length = ids[start..].iter().take(count).take_while(|id| **id == self.id).count();
            if length != count {
                let problem = format!("`{}` does not become one token each: {length} in a row instead of {count}", self.mark);
                return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
            }
            end = start + count;
            Ok(start..end)
        };
        let runs = images.iter().map(|pieces| counts(pieces).map(&mut run).collect()).collect::<Result<_, _>>()?;
        Ok((ids, runs))
    }

    fn encode_around(&self, texts: &[&str], images: &[&[Piece]], bos: Option<u32>) -> Result<(Vec<u32>, Vec<Runs>), VlmError> {
        let mut ids = self.ids(texts[0])?;
        let mut runs = Vec::with_capacity(images.len());
        for (pieces, behind) in images.iter().zip(&texts[1..]) {
            let mut of_image = Vec::new();
            for piece in *pieces {
                match piece {
                    Piece::Visual(count) => {
                        let start = ids.len();
                        ids.resize(start + count, self.id);
                        of_image.push(start..ids.len());
                    }
                    Piece::Text(between) => self.append(&mut ids, between, bos)?,
                }
            }
            runs.push(of_image);
            self.append(&mut ids, behind, bos)?;
        }
        Ok((ids, runs))
    }

    /// Appends the ids of a text behind visual tokens. A tokenizer that begins every text with one token begins this one with it, too.
    fn append(&self, ids: &mut Vec<u32>, text: &str, bos: Option<u32>) -> Result<(), VlmError> {
        let behind = self.ids(text)?;
        let begun = behind.first().is_some_and(|first| ids.first() == Some(first) && bos == Some(*first));
        ids.extend(&behind[usize::from(begun)..]);
        Ok(())
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

/// Runs of visual tokens of one image.
type Runs = Vec<Range<usize>>;

/// How many visual tokens each run of an image has.
fn counts(pieces: &[Piece]) -> impl Iterator<Item = usize> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Visual(count) => Some(*count),
        Piece::Text(_) => None,
    })
}
