//! The checkpoints that this program was built with: what their files must be.

include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// A checkpoint.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) files: &'static [File],
}

/// One of its files.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    /// In hex.
    pub(crate) sha256: &'static str,
}

/// The checkpoint that the folder of this address holds, which is the one of its name.
pub(crate) fn at(address: &str) -> Option<&'static Model> {
    let name = address.trim_end_matches('/').rsplit('/').next()?;
    MODELS.iter().find(|model| model.name == name)
}
