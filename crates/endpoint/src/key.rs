//! Keys of servers: out of the environment, and nowhere else than in the header of a request.

use std::fmt;

use crate::EndpointError;

/// A shorter one is no secret: local servers that want any key get `EMPTY` or `none`.
const SHORTEST: usize = 8;

/// What a server knows its user by.
#[derive(Clone)]
pub struct Key {
    variable: String,
    secret: String,
}

impl Key {
    /// What stands in an environment variable; nothing if it is empty or not set.
    ///
    /// # Errors
    /// [`EndpointError::Key`] if it cannot stand in a header.
    pub fn from_environment(variable: &str) -> Result<Option<Self>, EndpointError> {
        let Some(value) = std::env::var_os(variable) else { return Ok(None) };
        Self::new(variable, &value.to_string_lossy())
    }

    fn new(variable: &str, value: &str) -> Result<Option<Self>, EndpointError> {
        let secret = value.trim();
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "a key has letters, digits and signs, and this one holds something else";
            return Err(EndpointError::Key { variable: variable.to_owned(), problem });
        }
        Ok((!secret.is_empty()).then(|| Self { variable: variable.to_owned(), secret: secret.to_owned() }))
    }

    /// The variable that it comes from.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.secret)
    }

    /// A server's words without the key, which some repeat when they refuse it.
    pub(crate) fn hide_in(&self, words: &str) -> String {
        if self.secret.len() < SHORTEST { words.to_owned() } else { words.replace(&self.secret, "[key]") }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show() {
        let key = Key::new("A", " sk-sesame-open\n").unwrap().unwrap();
        assert_eq!(key.hide_in("wrong key sk-sesame-open!"), "wrong key [key]!");
        assert_eq!(format!("{key:?}"), "Key(A)");
        assert_eq!(key.header(), "Bearer sk-sesame-open");
        // What everybody types is no secret, and an answer that holds it stays as it is.
        assert_eq!(Key::new("A", "none").unwrap().unwrap().hide_in("none"), "none");
        assert!(Key::new("A", "  ").unwrap().is_none());
        let error = Key::new("A", "sesame open").unwrap_err().to_string();
        assert!(error.starts_with("A: ") && !error.contains("sesame"), "{error}");
    }
}
