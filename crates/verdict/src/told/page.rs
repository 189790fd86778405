//! A page for whoever decides: the verdict and the policy on top, then a map of benchmarks by accelerations, where to look first.

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use steady_report::{Summary, one_line};

use super::percent;
use crate::criterion::Finding;
use crate::gate::{Gate, Run};

const STYLE: &str = "
:root { color-scheme: light dark; --hot: 200, 40, 30; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .4rem .7rem; border: 1px solid #8886; text-align: left; vertical-align: top; }
td.heat { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td small, p small { display: block; opacity: .75; }
.wide { overflow-x: auto; }
";

/// Steps of colour in the map.
const STEPS: u32 = 8;

/// The share from which the map is at its darkest.
const DARKEST: f64 = 0.2;

impl Gate {
    /// One HTML file that needs nothing else. `runs` are those that were judged.
    pub fn page(&self, runs: &[Run]) -> String {
        let policy = match self.policy_sha256.as_str() {
            "" => "limits given on the command line".to_owned(),
            hash => format!("policy {hash}"),
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "steady gate: " (self.headline()) }
                    style { (PreEscaped(STYLE)) (PreEscaped(steps())) }
                }
                body {
                    h1 { (self.headline()) }
                    p { (policy) @for hash in self.plans_sha256.iter().filter(|hash| !hash.is_empty()) { small { "plan " (hash) } } }
                    @for judged in &self.accelerations {
                        h2 { (judged.headline()) }
                        div.wide { (findings(&judged.findings)) }
                        @if let Some(pooled) = judged.pooled() { p { (pooled) } }
                    }
                    h2 { "Where answers broke" }
                    div.wide { (self.map(runs)) }
                    p { "Of each benchmark and acceleration: the share of questions that went from right to wrong (NDR), by which it is coloured, and under it the share of \
                        answers that changed (DR). Where nothing is right or wrong, only the latter." }
                }
            }
        };
        page.into_string()
    }

    /// Benchmarks by accelerations.
    fn map(&self, runs: &[Run]) -> Markup {
        html! {
            table {
                thead { tr { th scope="col" { "benchmark" } @for judged in &self.accelerations { th scope="col" { (one_line(&judged.spec)) } } } }
                tbody {
                    @for run in runs {
                        tr {
                            th scope="row" { (one_line(&run.report.plan().benchmark)) }
                            @for judged in &self.accelerations { (heat(run.report.judged(), run.report.summary(&judged.spec))) }
                        }
                    }
                }
            }
        }
    }
}

fn heat(judged: bool, summary: Option<&Summary>) -> Markup {
    let Some(summary) = summary else { return html! { td.heat { "not run" } } };
    let (first, second) = if judged { (summary.ndr, Some(summary.dr)) } else { (summary.dr, None) };
    html! {
        td class={ "heat step-" (step(first.value)) } {
            (percent(first.value))
            @if let Some(second) = second { small { "DR " (percent(second.value)) } }
        }
    }
}

/// How dark a share is: 0 only where it is 0.
fn step(share: f64) -> u32 {
    (f64::from(STEPS) * share / DARKEST).ceil().clamp(0.0, f64::from(STEPS)) as u32
}

fn steps() -> String {
    let mut style = String::new();
    for step in 1..=STEPS {
        let share = 0.6 * f64::from(step) / f64::from(STEPS);
        // writing to a string cannot fail
        let _ = writeln!(style, ".step-{step} {{ background: rgba(var(--hot), {share:.2}); }}");
    }
    style
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        table {
            thead { tr { @for head in Finding::HEADS { th scope="col" { (head) } } } }
            tbody { @for finding in findings { tr { @for cell in finding.cells() { td { (cell) } } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn darker_is_more_and_none_is_clear() {
        assert_eq!([0.0, 0.001, 0.025, 0.026, 0.1, 0.2, 0.9].map(step), [0, 1, 1, 2, 4, 8, 8]);
    }
}
