//! The connection to the hub.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use hf_hub::Repo;
use steady_vlm::published;
use ureq::config::RedirectAuthHeaders;
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use crate::tls::{self, variable};

/// Asks the hub, in the user's name where there is a token.
pub(super) struct Client {
    agent: Agent,
    token: Option<String>,
    /// Address without a slash at its end.
    pub(super) endpoint: String,
}

impl Client {
    /// As the hub's own programs read the environment: `HF_ENDPOINT`, and `HF_TOKEN` or the file that logging in leaves. `SSL_CERT_FILE` or
    /// `REQUESTS_CA_BUNDLE` name other certificates to trust than those that browsers do.
    pub(super) fn from_environment() -> Result<Self> {
        // The token is for the hub; the stores that it redirects to have signed addresses.
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("steady/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .timeout_per_read(Some(Duration::from_mins(1)));
        if let Some(tls) = tls::trusted()? {
            config = config.tls_config(tls);
        }
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Self { agent: config.build().into(), token: token()?, endpoint: endpoint.trim_end_matches('/').to_owned() })
    }

    /// A request for what `repo` holds, sizes and hashes of all files included.
    pub(super) fn listing(&self, repo: &Repo) -> RequestBuilder<WithoutBody> {
        self.get(&format!("{}/api/{}?blobs=true", self.endpoint, repo.api_url()))
    }

    /// A request for one of its files.
    pub(super) fn file(&self, repo: &Repo, name: &str) -> RequestBuilder<WithoutBody> {
        self.get(&format!("{}/{}/resolve/{}/{name}", self.endpoint, repo.url(), repo.url_revision()))
    }

    fn get(&self, url: &str) -> RequestBuilder<WithoutBody> {
        let request = self.agent.get(url);
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// The variable that keeps programs from asking the hub; `None` where they may. Read as the hub's own programs do: the second where the
/// first is not set, and any value but these says no.
pub(super) fn offline() -> Option<&'static str> {
    let set = |name| Some((name, variable(name)?));
    let (name, value) = set("HF_HUB_OFFLINE").or_else(|| set("TRANSFORMERS_OFFLINE"))?;
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()).then_some(name)
}

/// Who asks: the first of these places that holds more than white space.
fn token() -> Result<Option<String>> {
    let of_variable = |name: &str| Some((name.to_owned(), trimmed(&variable(name)?)?));
    let of_file = || {
        let file = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(published::hub_home()?.join("token")))?;
        Some((file.display().to_string(), trimmed(&fs::read_to_string(&file).ok()?)?))
    };
    let Some((place, token)) = of_variable("HF_TOKEN").or_else(|| of_variable("HUGGING_FACE_HUB_TOKEN")).or_else(of_file) else {
        return Ok(None);
    };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{place}: a token has letters, digits and signs, and this one holds something else");
    }
    Ok(Some(token))
}

/// A token without what copying it brought along.
fn trimmed(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}
