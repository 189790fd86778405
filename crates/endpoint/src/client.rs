//! Requests that are made again where that may help.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use crate::{Address, EndpointError, Key};

/// Most bytes of an answer: a completion of thousands of tokens has a few hundred kilobytes.
const MOST_BYTES: u64 = 16 << 20;
/// Before a request is made again; doubles each time.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest of these pauses, unless the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that a server may ask for.
const LONGEST_WISH: Duration = Duration::from_mins(5);
/// Most characters of a server's words in an error.
const WORDS: usize = 300;

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one answer.
    pub timeout: Duration,
    /// How often a request is made again that failed by no fault of its own: 429, 5xx, no answer in time, half an answer.
    pub retries: u32,
    /// Whether a question that the server refuses counts as unread and wrong, in place of ending the study: 400, 413, 422.
    pub counts_refusals: bool,
}

/// What became of a question.
pub(crate) enum Outcome {
    /// What was answered, and how long the request took that brought it.
    Answered(Value, Duration),
    /// Why the server did not take it, where that counts as an answer.
    Refused(String),
}

/// Makes requests of one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    pub(crate) address: Address,
    key: Option<Key>,
    patience: Patience,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// It may help to ask again, after so long if the server says so.
    Passing { problem: String, after: Option<Duration> },
    /// The server understood the request and does not do it.
    Refused { status: StatusCode, problem: String },
}

impl Failure {
    fn problem(self) -> String {
        match self {
            Self::Passing { problem, .. } | Self::Refused { problem, .. } => problem,
        }
    }
}

impl Client {
    /// Of the server at `address`. `tls` are other certificates to trust than those that browsers do.
    pub(crate) fn new(address: Address, key: Option<Key>, patience: Patience, tls: Option<TlsConfig>) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A request that carries a key goes nowhere else.
            .max_redirects(0)
            .user_agent(concat!("steady/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience.timeout.min(Duration::from_secs(30))))
            .timeout_global(Some(patience.timeout));
        if address.is_local() {
            config = config.proxy(None);
        }
        if let Some(tls) = tls {
            config = config.tls_config(tls);
        }
        Self { agent: config.build().into(), address, key, patience }
    }

    /// What `url` says, asked once.
    pub(crate) fn get(&self, url: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(url);
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.header());
        }
        self.read(request.call())
    }

    /// What the server completes `body` with, asked once.
    pub(crate) fn complete_once(&self, body: &str) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}/chat/completions", self.address.base)).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.header());
        }
        self.read(request.send(body))
    }

    /// The same until it is there or there is no hope. Nobody waits for it any more once `given_up` is set.
    pub(crate) fn complete(&self, body: &str, given_up: &AtomicBool) -> Result<Outcome, EndpointError> {
        let mut pause = PAUSE;
        for attempt in 0..=self.patience.retries {
            let start = Instant::now();
            match self.complete_once(body) {
                Ok(answer) => return Ok(Outcome::Answered(answer, start.elapsed())),
                Err(Failure::Passing { problem, after }) if attempt < self.patience.retries => {
                    tracing::info!("{}: {problem}; asking again", self.address.base);
                    if !rest(after.unwrap_or(pause).min(LONGEST_WISH), given_up) {
                        return Err(self.error(&problem));
                    }
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                Err(Failure::Passing { problem, .. }) => {
                    let tried = self.patience.retries + 1;
                    return Err(self.error(&format!(
                        "{problem}; asked {tried} times. Answers so far are kept, and the same command continues from there"
                    )));
                }
                Err(Failure::Refused { status, problem }) if about_the_question(status) => {
                    if self.patience.counts_refusals {
                        return Ok(Outcome::Refused(problem));
                    }
                    return Err(self.error(&format!(
                        "{problem}; with --refused count it counts as unread and wrong, and the same command goes on from there"
                    )));
                }
                Err(refused) => return Err(self.error(&refused.problem())),
            }
        }
        Err(self.error("was not asked"))
    }

    /// `problem` as this server's.
    pub(crate) fn error(&self, problem: &str) -> EndpointError {
        EndpointError::Server { server: self.address.base.clone(), problem: problem.to_owned() }
    }

    fn read(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Value, Failure> {
        let passing = |problem: String| Failure::Passing { problem, after: None };
        let response = response.map_err(|error| passing(format!("cannot be reached: {error}")))?;
        let status = response.status();
        // Seconds; a date, which some send, is left to our own pauses.
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let body = response.into_body().into_with_config().limit(MOST_BYTES).read_to_vec();
        let body = match body {
            Ok(body) => body,
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                return Err(Failure::Refused { status, problem: format!("sends more than {MOST_BYTES} bytes") });
            }
            Err(error) => return Err(passing(format!("the answer broke off: {error}"))),
        };
        let words = String::from_utf8_lossy(&body);
        let words = self.key.as_ref().map_or_else(|| words.clone().into_owned(), |key| key.hide_in(&words));
        if status.is_success() {
            return serde_json::from_str(&words).map_err(|_| passing(format!("half an answer, or none in JSON: {}", short(&words))));
        }
        let said = short(&said(&words));
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
            return Err(Failure::Passing { problem: format!("{status}: {said}"), after });
        }
        let problem = match (status, &self.key) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(key)) => {
                format!("{status}: the key in {} is not taken: {said}", key.variable())
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
                format!("{status}: it wants a key, which OPENAI_API_KEY or --key-env brings: {said}")
            }
            _ if status.is_redirection() => {
                format!("{status}: it is elsewhere, and a key is sent nowhere else; give the address where it is")
            }
            _ => format!("{status}: {said}"),
        };
        Err(Failure::Refused { status, problem })
    }
}

/// Whether a server that answers others refuses what is in this request: too long, too large, filtered.
fn about_the_question(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY)
}

/// Waits; `false` if that is given up.
fn rest(pause: Duration, given_up: &AtomicBool) -> bool {
    let end = Instant::now() + pause;
    while !given_up.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
    false
}

/// What an error's body says: its message where it has one.
fn said(words: &str) -> String {
    let Ok(json) = serde_json::from_str::<Value>(words) else { return words.to_owned() };
    let message = json.pointer("/error/message").or(json.get("message")).or(json.get("detail")).or(json.get("error"));
    message.map_or_else(|| words.to_owned(), |message| message.as_str().map_or_else(|| message.to_string(), str::to_owned))
}

/// On one line, and not for ever.
pub(crate) fn short(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "");
    match words.char_indices().nth(WORDS) {
        Some((cut, _)) => format!("{}...", &words[..cut]),
        None => words,
    }
}
