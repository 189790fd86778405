//! JUnit XML, which CI systems read: a suite for each acceleration, a case for each limit.

use maud::html;

use crate::criterion::{Finding, Verdict};
use crate::gate::Gate;
use crate::policy::Tier;

impl Gate {
    /// What fails the gate is a failure, what leaves it open an error; what decides nothing is skipped, with the reason.
    pub fn junit(&self) -> String {
        let count =
            |of: fn(&Finding) -> bool| self.accelerations.iter().flat_map(|judged| &judged.findings).filter(|finding| of(finding)).count();
        let cases = html! {
            testsuites name="steady gate" tests=(count(|_| true)) failures=(count(fails)) errors=(count(open)) {
                @for judged in &self.accelerations {
                    @let of = |of: fn(&Finding) -> bool| judged.findings.iter().filter(|finding| of(finding)).count();
                    testsuite name=(steady_report::one_line(&judged.spec)) tests=(judged.findings.len()) failures=(of(fails)) errors=(of(open)) skipped=(of(skipped)) {
                        @for finding in &judged.findings {
                            testcase classname=(finding.criterion.about()) name={ (finding.criterion.to_string()) " (" (finding.criterion.tier.name()) ")" } {
                                @if fails(finding) { failure type=(finding.verdict) message=(finding.why()) {} }
                                @else if open(finding) { error type=(finding.verdict) message=(finding.why()) {} }
                                @else if skipped(finding) { skipped message={ (finding.verdict) ": " (finding.why()) } {} }
                                @else { system-out { (finding.why()) } }
                            }
                        }
                    }
                }
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", cases.into_string())
    }
}

fn fails(finding: &Finding) -> bool {
    finding.verdict == Verdict::Fail && finding.criterion.tier != Tier::Advisory
}

fn open(finding: &Finding) -> bool {
    finding.verdict == Verdict::Inconclusive && finding.criterion.tier == Tier::Critical
}

fn skipped(finding: &Finding) -> bool {
    finding.verdict != Verdict::Pass && !fails(finding) && !open(finding)
}
