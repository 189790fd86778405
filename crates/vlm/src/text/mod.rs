//! Text in and out: tokenizer, chat template, and the expansion of image placeholders.

mod chat_template;
mod processor;
mod tokenizer;

pub use chat_template::ChatTemplate;
pub use processor::{Prepared, Processor};
pub use tokenizer::Tokenizer;
