//! The report as one self-contained page.

mod benchmarks;
mod beside;
mod chart;
mod curves;
mod families;
mod files;
mod opening;
mod perturbed;
mod pictures;
mod questions;
mod release;
mod sensitivity;
mod tables;
mod together;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use self::pictures::Pictures;
use crate::filter::{Became, Filter};
use crate::measurements::Picture;
use crate::outcome::Outcome;
use crate::printable::printable;
use crate::report::Report;
use crate::statistics::Interval;
use crate::summary::Change;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("filter.js");

/// A part of the page that can be shown by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The finding in words, and a line for each acceleration.
    Opening,
    /// Accuracy, and what it does not show; empty where nothing was judged.
    Chart,
    /// All rates with their intervals and tests.
    Rates,
    /// How bad it can be, and whether answers turned into others of a kind.
    Release,
    /// Where answers changed, by task family.
    Families,
    /// Which layers of a quantizer matter most; empty where none were put back into float.
    Sensitivity,
    /// Which questions break under what, and how that grows with the budget; empty of one acceleration alone.
    Together,
    /// What changed where something was done to images or words; empty where nothing was.
    Perturbed,
    /// What it bought; empty where nobody knows.
    Costs,
    /// What was run.
    Plan,
    /// What the names mean.
    Notes,
}

impl Section {
    /// All parts, in the order of the page; the questions stand before the costs.
    pub const ALL: [Self; 11] = [
        Self::Opening,
        Self::Chart,
        Self::Rates,
        Self::Release,
        Self::Families,
        Self::Sensitivity,
        Self::Together,
        Self::Perturbed,
        Self::Costs,
        Self::Plan,
        Self::Notes,
    ];
}

impl Report {
    /// A part of [`Report::html`], for a page that has `style.css` itself. All text of the report is escaped; nothing in it needs a script or a style of its own.
    pub fn section(&self, section: Section) -> String {
        match section {
            Section::Opening => opening::opening(self),
            Section::Chart => chart::section(self),
            Section::Rates => tables::rates(self),
            Section::Release => release::section(self),
            Section::Families => families::section(self),
            Section::Sensitivity => sensitivity::section(self),
            Section::Together => together::section(self),
            Section::Perturbed => perturbed::section(self),
            Section::Costs => tables::costs(self),
            Section::Plan => tables::plan(self),
            Section::Notes => tables::notes(self),
        }
        .into_string()
    }

    /// This report beside another one, for a page that has `style.css` itself; `names` are what a reader calls the two. `None` where they have no question in
    /// common. Escaped as all else.
    pub fn beside_section(&self, other: &Self, names: [&str; 2]) -> Option<String> {
        self.beside(other).map(|beside| beside::section(&beside, names).into_string())
    }

    /// Every chart and heat map that this report has, by its name, as an SVG file that needs nothing else: `accuracy`, `families`, `perturbations`,
    /// `common-changes`, `budgets`.
    pub fn charts(&self) -> Vec<(&'static str, String)> {
        files::all(self)
    }

    /// A question with those of its answers that fit, for the inside of an `article` after its picture; escaped as all else. Empty if there is no such question.
    pub fn card(&self, question: usize, filter: &Filter) -> String {
        if question < self.questions().len() { questions::content(self, question, filter).into_string() } else { String::new() }
    }

    /// The report as one HTML file that needs nothing else: no request leaves it, and its content security policy forbids any.
    ///
    /// `images` holds PNG or JPEG files; a question whose picture is not among them is shown without. All text of the report is shown as text, whatever it holds.
    /// Of the pictures it takes the first in the order of the questions, as many as leave it under 5 MB.
    pub fn html(&self, images: &BTreeMap<Picture, Vec<u8>>) -> String {
        self.page_with(images, false, "").html
    }

    /// The same, with the pictures that do not fit into it as files in a folder beside it, which a browser reads as they come into view. Those are not only
    /// what is left of `images`, but all that its questions are about.
    pub fn page(&self, images: &BTreeMap<Picture, Vec<u8>>) -> Page {
        self.page_with(images, true, "")
    }

    /// [`Report::page`] with something on top: what was decided over it, say. `above` is HTML, so whatever it holds from outside is escaped already. Without
    /// `images` there are no pictures, neither in it nor beside it.
    pub fn page_below(&self, above: &str, images: Option<&BTreeMap<Picture, Vec<u8>>>) -> Page {
        images.map_or_else(|| self.page_with(&BTreeMap::new(), false, above), |images| self.page_with(images, true, above))
    }

