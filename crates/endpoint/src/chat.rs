//! A question as an OpenAI-compatible server is asked it, and what it says.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use steady_bench::BenchError;

/// What is asked for beside the question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// Most tokens of the answer.
    pub(crate) max_tokens: usize,
    /// How many of the likeliest first tokens are to be told; 0 for none.
    pub(crate) top: usize,
}

/// The body of a request: the pictures, then one question, greedily answered.
pub(crate) fn request(model: &str, pictures: &[String], question: &str, wishes: Wishes) -> String {
    let pictures = pictures.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}}));
    let content: Value = pictures.chain([json!({"type": "text", "text": question})]).collect();
    let mut body = json!({
        "model": model,
        "messages": [{
            "role": "user",
            "content": content,
        }],
        "max_tokens": wishes.max_tokens,
        "temperature": 0,
        "stream": false,
    });
    if wishes.top > 0 {
        body["logprobs"] = json!(true);
        body["top_logprobs"] = json!(wishes.top);
    }
    body.to_string()
}

/// The pixels as they are, as a data URL of a PNG.
pub(crate) fn data_url(image: &RgbImage) -> Result<String, BenchError> {
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).map_err(|reason| BenchError::Encode { image: "for a server".to_owned(), reason })?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png.into_inner())))
}

/// What a server completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Completion {
    /// Who answers, in the server's words.
    pub(crate) model: String,
    pub(crate) text: String,
    /// Whether the limit of tokens cut it.
    pub(crate) cut: bool,
    /// Text and logarithm of the probability of the likeliest first tokens, likeliest first.
    pub(crate) top: Vec<(String, f32)>,
    pub(crate) prompt_tokens: usize,
    /// Why there is no answer, where the server refused the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

impl Completion {
    /// That a server refused, in its words.
    pub(crate) fn refused(model: &str, reason: String) -> Self {
        Self { model: model.to_owned(), text: String::new(), cut: false, top: Vec::new(), prompt_tokens: 0, refused: Some(reason) }
    }

    /// Reads what came; an error says what is missing.
    pub(crate) fn read(answer: &Value) -> Result<Self, String> {
        let choice = answer
            .pointer("/choices/0")
            .ok_or_else(|| format!("no choices in its answer: {}", crate::client::short(&answer.to_string())))?;
        let text = match choice.pointer("/message/content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            // A model that ends at once.
            Some(Value::Null) => String::new(),
            _ => return Err("no choices[0].message.content in its answer".to_owned()),
        };
        let mut top: Vec<(String, f32)> = Vec::new();
        if let Some(list) = choice.pointer("/logprobs/content/0/top_logprobs").and_then(Value::as_array) {
            let candidate = |entry: &Value| Some((entry["token"].as_str()?.to_owned(), entry["logprob"].as_f64()? as f32));
            top.extend(list.iter().filter_map(candidate).filter(|(_, logprob)| logprob.is_finite()));
            top.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        }
        Ok(Self {
            model: answer["model"].as_str().unwrap_or_default().to_owned(),
            text,
            cut: choice["finish_reason"] == "length",
            top,
            prompt_tokens: answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).unwrap_or(0) as usize,
            refused: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_read_as_servers_write_it() {
        // As in OpenAI's reference of the chat API, shortened.
        let answer = json!({
            "model": "m", "choices": [{
                "message": {"role": "assistant", "content": "Red."}, "finish_reason": "stop",
                "logprobs": {"content": [
                    {"token": "Red", "logprob": -0.1, "top_logprobs": [{"token": "Blue", "logprob": -3.0}, {"token": "Red", "logprob": -0.1}, {"token": "x", "logprob": null}]},
                    {"token": ".", "logprob": -0.5, "top_logprobs": []}
                ]}
            }], "usage": {"prompt_tokens": 700}
        });
        let top = vec![("Red".to_owned(), -0.1), ("Blue".to_owned(), -3.0)];
        let expected = Completion { model: "m".into(), text: "Red.".into(), cut: false, top, prompt_tokens: 700, refused: None };
        assert_eq!(Completion::read(&answer).unwrap(), expected);
        let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "Re"}, {"type": "text", "text": "d"}]}, "finish_reason": "length"}]});
        let read = Completion::read(&parts).unwrap();
        assert_eq!((read.text.as_str(), read.cut, read.top.len()), ("Red", true, 0));
        assert_eq!(Completion::read(&json!({"choices": [{"message": {"content": null}}]})).unwrap().text, "");
    }

    #[test]
    fn what_is_no_completion_is_named() {
        assert!(Completion::read(&json!({"error": "busy"})).unwrap_err().contains("no choices in its answer: {\"error\":\"busy\"}"));
        assert!(Completion::read(&json!({"choices": []})).is_err() && Completion::read(&json!({"choices": [{"text": "x"}]})).is_err());
        assert!(Completion::read(&json!([])).is_err());
    }

    #[test]
    fn the_picture_comes_first_and_is_whole() {
        let image = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let url = data_url(&image).unwrap();
        let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8(), image);
        let body: Value =
            serde_json::from_str(&request("m", std::slice::from_ref(&url), "What?", Wishes { max_tokens: 9, top: 0 })).unwrap();
        assert_eq!(body["messages"][0]["content"][0]["image_url"]["url"], url);
        assert_eq!(
            (&body["messages"][0]["content"][1]["text"], &body["max_tokens"], &body["temperature"]),
            (&json!("What?"), &json!(9), &json!(0))
        );
        assert!(body.get("logprobs").is_none());
    }
}
