//! The questions whose answers changed, the broken ones first.

use maud::{Markup, html};

use super::pictures::Pictures;
use super::{sign, spec, text};
use crate::counted::counted;
use crate::filter::{Became, Filter};
use crate::measurements::{AnswerRow, BASELINE, TokenLogit};
use crate::number::small;
use crate::outcome::Outcome;
use crate::printable::one_line;
use crate::report::Report;

/// A page with more questions than this is of no use to anyone; `report.json` has them all.
const MOST_SHOWN: usize = 1000;

/// Most bytes of their cards, without pictures.
const MOST_BYTES: usize = 2_400_000;

/// The questions that the page shows, the worst first, and of each what its card says.
pub(super) fn shown(report: &Report) -> Vec<(usize, Markup)> {
    let mut bytes = 0;
    let cards = report.worst_first().into_iter().take(MOST_SHOWN).map(|i| (i, content(report, i, &Filter::default())));
    cards
        .take_while(|(_, card)| {
            bytes += card.0.len();
            bytes <= MOST_BYTES
        })
        .collect()
}

pub(super) fn section(report: &Report, shown: &[(usize, Markup)], pictures: &Pictures) -> Markup {
    let changed = report.worst_first().len();
    let families = report.families();
    let stayed = report.questions().len() - changed;
    let left = changed - shown.len();
    html! {
        section id="questions" {
            h2 { "Questions whose answer changed" }
            p.hint {
                (counted(changed as u64, "question")) ", those that broke under most accelerations first. "
                @if !report.perturbed().is_empty() { "A question counts anew under every perturbation; those without come first. " }
                @if stayed > 0 { (stayed) " more kept their answer under every acceleration and are left out. " }
                @if left > 0 {
                    "The first " (shown.len()) " are shown, for a page of all would be slow to open. The other " (left) " count in every number above, but are not on this "
                    "page: report.json has them, and " code { "steady report RUN --open --page URL" } " opens a page to look through all. "
                }
            }
            (filters(report, &families))
            p id="count" role="status" aria-live="polite" data-left=[(left > 0).then_some(left)] {}
            (pictures.store())
            @for (i, card) in shown {
                @let question = &report.questions()[*i];
                @let family = families.binary_search(&question.family.as_str()).unwrap_or_default();
                article data-family=(family) data-condition=[(!report.perturbed().is_empty()).then(|| report.condition(*i))] {
                    (pictures.thumbnail(question))
                    (card)
                }
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
                option value=(Became::Changed.name()) { "any change" }
                @for outcome in Outcome::ALL { @if outcome.diverged() { option value=(outcome.name()) { (sign(outcome)) " " (outcome.name()) } } }
            } }
            @if !report.perturbed().is_empty() {
                label { "perturbation" select name="condition" {
                    option value="" { "any" }
                    option value="0" { "clean" }
                    @for (i, perturbed) in report.perturbed().iter().enumerate() {
                        option value=(i + 1) { (one_line(&perturbed.perturbation)) }
                    }
                } }
            }
            label { "family" select name="family" {
                option value="" { "any" }
                @for (i, family) in families.iter().enumerate() { option value=(i) { (one_line(family)) } }
            } }
            label.grow { "text" input type="search" name="text" placeholder="question or answer" autocomplete="off"; }
            button type="reset" { "Clear" }
        }
    }
}

/// All of a card but its picture.
pub(super) fn content(report: &Report, i: usize, filter: &Filter) -> Markup {
    let (question, shown) = (&report.questions()[i], Numbers::of(report, i));
    html! {
        div.asked {
            h3 { (text(&question.text)) }
            @if !question.gold.is_empty() {
                p.gold {
                    "gold: "
                    @for (i, gold) in question.gold.iter().enumerate() { @if i > 0 { ", " } (text(gold)) }
                }
            }
            @if let Some(perturbation) = &question.perturbation { p.under { "under " (spec(perturbation)) } }
            p.id { (text(&question.family)) " · " (question.kind.label()) " · " (text(&question.id)) }
        }
        table.answers {
            thead { tr { th scope="col" { "model" } th scope="col" { "outcome" } th scope="col" { "answer" } @if shown.margins { th.number scope="col" { "margin" } } @if shown.divergences { th.number scope="col" { "KL" } } } }
            tbody.baseline { (baseline(report, i, shown)) }
            tbody {
                @for (a, acceleration) in report.accelerations().iter().enumerate() {
                    @let answer = &acceleration.answers[i];
                    @let outcome = answer.outcome.unwrap_or(Outcome::Same);
                    @if filter.fits(a, answer) {
                        tr.(outcome.name()) data-acceleration=(a) data-outcome=(outcome.name()) {
                            (cells(shown, &spec(&acceleration.spec), &html! { (became(outcome)) (remarks(report, i, &acceleration.spec, outcome)) }, answer))
                        }
                    }
                }
            }
        }
        (candidates(report, i))
    }
}

/// Which numbers any answer to a question has; those of a link have none.
#[derive(Clone, Copy)]
struct Numbers {
    margins: bool,
    divergences: bool,
}

impl Numbers {
    fn of(report: &Report, i: usize) -> Self {
        let baseline = std::iter::once(&report.questions()[i].baseline);
        let answers: Vec<&AnswerRow> = baseline.chain(report.accelerations().iter().map(|acceleration| &acceleration.answers[i])).collect();
        Self {
            margins: answers.iter().any(|answer| answer.margin.is_some()),
            divergences: answers.iter().any(|answer| answer.kl.is_some()),
        }
    }
}

/// The baseline's answer, and where a perturbation changed it, the one without.
fn baseline(report: &Report, i: usize, shown: Numbers) -> Markup {
    let (answer, clean) = (&report.questions()[i].baseline, &report.questions()[report.clean(i)].baseline);
    html! {
        tr { (cells(shown, &html! { "baseline" }, &html! { (verdict(report, answer)) (remarks(report, i, BASELINE, Outcome::Same)) }, answer)) }
        @if answer.outcome.is_some_and(Outcome::diverged) {
            tr.clean { (cells(shown, &html! { small { "without perturbation" } }, &verdict(report, clean), clean)) }
        }
    }
}

fn verdict(report: &Report, answer: &AnswerRow) -> Markup {
    html! { @if report.judged() { span.chip { @if answer.correct { "right" } @else { "wrong" } } } }
}

fn became(outcome: Outcome) -> Markup {
    html! { span.chip.(outcome.name()) { (sign(outcome)) " " (outcome.name()) } }
}

/// What a reader should know about an answer: that it was a tie, or is odd.
fn remarks(report: &Report, i: usize, spec: &str, outcome: Outcome) -> Markup {
    html! {
        @if outcome.diverged() && report.is_tie(i) == Some(true) { " " small.quiet { "tie" } }
        @if let Some(flag) = report.flag(i, spec) { " " small.quiet { (flag.label()) } }
    }
}

/// `judged` says what the answer is worth.
fn cells(shown: Numbers, who: &Markup, judged: &Markup, answer: &AnswerRow) -> Markup {
    html! {
        th scope="row" { (who) }
        td { (judged) }
        td.answer {
            @if answer.text.trim().is_empty() { span.quiet { "(nothing)" } } @else { (text(&answer.text)) }
            @if answer.parsed.is_none() { " " small.quiet { "unparsed" } }
        }
        @if shown.margins { td.number { @match answer.margin { Some(margin) => (format!("{margin:.2}")), None => "–" } } }
        @if shown.divergences { td.number { @match answer.kl { Some(kl) => (small(kl)), None => "–" } } }
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
