//! The checkpoints compiled into the program.

use anyhow::{Context, Result, anyhow, bail};
use steady_vlm::Checkpoint;

mod files {
    include!(concat!(env!("OUT_DIR"), "/checkpoints.rs"));

    /// Files of a checkpoint as `(name, content)`.
    pub(super) type Files = &'static [(&'static str, &'static [u8])];

    pub(super) fn all() -> &'static [(&'static str, Files)] {
        CHECKPOINTS
    }
}

/// Names of the embedded checkpoints, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    files::all().iter().map(|(name, _)| *name).collect()
}

/// The models of the embedded study, of which it takes those that are compiled in.
const DEFAULT: [&str; 2] = ["steady-llava", "steady-qwen2.5-vl"];
/// What stands for every embedded model.
const ALL: &str = "all";

/// The models of the embedded study that go by these names: the default ones for none.
///
/// # Errors
/// When a name is not known, or there is no model at all.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static str>> {
    let known = self::names();
    let mut chosen: Vec<&str> = Vec::new();
    for name in names {
        match known.iter().find(|known| *known == name) {
            Some(name) if chosen.contains(name) => bail!("--models: {name} is asked for twice"),
            Some(name) => chosen.push(name),
            None if name == ALL && names.len() == 1 => chosen.clone_from(&known),
            None => bail!("--models {name}: expected {ALL} or some of {}", known.join(", ")),
        }
    }
    if names.is_empty() {
        chosen = DEFAULT.into_iter().filter(|name| known.contains(name)).collect();
    }
    if chosen.is_empty() {
        bail!("no model is compiled into this program (cargo feature `embedded`, folder models/); give one with --model DIR");
    }
    Ok(chosen)
}

/// The model that is meant when none is named.
pub(crate) fn default_name() -> Result<&'static str> {
    Ok(chosen(&[])?[0])
}

/// The embedded checkpoint of this name.
pub(crate) fn open(name: &str) -> Result<Checkpoint> {
    let (name, files) = files::all().iter().find(|(known, _)| *known == name).ok_or_else(|| anyhow!("no embedded model {name}"))?;
    Checkpoint::from_files(name, files).with_context(|| format!("embedded model {name}"))
}

/// Whether an embedded checkpoint answers as the one with this hash does ([`Checkpoint::sha256`]), wherever that one lies.
pub(crate) fn holds(sha256: &str) -> Result<bool> {
    for name in names() {
        if open(name)?.sha256()? == sha256 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One file of an embedded checkpoint.
pub(crate) fn file(checkpoint: &str, name: &str) -> Option<&'static [u8]> {
    let (_, files) = files::all().iter().find(|(known, _)| *known == checkpoint)?;
    files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Bytes of all files of an embedded checkpoint.
pub(crate) fn size(checkpoint: &str) -> usize {
    let files = files::all().iter().find(|(known, _)| *known == checkpoint).map_or(&[][..], |(_, files)| files);
    files.iter().map(|(_, bytes)| bytes.len()).sum()
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;

    fn chosen_of(names: &[&str]) -> Result<Vec<&'static str>, String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        chosen(&names).map_err(|error| error.to_string())
    }

    #[test]
    fn models_go_by_their_names() {
        assert_eq!(chosen_of(&[]).unwrap()[0], "steady-llava");
        assert_eq!(chosen_of(&["steady-llava"]).unwrap(), ["steady-llava"]);
        assert_eq!(chosen_of(&["all"]).unwrap(), names());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        for names in [&["steady-lava"][..], &["steady-llava", "all"]] {
            let message = chosen_of(names).unwrap_err();
            assert!(message.contains(names[names.len() - 1]) && message.contains("all or some of steady-llava"), "{message}");
        }
        assert!(chosen_of(&["steady-llava", "steady-llava"]).unwrap_err().contains("twice"));
    }
}
