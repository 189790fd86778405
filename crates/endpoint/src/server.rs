//! A server that was found to take pictures, and what it says of itself.

use std::collections::BTreeMap;

use image::RgbImage;
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::tls::TlsConfig;

use crate::chat::{Completion, Wishes, data_url, request};
use crate::client::{Client, Failure, short};
use crate::{Address, EndpointError, Key, Patience};

/// How many of the likeliest first tokens are asked for, the most first: OpenAI and vLLM tell 20 at most, others fewer.
const TOPS: [usize; 3] = [20, 5, 0];
/// Where servers say which version they are, and in which field: vLLM, Ollama, llama.cpp, SGLang.
const VERSIONS: [(&str, &str); 4] =
    [("version", "version"), ("api/version", "version"), ("props", "build_info"), ("get_server_info", "version")];
/// Fields of a model's entry that differ from one call to the next, or say nothing.
const SAYS_NOTHING: [&str; 4] = ["created", "object", "permission", "id"];
/// Most that is kept of what a server says of itself.
const MOST_FIELDS: usize = 32;

/// A server, asked what it is.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) client: Client,
    /// What it is asked for.
    pub(crate) model: String,
    /// What it calls whoever answers.
    pub(crate) answers_as: String,
    /// What else it says of itself.
    pub(crate) says: BTreeMap<String, String>,
    /// How many of the likeliest first tokens it tells.
    pub(crate) top: usize,
}

impl Server {
    /// Asks a server for its models and its version, and about a grey picture whether it takes pictures and tells probabilities.
    ///
    /// # Errors
    /// [`EndpointError::Server`] when it is not there, has several models of which none is named, or takes no pictures.
    pub fn open(address: &Address, key: Option<&Key>, patience: Patience, tls: Option<&TlsConfig>) -> Result<Self, EndpointError> {
        let client = Client::new(address.clone(), key.cloned(), patience, tls.cloned());
        let listed = match client.get(&format!("{}/models", address.base)) {
            Ok(listing) => listing["data"].as_array().cloned().unwrap_or_default(),
            // Some do not list what they have.
            Err(Failure::Refused { status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, .. }) => Vec::new(),
            Err(Failure::Passing { problem, .. } | Failure::Refused { problem, .. }) => return Err(client.error(&problem)),
        };
        let ids: Vec<&str> = listed.iter().filter_map(|entry| entry["id"].as_str()).collect();
        let model = match (&address.model, ids.as_slice()) {
            (Some(model), _) => model.clone(),
            (None, [only]) => (*only).to_owned(),
            (None, []) => return Err(client.error(&format!("does not say which models it has; name one, as {}#MODEL", address.base))),
            (None, several) => {
                let first: Vec<String> = several.iter().take(10).map(|id| short(id)).collect();
                return Err(client.error(&format!(
                    "has {} models; name one, as {}#MODEL: {}",
                    several.len(),
                    address.base,
                    first.join(", ")
                )));
            }
        };
        let mut says = listed.iter().find(|entry| entry["id"] == model.as_str()).map(fields).unwrap_or_default();
        if let Some(version) = version(&client) {
            says.insert("version".to_owned(), version);
        }
        let mut server = Self { client, model, answers_as: String::new(), says, top: 0 };
        let probe = server.probe()?;
        server.top = probe.top.len();
        server.answers_as = short(&probe.model);
        Ok(server)
    }

    /// Its answer about a grey picture, with as many of the likeliest tokens as it tells.
    fn probe(&self) -> Result<Completion, EndpointError> {
        let picture =
            [data_url(&RgbImage::from_pixel(64, 64, image::Rgb([128; 3]))).map_err(|error| self.client.error(&error.to_string()))?];
        let mut refused = String::new();
        for top in TOPS {
            let body = request(&self.model, &picture, "Is this picture grey?", Wishes { max_tokens: 1, top });
            match self.client.complete_once(&body) {
                Ok(answer) => return Completion::read(&answer).map_err(|problem| self.client.error(&problem)),
                // Some refuse a field that they do not know, or so many tokens.
                Err(Failure::Refused { status: StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, problem }) => refused = problem,
                Err(Failure::Passing { problem, .. } | Failure::Refused { problem, .. }) => return Err(self.client.error(&problem)),
            }
        }
        Err(self.client.error(&format!("{} does not answer about a picture: {refused}", self.model)))
    }

    /// What it says of itself, in words.
    pub(crate) fn describe(&self) -> String {
        let mut words = vec![format!("model {}", self.model)];
        if self.answers_as != self.model && !self.answers_as.is_empty() {
            words.push(format!("answers as {}", self.answers_as));
        }
        words.extend(self.says.iter().map(|(name, value)| format!("{name} {value}")));
        words.push(match self.top {
            0 => "tells no probabilities".to_owned(),
            top => format!("tells the {top} likeliest tokens, so KL is a lower bound"),
        });
        words.join(", ")
    }
}

/// Scalars of a model's entry, and of its `meta`.
fn fields(entry: &Value) -> BTreeMap<String, String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(short(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let groups = [Some(entry), entry.get("meta")].into_iter().flatten().filter_map(Value::as_object).flatten();
    let told = groups.filter(|(name, _)| !SAYS_NOTHING.contains(&name.as_str()));
    told.filter_map(|(name, value)| Some((short(name), scalar(value)?))).take(MOST_FIELDS).collect()
}

fn version(client: &Client) -> Option<String> {
    let root = client.address.base.strip_suffix("/v1").unwrap_or(&client.address.base);
    VERSIONS.iter().find_map(|(path, field)| client.get(&format!("{root}/{path}")).ok()?[field].as_str().map(short))
}
