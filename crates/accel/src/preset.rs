//! Named sets of accelerations.

/// Every preset.
pub const PRESETS: &[Preset] = &[Preset {
    name: "first5",
    summary: "two quantizers and three token reducers, each alone",
    specs: &["w4:rtn", "int8", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "random:keep=0.33,seed=7"],
}];

/// A named set of accelerations, to be compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// One spec per acceleration.
    pub specs: &'static [&'static str],
}
