//! `org/name` and `org/name@revision`.

use std::fmt;

/// A model on the hub, and which state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubId {
    /// `org/name`.
    pub(crate) repository: String,
    /// Branch, tag or commit.
    pub(crate) revision: String,
}

impl HubId {
    /// Reads an id; `None` where the text cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (owner, name) = repository.split_once('/')?;
        let revised = !revision.is_empty() && revision.split('/').all(is_name);
        (is_name(owner) && is_name(name) && revised).then(|| Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }

    /// The same model in the state that `commit` names.
    #[cfg(feature = "hub")]
    pub(crate) fn at(&self, commit: &str) -> Self {
        Self { repository: self.repository.clone(), revision: commit.to_owned() }
    }
}

/// The hub's own rule: letters, digits, `-`, `_` and `.`, up to 96 of them, no dots or dashes at the ends or in pairs.
fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| !"-.".contains(c));
    let pairs = text.contains("..") || text.contains("--");
    text.len() <= 96 && text.chars().all(known) && edge(text.chars().next()) && edge(text.chars().last()) && !pairs
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => f.write_str(&self.repository),
            revision => write!(f, "{}@{revision}", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let id = HubId::parse("llava-hf/llava-1.5-7b-hf").unwrap();
        assert_eq!((id.repository.as_str(), id.revision.as_str()), ("llava-hf/llava-1.5-7b-hf", "main"));
        assert_eq!(id.to_string(), "llava-hf/llava-1.5-7b-hf");
        for text in ["Qwen/Qwen2-VL-2B-Instruct@v1.0", "a/b@refs/pr/4", "a/b@0123456789abcdef0123456789abcdef01234567"] {
            let id = HubId::parse(text).unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_id() {
        for text in [
            "",
            "name",
            "a/b/c",
            "/models/x",
            "./models",
            "../x",
            "~/x",
            "a/",
            "/b",
            "a/b@",
            "a/b@../..",
            "a b/c",
            "a/-b",
            "a/b..c",
            "C:\\x/y",
        ] {
            assert_eq!(HubId::parse(text), None, "{text}");
        }
    }
}
