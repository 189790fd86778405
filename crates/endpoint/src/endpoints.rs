//! Several servers as the subject of a study.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_channel::oneshot;
use image::RgbImage;
use sha2::{Digest, Sha256};
use steady_bench::{Benchmark, Posed, PostPrompts, Question};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, GROUPS_PER_PART, ModelPlan, Versions, command_line};
use steady_records::{BASELINE, Plan};
use steady_study::{Distribution, Reply, StudyError, Subject};

use crate::chat::{Completion, Wishes, data_url, request};
use crate::client::Outcome;
use crate::ledger::{self, Ledger};
use crate::line::Waiting;
use crate::{EndpointError, Server};

/// The name of the control: the baseline's server, asked once more.
pub const AGAIN: &str = "again";

/// A baseline's server and others that answer beside it.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The baseline first.
    servers: Vec<Arc<Server>>,
    /// What they are called in plans and reports.
    specs: Vec<String>,
    /// Whether the baseline is asked twice.
    again: bool,
    max_tokens: usize,
    post_prompts: PostPrompts,
}

impl Endpoints {
    /// `baseline` and `others`, whose answers have at most `max_tokens`. With `again` the baseline is asked everything twice: servers compute what is in
    /// flight together, so even the same one does not always say the same.
    ///
    /// # Errors
    /// [`EndpointError::Endpoints`] when two of them are the same.
    pub fn new(
        baseline: Server,
        others: Vec<Server>,
        again: bool,
        max_tokens: usize,
        post_prompts: PostPrompts,
    ) -> Result<Self, EndpointError> {
        let short = |server: &Server| {
            let name = server.model.trim_end_matches(['/', '\\']);
            format!("endpoint:{}", name.rsplit(['/', '\\']).next().unwrap_or(name))
        };
        let shared = |spec: &str| others.iter().filter(|other| short(other) == spec).count() > 1;
        // Where two are called the same, it is said where they are.
        let spec = |server: &Server| match short(server) {
            spec if shared(&spec) => format!("{spec}@{}", server.client.address.authority),
            spec => spec,
        };
        let mut specs = vec![BASELINE.to_owned()];
        for other in &others {
            let spec = spec(other);
            if specs.contains(&spec) {
                return Err(EndpointError::Endpoints(format!("`{spec}` is asked for twice")));
            }
            specs.push(spec);
        }
        let servers = std::iter::once(baseline).chain(others).map(Arc::new).collect();
        Ok(Self { servers, specs, again, max_tokens, post_prompts })
    }

    /// The plan of asking `questions` of `benchmark`, under `perturbations` as [`steady_records::plan::perturbations`] gives them. `chosen_by` are further
    /// arguments that choose the same on a command line. Where the servers are is no part of what is the same experiment, what they say of themselves is.
    ///
    /// # Errors
    /// [`StudyError::Records`] when the questions cannot be written.
    pub fn plan(
        &self,
        chosen_by: &[String],
        benchmark: &dyn Benchmark,
        questions: &[Question],
        perturbations: Vec<String>,
    ) -> Result<Plan, StudyError> {
        let baseline = &self.servers[0];
        let addresses: Vec<String> = self.servers.iter().map(|server| server.client.address.to_string()).collect();
        let command = command_line(&[
            &["steady", "run", "--endpoint", &addresses[0]],
            &addresses[1..].iter().flat_map(|address| ["--against", address]).collect::<Vec<_>>(),
            &["--bench", &benchmark.spec(), "--questions", &questions.len().to_string()],
            &chosen_by.iter().map(String::as_str).collect::<Vec<_>>(),
            &perturbations.iter().skip(1).flat_map(|perturbation| ["--perturb", perturbation]).collect::<Vec<_>>(),
        ]);
        let described = self.servers.iter().zip(&self.specs);
        let accelerations = described.map(|(server, spec)| AccelerationPlan {
            spec: spec.clone(),
            describe: format!("a server: {}", server.describe()),
            stored_bytes: None,
        });
        let again = ControlPlan { spec: AGAIN.to_owned(), describe: "the baseline's server, asked once more".to_owned() };
        let tops = self.servers.iter().zip(&self.specs).map(|(server, spec)| format!("{spec} {}", server.top));
        let named = |pairs: &[(&str, String)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(Plan {
            elsewhere: None,
            left_out: Vec::new(),
            format: FORMAT,
            command,
            versions: Versions { steady: env!("CARGO_PKG_VERSION").to_owned(), burn: "none".to_owned() },
            model: ModelPlan {
                name: baseline.model.clone(),
                architecture: "endpoint".to_owned(),
                sha256: HEXLOWER.encode(&Sha256::digest(baseline.describe())),
            },
            accelerations: accelerations.collect(),
            controls: self.again.then_some(again).into_iter().collect(),
            benchmark: BenchmarkPlan::of(benchmark, questions)?,
            perturbations,
            prompt: "{question}".to_owned(),
            post_prompts: self.post_prompts.clone(),
            processor: named(&[("image", "PNG of the pixels, before the question".to_owned())]),
            decoding: named(&[
                ("strategy", "greedy: temperature 0".to_owned()),
                ("max_new_tokens", self.max_tokens.to_string()),
                ("top_logprobs", tops.collect::<Vec<_>>().join(", ")),
            ]),
            calibration: None,
            precision: "as served".to_owned(),
            device: "its server".to_owned(),
            groups_per_part: GROUPS_PER_PART,
        })
    }

    /// Gets ready to ask, with at most `in_flight` requests at a time of one server. What was answered before is found in `folder`, the run's, and what is
    /// answered now is kept there.
    ///
    /// # Errors
    /// [`EndpointError::Io`] when the folder cannot be read or written.
    pub fn ask(self, folder: &Path, in_flight: usize) -> Result<Asking, EndpointError> {
        let mut lines: HashMap<String, Arc<Waiting>> = HashMap::new();
        let line = |server: &Arc<Server>| {
            // Two models of one server share what is computed there.
            Arc::clone(lines.entry(server.client.address.origin.clone()).or_insert_with(|| Arc::new(Waiting::new(in_flight))))
        };
        let lines = self.servers.iter().map(line).collect();
        Ok(Asking { ledger: Arc::new(Ledger::open(folder)?), lines, in_flight, endpoints: self })
    }
}

/// Servers, ready to be asked.
pub struct Asking {
    endpoints: Endpoints,
    /// One for each server.
    lines: Vec<Arc<Waiting>>,
    in_flight: usize,
    ledger: Arc<Ledger>,
}

impl Asking {
    /// Says that the study is over and its records hold all.
    ///
    /// # Errors
    /// [`EndpointError::Io`] when the file of answers cannot be removed.
    pub fn finish(self) -> Result<(), EndpointError> {
        self.ledger.forget()
    }

