//! Text in and out: tokenizer, chat template, and the expansion of image placeholders.

mod chat_template;
mod family;
mod processor;
mod qwen_processor;
mod tokenizer;

pub use chat_template::ChatTemplate;
pub use family::{Interleaved, Prepared, Processor};
pub use tokenizer::Tokenizer;
