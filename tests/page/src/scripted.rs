//! Workers that say what a test wrote down, so that the page can be seen at every step of a study without a model.

use serde_json::json;
use steady_protocol::{Answered, AskReply, AskedAnswer, Engine, Frame, Loading, Response, encode};

use crate::sample::{self, QUESTIONS};

/// Name of the file that the page starts as its worker.
pub const WORKER: &str = "worker.js";

/// Answers of a study: each question once of the baseline and once of two accelerations.
pub const ANSWERS: usize = 3 * QUESTIONS;

/// The group that a study is asked to go on from, somewhere in the request's bytes.
const RECORDED: &str = "the second group";

fn bytes(responses: impl IntoIterator<Item = Response>) -> serde_json::Value {
    json!(responses.into_iter().map(|response| encode(&response).expect("a message")).collect::<Vec<_>>())
}

fn answered(group: &str, questions: usize) -> Response {
    let report = sample::beginning(questions).to_json().expect("a report");
    Response::Answered(Answered { group: group.as_bytes().to_vec(), done: 3 * questions, total: ANSWERS, report })
}

fn ready() -> Response {
    Response::Ready(Engine { device: "scripted".to_owned(), dtype: "f32".to_owned(), reason: "there is no other here".to_owned() })
}

/// A worker that answers 20 of the sample's 40 questions and no more, but the rest to those who bring what was answered.
pub fn study() -> Vec<u8> {
    let loading = |received| Response::Loading(Loading { file: "model.safetensors".to_owned(), received, total: Some(8_000_000) });
    let begin = bytes([loading(0), loading(4_000_000), ready(), answered("the first group", 10), answered(RECORDED, 20)]);
    let go_on = bytes([ready(), answered("", 20), answered("the third group", 40), Response::Finished]);
    let script = format!(
        "const [begin, goOn] = [{begin}, {go_on}];
         onmessage = event => {{
           // with a folder's files, an array of which the bytes are the first
           const request = String.fromCharCode(...(Array.isArray(event.data) ? event.data[0] : event.data));
           for (const message of request.includes('{RECORDED}') ? goOn : begin) postMessage(new Uint8Array(message));
         }};
         postMessage(new Uint8Array());"
    );
    script.into_bytes()
}

/// A worker that fails after the first group.
pub fn failing(reason: &str) -> Vec<u8> {
    let all = bytes([ready(), answered("the first group", 10), Response::Failed(reason.to_owned())]);
    format!("onmessage = () => {all}.forEach(message => postMessage(new Uint8Array(message))); postMessage(new Uint8Array());").into_bytes()
}

/// A worker that answers `yes`, and from its second answer on `no` under the acceleration, which keeps 36 of 144 visual tokens of the middle half of the image.
pub fn asked() -> Vec<u8> {
    let answer = |acceleration: &str, text: &str, kept: Option<Vec<usize>>| AskedAnswer {
        acceleration: acceleration.to_owned(),
        text: text.to_owned(),
        kept,
        first_token: vec![(text.to_owned(), 0.75), ("maybe".to_owned(), 0.125)],
        wall_ms: 12.0,
    };
    let asked = |text: &str| {
        let kept = (0..144).step_by(4).collect();
        Response::Asked(AskReply {
            id: 0,
            grid: (12, 12),
            // the middle half of the width
            frame: Some(Frame { left: 36.0, top: 0.0, width: 72.0, height: 144.0 }),
            answers: vec![answer("none", "yes", None), answer("divprune:keep=0.25", text, Some(kept))],
        })
    };
    let (first, later) = (bytes([ready(), asked("yes")]), bytes([asked("no")]));
    // an answer's second number, and a request's, is the id
    let script = format!(
        "let answers = 0;
         onmessage = event => {{
           for (const message of answers++ ? {later} : {first}) {{
             if (message[0] === 4) message[1] = event.data[1];
             postMessage(new Uint8Array(message));
           }}
         }};
         postMessage(new Uint8Array());"
    );
    script.into_bytes()
}