    /// Index of the server that answers for each variant, and the variant's name.
    fn variants(&self) -> impl Iterator<Item = (usize, &str)> {
        let again = self.endpoints.again.then_some((0, AGAIN));
        self.endpoints.specs.iter().map(String::as_str).enumerate().chain(again)
    }
}

impl Subject for Asking {
    /// Of somebody else's weights nothing is known.
    fn weight_bytes(&self) -> Vec<usize> {
        self.variants().map(|_| 0).collect()
    }

    fn token(&self, _: u32) -> String {
        String::new()
    }

    /// Twice as many as requests may be in flight, so that the server waits neither for pictures to be decoded nor for a slow answer.
    fn groups_at_once(&self) -> usize {
        2 * self.in_flight
    }

    async fn group(&self, images: &[RgbImage], questions: &[Posed<'_>]) -> Result<Vec<Vec<Reply>>, StudyError> {
        let pictures = Arc::new(Pictures { images: images.to_vec(), urls: OnceLock::new() });
        let mut waiting = Vec::new();
        for (server, variant) in self.variants() {
            let mut of_variant = Vec::new();
            for question in questions {
                let (tell, told) = oneshot::channel();
                let request = Request {
                    server: Arc::clone(&self.endpoints.servers[server]),
                    ledger: Arc::clone(&self.ledger),
                    pictures: Arc::clone(&pictures),
                    variant: variant.to_owned(),
                    question: question.question().id.clone(),
                    text: question.text().to_owned(),
                    max_tokens: self.endpoints.max_tokens,
                };
                self.lines[server].push(move |given_up| {
                    // Whoever waited may have given up.
                    if !tell.is_canceled() {
                        drop(tell.send(request.answer(given_up)));
                    }
                });
                of_variant.push(told);
            }
            waiting.push((variant, of_variant));
        }
        let mut replies = Vec::new();
        for (variant, of_variant) in waiting {
            let mut answered = Vec::new();
            for (told, question) in of_variant.into_iter().zip(questions) {
                let failed = |reason: String| StudyError::Answer {
                    question: question.question().id.clone(),
                    acceleration: variant.to_owned(),
                    reason,
                };
                let reply = told.await.map_err(|_| failed("the request was dropped".to_owned()))?;
                answered.push(reply.map_err(|error| failed(error.to_string()))?);
            }
            replies.push(answered);
        }
        Ok(replies)
    }
}

/// Pictures that several requests send.
struct Pictures {
    images: Vec<RgbImage>,
    urls: OnceLock<Result<Vec<String>, String>>,
}

/// A question that waits to be asked.
struct Request {
    server: Arc<Server>,
    ledger: Arc<Ledger>,
    pictures: Arc<Pictures>,
    variant: String,
    question: String,
    text: String,
    max_tokens: usize,
}

impl Request {
    /// What the server says, or said when it was asked before.
    fn answer(&self, given_up: &AtomicBool) -> Result<Reply, EndpointError> {
        let Self { server, .. } = self;
        let encode = || self.pictures.images.iter().map(data_url).collect::<Result<_, _>>().map_err(|error| error.to_string());
        let urls = self.pictures.urls.get_or_init(encode).as_ref().map_err(|problem| server.client.error(problem))?;
        let body = request(&server.model, urls, &self.text, Wishes { max_tokens: self.max_tokens, top: server.top });
        let id = ledger::id(&self.variant, &self.question, &body);
        if let Some((completion, took)) = self.ledger.find(&id)? {
            return Ok(reply(completion, took));
        }
        let (completion, took) = match server.client.complete(&body, given_up)? {
            Outcome::Answered(answer, took) => (Completion::read(&answer).map_err(|problem| server.client.error(&problem))?, took),
            Outcome::Refused(reason) => (Completion::refused(&server.answers_as, reason), Duration::ZERO),
        };
        if crate::client::short(&completion.model) != server.answers_as {
            let (now, before) = (crate::client::short(&completion.model), &server.answers_as);
            return Err(server.client.error(&format!("answers as model {now:?} now, and did as {before:?} when the study began")));
        }
        self.ledger.note(id, &completion, took)?;
        Ok(reply(completion, took))
    }
}

fn reply(completion: Completion, wall: Duration) -> Reply {
    Reply {
        output_ids: Vec::new(),
        text: completion.text,
        cut: completion.cut,
        no_answer: completion.refused.map(|reason| format!("the server refused the question: {reason}")),
        first_token: Distribution::Likeliest(completion.top),
        visual_tokens: 0,
        left: Vec::new(),
        prompt_tokens: completion.prompt_tokens,
        decoder_visual_tokens: 0.0,
        kv_bytes: 0,
        flops: 0,
        wall,
    }
}
