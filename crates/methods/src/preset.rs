//! Named sets of specs.

/// Every preset.
pub static PRESETS: [Preset; 5] = [FIRST5, FIRST3, REDUCERS, DEPLOYED, PAPER8];

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

/// One of each token reducer at a budget of a third, where it has one, and the controls.
pub const REDUCERS: Preset = Preset {
    name: "reducers",
    summary: "every token reducer, at a third of the visual tokens where it is told how many, and the controls",
    specs: &[
        "tome:keep=0.333",
        "divprune:keep=0.333",
        "lofi:keep=0.333",
        "cdpruner:keep=0.333",
        "dart:keep=0.333",
        "holov:keep=0.333",
        "visionzip:keep=0.333",
        "prumerge",
        "prumerge:plus",
        "fastervlm:keep=0.333",
        "vispruner:keep=0.333",
        "fastv:k=2,keep=0.333",
        "pyramiddrop",
        "sparsevlm:keep=0.333",
        "vtw",
        "random:keep=0.333",
        "random:keep=0.333,placed",
        "blind",
        "blur:keep=0.333",
    ],
};

/// What vendors ship, as they ship it. OpenVINO drops nothing unless it is told a share: half is ours.
pub const DEPLOYED: Preset = Preset {
    name: "deployed",
    summary: "token reducers that products ship, at the vendors' defaults",
    specs: &["dart:keep=0.75,image=4,text=4", "cdpruner:keep=0.5,halves", "visionzip:keep=0.333"],
};

/// Eight accelerations of the kinds that "Does Acceleration Cause Hidden Instability in Vision Language Models?" studies (EMNLP 2025), as far
/// as they are here; its own list could not be read.
pub const PAPER8: Preset = Preset {
    name: "paper8",
    summary: "of eight widely used accelerations, weights and visual tokens, those that there are",
    specs: &["w4:gptq", "w4:awq", "int8", "fastv:k=2,keep=0.5", "vtw", "prumerge:plus", "visionzip:keep=0.333"],
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

impl Preset {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}
