//! Chat templates, against what transformers renders from the same text.

use serde_json::json;

use super::folder::{Folder, rows};

#[test]
fn templates_render_as_in_transformers() {
    let rows = rows("templates/templates.json");
    assert!(rows.len() >= 8);
    let folder = Folder::tiny();
    for row in rows {
        folder.write("chat_template.jinja", row["template"].as_str().unwrap());
        let template = folder.open().chat_template().unwrap();
        let name = row["name"].as_str().unwrap();
        assert_eq!(template.prompt(row["question"].as_str().unwrap()).unwrap(), row["prompt"].as_str().unwrap(), "{name}");
        assert_eq!(template.render(&row["conversation"], false).unwrap(), row["rendered"].as_str().unwrap(), "{name}");
    }
}

/// The three places beside `chat_template.jinja`, in the order in which they count.
#[test]
fn the_template_is_found_wherever_it_was_published() {
    let template = |name: &str| format!("{{{{ '{name} <image>' }}}}{{{{ messages[0].content[1].text }}}}");
    let folder = Folder::tiny();
    folder.remove("chat_template.jinja");
    let prompt = || folder.open().chat_template().unwrap().prompt("?").unwrap();
    folder.set(
        "tokenizer_config.json",
        "/chat_template",
        json!([
            {"name": "rag", "template": "no"},
            {"name": "default", "template": template("tokenizer list")},
        ]),
    );
    assert_eq!(prompt(), "tokenizer list <image>?");
    folder.set("processor_config.json", "/chat_template", json!(template("processor")));
    assert_eq!(prompt(), "processor <image>?");
    folder.write("chat_template.json", json!({"chat_template": template("own json")}).to_string());
    assert_eq!(prompt(), "own json <image>?");
    folder.write("chat_template.jinja", template("jinja"));
    assert_eq!(prompt(), "jinja <image>?");
}

#[test]
fn the_clock_of_templates_stands_still() {
    let folder = Folder::tiny();
    folder.write("chat_template.jinja", "{{ strftime_now('%d %b %Y, %A %H:%M%%') }} <image> {{ messages[0].content[1].text }}");
    assert_eq!(folder.open().chat_template().unwrap().prompt("?").unwrap(), "26 Jul 2024, Friday 00:00% <image> ?");
}

#[test]
fn what_a_template_raises_is_what_the_user_reads() {
    let folder = Folder::tiny();
    let turn = json!([{"role": "robot", "content": "beep"}]);
    let error = folder.open().chat_template().unwrap().render(&turn, true).unwrap_err().to_string();
    assert!(error.contains("chat_template.jinja") && error.contains("got robot"), "{error}");
    for (template, reason) in [
        ("{% for m in messages %}", "end of input"),
        ("{{ raise_exception('system turn required') }}", "system turn required"),
        ("USER: {{ 'nothing of what was said' }}", "nothing of what was said"),
        ("{{ messages | no_such_filter }}", "no_such_filter"),
        ("{{ strftime_now('%Q') }}", "%Q"),
        // Where both forms of content fail, the reasons of both are told: the true one is among them.
        ("{% for part in messages[0].content %}{{ part.text.lacks() }}{% endfor %}", "has no method named lacks"),
        ("{{ messages[0].content + undefined_one.x }}", "undefined"),
        ("{{ '%d' % messages[0].role }}<image>{{ messages[0].content }}", "a number is required, not 'user'"),
        ("{{ messages | tojson(separators=[1]) }}", "separators"),
    ] {
        folder.write("chat_template.jinja", template);
        let error = folder.open().chat_template().unwrap_err().to_string();
        assert!(error.contains("chat_template.jinja") && error.contains(reason), "{error}");
    }
    folder.remove("chat_template.jinja");
    let error = folder.open().chat_template().unwrap_err().to_string();
    assert!(error.contains("chat_template.jinja") && error.contains("tokenizer_config.json"), "{error}");
}

/// A template is tried with one message when it is opened.
const PROBED: &str = "<image>{{ messages[0].content[1].text }}|{% if messages | length > 1 %}";

/// Expressions of a fixed context, and Python's clock at the moment at which ours stands still.
#[test]
fn expressions_are_pythons() {
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(super::folder::reference().join("templates/expressions.json")).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 250, "{} cases", cases.len());
    let folder = Folder::tiny();
    let mut wrong = Vec::new();
    for case in cases {
        let template = case["template"].as_str().unwrap();
        folder.write("chat_template.jinja", format!("{PROBED}{template}{{% endif %}}"));
        let rendered = folder.open().chat_template().and_then(|compiled| compiled.render(&file["messages"], false));
        let found = match &rendered {
            Ok(text) => Some(text.strip_prefix("<image>hm?|").unwrap()),
            Err(_) => None,
        };
        if found != case["rendered"].as_str() {
            wrong.push(format!("{template}: {rendered:?}, in Python {}", case["rendered"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
