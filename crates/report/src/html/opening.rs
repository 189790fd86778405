//! The top of the page: the finding in words, and a line for each acceleration.

use maud::{Markup, html};

use super::{Shows, change_ends, named, points, sign, spec, text};
use crate::counted::counted;
use crate::filter::Became;
use crate::number::percent;
use crate::outcome::Outcome;
use crate::overview::Reading;
use crate::rates::Rate;
use crate::report::Report;
use crate::summary::{Summary, ends};

pub(super) fn opening(report: &Report) -> Markup {
    let plan = report.plan();
    html! {
        header {
            p.kicker { "steady · stability report" }
            @match report.headline() {
                Some(summary) => {
                    h1 { (title(report, summary)) }
                    p.lead { (lead(report, summary)) }
                    (overview(report))
                }
                None => h1 { "No acceleration was measured." }
            }
            p.facts {
                (text(&plan.model)) " · " (text(&plan.benchmark)) " · " (counted(plan.questions as u64, "question")) " · "
                (counted(report.accelerations().len() as u64, "acceleration"))
                @if !plan.perturbations.is_empty() { " · " (counted(plan.perturbations.len() as u64, "perturbation")) }
                @for known in [&plan.device, &plan.precision] { @if !known.is_empty() { " · " (text(known)) } }
            }
            nav aria-label="Sections" {
                @if report.judged() { a href="#chart" { "Accuracy and answers" } }
                a href="#rates" { "All rates" }
                a href="#release" { "For a release" }
                a href="#families" { "Families" }
                @if !report.sensitivities().is_empty() { a href="#sensitivity" { "Where it breaks" } }
                @if !plan.perturbations.is_empty() { a href="#perturbed" { "Under perturbation" } }
                a href="#questions" { "Questions" }
                @if report.known_costs().contains(&true) { a href="#costs" { "Costs" } }
                a href="#plan" { "Plan" }
                a href="#notes" { "What the names mean" }
            }
        }
    }
}

fn title(report: &Report, summary: &Summary) -> Markup {
    let moved = match percent(summary.accuracy_change.value.abs()).as_str() {
        "0.0" => "accuracy did not move".to_owned(),
        "1.0" => "accuracy moved by 1.0\u{a0}point".to_owned(),
        by => format!("accuracy moved by {by}\u{a0}points"),
    };
    let changed = format!("{}\u{a0}% of the answers changed", percent(summary.dr.value));
    let under = html! { "Under " (spec(&summary.spec)) " " };
    html! {
        @match report.guessing() {
            _ if summary.dr.count == 0 => {
                @match report.summaries().len() {
                    1 => { (under) "no answer changed." }
                    of => { "No answer changed under any of " (of) " accelerations." }
                }
            }
            Some(guessing) => {
                "The baseline may be guessing: " (percent(guessing.accuracy.value)) "\u{a0}% right, where guessing gets "
                (percent(guessing.by_chance)) "\u{a0}%. " (under) (changed) "."
            }
            None if !report.judged() => { (under) (changed) "." }
            None if summary.hidden() => { (under) (moved) ". " (capital(&changed)) "." }
            None => { (under) (changed) ". " (capital(&moved)) "." }
        }
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn lead(report: &Report, summary: &Summary) -> Markup {
    let of = report.summaries().len();
    let (broken, repaired, neutral) = (summary.ndr.count, summary.pdr.count, summary.neutral.count);
    html! {
        @if report.guessing().is_some() {
            "Whoever knows the families and draws one of the answers that occur in each gets as many right as guessing does; the baseline is not shown to do better. Which answers such a model changes says little about an acceleration. "
        }
        @if summary.dr.count == 0 {
            "All " (counted(summary.dr.of, "answer")) " stayed what they were."
        } @else {
            @if of > 1 {
                "Of " (of) " accelerations this is the one under which "
                @if report.reading(summary) == Reading::Hidden { "accuracy hides most. " } @else { "most answers changed. " }
            }
            @if !report.judged() {
                (summary.dr.count) " of " (counted(summary.dr.of, "answer")) " changed. Nobody says which are right: there is neither gold nor a score. "
            } @else {
                (broken) " of " (counted(summary.dr.of, "answer")) " went from right to wrong and " (repaired) " from wrong to right"
                @if summary.hidden() { "; accuracy shows only the difference of the two" }
                ". "
                @if neutral > 0 { (neutral) " more changed and stayed as right or wrong as they were. " }
                @if let Some(ties) = summary.ties { @if ties.count > 0 {
                    (ties.count) " of all that changed were ties: the baseline led by no more than what a control moves it by. "
                } }
            }
            @if summary.above_noise_floor() == Some(false) {
                "This does not stand out from the noise floor, the control that changes most."
            }
        }
    }
}

/// A line for each acceleration; each number leads to the questions behind it.
fn overview(report: &Report) -> Markup {
    let judged = report.judged();
    html! {
        div.scroll.overview tabindex="0" role="region" aria-label="Every acceleration in a line" {
            table {
                thead {
                    tr {
                        th scope="col" { "acceleration" }
                        @if judged { th scope="col" { "accuracy" } }
                        th scope="col" { "changed" }
                        @if judged { th scope="col" { "broken" } th scope="col" { "repaired" } }
                        th scope="col" { "weights, " (named("tokens", "tokens", "visual tokens, averaged over the layers")) }
                    }
                }
                tbody {
                    @for (i, summary) in report.summaries().iter().enumerate() {
                        (line(report, i, summary))
                    }
                }
            }
        }
        @if let Some(floor) = report.noise_floor() {
            p.floor { "Noise floor: " (percent(floor.dr.value)) "\u{a0}% changed under the control " code { (text(&floor.spec)) } ", which nobody would call an acceleration." }
        }
    }
}

fn line(report: &Report, i: usize, summary: &Summary) -> Markup {
    let (change, reading) = (summary.accuracy_change, report.reading(summary));
    let count = |became: Became, sign: &str, class: &str, rate: Rate| {
        let number = html! { b { @if rate.count > 0 { (sign) } (percent(rate.value)) "\u{a0}%" } };
        html! {
            td class=(class) data-label=(class) {
                @if rate.count == 0 { (number) } @else { (Shows::clean(i, became).link(&number)) }
            }
        }
    };
    let exactly = |outcome: Outcome, rate: Rate| count(Became::Only(outcome), &format!("{}\u{2009}", sign(outcome)), outcome.name(), rate);
    html! {
        tr {
            th scope="row" { (spec(&summary.spec)) small.(format!("{reading:?}").to_lowercase()) { (reading.words()) } }
            @if report.judged() {
                td.accuracy data-label="accuracy" {
                    b { (percent(summary.accuracy_before.value)) " → " (percent(summary.accuracy_after.value)) }
                    small { (points(change.value)) " points" } small.ends { (change_ends(change)) }
                }
            }
            td.all data-label="changed" {
                @if summary.dr.count == 0 { b { (percent(summary.dr.value)) "\u{a0}%" } }
                @else { (Shows::clean(i, Became::Changed).link(&html! { b { (percent(summary.dr.value)) "\u{a0}%" } })) }
                @if summary.dr.interval.is_some() { small { (ends(summary.dr.interval).replace('-', "–")) } }
            }
            @if report.judged() { (exactly(Outcome::Broken, summary.ndr)) (exactly(Outcome::Repaired, summary.pdr)) }
            td.saved data-label="weights, tokens" { @for saved in report.saved(i) { span { (saved) } } @if report.saved(i).is_empty() { "–" } }
        }
    }
}
