//! The chart: what accuracy shows, and on the same scale what happened to the answers.

use maud::{Markup, html};

use super::{Shows, points, sign};
use crate::filter::Became;
use crate::number::percent;
use crate::outcome::Outcome;
use crate::printable::one_line;
use crate::rates::Rate;
use crate::report::Report;
use crate::summary::Summary;

/// Height of a line of a label.
const LINE: f64 = 17.0;

pub(super) fn section(report: &Report) -> Markup {
    if !report.judged() {
        return html! {};
    }
    let by_image = report.summaries().first().is_some_and(Summary::by_image);
    html! {
        section id="chart" {
            h2 { "Accuracy, and what it does not show" }
            p.hint { "One point is equally wide on both sides: if accuracy told the whole story, each bar would be as long as the step beside it." }
            ul.legend {
                li.before-after { i {} "accuracy before, after" }
                li.broken { i {} "broken: right before, wrong after" }
                li.repaired { i {} "repaired: wrong before, right after" }
                li.changed { i {} "changed: another answer, as right or wrong as before" }
                li.whisker { i {} "95 % interval" @if by_image { " by image" } }
                @if report.noise_floor().is_some() { li.noise { i {} "noise floor: the control that changes most" } }
            }
            @if !report.summaries().is_empty() {
                div.wide { (chart(report, &Layout::WIDE, true)) }
                div.narrow { (chart(report, &Layout::NARROW, true)) }
            }
        }
    }
}

/// The chart without links; nothing where there is none.
pub(super) fn plain(report: &Report) -> Option<Markup> {
    (report.judged() && !report.summaries().is_empty()).then(|| chart(report, &Layout::WIDE, false))
}

/// Where things are, in the chart's own units, which are pixels at full width.
struct Layout {
    name: &'static str,
    width: f64,
    /// Left ends of the two panels; the same one where the panels are stacked.
    accuracy_left: f64,
    bars_left: f64,
    panel_width: f64,
    /// Characters of a spec that fit on a line.
    label_chars: usize,
    stacked: bool,
}

impl Layout {
    const WIDE: Self =
        Self { name: "wide", width: 980.0, accuracy_left: 236.0, bars_left: 600.0, panel_width: 310.0, label_chars: 27, stacked: false };
    const NARROW: Self =
        Self { name: "narrow", width: 340.0, accuracy_left: 2.0, bars_left: 2.0, panel_width: 284.0, label_chars: 42, stacked: true };

    fn top(&self) -> f64 {
        if self.stacked { 6.0 } else { 46.0 }
    }

    fn row_height(&self, lines: usize) -> f64 {
        if self.stacked { 104.0 + LINE * lines as f64 } else { f64::max(76.0, 30.0 + LINE * lines as f64) }
    }
}

/// Points of accuracy and of answers, both at the same number of pixels each.
struct Scale {
    span: f64,
    step: f64,
    accuracy_from: f64,
}