    fn page_with(&self, images: &BTreeMap<Picture, Vec<u8>>, folder: bool, above: &str) -> Page {
        let plan = self.plan();
        let shown = questions::shown(self);
        let pictures = Pictures::of(shown.iter().map(|(i, _)| &self.questions()[*i]), images, folder);
        let title = format!("Stability report: {} on {}", printable(&plan.model), printable(&plan.benchmark));
        let body = html! {
            (PreEscaped(above))
            (opening::opening(self))
            main {
                (chart::section(self))
                (tables::rates(self))
                (release::section(self))
                (families::section(self))
                (sensitivity::section(self))
                (together::section(self))
                (perturbed::section(self))
                (questions::section(self, &shown, &pictures))
                (tables::costs(self))
                (tables::plan(self))
                (tables::notes(self))
            }
            dialog id="zoom" aria-label="The image, enlarged" {}
        };
        let html = frame(&title, Some(SCRIPT), pictures.are_beside(), &body);
        Page { html: html.into_string(), beside: pictures.beside() }
    }
}

/// A page of what `body` says, in the style of a report: one HTML file that needs nothing else. `body` is HTML, so whatever it holds from outside is escaped already.
pub fn page_of(title: &str, body: &str) -> String {
    frame(title, None, false, &PreEscaped(body.to_owned())).into_string()
}

/// What is around every page. `script` is the one that may run.
fn frame(title: &str, script: Option<&str>, pictures_beside: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(content_security_policy(script, pictures_beside));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    }
}

/// Where [`Page::beside`] belongs: a folder beside the page.
pub const PICTURES: &str = "report-pictures";

/// A report as a page, and what it shows that is not in it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The page.
    pub html: String,
    /// Names of PNG or JPEG files in [`PICTURES`], and what is on them.
    pub beside: BTreeMap<String, Picture>,
}

/// A PNG or JPEG file as a `data:` address.
pub fn image_address(file: &[u8]) -> String {
    // JPEG's start of image
    let kind = if file.starts_with(&[0xff, 0xd8]) { "jpeg" } else { "png" };
    format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(file))
}

/// Nothing may be loaded, but for pictures from where the page is itself if it has some `beside` it; the one script that may run is known by its hash.
fn content_security_policy(script: Option<&str>, beside: bool) -> String {
    let images = if beside { "data: 'self' file:" } else { "data:" };
    let script = script.map(|script| format!("script-src 'sha256-{}'; ", BASE64_STANDARD.encode(Sha256::digest(script))));
    format!(
        "default-src 'none'; img-src {images}; style-src 'unsafe-inline'; {}base-uri 'none'; form-action 'none'",
        script.unwrap_or_default()
    )
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

/// A name that the notes explain, which a tap leads to; `key` is theirs.
fn named(name: &str, key: &str, meaning: &str) -> Markup {
    html! { a.named href={ "#name-" (key) } title=(meaning) { (name) } }
}

/// Which questions a number is about: whoever follows it sees them. The page's program, or the script of report.html, turns it into a filter; without
/// either it leads to the questions.
#[derive(Clone, Copy)]
struct Shows {
    acceleration: usize,
    became: Became,
    /// As [`Report::condition`] numbers it.
    condition: usize,
    /// Place in [`Report::families`].
    family: Option<usize>,
}

impl Shows {
    /// What became of the answers about clean images under an acceleration.
    fn clean(acceleration: usize, became: Became) -> Self {
        Self { acceleration, became, condition: 0, family: None }
    }

    /// The same from another page: `page` is the address of the report's.
    fn address(self, page: &str) -> String {
        format!("{page}#questions?acceleration={}&outcome={}&condition={}", self.acceleration, self.became.name(), self.condition)
    }

    fn link(self, shown: &Markup) -> Markup {
        html! {
            a.shows href="#questions" data-acceleration=(self.acceleration) data-outcome=(self.became.name()) data-condition=(self.condition)
                data-family=[self.family] { (shown) }
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

/// The ends of the interval of a difference, in points.
fn change_ends(change: Change) -> String {
    let ends = change.interval.map(|Interval { low, high }| format!("{} to {}", points(low), points(high)));
    ends.unwrap_or_else(|| "interval not available".to_owned())
}

/// Points with a typographic minus.
fn points(difference: f64) -> String {
    crate::number::points(difference).replace('-', "−")
}
