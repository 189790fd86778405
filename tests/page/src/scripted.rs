//! Workers that say what a test wrote down, so that the page can be seen at every step of a study without a model.

use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use steady_bench::perturb::{PERTURBATIONS, Perturbation};
use steady_bench::world::EmbeddedSuite;
use steady_bench::{Benchmark, PostPrompts, Question, suite_of};
use steady_protocol::{Answered, AskReply, AskedAnswer, Cell, Engine, Frame, Gathered, Loading, Response, TokenStep, View, encode};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, GROUPS_PER_PART, ModelPlan, Versions, questions_sha256};
use steady_records::{Answers, BASELINE, CLEAN, Plan, Record, Timing, Work};
use steady_report::{AnswerRow, Measurements};

use crate::sample::{self, QUESTIONS};

/// Name of the file that the page starts as its worker.
pub const WORKER: &str = "worker.js";

/// Answers of a study: each question once of the baseline and once of two accelerations.
pub const ANSWERS: usize = 3 * QUESTIONS;

/// The sample's questions in three groups, each of them about one image. Half of the questions are in the first two.
const GROUPS: [Range<usize>; 3] = [0..10, 10..20, 20..QUESTIONS];

/// A study that gives the answers of the sample.
struct Scripted {
    work: Work,
    measurements: Measurements,
}

impl Scripted {
    fn new() -> Self {
        let suite = sample::suite();
        let measurements = sample::measurements(&suite, "mauve");
        let of_group = |i: usize| GROUPS.iter().find(|group| group.contains(&i)).map_or(0, |group| group.start);
        let in_group =
            |(i, question): (usize, &Question)| Question { image: suite.questions()[of_group(i)].image.clone(), ..question.clone() };
        let questions: Vec<Question> = suite.questions().iter().enumerate().map(in_group).collect();
        let baseline = AccelerationPlan { spec: BASELINE.to_owned(), describe: "the model as it is".to_owned(), stored_bytes: None };
        let accelerated = measurements.accelerations.iter().map(|acceleration| AccelerationPlan {
            spec: acceleration.spec.clone(),
            describe: acceleration.what_it_is.clone(),
            stored_bytes: None,
        });
        let told = measurements.plan.clone();
        let plan = Plan {
            format: FORMAT,
            command: told.command_line,
            versions: Versions { steady: "0.1.0".to_owned(), burn: "0".to_owned() },
            model: ModelPlan { name: told.model, architecture: "llava".to_owned(), sha256: told.checkpoint_sha256 },
            accelerations: std::iter::once(baseline).chain(accelerated).collect(),
            left_out: Vec::new(),
            controls: Vec::new(),
            benchmark: BenchmarkPlan {
                name: told.benchmark,
                fingerprint: told.benchmark_fingerprint,
                size: QUESTIONS,
                questions: QUESTIONS,
                questions_sha256: questions_sha256(&questions).expect("a hash"),
                opened_by: None,
            },
            perturbations: vec![CLEAN.to_owned()],
            prompt: told.prompt_template,
            post_prompts: PostPrompts::default(),
            processor: told.processor,
            decoding: told.decoding,
            calibration: None,
            precision: told.precision,
            device: told.device,
            elsewhere: None,
            groups_per_part: GROUPS_PER_PART,
        };
        Self { work: Work::new(plan, questions).expect("a plan"), measurements }
    }

    fn planned(&self) -> Response {
        Response::Planned(self.work.to_bytes().expect("bytes"))
    }

    fn answered(&self, group: usize) -> Response {
        let mut answers = Answers::default();
        for i in GROUPS[group].clone() {
            let accelerated =
                self.measurements.accelerations.iter().map(|acceleration| (acceleration.spec.as_str(), &acceleration.answers[i]));
            for (spec, answer) in std::iter::once((BASELINE, &self.measurements.questions[i].baseline)).chain(accelerated) {
                let question = &self.work.questions()[i];
                answers.records.push(record(question, spec, answer));
                let (question, perturbation, acceleration) = (question.id.clone(), CLEAN.to_owned(), spec.to_owned());
                answers.timings.push(Timing { question, perturbation, acceleration, wall_ms: 1.0 });
            }
        }
        let bytes = self.work.seal(group, &answers).expect("bytes");
        Response::Answered(Answered { group: bytes, done: 3 * GROUPS[group].end, total: ANSWERS })
    }

    /// What a request holds that goes on after the second group, and no other.
    fn recorded(&self) -> &str {
        &self.work.questions()[GROUPS[1].start].id
    }
}

