//! Named sets of specs: those of `presets.toml`.

include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// A named set of specs, to be compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// One spec per acceleration.
    pub specs: &'static [&'static str],
}

impl Preset {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}
