//! Where it happened: the share of changed answers by task family and acceleration.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Shows, sign, spec, text};
use crate::counted::counted;
use crate::filter::Became;
use crate::number::percent;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::summary::FamilySummary;

/// Strongest step of the colour scale; `style.css` has a rule for each.
const HEAT_STEPS: u8 = 12;

pub(super) fn section(report: &Report) -> Markup {
    let mut families: BTreeMap<&str, Vec<&FamilySummary>> = BTreeMap::new();
    for summary in report.summaries() {
        for (family, of_family) in &summary.per_family {
            families.entry(family).or_default().push(of_family);
        }
    }
    let judged = report.judged();
    let highest = families.values().flatten().map(|summary| summary.dr.value).fold(0.0, f64::max);
    html! {
        section id="families" {
            h2 { "Where answers changed" }
            p.hint { "Share of changed answers in percent, the stronger the colour the more; below it the number of answers " @if judged { "broken " (sign(Outcome::Broken)) " and repaired " (sign(Outcome::Repaired)) } @else { "changed" } "." }
            div.scroll tabindex="0" role="region" aria-label="Changed answers by family" {
                table.heat {
                    thead {
                        tr {
                            th scope="col" { "family" }
                            th scope="col" { "baseline" }
                            @for summary in report.summaries() { th scope="col" { (spec(&summary.spec)) } }
                        }
                    }
                    tbody {
                        // in the order of the report's families
                        @for (place, (family, summaries)) in families.iter().enumerate() {
                            tr {
                                th scope="row" { (text(family)) }
                                @if let Some(first) = summaries.first() {
                                    td.quiet { @if judged { (percent(first.accuracy_before.value)) " %" } small { (counted(first.dr.of, "question")) } }
                                }
                                @for (acceleration, summary) in summaries.iter().enumerate() {
                                    (cell(summary, highest, judged, Shows { family: Some(place), ..Shows::clean(acceleration, Became::Changed) }))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a cell's colour: in steps, since a style of its own would need a laxer content security policy.
pub(super) fn heat(value: f64, highest: f64) -> String {
    format!("heat-{}", if highest > 0.0 { (f64::from(HEAT_STEPS) * value / highest).round() } else { 0.0 })
}

fn cell(summary: &FamilySummary, highest: f64, judged: bool, shows: Shows) -> Markup {
    html! {
        td class=(heat(summary.dr.value, highest)) {
            @if summary.dr.count == 0 { (percent(summary.dr.value)) } @else { (shows.link(&html! { (percent(summary.dr.value)) })) }
            small {
                @if summary.dr.count == 0 { "–" } @else if !judged { (summary.dr.count) } @else {
                    span { (sign(Outcome::Broken)) "\u{2009}" (summary.ndr.count) } " "
                    span { (sign(Outcome::Repaired)) "\u{2009}" (summary.pdr.count) }
                }
            }
        }
    }
}