fn record(question: &Question, acceleration: &str, answer: &AnswerRow) -> Record {
    Record {
        question: question.id.clone(),
        family: question.family.clone(),
        image: question.image.clone(),
        perturbation: CLEAN.to_owned(),
        acceleration: acceleration.to_owned(),
        answer: answer.text.clone(),
        output_ids: Vec::new(),
        cut: Some(false),
        parsed: answer.parsed.clone(),
        no_answer: None,
        correct: answer.correct,
        score: answer.score,
        top_ids: Vec::new(),
        top_tokens: Vec::new(),
        top_logits: Vec::new(),
        margin: answer.margin,
        kl: answer.kl,
        visual_tokens: 144,
        kept: None,
        kept_by_step: None,
        prompt_tokens: 160,
        decoder_visual_tokens: answer.visual_tokens,
        kv_bytes: 500_000,
        weight_bytes: 8_000_000,
        flops: 600_000_000,
    }
}

fn bytes(responses: impl IntoIterator<Item = Response>) -> serde_json::Value {
    json!(responses.into_iter().map(|response| encode(&response).expect("a message")).collect::<Vec<_>>())
}

fn ready() -> Response {
    Response::Ready(Engine { device: "scripted".to_owned(), dtype: "f32".to_owned(), reason: "there is no other here".to_owned() })
}

/// A worker that answers 20 of the sample's 40 questions and no more, but the rest to those who bring what was answered.
pub fn study() -> Vec<u8> {
    let loading = |received| Response::Loading(Loading { file: "model.safetensors".to_owned(), received, total: Some(8_000_000) });
    let scripted = Scripted::new();
    let (planned, recorded) = (scripted.planned(), scripted.recorded());
    let [first, second, third] = [0, 1, 2].map(|group| scripted.answered(group));
    let taken_over = Response::Answered(Answered { group: Vec::new(), done: 3 * GROUPS[1].end, total: ANSWERS });
    let begin = bytes([loading(0), loading(4_000_000), ready(), planned.clone(), first, second]);
    let go_on = bytes([ready(), planned, taken_over, third, Response::Finished]);
    let script = format!(
        "const [begin, goOn] = [{begin}, {go_on}];
         onmessage = event => {{
           // with a folder's files, an array of which the bytes are the first
           const request = String.fromCharCode(...(Array.isArray(event.data) ? event.data[0] : event.data));
           for (const message of request.includes('{recorded}') ? goOn : begin) postMessage(new Uint8Array(message));
         }};
         postMessage(new Uint8Array());"
    );
    script.into_bytes()
}

/// Questions of [`long`], and its answers: of seven forms of the model, about the clean images and under seven perturbations.
pub const LONG_QUESTIONS: usize = 200;
/// See [`LONG_QUESTIONS`].
pub const LONG_ANSWERS: usize = LONG_QUESTIONS * 7 * 8;

/// A worker that answers a long study, a group at a time, in `seconds` from beginning to end. One answer in eight is another than the baseline's.
pub fn long(seconds: f64) -> Vec<u8> {
    let (work, forms) = long_work();
    let group = |number: usize| {
        let group = &work.groups()[number];
        let mut answers = Answers::default();
        for &asked in &group.questions {
            let question = &work.questions()[asked];
            for (place, form) in forms.iter().enumerate() {
                // a number that is another for every question, form and group, and the same whenever it is asked
                let differs = place > 0 && (asked * 31 + place * 17 + number * 7).is_multiple_of(8);
                let row = AnswerRow {
                    text: if differs { "mauve".to_owned() } else { question.gold[0].clone() },
                    parsed: None,
                    correct: !differs,
                    score: f32::from(u8::from(!differs)),
                    margin: Some(1.5),
                    kl: (place > 0).then_some(if differs { 0.5 } else { 0.0 }),
                    outcome: None,
                    visual_tokens: 144.0,
                    top: Vec::new(),
                };
                let candidates = 0..steady_records::record::TOP as u32;
                answers.records.push(Record {
                    perturbation: group.perturbation.clone(),
                    top_ids: candidates.clone().collect(),
                    top_tokens: candidates.clone().map(|id| format!("token {id}")).collect(),
                    top_logits: candidates.map(|id| 20.0 - id as f32).collect(),
                    ..record(question, form, &row)
                });
                let (question, acceleration) = (question.id.clone(), form.clone());
                answers.timings.push(Timing { question, perturbation: group.perturbation.clone(), acceleration, wall_ms: 1.0 });
            }
        }
        (number, answers)
    };
    let mut done = 0;
    let answered = (0..work.groups().len()).map(group).map(|(number, answers)| {
        done += answers.records.len();
        Response::Answered(Answered { group: work.seal(number, &answers).expect("bytes"), done, total: LONG_ANSWERS })
    });
    let planned = Response::Planned(work.to_bytes().expect("bytes"));
    let messages = [ready(), planned].into_iter().chain(answered).chain([Response::Finished]);
    let messages: Vec<String> = messages.map(|message| BASE64_STANDARD.encode(encode(&message).expect("a message"))).collect();
    let pause = 1e3 * seconds / messages.len() as f64;
    let script = format!(
        "const messages = {};
         const say = next => {{
           postMessage(Uint8Array.from(atob(messages[next]), c => c.charCodeAt(0)));
           if (next + 1 < messages.length) setTimeout(say, {pause}, next + 1);
         }};
         onmessage = () => say(0);
         postMessage(new Uint8Array());",
        json!(messages)
    );
    script.into_bytes()
}

