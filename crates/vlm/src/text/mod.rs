//! Text in and out: tokenizer, chat template, and the expansion of image placeholders.

mod added_tokens;
mod chat_template;
mod jinja;
mod processor;
mod prompt;
mod settings;
mod tokenizer;

pub use chat_template::{ChatTemplate, Conversation};
pub use processor::{Interleaved, Prepared, Processor};
pub use prompt::{Piece, PromptEncoder};
pub use settings::ProcessorSettings;
pub use tokenizer::Tokenizer;