impl Scale {
    fn of(report: &Report) -> Self {
        let accuracies = || report.summaries().iter().flat_map(|summary| [summary.accuracy_before.value, summary.accuracy_after.value]);
        let (lowest, highest) = accuracies().fold((1.0, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
        let noise = report.noise_floor().map_or(0.0, |noise_floor| noise_floor.dr.value);
        let longest = report.summaries().iter().map(|summary| farthest(summary.dr)).fold(noise, f64::max);
        let needed = 100.0 * longest.max(1.1 * (highest - lowest));
        let steps = [(2.0, 0.5), (5.0, 1.0), (10.0, 2.0), (15.0, 5.0), (20.0, 5.0), (30.0, 10.0), (40.0, 10.0), (60.0, 20.0), (80.0, 20.0)];
        let (span, step) = steps.into_iter().find(|(span, _)| *span >= needed).unwrap_or((100.0, 25.0));
        let accuracy_from = (50.0 * (lowest + highest) - span / 2.0).clamp(0.0, 100.0 - span);
        Self { span, step, accuracy_from }
    }

    fn ticks(&self, from: f64) -> impl Iterator<Item = f64> {
        let (step, first) = (self.step, (from / self.step).ceil() as i64);
        let last = ((from + self.span) / self.step + 1e-9).floor() as i64;
        (first..=last).map(move |tick| tick as f64 * step)
    }
}

/// `linked` says whether its numbers lead to the questions that they count.
fn chart(report: &Report, layout: &Layout, linked: bool) -> Markup {
    let scale = Scale::of(report);
    let mut bottom = layout.top();
    let mut rows = Vec::new();
    for (place, summary) in report.summaries().iter().enumerate() {
        let label = lines(&one_line(&summary.spec), layout.label_chars);
        let row = Row { place: linked.then_some(place), summary, top: bottom, label };
        bottom += layout.row_height(row.label.len());
        rows.push(row);
    }
    let height = bottom + 34.0;
    let per_point = layout.panel_width / scale.span;
    let accuracy_x = |fraction: f64| layout.accuracy_left + (100.0 * fraction - scale.accuracy_from) * per_point;
    let bar_x = |fraction: f64| layout.bars_left + 100.0 * fraction * per_point;
    let (title, desc) = (format!("chart-{}-title", layout.name), format!("chart-{}-desc", layout.name));
    html! {
        svg.chart role="group" aria-labelledby={ (title) " " (desc) } viewBox={ "0 0 " (px(layout.width)) " " (px(height)) } width=(px(layout.width)) height=(px(height)) {
            title id=(title) { "Accuracy before and after each acceleration, beside the share of answers that changed" }
            desc id=(desc) {
                @for summary in report.summaries() { (one_line(&summary.spec)) ": " (summary.finding()) ". " }
            }
            @if !layout.stacked {
                text.head x=(px(layout.accuracy_left)) y="16" { "What accuracy shows" }
                text.note x=(px(layout.accuracy_left)) y="33" { "right answers, % of questions" }
                text.head x=(px(layout.bars_left)) y="16" { "What happened to the answers" }
                text.note x=(px(layout.bars_left)) y="33" { "answers that differ from the baseline's, % of questions" }
                @for tick in scale.ticks(scale.accuracy_from) {
                    (grid_line(accuracy_x(tick / 100.0), layout.top(), bottom, tick))
                }
            }
            @for tick in scale.ticks(0.0) { (grid_line(bar_x(tick / 100.0), layout.top(), bottom, tick)) }
            @for row in &rows { (row.draw(layout, &accuracy_x, &bar_x)) }
            @if layout.stacked { text.note x=(px(layout.bars_left)) y=(px(height - 2.0)) { "% of questions" } }
        }
    }
}

fn grid_line(x: f64, top: f64, bottom: f64, tick: f64) -> Markup {
    let label = if tick.fract() == 0.0 { format!("{tick:.0}") } else { format!("{tick:.1}") };
    html! {
        line.grid x1=(px(x)) x2=(px(x)) y1=(px(top)) y2=(px(bottom)) {}
        text.tick x=(px(x)) y=(px(bottom + 15.0)) { (label) }
    }
}

/// One acceleration in the chart.
struct Row<'a> {
    /// The acceleration's, where its numbers lead to questions.
    place: Option<usize>,
    summary: &'a Summary,
    label: Vec<String>,
    top: f64,
}

impl Row<'_> {
    /// `accuracy_x` and `bar_x` place a fraction in their panels.
    fn draw(&self, layout: &Layout, accuracy_x: &dyn Fn(f64) -> f64, bar_x: &dyn Fn(f64) -> f64) -> Markup {
        let Self { label, top, .. } = self;
        let label_height = LINE * label.len() as f64;
        let (label_x, label_y, accuracy_y, bar_y) = if layout.stacked {
            (layout.bars_left, top + 18.0, top + label_height + 36.0, top + label_height + 64.0)
        } else {
            (2.0, top + 40.0 - (label_height - LINE) / 2.0, top + 35.0, top + 35.0)
        };
        html! {
            g {
                line.rule x1="0" x2=(px(layout.width)) y1=(px(*top)) y2=(px(*top)) {}
                text.label {
                    @for (i, line) in label.iter().enumerate() { tspan x=(px(label_x)) y=(px(label_y + LINE * i as f64)) { (line) } }
                }
                (self.accuracy(layout, accuracy_x, accuracy_y))
                (self.bar(layout, bar_x, bar_y))
            }
        }
    }

    /// A number that counts `count` answers.
    fn linked(&self, became: Became, count: u64, number: Markup) -> Markup {
        match self.place.filter(|_| count > 0) {
            Some(place) => Shows::clean(place, became).link(&number),
            None => number,
        }
    }

