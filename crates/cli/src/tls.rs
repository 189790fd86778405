//! Which certificates are trusted.

use std::fs;

use anyhow::{Context, Result, bail};
use ureq::tls::{PemItem, TlsConfig, parse_pem};

/// The certificates that the environment names; `None` where it names none, and those that browsers trust are meant.
pub(crate) fn trusted() -> Result<Option<TlsConfig>> {
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
    Ok(Some(TlsConfig::builder().root_certs(certificates.into()).build()))
}

/// An environment variable that is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
