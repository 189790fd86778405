//! Chat templates: where a checkpoint keeps its own, and what is put into it.

use minijinja::context;
use minijinja::value::Value;
use serde_json::json;

use super::jinja::Template;
use super::settings::ProcessorSettings;
use super::tokenizer::SpecialTokens;
use crate::VlmError;
use crate::files::{Fields, Source};

const FIELD: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    template: Template,
    file: String,
    image_token: String,
    special: SpecialTokens,
    content: ContentForm,
}

/// A chat template that a family brings, for checkpoints that have none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// What it is called.
    pub name: &'static str,
    /// The template.
    pub template: &'static str,
}

/// How a template wants a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentForm {
    /// A list of `{"type": "image"}` and `{"type": "text", "text": ..}`.
    Parts,
    /// One string with the image token written out.
    Text,
}

impl ChatTemplate {
    /// The template in the checkpoint's files. A checkpoint of the LLaVA repository has a conversation instead, unless someone put
    /// a template for images beside it; what its `tokenizer_config.json` may hold is the language model's, made for text alone.
    pub(crate) fn read(source: &Source, image_token: &str, conversation: Option<Conversation>) -> Result<Self, VlmError> {
        let settings = ProcessorSettings::read(source, image_token)?;
        let special = SpecialTokens::read(source)?;
        let (file, template) = match conversation {
            Some(Conversation { name, template }) => find(source, &["chat_template.json", "processor_config.json"])?
                .unwrap_or_else(|| (format!("the {name} conversation"), template.to_owned())),
            None => find(source, &PLACES)?.ok_or_else(|| {
                source.missing(&format!("{JINJA}, nor `chat_template` in {}", PLACES.join(", ")), "questions are put into it")
            })?,
        };
        Self::compile(&file, &template, settings.image_token, special)
    }

    /// The text of the template in the checkpoint's files, if there is one.
    ///
    /// # Errors
    /// When a file that may hold one is broken.
    pub(crate) fn text(source: &Source) -> Result<Option<String>, VlmError> {
        Ok(find(source, &PLACES)?.map(|(_, text)| text))
    }

    fn compile(file: &str, template: &str, image_token: String, special: SpecialTokens) -> Result<Self, VlmError> {
        let compiled = Template::compile(template).map_err(|problem| failure(file, problem))?;
        let mut template = Self { template: compiled, file: file.to_owned(), image_token, special, content: ContentForm::Parts };
        template.content = template.content_form()?;
        Ok(template)
    }

    /// The prompt for one question about one image, up to where the answer begins, with the image token in it once.
    ///
    /// # Errors
    /// When the template raises an exception or cannot be rendered.
    pub fn prompt(&self, question: &str) -> Result<String, VlmError> {
        self.prompt_about(question, 1)
    }

    /// The same about so many images, which all stand before the question.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub fn prompt_about(&self, question: &str, images: usize) -> Result<String, VlmError> {
        self.ask(question, images, self.content)
    }

    /// Any conversation, in the message format of transformers' `apply_chat_template`.
    ///
    /// # Errors
    /// When the template raises an exception or cannot be rendered.
    pub fn render(&self, messages: &serde_json::Value, add_generation_prompt: bool) -> Result<String, VlmError> {
        let SpecialTokens { bos, eos, unk, pad } = &self.special;
        let variables = context! {
            messages => Value::from_serialize(messages),
            add_generation_prompt,
            tools => (),
            documents => (),
            bos_token => bos.as_deref().unwrap_or(""),
            eos_token => eos.as_deref().unwrap_or(""),
            unk_token => unk.as_deref().unwrap_or(""),
            pad_token => pad.as_deref().unwrap_or(""),
            image_token => self.image_token,
        };
        self.template.render(&variables).map_err(|problem| failure(&self.file, problem))
    }

    fn ask(&self, question: &str, images: usize, form: ContentForm) -> Result<String, VlmError> {
        let content = match form {
            ContentForm::Parts => {
                let image = std::iter::repeat_n(json!({"type": "image"}), images);
                image.chain([json!({"type": "text", "text": question})]).collect()
            }
            ContentForm::Text => json!(format!("{}{question}", format!("{}\n", self.image_token).repeat(images))),
        };
        self.render(&json!([{"role": "user", "content": content}]), true)
    }

    /// Tries both forms with a probe; the one that yields the question and exactly one image token is the template's. Where neither does,
    /// nobody knows which was meant, and the reasons of both are told.
    fn content_form(&self) -> Result<ContentForm, VlmError> {
        const PROBE: &str = "probe";
        let mut reasons = Vec::new();
        for (form, content) in [(ContentForm::Parts, "a list of parts"), (ContentForm::Text, "one text")] {
            let reason = match self.ask(PROBE, 1, form) {
                Ok(prompt) if prompt.contains(PROBE) && prompt.matches(&self.image_token).count() == 1 => return Ok(form),
                Ok(prompt) => format!(
                    "expected a user turn of one image and one question to give one `{}` and the question, found {prompt:?}",
                    self.image_token
                ),
                Err(VlmError::Template { problem, .. }) => problem,
                Err(error) => error.to_string(),
            };
            reasons.push((content, reason));
        }
        let told = match reasons.as_slice() {
            [(_, first), (_, second)] if first == second => first.clone(),
            reasons => {
                reasons.iter().map(|(content, reason)| format!("with the content as {content}: {reason}")).collect::<Vec<_>>().join("; ")
            }
        };
        Err(failure(&self.file, told))
    }
}

fn failure(file: &str, problem: String) -> VlmError {
    VlmError::Template { file: file.to_owned(), problem }
}

const JINJA: &str = "chat_template.jinja";
const PLACES: [&str; 3] = ["chat_template.json", "processor_config.json", "tokenizer_config.json"];

/// The template's text and its file, in the order in which transformers looks: the file of its own, then a field in `places`.
fn find(source: &Source, places: &[&str]) -> Result<Option<(String, String)>, VlmError> {
    if let Some(bytes) = source.content(JINJA)? {
        let file = source.label_of(JINJA);
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| VlmError::Template { file: file.clone(), problem: format!("is not UTF-8: {error}") })?;
        return Ok(Some((file, text.to_owned())));
    }
    for name in places {
        let Some(json) = source.json(name)? else { continue };
        let file = source.label_of(name);
        if let Some(template) = template_field(&Fields::root(&file, &json)?)? {
            return Ok(Some((file, template)));
        }
    }
    Ok(None)
}

/// `chat_template`: a string, or the older list of named templates, of which `default` is meant.
fn template_field(fields: &Fields<'_>) -> Result<Option<String>, VlmError> {
    let Some(serde_json::Value::Array(named)) = fields.get(FIELD) else {
        return Ok(fields.text(FIELD)?.map(str::to_owned));
    };
    let default = named.iter().find(|entry| entry["name"] == "default").and_then(|entry| entry["template"].as_str());
    default.map(|text| Some(text.to_owned())).ok_or_else(|| fields.error(FIELD, "the list has no template named `default`"))
}
