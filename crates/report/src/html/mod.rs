//! The report as one self-contained page.

mod chart;
mod families;
mod opening;
mod questions;
mod tables;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::outcome::Outcome;
use crate::printable::printable;
use crate::report::Report;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("filter.js");

impl Report {
    /// The report as one HTML file that needs nothing else: no request leaves it, and its content security policy forbids any.
    ///
    /// `images` holds PNG files by image id; a question whose image is not among them is shown without. All text of the report is shown as text, whatever it holds.
    pub fn html(&self, images: &BTreeMap<String, Vec<u8>>) -> String {
        let plan = self.plan();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(content_security_policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "Stability report: " (printable(&plan.model)) " on " (printable(&plan.benchmark)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (opening::opening(self))
                    main {
                        (chart::section(self))
                        (tables::rates(self))
                        (families::section(self))
                        (questions::section(self, images))
                        (tables::costs(self))
                        (tables::plan(self))
                        (tables::notes())
                    }
                    dialog id="zoom" aria-label="The image, enlarged" {}
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
        .into_string()
    }
}

/// Nothing may be loaded; the one script that may run is known by its hash.
fn content_security_policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

/// Text from outside, isolated so that its writing direction ends with it.
fn text(text: &str) -> Markup {
    html! { bdi.text { (printable(text)) } }
}

/// A spec, which may break after its separators.
fn spec(spec: &str) -> Markup {
    html! {
        code.spec {
            @for part in printable(spec).split_inclusive(['+', ',', ':']) { (part) wbr; }
        }
    }
}

/// The sign that stands for an outcome wherever its colour does.
fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Same => "=",
        Outcome::Broken => "✕",
        Outcome::Repaired => "✓",
        Outcome::Changed => "≠",
    }
}

/// `1 answer`, `2 answers`.
fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Points with a typographic minus.
fn points(difference: f64) -> String {
    crate::number::points(difference).replace('-', "−")
}
