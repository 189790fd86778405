//! The top of the page: the finding in words and in four numbers.

use maud::{Markup, html};

use super::{change_ends, counted, points, spec, text};
use crate::number::{p_relation, percent};
use crate::report::Report;
use crate::summary::{Summary, ends};

pub(super) fn opening(report: &Report) -> Markup {
    let plan = report.plan();
    html! {
        header {
            p.kicker { "steady · stability report" }
            @match report.headline() {
                Some(summary) => {
                    h1 { @if report.judged() { (title(summary)) } @else { (title_of_changes(summary)) } }
                    p.lead { (lead(report, summary)) }
                    (tiles(report, summary))
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
                a href="#families" { "Families" }
                @if !plan.perturbations.is_empty() { a href="#perturbed" { "Under perturbation" } }
                a href="#questions" { "Questions" }
                @if report.known_costs().contains(&true) { a href="#costs" { "Costs" } }
                a href="#plan" { "Plan" }
                a href="#notes" { "What the names mean" }
            }
        }
    }
}

fn title(summary: &Summary) -> String {
    if summary.dr.count == 0 {
        return "No answer changed.".to_owned();
    }
    let moved = match percent(summary.accuracy_change.value.abs()).as_str() {
        "0.0" => "Accuracy did not move".to_owned(),
        "1.0" => "Accuracy moved by 1.0 point".to_owned(),
        by => format!("Accuracy moved by {by} points"),
    };
    let changed = format!("{}\u{a0}% of the answers changed", percent(summary.dr.value));
    if summary.hidden() { format!("{moved}. {changed}.") } else { format!("{changed}. {moved}.") }
}

fn title_of_changes(summary: &Summary) -> String {
    if summary.dr.count == 0 { title(summary) } else { format!("{}\u{a0}% of the answers changed.", percent(summary.dr.value)) }
}

fn lead(report: &Report, summary: &Summary) -> Markup {
    let of = report.summaries().len();
    let (broken, repaired, neutral) = (summary.ndr.count, summary.pdr.count, summary.neutral.count);
    html! {
        "Under " (spec(&summary.spec)) ", "
        @if of > 1 { "the largest of " (of) " accelerations, " }
        @if summary.dr.count == 0 {
            "all " (counted(summary.dr.of, "answer")) " stayed what they were."
        } @else if !report.judged() {
            (summary.dr.count) " of " (counted(summary.dr.of, "answer")) " changed. Nobody says which are right: there is neither gold nor a score. "
            @if summary.above_noise_floor() == Some(false) {
                "This does not stand out from the noise floor, the control that changes most."
            }
        } @else {
            (broken) " of " (counted(summary.dr.of, "answer")) " went from right to wrong and " (repaired) " from wrong to right"
            @if summary.hidden() { "; accuracy shows only the difference of the two" }
            ". "
            @if neutral > 0 { (neutral) " more changed and stayed as right or wrong as they were. " }
            @if let Some(ties) = summary.ties { @if ties.count > 0 {
                (ties.count) " of all that changed were ties: the baseline led by no more than what a control moves it by. "
            } }
            @if summary.above_noise_floor() == Some(false) {
                "This does not stand out from the noise floor, the control that changes most."
            }
        }
    }
}

fn tiles(report: &Report, summary: &Summary) -> Markup {
    let (change, judged) = (summary.accuracy_change, report.judged());
    html! {
        dl.tiles {
            @if judged { div {
                dt { "accuracy" }
                dd {
                    b { (percent(summary.accuracy_before.value)) " → " (percent(summary.accuracy_after.value)) }
                    span {
                        (points(change.value)) " points (" (change_ends(change)) "); McNemar p" (p_relation(summary.mcnemar.p_adjusted)) (summary.adjusted())
                    }
                }
            } }
            div {
                dt { "answers changed (DR)" }
                dd {
                    b { (percent(summary.dr.value)) " %" }
                    span {
                        "95 % interval" @if summary.by_image() { " by image" } " " (ends(summary.dr.interval).replace('-', "–"))
                        @if let Some(noise_floor) = summary.noise_floor { "; noise floor " (percent(noise_floor.value)) " %" }
                    }
                }
            }
            @if judged { div.broken {
                dt { "broke (NDR)" }
                dd {
                    b { (percent(summary.ndr.value)) " %" }
                    span {
                        (counted(summary.ndr.count, "answer"))
                        @if let Some(given) = summary.ndr_given_correct { "; " (percent(given.value)) " % of what was right" }
                    }
                }
            } div.repaired {
                dt { "repaired (PDR)" }
                dd {
                    b { (percent(summary.pdr.value)) " %" }
                    span { (counted(summary.pdr.count, "answer")) " that the baseline had wrong" }
                }
            } }
        }
    }
}
