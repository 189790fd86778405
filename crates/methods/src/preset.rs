//! Named sets of specs.

/// Every preset.
pub const PRESETS: [Preset; 2] = [FIRST5, FIRST3];

/// What a study is of that was not told otherwise, and what the page offers by a checkbox.
pub const FIRST5: Preset = Preset {
    name: "first5",
    summary: "two quantizers and three token reducers, each alone",
    specs: &["w4:rtn", "int8", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "random:keep=0.33,seed=7"],
};

/// What a first study on the page is of: of [`FIRST5`], one quantizer and two token reducers.
pub const FIRST3: Preset = Preset {
    name: "first3",
    summary: "one quantizer and two token reducers, for a first study in a browser",
    specs: &["w4:rtn", "divprune:keep=0.33", "fastv:k=2,keep=0.5"],
};

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
