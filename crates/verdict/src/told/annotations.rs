//! Annotations of GitHub Actions: lines that its runner shows beside a commit
//! (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>).

use crate::criterion::{Finding, Verdict};
use crate::gate::Gate;
use crate::policy::Tier;

impl Gate {
    /// A line for each limit that is not shown to hold: an error where it fails the gate, a warning where it leaves it open, else a notice.
    pub fn annotations(&self) -> Vec<String> {
        let line = |spec: &str, finding: &Finding| {
            let Finding { criterion, verdict, .. } = finding;
            let kind = match (verdict, criterion.tier) {
                (Verdict::Pass, _) => return None,
                (_, Tier::Advisory) => "notice",
                (Verdict::Fail, _) => "error",
                (Verdict::Inconclusive, _) => "warning",
            };
            let title = format!("steady gate: {verdict}, {spec}");
            let message = format!("{}: {criterion}: {}", criterion.about(), finding.why());
            Some(format!("::{kind} title={}::{}", property(&title), data(&message)))
        };
        self.accelerations.iter().flat_map(|judged| judged.findings.iter().filter_map(|finding| line(&judged.spec, finding))).collect()
    }
}

/// What would end a command is written as its code.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
