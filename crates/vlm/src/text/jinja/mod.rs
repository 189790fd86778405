//! Jinja in the dialect that transformers compiles chat templates with (`_compile_jinja_template`): `trim_blocks`, `lstrip_blocks`, loop
//! controls, `raise_exception`, `strftime_now`, a `tojson` that does not escape HTML, and `{% generation %}` marks, which only matter to
//! training and are dropped. Values are Python's: their methods, their operators, and how they are printed.

mod arithmetic;
mod clock;
mod json;
mod methods;
mod operators;
mod print;
mod printf;

use std::borrow::Cow;
use std::error::Error as _;

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, escape_formatter};

const NAME: &str = "template";

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template(Environment<'static>);

impl Template {
    /// Compiles a template. The error is the engine's reason with the line.
    pub(super) fn compile(template: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(methods::call);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(as_python_prints);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", clock::strftime_now);
        environment.add_function(operators::REMAINDER, arithmetic::remainder);
        environment.add_function(operators::DIVISION, arithmetic::quotient);
        environment.add_function(operators::FLOOR_DIVISION, arithmetic::whole_quotient);
        environment.add_function(operators::CONCATENATION, |parts: Rest<Value>| parts.iter().map(print::text).collect::<String>());
        environment.add_function(operators::TUPLE, |items: Rest<Value>| print::tuple(items.0));
        environment.add_filter("tojson", json::to_json);
        environment.add_filter("string", |value: &Value| print::text(value));
        environment.add_filter("join", methods::join);
        environment.add_filter("items", methods::items);
        environment.add_filter("dictsort", methods::sorted_items);
        environment.add_filter("format", |format: &str, values: Rest<Value>| printf::several(format, &values, values.first()));
        let template = without_generation_tags(template);
        let template = operators::as_calls(&template).into_owned();
        environment.add_template_owned(NAME, template).map_err(|error| reason(&error))?;
        Ok(Self(environment))
    }

    /// Renders it. The error is the engine's reason with the line.
    pub(super) fn render(&self, variables: &Value) -> Result<String, String> {
        self.0.get_template(NAME).and_then(|template| template.render(variables)).map_err(|error| reason(&error))
    }
}

/// An error with what it came from, the last of which is what really happened.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// Turns `{% generation %} .. {% endgeneration %}` into a block that is always taken, whitespace control kept.
fn without_generation_tags(template: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut end = 0;
    for (_, tag) in operators::tags(template).into_iter().filter(|(statement, _)| *statement) {
        let text = &template[tag.clone()];
        let (name, block) = match text.trim() {
            name @ "generation" => (name, "if true"),
            name @ "endgeneration" => (name, "endif"),
            _ => continue,
        };
        out.push_str(&template[end..tag.start]);
        out.push_str(&text.replace(name, block));
        end = tag.end;
    }
    if end == 0 {
        return Cow::Borrowed(template);
    }
    out.push_str(&template[end..]);
    Cow::Owned(out)
}

fn as_python_prints(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Undefined | ValueKind::Invalid => escape_formatter(out, state, value),
        _ => out.write_str(&print::text(value)).map_err(Error::from),
    }
}