/// What [`long`] answers, and the names of those who do, the baseline first.
fn long_work() -> (Work, Vec<String>) {
    let suite = EmbeddedSuite::test(LONG_QUESTIONS / 10);
    let questions = suite.questions().to_vec();
    let accelerations = [BASELINE, "w4:rtn,g=128", "int8", "divprune:keep=0.33"];
    let controls = ["order", "split", "pixels=pil"];
    let perturbations = PERTURBATIONS.iter().map(Perturbation::example);
    let plan = Plan {
        accelerations: accelerations
            .map(|spec| AccelerationPlan { spec: spec.to_owned(), describe: format!("{spec}, in words"), stored_bytes: None })
            .into(),
        controls: controls.map(|spec| ControlPlan { spec: spec.to_owned(), describe: format!("{spec}, in words") }).into(),
        benchmark: BenchmarkPlan {
            fingerprint: suite_of(&suite).fingerprint,
            size: LONG_QUESTIONS,
            questions: LONG_QUESTIONS,
            questions_sha256: questions_sha256(&questions).expect("a hash"),
            ..Scripted::new().work.plan().benchmark.clone()
        },
        perturbations: std::iter::once(CLEAN.to_owned()).chain(perturbations).collect(),
        ..Scripted::new().work.plan().clone()
    };
    let forms = plan.variants().into_iter().map(str::to_owned).collect();
    (Work::new(plan, questions).expect("a plan"), forms)
}

/// A worker that fails after the first group.
pub fn failing(reason: &str) -> Vec<u8> {
    let scripted = Scripted::new();
    let all = bytes([ready(), scripted.planned(), scripted.answered(0), Response::Failed(reason.to_owned())]);
    format!("onmessage = () => {all}.forEach(message => postMessage(new Uint8Array(message))); postMessage(new Uint8Array());").into_bytes()
}

/// How far an image is from the first that was asked about, in levels of a colour on average, before the acceleration of [`asked`] says `no`.
pub const FLIPS_FROM: f64 = 12.0;

/// A step that leaves these tokens, and number 4 with two of its neighbours in it.
fn after_the_projector(kept: &[usize]) -> TokenStep {
    let gathered = vec![Gathered { token: Some(4), from: vec![5, 17] }];
    TokenStep { place: "after the projector".to_owned(), layer: None, kept: kept.to_vec(), gathered }
}

/// A worker that answers `yes`, and under the acceleration, which keeps 36 of 144 visual tokens of the middle half of the image and merges two into one of them, `no` about images that are far
/// from the first.
pub fn asked() -> Vec<u8> {
    let answer = |acceleration: &str, text: &str, kept: Option<Vec<usize>>| AskedAnswer {
        acceleration: acceleration.to_owned(),
        text: text.to_owned(),
        steps: kept.iter().map(|kept| after_the_projector(kept)).collect(),
        kept,
        first_token: vec![(text.to_owned(), 0.75), ("maybe".to_owned(), 0.125)],
        wall_ms: 12.0,
    };
    let asked = |text: &str| {
        let kept = (0..144).step_by(4).collect();
        Response::Asked(AskReply {
            id: 0,
            // on the middle half of the width
            views: vec![View { rows: 12, columns: 12, frame: Some(Frame { left: 36.0, top: 0.0, width: 72.0, height: 144.0 }) }],
            cells: (0..144).map(|token| Some(Cell { view: 0, row: token / 12, column: token % 12 })).collect(),
            answers: vec![answer("none", "yes", None), answer("divprune:keep=0.25", text, Some(kept))],
        })
    };
    let (ready, yes, no) = (bytes([ready()]), bytes([asked("yes")]), bytes([asked("no")]));
    // An answer's first number says that it is one; its second, and a request's, is the id, of seven bits in each byte. An image is far from the end of its request,
    // where the same words follow it.
    let script = format!(
        "let first;
         const idOf = bytes => bytes.slice(1, 1 + bytes.slice(1).findIndex(byte => byte < 128) + 1);
         const far = bytes => {{
           let sum = 0;
           for (let i = 1; i <= first.length; i++) sum += Math.abs(bytes[bytes.length - i] - first[first.length - i]);
           return sum / first.length >= {FLIPS_FROM};
         }};
         onmessage = event => {{
           const bytes = Array.from(event.data), id = idOf(bytes);
           if (!first) {{
             first = bytes.slice(1 + id.length);
             for (const message of {ready}) postMessage(new Uint8Array(message));
           }}
           for (const [kind, , ...rest] of far(bytes) ? {no} : {yes}) postMessage(new Uint8Array([kind, ...id, ...rest]));
         }};
         postMessage(new Uint8Array());"
    );
    script.into_bytes()
}
