//! The risk-coverage curve: how much breaks, against how much the accelerated model still answers.

use std::fmt::Write;

use maud::{Markup, html};

use super::{Guard, Point};
use crate::told::percent;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Of the plot.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 344.0;

/// One SVG file, readable on light and dark.
pub(super) fn svg(guard: &Guard) -> String {
    let highest = guard.curve.iter().map(|point| point.risk).fold(1.25 * guard.limit, f64::max);
    let top = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0].into_iter().find(|top| *top >= highest).unwrap_or(1.0);
    let x = |coverage: f64| LEFT + (RIGHT - LEFT) * coverage;
    let y = |risk: f64| BOTTOM - (BOTTOM - TOP) * risk / top;
    let Guard { held_out, calibration, .. } = guard;
    let part = if held_out.images > 0 { held_out } else { calibration };
    let title = format!("{} kept under {} by asking the baseline", guard.risk.label(), percent(guard.limit));
    let drawn: Markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) font-family="system-ui, sans-serif" font-size="13" {
            title id="title" { (title) }
            desc id="desc" {
                "Of " (part.questions) " questions about " (part.images) " images the accelerated model answers " (percent(part.coverage)) "; "
                (guard.risk.label()) " is " (percent(part.risk)) " instead of " (percent(part.risk_without)) "."
            }
            style { "text{fill:#1c2733}.quiet{fill:#5b6875}.axis{stroke:#9aa7b3}.curve{fill:none;stroke:#2273b8;stroke-width:2}.limit{stroke:#c4410f;stroke-dasharray:5 4}.here{fill:#c4410f}@media(prefers-color-scheme:dark){text{fill:#e6ebf0}.quiet{fill:#9fb0bf}.curve{stroke:#4c9fe6}.limit{stroke:#f0703c}.here{fill:#f0703c}}" }
            text x=(LEFT) y="22" font-weight="600" { (title) }
            text.quiet x=(LEFT) y="40" { (steady_report::one_line(&guard.spec)) " on " (steady_report::one_line(&guard.benchmark)) }
            @for i in 0..=4 {
                @let (coverage, risk) = (f64::from(i) / 4.0, top * f64::from(i) / 4.0);
                line.axis x1=(x(coverage)) x2=(x(coverage)) y1=(BOTTOM) y2=(BOTTOM + 5.0) {}
                text.quiet x=(x(coverage)) y=(BOTTOM + 20.0) text-anchor="middle" { (percent(coverage)) }
                line.axis x1=(LEFT - 5.0) x2=(LEFT) y1=(tenth(y(risk))) y2=(tenth(y(risk))) {}
                text.quiet x=(LEFT - 8.0) y=(tenth(y(risk) + 4.0)) text-anchor="end" { (percent(risk)) }
            }
            path.axis fill="none" d={ "M" (LEFT) " " (TOP) "V" (BOTTOM) "H" (RIGHT) } {}
            text.quiet x=(f64::midpoint(LEFT, RIGHT)) y=(BOTTOM + 42.0) text-anchor="middle" { "questions that the accelerated model answers" }
            line.limit x1=(LEFT) x2=(RIGHT) y1=(tenth(y(guard.limit))) y2=(tenth(y(guard.limit))) {}
            path.curve d=(steps(&guard.curve, &x, &y)) {}
            circle.here cx=(tenth(x(part.coverage))) cy=(tenth(y(part.risk))) r="5" {}
            text x=(tenth(x(part.coverage) - 9.0)) y=(tenth(y(part.risk) - 9.0)) text-anchor="end" {
                "lead of " (format!("{:.2}", guard.threshold)) " logits"
            }
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", drawn.into_string())
}

/// From the threshold that keeps nothing to the one that keeps all.
fn steps(curve: &[Point], x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for point in curve.iter().rev() {
        path.push_str(if path.is_empty() { "M" } else { "L" });
        // writing to a string cannot fail
        let _ = write!(path, "{} {}", tenth(x(point.coverage)), tenth(y(point.risk)));
    }
    path
}

fn tenth(length: f64) -> f64 {
    (10.0 * length).round() / 10.0
}
