//! Controls: changes that a deployer calls the same model. How many answers move under them is what an acceleration is measured against.

use thiserror::Error;

/// A change that should not matter.
#[derive(Debug)]
pub struct Control {
    /// Its name on command lines, in plans, records and reports.
    pub name: &'static str,
    /// What it changes of the baseline.
    pub change: Change,
    /// One line for listings, plans and reports.
    pub summary: &'static str,
    /// One sentence for a visitor of the page, in plain words.
    pub plain: &'static str,
}

/// What a control changes, with the value it gets, by the name that options and plans have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// In which order questions are asked, and what they share.
    Order,
    /// Where a prompt is cut on its way through the decoder.
    Split,
    /// What weights are kept as and computed in.
    Precision(&'static str),
    /// Which library's pixels the model is shown.
    Pixels(&'static str),
    /// What computes.
    Device(&'static str),
}

/// A text that names no control.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown control `{name}`; valid: none, {}", names().join(", "))]
pub struct UnknownControl {
    /// The text.
    pub name: String,
}

/// Every control, in the order of listings.
pub const CONTROLS: [Control; 9] = [
    Control {
        name: "order",
        change: Change::Order,
        summary: "reversed order, nothing shared",
        plain: "Asks the same questions the other way round and shares no work between them.",
    },
    Control {
        name: "split",
        change: Change::Split,
        summary: "prompt in two pieces",
        plain: "Reads every prompt in two halves instead of at once.",
    },
    Control {
        name: "bf16",
        change: Change::Precision("bf16"),
        summary: "weights in bf16",
        plain: "Rounds the weights to the 16 bits that most models are published in.",
    },
    Control { name: "f16", change: Change::Precision("f16"), summary: "computed in f16", plain: "Computes with numbers of 16 bits." },
    Control { name: "f32", change: Change::Precision("f32"), summary: "computed in f32", plain: "Computes with numbers of 32 bits." },
    Control {
        name: "pixels=torchvision",
        change: Change::Pixels("torchvision"),
        summary: "torchvision's pixels",
        plain: "Scales pictures as one common library does.",
    },
    Control {
        name: "pixels=pil",
        change: Change::Pixels("pil"),
        summary: "Pillow's pixels",
        plain: "Scales pictures as another common library does: colours differ by a level here and there.",
    },
    Control {
        name: "device=cpu",
        change: Change::Device("cpu"),
        summary: "on the processor",
        plain: "Computes on the processor, which rounds otherwise than a graphics card.",
    },
    Control {
        name: "device=gpu",
        change: Change::Device("gpu"),
        summary: "on the GPU",
        plain: "Computes on the graphics card, which rounds otherwise than the processor.",
    },
];

/// The baseline of a study, as far as its controls depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    /// What its weights are kept as and computed in.
    pub precision: &'a str,
    /// What most of them are published in.
    pub published: &'a str,
    /// Whose pixels it is shown.
    pub pixels: &'a str,
    /// Whether there is room, and time, for a second copy of its weights.
    pub small: bool,
}

impl Control {
    /// The control of that name.
    ///
    /// # Errors
    /// [`UnknownControl`], which lists the valid ones.
    pub fn named(name: &str) -> Result<&'static Self, UnknownControl> {
        CONTROLS.iter().find(|control| control.name == name).ok_or_else(|| UnknownControl { name: name.to_owned() })
    }

    /// The control that takes nothing but the baseline and the questions: [`Change::Order`].
    pub const fn order() -> &'static Self {
        const ORDER: &Control = &CONTROLS[0];
        ORDER
    }

    /// The controls of a study that names none: what takes no second copy of the weights, and, of a small model, another number format.
    /// That is bf16, unless the baseline is, or was published in it and so loses nothing to it: then it is f16.
    pub fn usual(baseline: Baseline<'_>) -> Vec<&'static Self> {
        let Baseline { precision, published, pixels, small } = baseline;
        let format = if precision == "bf16" || published == "bf16" { "f16" } else { "bf16" };
        let wanted = |control: &&Self| match control.change {
            Change::Order | Change::Split => true,
            Change::Precision(other) => small && other == format && other != precision,
            Change::Pixels(other) => other != pixels,
            Change::Device(_) => false,
        };
        CONTROLS.iter().filter(wanted).collect()
    }
}

fn names() -> Vec<&'static str> {
    CONTROLS.iter().map(|control| control.name).collect()
}
