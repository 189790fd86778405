//! The questions whose answers changed, the broken ones first.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, html};

use super::{counted, sign, spec, text};
use crate::filter::Filter;
use crate::number::small;
use crate::outcome::Outcome;
use crate::printable::{one_line, printable};
use crate::report::{AnswerRow, QuestionRow, Report, TokenLogit};

/// A page with more questions than this is of no use to anyone; `report.json` has them all.
const MOST_SHOWN: usize = 1000;

pub(super) fn section(report: &Report, images: &BTreeMap<String, Vec<u8>>) -> Markup {
    let order = report.worst_first();
    let shown = &order[..order.len().min(MOST_SHOWN)];
    let families: Vec<&str> =
        report.questions().iter().map(|question| question.family.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let image_ids: Vec<&str> = shown
        .iter()
        .map(|&i| report.questions()[i].image.as_str())
        .filter(|id| images.contains_key(*id))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let stayed = report.questions().len() - order.len();
    html! {
        section id="questions" {
            h2 { "Questions whose answer changed" }
            p.hint {
                (counted(order.len() as u64, "question")) ", those that broke under most accelerations first. "
                @if stayed > 0 { (stayed) " more kept their answer under every acceleration and are left out. " }
                @if order.len() > shown.len() { "The first " (shown.len()) " are shown; report.json has all." }
            }
            (filters(report, &families))
            p id="count" role="status" aria-live="polite" {}
            // every image once, however many questions are about it
            svg.store aria-hidden="true" {
                defs {
                    @for (i, id) in image_ids.iter().enumerate() {
                        @if let Some(png) = images.get(*id) {
                            image id={ "image-" (i) } width="100" height="100" href={ "data:image/png;base64," (BASE64_STANDARD.encode(png)) } {}
                        }
                    }
                }
            }
            @for &i in shown {
                @let question = &report.questions()[i];
                @let family = families.binary_search(&question.family.as_str()).unwrap_or_default();
                (card(report, i, family, image_ids.binary_search(&question.image.as_str()).ok()))
            }
        }
    }
}

fn filters(report: &Report, families: &[&str]) -> Markup {
    html! {
        form id="filters" hidden {
            label { "acceleration" select name="acceleration" {
                option value="" { "any" }
                @for (i, acceleration) in report.accelerations().iter().enumerate() { option value=(i) { (one_line(&acceleration.spec)) } }
            } }
            label { "outcome" select name="outcome" {
                option value="" { "any change" }
                @for outcome in Outcome::ALL { @if outcome.diverged() { option value=(outcome.name()) { (sign(outcome)) " " (outcome.name()) } } }
            } }
            label { "family" select name="family" {
                option value="" { "any" }
                @for (i, family) in families.iter().enumerate() { option value=(i) { (one_line(family)) } }
            } }
            label.grow { "text" input type="search" name="text" placeholder="question or answer" autocomplete="off"; }
            button type="reset" { "Clear" }
        }
    }
}

fn card(report: &Report, i: usize, family: usize, image: Option<usize>) -> Markup {
    let question = &report.questions()[i];
    html! {
        article data-family=(family) {
            (thumbnail(question, image))
            (content(report, i, &Filter::default()))
        }
    }
}

/// All of a card but its picture.
pub(super) fn content(report: &Report, i: usize, filter: &Filter) -> Markup {
    let question = &report.questions()[i];
    html! {
        div.asked {
            h3 { (text(&question.text)) }
            @if !question.gold.is_empty() {
                p.gold {
                    "gold: "
                    @for (i, gold) in question.gold.iter().enumerate() { @if i > 0 { ", " } (text(gold)) }
                }
            }
            p.id { (text(&question.family)) " · " (question.kind.label()) " · " (text(&question.id)) }
        }
        table.answers {
            thead { tr { th scope="col" { "model" } th scope="col" { "outcome" } th scope="col" { "answer" } th.number scope="col" { "margin" } th.number scope="col" { "KL" } } }
            tbody.baseline { (line(&html! { "baseline" }, &question.baseline)) }
            tbody {
                @for (a, acceleration) in report.accelerations().iter().enumerate() {
                    @let answer = &acceleration.answers[i];
                    @let outcome = answer.outcome.unwrap_or(Outcome::Same);
                    @if filter.fits(a, answer) {
                        tr.(outcome.name()) data-acceleration=(a) data-outcome=(outcome.name()) { (cells(&spec(&acceleration.spec), answer)) }
                    }
                }
            }
        }
        (candidates(report, i))
    }
}

fn thumbnail(question: &QuestionRow, image: Option<usize>) -> Markup {
    html! {
        @match image {
            Some(image) => button.thumb type="button" title="Enlarge" {
                svg viewBox="0 0 100 100" role="img" aria-label={ "Image " (printable(&question.image)) } { use href={ "#image-" (image) } {} }
            }
            None => div.thumb.missing { "no image" }
        }
    }
}

fn line(who: &Markup, answer: &AnswerRow) -> Markup {
    html! { tr { (cells(who, answer)) } }
}

fn cells(who: &Markup, answer: &AnswerRow) -> Markup {
    html! {
        th scope="row" { (who) }
        td {
            @match answer.outcome {
                Some(outcome) => span.chip.(outcome.name()) { (sign(outcome)) " " (outcome.name()) }
                None => span.chip { @if answer.correct { "right" } @else { "wrong" } }
            }
        }
        td.answer {
            @if answer.text.trim().is_empty() { span.quiet { "(nothing)" } } @else { (text(&answer.text)) }
            @if answer.parsed.is_none() { " " small.quiet { "unparsed" } }
        }
        td.number { @match answer.margin { Some(margin) => (format!("{margin:.2}")), None => "–" } }
        td.number { @match answer.kl { Some(kl) => (small(kl)), None => "–" } }
    }
}

/// First-token candidates of the baseline and of the accelerations that answered otherwise.
fn candidates(report: &Report, i: usize) -> Markup {
    let baseline = &report.questions()[i].baseline;
    if baseline.top.is_empty() {
        return html! {};
    }
    let row = |who: &Markup, top: &[TokenLogit]| {
        html! {
            dt { (who) }
            dd { @for candidate in top { span { (text(&candidate.token)) " " small { (format!("{:.2}", candidate.logit)) } } " " } }
        }
    };
    html! {
        details.candidates {
            summary { "first-token candidates" }
            dl {
                (row(&html! { "baseline" }, &baseline.top))
                @for acceleration in report.accelerations() {
                    @let answer = &acceleration.answers[i];
                    @if answer.outcome.is_some_and(Outcome::diverged) { (row(&spec(&acceleration.spec), &answer.top)) }
                }
            }
        }
    }
}
