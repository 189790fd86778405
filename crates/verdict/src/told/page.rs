//! A page for whoever decides: the verdict and the policy on top, then a map of benchmarks by accelerations, where to look first.

use maud::{Markup, PreEscaped, html};
use steady_report::page_of;

use crate::criterion::Finding;
use crate::error::VerdictError;
use crate::gate::{Gate, Run, side_by_side};

impl Gate {
    /// One HTML file that needs nothing else. `runs` are those that were judged; a cell of the map leads to the questions that it counts where a run's page is
    /// known.
    ///
    /// # Errors
    /// [`VerdictError::Runs`] where runs are of several models or twice of one benchmark.
    pub fn page(&self, runs: &[Run]) -> Result<String, VerdictError> {
        let judged = |spec: &str| self.accelerations.iter().any(|judged| judged.spec == spec);
        let map = side_by_side(runs)?.only(judged).map();
        let body = html! { (self.top()) main { (PreEscaped(map)) } };
        Ok(page_of(&format!("steady gate: {}", self.headline()), &body.into_string()))
    }

    /// Verdict and policy as HTML, to stand on top of a report ([`steady_report::Report::page_below`]). All text is escaped.
    pub fn above(&self) -> String {
        self.top().into_string()
    }

    fn top(&self) -> Markup {
        let policy = match self.policy_sha256.as_str() {
            "" => "limits given on the command line".to_owned(),
            hash => format!("policy {hash}"),
        };
        html! {
            header id="verdict" {
                p.kicker { "steady · gate" }
                h1 { (self.headline()) }
                p.facts { (policy) @for hash in self.plans_sha256.iter().filter(|hash| !hash.is_empty()) { " · plan " (hash) } }
                @for judged in &self.accelerations {
                    h2 { (judged.headline()) }
                    div.scroll tabindex="0" role="region" aria-label="Limits" { (findings(&judged.findings)) }
                    @if let Some(pooled) = judged.pooled() { p.hint { (pooled) } }
                }
            }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        table.numbers {
            thead { tr { @for head in Finding::HEADS { th scope="col" { (head) } } } }
            tbody { @for finding in findings { tr { @for cell in finding.cells() { td { (cell) } } } } }
        }
    }
}
