//! Where it happened: the share of changed answers by task family and acceleration.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{counted, sign, spec, text};
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
                        @for (family, summaries) in &families {
                            tr {
                                th scope="row" { (text(family)) }
                                @if let Some(first) = summaries.first() {
                                    td.quiet { @if judged { (percent(first.accuracy_before.value)) " %" } small { (counted(first.dr.of, "question")) } }
                                }
                                @for summary in summaries { (cell(summary, highest, judged)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(summary: &FamilySummary, highest: f64, judged: bool) -> Markup {
    // in steps, each a class: a style of its own would need a laxer content security policy
    let heat = if highest > 0.0 { (f64::from(HEAT_STEPS) * summary.dr.value / highest).round() } else { 0.0 };
    html! {
        td class={ "heat-" (heat) } {
            (percent(summary.dr.value))
            small {
                @if summary.dr.count == 0 { "–" } @else if !judged { (summary.dr.count) } @else {
                    span { (sign(Outcome::Broken)) "\u{2009}" (summary.ndr.count) } " "
                    span { (sign(Outcome::Repaired)) "\u{2009}" (summary.pdr.count) }
                }
            }
        }
    }
}