    fn accuracy(&self, layout: &Layout, x: &dyn Fn(f64) -> f64, y: f64) -> Markup {
        let (before, after, change) =
            (self.summary.accuracy_before.value, self.summary.accuracy_after.value, self.summary.accuracy_change.value);
        let (left, right) = (layout.accuracy_left, layout.accuracy_left + layout.panel_width);
        let value = format!("{} → {} ({})", percent(before), percent(after), points(change));
        html! {
            line.track x1=(px(left)) x2=(px(right)) y1=(px(y)) y2=(px(y)) {}
            line.step x1=(px(x(before))) x2=(px(x(after))) y1=(px(y)) y2=(px(y)) {}
            circle.before cx=(px(x(before))) cy=(px(y)) r="5" {}
            circle.after cx=(px(x(after))) cy=(px(y)) r="5" {}
            @if layout.stacked {
                text.value x=(px(left)) y=(px(y - 13.0)) { "accuracy " (value) }
            } @else {
                text.value.middle x=(px(f64::midpoint(x(before), x(after)).clamp(left + 62.0, right - 62.0))) y=(px(y - 13.0)) { (value) }
            }
        }
    }

    fn bar(&self, layout: &Layout, x: &dyn Fn(f64) -> f64, y: f64) -> Markup {
        let summary = self.summary;
        let high = x(farthest(summary.dr));
        let (broken, flips) = (summary.ndr.value, summary.flips.value);
        let segments =
            [(Outcome::Broken, 0.0, summary.ndr), (Outcome::Repaired, broken, summary.pdr), (Outcome::Changed, flips, summary.neutral)];
        html! {
            @for (outcome, from, share) in segments {
                @if share.count > 0 {
                    rect.(outcome.name()) x=(px(x(from))) y=(px(y - 9.0)) width=(px((x(share.value) - x(0.0) - 1.0).max(0.8))) height="18" {
                        title { (outcome.name()) " " (percent(share.value)) " %" }
                    }
                }
            }
            @if let Some(noise_floor) = summary.noise_floor {
                @let x = x(noise_floor.value);
                line.noise x1=(px(x)) x2=(px(x)) y1=(px(y - 14.0)) y2=(px(y + 13.0)) {}
            }
            @if let Some(interval) = summary.dr.interval {
                path.whisker d={ "M" (px(x(interval.low))) " " (px(y - 5.0)) "v10m0 -5H" (px(x(interval.high))) "m0 -5v10" } {}
            }
            @let total = html! { text.value.total x=(px(high + 7.0)) y=(px(y + 5.0)) { (percent(summary.dr.value)) " %" } };
            (self.linked(Became::Changed, summary.dr.count, total))
            text.parts x=(px(layout.bars_left)) y=(px(y + 25.0)) {
                @for (outcome, _, share) in segments {
                    @let part = html! { tspan.(outcome.name()) { (sign(outcome)) " " (percent(share.value)) } " " (outcome.name()) };
                    (self.linked(Became::Only(outcome), share.count, part))
                    "   "
                }
            }
        }
    }
}

/// How far to the right a rate reaches, its interval included.
fn farthest(rate: Rate) -> f64 {
    rate.interval.map_or(rate.value, |interval| interval.high.max(rate.value))
}

/// A spec broken after its separators into lines of at most `width` characters; a part that is longer is cut.
pub(super) fn lines(spec: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in spec.split_inclusive(['+', ',']) {
        let part = if part.chars().count() > width { part.chars().take(width - 1).chain(['…']).collect() } else { part.to_owned() };
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() <= width && !line.ends_with('+') => line.push_str(&part),
            _ => lines.push(part),
        }
    }
    lines.truncate(4);
    lines
}

/// A length with at most one decimal.
pub(super) fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_break_after_their_separators() {
        assert_eq!(lines("int8", 27), ["int8"]);
        assert_eq!(lines("w4:awq,g=128,sym+divprune:keep=0.33", 27), ["w4:awq,g=128,sym+", "divprune:keep=0.33"]);
        assert_eq!(lines("aaaa,bbbb,cccc", 10), ["aaaa,bbbb,", "cccc"]);
        assert_eq!(lines("abcdefghij", 5), ["abcd…"]);
        assert!(lines("", 5).is_empty());
    }

    #[test]
    fn ticks_are_multiples_of_the_step_inside_the_panel() {
        let scale = Scale { span: 20.0, step: 5.0, accuracy_from: 77.65 };
        assert_eq!(scale.ticks(scale.accuracy_from).collect::<Vec<_>>(), [80.0, 85.0, 90.0, 95.0]);
        assert_eq!(scale.ticks(0.0).collect::<Vec<_>>(), [0.0, 5.0, 10.0, 15.0, 20.0]);
    }
}
