//! Text in and out: tokenizer, chat template, and the expansion of image placeholders.

mod chat_template;
mod family;
mod llava_processor;
mod prompt;
mod qwen_processor;
mod settings;
mod tokenizer;

pub use chat_template::ChatTemplate;
pub(crate) use family::Largest;
pub use family::{Interleaved, Prepared, Processor};
pub use tokenizer::Tokenizer;
