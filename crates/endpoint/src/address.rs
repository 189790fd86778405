//! Where a server is, and which of its models is meant.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

use crate::EndpointError;

/// `URL[#MODEL]`: the address that an OpenAI client is given, and the model where the server has several.
///
/// ```
/// use steady_endpoint::Address;
///
/// let address: Address = "http://localhost:11434#llava:7b-q4".parse()?;
/// assert_eq!(address.to_string(), "http://localhost:11434/v1#llava:7b-q4");
/// assert!("localhost:8000".parse::<Address>().is_err());
/// assert!("https://me:secret@example.org/v1".parse::<Address>().is_err());
/// # Ok::<(), steady_endpoint::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What stands before `/chat/completions`.
    pub(crate) base: String,
    /// `host` or `host:port`.
    pub(crate) authority: String,
    /// Scheme and authority.
    pub(crate) origin: String,
    pub(crate) model: Option<String>,
}

impl Address {
    /// Whether the server is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let host = host.map_or(self.authority.as_str(), |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether somebody on the way could read along.
    pub fn is_open(&self) -> bool {
        self.origin.starts_with("http:") && !self.is_local()
    }

    /// Whether `place` is where this server is: `host` or `host:port`.
    pub fn is_at(&self, place: &str) -> bool {
        self.authority == place || self.authority.rsplit_once(':').is_some_and(|(host, _)| host == place)
    }
}

impl FromStr for Address {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |problem: &str| Err(EndpointError::Address(problem.to_owned()));
        let (url, model) = match text.split_once('#') {
            Some((url, model)) => (url, Some(model)),
            None => (text, None),
        };
        if url.contains('?') {
            return fail("no question mark may stand in it; a key comes from the environment");
        }
        let expected = "expected http://HOST:PORT/v1 or https://HOST/v1, with #MODEL behind it where the server has several";
        let Ok(uri) = url.parse::<Uri>() else { return fail(expected) };
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return fail(expected) };
        if authority.as_str().contains('@') {
            return fail("no user name and no password may stand in it; a key comes from the environment");
        }
        if model.is_some_and(|model| model.trim().is_empty()) {
            return fail("no model stands behind the #");
        }
        let path = uri.path().trim_end_matches('/').trim_end_matches("/chat/completions");
        let authority = authority.as_str().to_lowercase();
        let origin = format!("{scheme}://{authority}");
        let base = format!("{origin}{}", if path.is_empty() { "/v1" } else { path });
        Ok(Self { base, authority, origin, model: model.map(str::to_owned) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        self.model.iter().try_for_each(|model| write!(f, "#{model}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_an_openai_client_is_given() {
        for (text, base, model) in [
            ("http://LOCALHOST:8000", "http://localhost:8000/v1", None),
            ("http://localhost:8000/v1/", "http://localhost:8000/v1", None),
            ("https://example.org/openai/v1/chat/completions#a/b", "https://example.org/openai/v1", Some("a/b")),
            ("http://[::1]:80/v1#a#b", "http://[::1]:80/v1", Some("a#b")),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.base.as_str(), address.model.as_deref()), (base, model));
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for text in [
            "",
            "localhost:8000",
            "ftp://a",
            "http://",
            "http://a/v1#",
            "http://a/v1#  ",
            "http://u:sesame@a/v1",
            "http://a/v1?key=sesame",
            "http://a b",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with("address of a server: ") && !error.contains("sesame"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_on_this_machine_is_known() {
        let parse = |text: &str| text.parse::<Address>().unwrap();
        assert!(["http://localhost", "http://127.0.0.1:8", "http://[::1]:8", "http://[::1]"].iter().all(|text| parse(text).is_local()));
        assert!(["http://10.0.0.1:8", "http://localhost.example.org", "https://example.org"].iter().all(|text| !parse(text).is_local()));
        assert_eq!(["http://a:8", "https://a", "http://localhost"].map(|text| parse(text).is_open()), [true, false, false]);
        assert!(parse("http://a:8/v1").is_at("a") && parse("http://a:8/v1").is_at("a:8") && !parse("http://a:8/v1").is_at("a:9"));
    }
}
