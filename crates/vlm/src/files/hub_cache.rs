//! Where the hub's programs keep what they fetched.

use std::path::PathBuf;

/// The hub's cache: `HF_HUB_CACHE`, else `hub` under `HF_HOME`, else `huggingface/hub` under `XDG_CACHE_HOME` or `~/.cache`. `None`
/// where none of them is set.
pub fn hub_cache() -> Option<PathBuf> {
    variable("HF_HUB_CACHE").or_else(|| Some(hub_home()?.join("hub")))
}

/// Where the hub's programs keep what is not of one repository, a token among it: `HF_HOME`, else as [`hub_cache`] says.
pub fn hub_home() -> Option<PathBuf> {
    variable("HF_HOME").or_else(|| Some(cache_home()?.join("huggingface")))
}

/// Where programs keep what they can make again: `XDG_CACHE_HOME`, else `~/.cache`.
pub fn cache_home() -> Option<PathBuf> {
    let home = || Some(variable("HOME").or_else(|| variable("USERPROFILE"))?.join(".cache"));
    variable("XDG_CACHE_HOME").or_else(home)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
