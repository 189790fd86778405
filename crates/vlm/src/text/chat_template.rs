//! Chat templates: Jinja in the dialect that transformers compiles them with.
//!
//! `trim_blocks`, `lstrip_blocks`, loop controls, Python's string, list and dict methods, `raise_exception`, a `tojson`
//! that does not escape HTML, and `{% generation %}` marks, which only matter to training and are dropped.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, context, escape_formatter};
use serde::Serialize;
use serde_json::json;

use super::settings::ProcessorSettings;
use super::tokenizer::SpecialTokens;
use crate::VlmError;
use crate::files::{Fields, Source};

const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
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

    fn compile(file: &str, template: &str, image_token: String, special: SpecialTokens) -> Result<Self, VlmError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(python_spelling);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, without_generation_tags(template).into_owned()).map_err(|error| failure(file, &error))?;
        let mut template = Self { environment, file: file.to_owned(), image_token, special, content: ContentForm::Parts };
        template.content = template.content_form()?;
        Ok(template)
    }

    /// The prompt for one question about one image, up to where the answer begins, with the image token in it once.
    ///
    /// # Errors
    /// When the template raises an exception or cannot be rendered.
    pub fn prompt(&self, question: &str) -> Result<String, VlmError> {
        self.ask(question, self.content)
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
        self.environment.get_template(NAME).and_then(|template| template.render(variables)).map_err(|error| failure(&self.file, &error))
    }

    fn ask(&self, question: &str, form: ContentForm) -> Result<String, VlmError> {
        let content = match form {
            ContentForm::Parts => json!([{"type": "image"}, {"type": "text", "text": question}]),
            ContentForm::Text => json!(format!("{}\n{question}", self.image_token)),
        };
        self.render(&json!([{"role": "user", "content": content}]), true)
    }

    /// Tries both forms with a probe; the one that yields the question and exactly one image token is the template's.
    fn content_form(&self) -> Result<ContentForm, VlmError> {
        const PROBE: &str = "probe";
        let mut reason = None;
        for form in [ContentForm::Parts, ContentForm::Text] {
            match self.ask(PROBE, form) {
                Ok(prompt) if prompt.contains(PROBE) && prompt.matches(&self.image_token).count() == 1 => return Ok(form),
                Ok(prompt) => {
                    reason.get_or_insert_with(|| {
                        let problem = format!(
                            "expected a user turn of one image and one question to give one `{}` and the question, found {prompt:?}",
                            self.image_token
                        );
                        VlmError::Template { file: self.file.clone(), problem }
                    });
                }
                Err(error) => reason = Some(error),
            }
        }
        Err(reason.unwrap_or_else(|| VlmError::Template { file: self.file.clone(), problem: "renders nothing".to_owned() }))
    }
}

fn failure(file: &str, error: &Error) -> VlmError {
    VlmError::Template { file: file.to_owned(), problem: error.to_string() }
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
    let Some(serde_json::Value::Array(named)) = fields.get(NAME) else {
        return Ok(fields.text(NAME)?.map(str::to_owned));
    };
    let default = named.iter().find(|entry| entry["name"] == "default").and_then(|entry| entry["template"].as_str());
    default.map(|text| Some(text.to_owned())).ok_or_else(|| fields.error(NAME, "the list has no template named `default`"))
}

/// Turns `{% generation %} .. {% endgeneration %}` into a block that is always taken, whitespace control kept.
fn without_generation_tags(template: &str) -> Cow<'_, str> {
    if !template.contains("generation") {
        return Cow::Borrowed(template);
    }
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let (before, tag) = (&rest[..start], &rest[start..start + length]);
        out.push_str(before);
        match tag[2..].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+') {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Prints `True`, `False` and `None` as Python does.
fn python_spelling(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let spelled = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => return escape_formatter(out, state, value),
    };
    out.write_str(spelled).map_err(Error::from)
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let bad = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, "tojson").with_source(error);
    let indent: Option<usize> = options.get("indent")?;
    let _ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    if let Some(width) = indent {
        let spaces = vec![b' '; width];
        let style = serde_json::ser::PrettyFormatter::with_indent(&spaces);
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, style)).map_err(bad)?;
    } else {
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonStyle)).map_err(bad)?;
    }
    String::from_utf8(out).map(Value::from).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// Python separates with `", "` and `": "` on one line.
struct PythonStyle;

impl serde_json::ser::Formatter for PythonStyle {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The date inside a prompt. A study must ask the same prompt tomorrow, so the clock stands still at
/// 26 July 2024, 00:00, the date that the Llama 3.1 template itself falls back to.
fn strftime_now(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(match chars.next() {
            Some('d') => "26",
            Some('m') => "07",
            Some('Y') => "2024",
            Some('y') => "24",
            Some('b') => "Jul",
            Some('B') => "July",
            Some('a') => "Fri",
            Some('A') => "Friday",
            Some('H' | 'M' | 'S') => "00",
            Some('%') => "%",
            other => {
                let problem = format!("strftime_now: `%{}` is not known", other.map(String::from).unwrap_or_default());
                return Err(Error::new(ErrorKind::InvalidOperation, problem));
            }
        });
    }
    Ok(out)
}
