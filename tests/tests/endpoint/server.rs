//! An OpenAI-compatible server inside the test: it answers by a rule about the question, and can go wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Asked, Listening, head};
use crate::process::wait_until;

/// What goes wrong with a question, before it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, with this header.
    Status(u16, &'static str),
    /// Half of the body, which says that it is longer.
    Half,
    /// The connection ends without a word.
    HangsUp,
    /// No answer for so long.
    Slow(Duration),
    /// Answered by a model of this name.
    AnotherModel,
}

/// Requests that are made before the first question: the list of models, the version, and the grey picture.
const PROBED: usize = 2;

#[derive(Default)]
pub(crate) struct State {
    /// Bodies of the questions that were answered whole, the grey picture's aside.
    pub(crate) answered: Vec<Value>,
    /// `authorization` of every request.
    pub(crate) keys: Vec<Option<String>>,
    /// What goes wrong next, question by question.
    pub(crate) faults: Vec<Fault>,
    /// After so many answers everything hangs up.
    pub(crate) dies_after: Option<usize>,
    /// Without it, it refuses and repeats what it was sent.
    pub(crate) wants_key: Option<String>,
    /// Likeliest tokens: how many it tells at most, and refuses more of.
    pub(crate) top: usize,
    /// Questions with this in them are answered `other`.
    pub(crate) other_about: Option<String>,
    /// The letter of the option with this text is the answer, whatever it is.
    pub(crate) option: Option<&'static str>,
    /// It answers no question before so many were there at a time.
    pub(crate) company: usize,
    /// Most requests that were there at a time.
    pub(crate) most_at_once: usize,
    at_once: usize,
}

pub(crate) struct Server {
    listening: Listening,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A server with this model.
    pub(crate) fn of(model: &'static str, change: impl FnOnce(&mut State)) -> Self {
        let mut state = State { top: 20, ..State::default() };
        change(&mut state);
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let listening = Listening::start(move |asked, stream| {
            let count = |by: i64| {
                let mut state = served.lock().unwrap();
                state.at_once = state.at_once.saturating_add_signed(by as isize);
                state.most_at_once = state.most_at_once.max(state.at_once);
            };
            count(1);
            let alone = || {
                let state = served.lock().unwrap();
                asked.target.ends_with("/completions") && state.keys.len() > PROBED && state.most_at_once < state.company
            };
            wait_until("there is company", || !alone());
            let reply = answer(asked, model, &served);
            count(-1);
            stream.write_all(&reply)
        });
        Self { listening, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}/v1", self.listening.address)
    }

    /// How often each question was answered about each picture.
    pub(crate) fn answered(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for body in &self.state().answered {
            *counts.entry(body["messages"].to_string()).or_default() += 1;
        }
        counts
    }
}

fn json_body(status: u16, header: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len().to_string();
    let mut headers = vec![("content-type", "application/json"), ("content-length", length.as_str())];
    headers.extend(header.split_once(": "));
    let mut reply = head(status, &headers);
    reply.extend(body.into_bytes());
    reply
}

fn answer(asked: &Asked, model: &str, state: &Mutex<State>) -> Vec<u8> {
    let key = asked.header("authorization");
    let mut state = state.lock().unwrap();
    state.keys.push(key.clone());
    if state.dies_after.is_some_and(|after| state.answered.len() >= after) {
        return Vec::new();
    }
    if state.wants_key.as_ref().is_some_and(|wanted| key.as_deref() != Some(&format!("Bearer {wanted}"))) {
        return json_body(401, "", &json!({"error": {"message": format!("Incorrect key: {}", key.unwrap_or_default())}}));
    }
    match asked.target.as_str() {
        "/v1/models" => json_body(
            200,
            "",
            &json!({"object": "list", "data": [{"id": model, "object": "model", "created": state.keys.len(), "owned_by": "vllm", "max_model_len": 4096}]}),
        ),
        "/version" => json_body(200, "", &json!({"version": "0.9.1"})),
        "/v1/chat/completions" => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            let question = body["messages"][0]["content"][1]["text"].as_str().unwrap().to_owned();
            let top = body["top_logprobs"].as_u64().unwrap_or(0) as usize;
            if top > state.top {
                return json_body(400, "", &json!({"error": {"message": format!("top_logprobs must be at most {}", state.top)}}));
            }
            let probe = question == "Is this picture grey?";
            let fault = (!probe && !state.faults.is_empty()).then(|| state.faults.remove(0));
            let (mut name, mut half) = (model, false);
            match fault {
                Some(Fault::Status(status, header)) => {
                    return json_body(status, header, &json!({"error": {"message": "not now"}}));
                }
                Some(Fault::HangsUp) => return Vec::new(),
                Some(Fault::AnotherModel) => name = "somebody-else",
                Some(Fault::Half) => half = true,
                Some(Fault::Slow(pause)) => {
                    drop(state);
                    thread::sleep(pause);
                    return Vec::new();
                }
                None => {}
            }
            let other = state.other_about.as_ref().is_some_and(|about| question.contains(about.as_str()));
            let letter = state.option.and_then(|option| question.lines().find_map(|line| line.strip_suffix(option)?.strip_suffix(". ")));
            let (text, lead) = if other { ("other", 0.5) } else { (letter.unwrap_or("red"), 2.0) };
            let candidates = [(text, -0.1), ("x", -0.1 - lead), ("y", -6.0)];
            let candidates: Vec<Value> =
                candidates.iter().take(top).map(|(token, logprob)| json!({"token": token, "logprob": logprob})).collect();
            let logprobs =
                if top > 0 { json!({"content": [{"token": text, "logprob": -0.1, "top_logprobs": candidates}]}) } else { Value::Null };
            let reply = json!({
                "id": format!("chatcmpl-{}", state.keys.len()), "model": name,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": logprobs}],
                "usage": {"prompt_tokens": 40, "completion_tokens": 1}
            });
            let mut bytes = json_body(200, "", &reply);
            if half {
                bytes.truncate(bytes.len() - 30);
            } else if !probe && name == model {
                state.answered.push(body);
            }
            bytes
        }
        _ => json_body(404, "", &json!({"detail": "Not Found"})),
    }
}
