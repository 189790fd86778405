//! Which question breaks under what: accelerations beside each other, and a method at several budgets.

use maud::{Markup, html};

use super::families::heat;
use super::{counted, spec, text};
use crate::number::{percent, points};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::sweep::Sweep;
use crate::together::{Overlap, Together};

/// Questions that are named.
const NAMED: usize = 10;
/// Lines that `style.css` tells apart.
const LINES: usize = 8;
/// The chart of budgets is so wide.
const WIDTH: f64 = 980.0;
/// Its panels begin here, and are so wide and high.
const LEFT: [f64; 2] = [48.0, 560.0];
const TOP: f64 = 40.0;
const PANEL: f64 = 380.0;
const HEIGHT: f64 = 220.0;

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
    let baseline = report.measurements().baseline_cost.visual_tokens;
    let most = most.max(baseline);
    let (x, y) = (|tokens: f64| PANEL * tokens / most, |share: f64| TOP + HEIGHT * (1.0 - share));
    let bottom = TOP + HEIGHT + 42.0 + 20.0 * sweeps.len() as f64;
    let panels = [("accuracy", "right answers, % of questions"), ("changed answers", "DR, % of questions")];
    html! {
        svg.chart role="img" aria-label="Accuracy and changed answers against visual tokens, a line for each method" viewBox={ "0 0 " (WIDTH) " " (bottom) } width=(WIDTH) height=(bottom) {
            @for (panel, (head, note)) in panels.into_iter().enumerate().filter(|(panel, _)| *panel == 1 || report.judged()) {
                @let left = LEFT[panel];
                text.head x=(left) y="14" { (head) }
                text.note x=(left) y="30" { (note) }
                @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                    line.grid x1=(left) x2=(left + PANEL) y1=(y(tick)) y2=(y(tick)) {}
                    text.tick x=(left - 18.0) y=(y(tick) + 4.0) { (100.0 * tick) }
                }
                @for tick in [0.0, 0.5, 1.0] {
                    text.tick x=(left + x(tick * most)) y=(TOP + HEIGHT + 16.0) { (format!("{:.0}", tick * most)) }
                }
                @for (index, sweep) in sweeps.iter().enumerate() {
                    @let value = |summary: &crate::Summary| if panel == 0 { summary.accuracy_after.value } else { summary.dr.value };
                    @let path: Vec<String> = sweep.points.iter().map(|p| format!("{:.1},{:.1}", left + x(p.visual_tokens), y(value(p.summary)))).collect();
                    polyline class={ "curve curve-" (index % LINES) } points=(path.join(" ")) {}
                }
            }
            @if let Some(first) = sweeps.first().and_then(|sweep| sweep.points.first()).filter(|_| report.judged()) {
                @let before = y(first.summary.accuracy_before.value);
                line.noise x1=(LEFT[0]) x2=(LEFT[0] + PANEL) y1=(before) y2=(before) {}
            }
            @for (index, sweep) in sweeps.iter().enumerate() {
                @let line = TOP + HEIGHT + 42.0 + 20.0 * index as f64;
                line class={ "curve curve-" (index % LINES) } x1=(LEFT[0]) x2=(LEFT[0] + 24.0) y1=(line) y2=(line) {}
                text.label x=(LEFT[0] + 32.0) y=(line + 4.0) { (crate::printable::one_line(&sweep.spec)) }
            }
        }
    }
}
