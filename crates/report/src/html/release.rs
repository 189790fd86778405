//! What somebody who must release the accelerated model asks: bounds, what would have been seen, and whether answers turned into others of a kind.

use maud::{Markup, html};

use super::{points, spec, text};
use crate::assurance::{Agreement, Assurance, Calibration, Diagnostic};
use crate::number::percent;
use crate::rates::Rate;
use crate::report::Report;
use crate::summary::{Summary, ends};

pub(super) fn section(report: &Report) -> Markup {
    let judged = report.judged();
    let any = |of: fn(&Assurance) -> bool| judged && report.summaries().iter().any(|summary| of(&summary.assurance));
    let agreement = any(|assurance| assurance.agreement.is_some());
    let (unread, calibrated) = (any(|assurance| assurance.unparsed.is_some()), any(|assurance| assurance.calibration.is_some()));
    html! {
        section id="release" {
            h2 { "For a release" }
            p.hint {
                "How bad it can be, 95 % sure from one side"
                @if report.summaries().first().is_some_and(Summary::by_image) { ", by image" }
                "."
                @if judged { " An acceleration is not inferior by any margin above the first column." }
            }
            div.scroll tabindex="0" role="region" aria-label="Bounds for a release" {
                table.numbers {
                    thead {
                        tr {
                            th scope="col" { "acceleration" }
                            @if judged {
                                th scope="col" { "accuracy fell at most" small { "points; 95 % interval of the drop" } }
                                th scope="col" { "NDR at most" }
                            }
                            th scope="col" { "DR at most" }
                            @if judged { th scope="col" { "drop seen from" small { "points, power 80 %" } } }
                            @if unread { th scope="col" { "unread" small { "accuracy change, NDR if right" } } }
                            @if agreement {
                                th scope="col" { "yes/no: agreement" small { "on yes, on no" } }
                                th scope="col" { "sensitivity" }
                                th scope="col" { "specificity" }
                            }
                            @if calibrated { th scope="col" { "ECE" small { "overconfidence" } } }
                        }
                    }
                    tbody { @for summary in report.summaries() { (row(summary, [judged, unread, agreement, calibrated])) } }
                }
            }
        }
    }
}

/// `shown`: what takes verdicts, unread answers, agreement on yes and no, calibration.
fn row(summary: &Summary, shown: [bool; 4]) -> Markup {
    let [judged, unread, yes_no, calibrated] = shown;
    let Assurance { drop_at_most, drop, ndr_at_most, dr_at_most, least_drop, unparsed, agreement, calibration, collapsed } =
        &summary.assurance;
    html! {
        tr {
            th scope="row" {
                (spec(&summary.spec))
                @for collapse in collapsed.iter().flatten() { small.collapsed { (text(&collapse.to_string())) } }
            }
            @if judged {
                td { b { (points(*drop_at_most)) } small { (points(drop.low)) " to " (points(drop.high)) } }
                td { b { (percent(*ndr_at_most)) } }
            }
            td { b { (percent(*dr_at_most)) } }
            @if judged { td { (least_drop.map_or_else(|| "–".to_owned(), percent)) } }
            @if unread {
                td {
                    @match unparsed {
                        Some(unparsed) => {
                            (unparsed.before) " → " (unparsed.after)
                            @if unparsed.before + unparsed.after > 0 { small { (points(unparsed.accuracy_change_if_right)) ", " (percent(unparsed.ndr_if_right)) } }
                        }
                        None => "–"
                    }
                }
            }
            @if yes_no { (agreed(agreement.as_ref())) }
            @if calibrated {
                td {
                    @match calibration {
                        Some(shift) => (step(&shift.before, &shift.after)),
                        None => "–"
                    }
                }
            }
        }
    }
}

fn agreed(agreement: Option<&Agreement>) -> Markup {
    let both = |of: fn(&Diagnostic) -> Option<Rate>| agreement.map(|agreement| (of(&agreement.before), of(&agreement.after)));
    let shown = |rates: Option<(Option<Rate>, Option<Rate>)>| {
        let (before, after) = rates.unwrap_or_default();
        html! { td { (share(before)) " → " (share(after)) @if let Some(after) = after { small { (ends(after.interval).replace('-', "–")) } } } }
    };
    html! {
        td {
            @let (yes, no) = (agreement.and_then(|agreement| agreement.positive), agreement.and_then(|agreement| agreement.negative));
            (share(yes)) ", " (share(no))
            @for rate in [yes, no].into_iter().flatten() { small { (ends(rate.interval).replace('-', "–")) } }
        }
        (shown(both(|diagnostic| diagnostic.sensitivity)))
        (shown(both(|diagnostic| diagnostic.specificity)))
    }
}

fn share(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "–".to_owned(), |rate| percent(rate.value))
}

fn step(before: &Calibration, after: &Calibration) -> Markup {
    html! { (percent(before.ece)) " → " (percent(after.ece)) small { (points(before.overconfidence)) " → " (points(after.overconfidence)) } }
}
