//! Which question breaks under what: accelerations beside each other, and a method at several budgets.

use maud::{Markup, html};

use super::curves::{Curve, Curves};
use super::families::heat;
use super::{spec, text};
use crate::counted::counted;
use crate::number::{percent, points};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::sweep::{Point, Sweep};
use crate::together::{Overlap, Together};

/// Questions that are named.
const NAMED: usize = 10;
/// Empty of fewer than two accelerations.
pub(super) fn section(report: &Report) -> Markup {
    let Some(together) = report.together() else { return html! {} };
    let sweeps = report.sweeps();
    let what = if report.judged() { "break" } else { "change" };
    html! {
        section id="together" {
            h2 { "Which questions " (what) " under what" }
            p.hint { "Do two accelerations change the same answers? Of all answers that one or the other changed, the share that both did, in percent; below it what independent changes would come to." }
            (overlaps(&together))
            (counts(report, &together, what))
            @if !together.against_random.is_empty() { (chance(report, &together, what)) }
            @if !sweeps.is_empty() {
                h3 { "How changes grow with the budget" }
                p.hint { "Each line is one method that keeps more and more visual tokens; on the left its accuracy, on the right the share of answers that differ from the baseline's, both against the visual tokens that the decoder saw." }
                (chart(report, &sweeps))
                (budgets(report, &sweeps))
            }
        }
    }
}

/// The chart of budgets; nothing where there is none.
pub(super) fn plain(report: &Report) -> Option<Markup> {
    let sweeps = report.sweeps();
    (!sweeps.is_empty()).then(|| chart(report, &sweeps))
}

fn overlaps(Together { specs, overlaps, .. }: &Together) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Share of common changes" {
            table.heat {
                thead { tr { td {} @for name in specs { th scope="col" { (spec(name)) } } } }
                tbody {
                    @for (i, (name, row)) in specs.iter().zip(overlaps).enumerate() {
                        tr { th scope="row" { (spec(name)) } @for (j, overlap) in row.iter().enumerate() { (cell(*overlap, i == j)) } }
                    }
                }
            }
        }
    }
}

fn cell(overlap: Overlap, itself: bool) -> Markup {
    let share = if itself { None } else { overlap.share() };
    html! {
        td class=(heat(share.unwrap_or_default(), 1.0)) {
            @if itself { span.quiet { (counted(overlap.both as u64, "change")) } } @else {
                @match overlap.share() { Some(share) => (percent(share)), None => "–" }
                @if let Some(by_chance) = overlap.by_chance { small { (percent(by_chance)) } }
            }
        }
    }
}

fn counts(report: &Report, Together { specs, questions_by_count, most, .. }: &Together, what: &str) -> Markup {
    let in_words = |(count, questions): (usize, &usize)| match count {
        0 => format!("{} under none", counted(*questions as u64, "question")),
        count => format!("{questions} under {count}"),
    };
    let told: Vec<String> = questions_by_count.iter().enumerate().filter(|(_, questions)| **questions > 0).map(in_words).collect();
    html! {
        p { "Of " (specs.len()) " accelerations: " (told.join(", ")) " " (what) "." }
        @if let Some(highest) = most.values().next() {
            p { "Under " (highest) " " (what) ":" }
            ul {
                @for row in report.questions()[..report.plan().questions].iter().filter(|row| most.contains_key(&row.id)).take(NAMED) {
                    li { span.id { (text(&row.id)) } " " (text(&row.text)) }
                }
                @if most.len() > NAMED { li.quiet { "and " (most.len() - NAMED) " more" } }
            }
        }
    }
}

fn chance(report: &Report, Together { specs, against_random, .. }: &Together, what: &str) -> Markup {
    let tests = against_random.len();
    html! {
        h3 { "Better than chance?" }
        p.hint {
            "Methods that choose visual tokens beside random ones at the same budget. Of the questions that " (what) " under one of the two alone, how many do under which? The exact test is by image"
            @if tests > 1 { ", adjusted for " (tests) " comparisons (Holm)" } ". The budget is the same " code { "keep" } ", or as many visual tokens in the mean over the decoder's layers, give or take a tenth."
        }
        div.scroll tabindex="0" role="region" aria-label="Methods beside random visual tokens" {
            table.numbers {
                thead {
                    tr {
                        th scope="col" { "method" } th scope="col" { "visual tokens" } th scope="col" { (what) ", %" }
                        th scope="col" { "beside" } th scope="col" { "visual tokens" } th scope="col" { (what) ", %" }
                        th scope="col" { "under it alone" } th scope="col" { "under random alone" } th scope="col" { "p" } th scope="col" {}
                    }
                }
                tbody {
                    @for pair in against_random {
                        @let ([method, random], test) = report.told(pair);
                        tr {
                            th scope="row" { (spec(&specs[pair.method])) }
                            @for cell in method { td { (cell) } }
                            td { (spec(&specs[pair.random])) }
                            @for cell in random.iter().chain(&test) { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn budgets(report: &Report, sweeps: &[Sweep<'_>]) -> Markup {
    let judged = report.judged();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Methods by budget" {
            table.numbers {
                thead {
                    tr {
                        th scope="col" { "method" } th scope="col" { "keep" } th scope="col" { "visual tokens" }
                        @if judged { th scope="col" { "accuracy" } th scope="col" { "change" } }
                        th scope="col" { "DR" }
                        @if judged { th scope="col" { "broken " (super::sign(Outcome::Broken)) } }
                    }
                }
                @for sweep in sweeps {
                    tbody {
                        @for (index, point) in sweep.points.iter().enumerate() {
                            tr {
                                th scope="row" { @if index == 0 { (spec(&sweep.spec)) } }
                                td { (point.keep) } td { (format!("{:.1}", point.visual_tokens)) }
                                @if judged { td { (percent(point.summary.accuracy_after.value)) } td { (points(point.summary.accuracy_change.value)) } }
                                td { (percent(point.summary.dr.value)) }
                                @if judged { td { (percent(point.summary.ndr.value)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn chart(report: &Report, sweeps: &[Sweep<'_>]) -> Markup {
    let most = sweeps.iter().flat_map(|sweep| &sweep.points).map(|point| point.visual_tokens).fold(1.0, f64::max);
    let most = most.max(report.measurements().baseline_cost.visual_tokens);
    let point = |point: &Point<'_>| (point.visual_tokens, [point.summary.accuracy_after.value, point.summary.dr.value]);
    let curve = |sweep: &Sweep<'_>| Curve { name: sweep.spec.clone(), points: sweep.points.iter().map(point).collect() };
    let curves: Vec<Curve> = sweeps.iter().map(curve).collect();
    let first = sweeps.first().and_then(|sweep| sweep.points.first());
    Curves {
        label: "Accuracy and changed answers against visual tokens, a line for each method",
        panels: [report.judged().then_some(["accuracy", "right answers, % of questions"]), Some(["changed answers", "DR, % of questions"])],
        range: [0.0, most],
        lines: &curves,
        before: first.map(|point| point.summary.accuracy_before.value),
    }
    .draw()
}
