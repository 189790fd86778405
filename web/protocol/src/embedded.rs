//! The checkpoints that come with the page, as they were when it was built.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A checkpoint.
#[derive(Debug)]
pub struct Embedded {
    /// Its name, which is that of its folder.
    pub name: &'static str,
    /// Its files.
    pub files: &'static [EmbeddedFile],
}

/// One of its files.
#[derive(Debug)]
pub struct EmbeddedFile {
    /// Its name in the folder.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Hash of its content, in hex.
    pub sha256: &'static str,
}

impl Embedded {
    /// The one of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        EMBEDDED.iter().find(|model| model.name == name)
    }

    /// The one that the folder of this address holds, which is the one of its name.
    pub fn at(address: &str) -> Option<&'static Self> {
        Self::of(address.trim_end_matches('/').rsplit('/').next()?)
    }

    /// Where its folder is, seen from the page.
    pub fn address(&self) -> String {
        format!("models/{}/", self.name)
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_where_it_says_that_it_is() {
        assert!(!EMBEDDED.is_empty());
        for model in EMBEDDED {
            assert_eq!(Embedded::at(&model.address()).unwrap().name, model.name);
            assert!(model.files.iter().any(|file| file.name == "config.json") && model.bytes() > 1_000_000, "{model:?}");
        }
        assert!(Embedded::at("models/other/").is_none() && Embedded::at("").is_none());
    }
}
