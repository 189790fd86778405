//! The connection to the hub.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hf_hub::Repo;
use steady_vlm::published;
use ureq::config::RedirectAuthHeaders;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

/// Asks the hub, in the user's name where there is a token.
pub(super) struct Client {
    agent: Agent,
    token: Option<String>,
    /// Address without a slash at its end.
    pub(super) endpoint: String,
}

impl Client {
    /// As the hub's own programs read the environment: `HF_ENDPOINT`, `HF_TOKEN` or the file that logging in leaves. `SSL_CERT_FILE` or
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
        if let Some(roots) = trusted()? {
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Self { agent: config.build().into(), token: token(), endpoint: endpoint.trim_end_matches('/').to_owned() })
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

/// An environment variable that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn token() -> Option<String> {
    variable("HF_TOKEN").or_else(|| {
        let file = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(published::hub_home()?.join("token")))?;
        Some(fs::read_to_string(file).ok()?.trim().to_owned()).filter(|token| !token.is_empty())
    })
}

/// The certificates that the environment names; `None` where it names none, and those that browsers trust are meant.
fn trusted() -> Result<Option<RootCerts>> {
    let Some((name, file)) = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].into_iter().find_map(|name| Some((name, variable(name)?))) else {
        return Ok(None);
    };
    let pem = fs::read(&file).with_context(|| format!("{name}: cannot read {file}"))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        bail!("{name}: {file} holds no certificate");
    }
    Ok(Some(certificates.into()))
}
