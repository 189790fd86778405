//! A summary in Markdown, for `$GITHUB_STEP_SUMMARY` and pull requests.

use std::fmt::Write;

use crate::criterion::Finding;
use crate::gate::Gate;

impl Gate {
    /// The verdicts with a table for each acceleration.
    pub fn markdown(&self) -> String {
        let mut text = format!("## steady gate: {}\n", self.headline());
        for judged in &self.accelerations {
            // writing to a string cannot fail
            let _ = write!(text, "\n### {}\n\n", cell(&judged.headline()));
            text.push_str(&table(&judged.findings));
            if let Some(pooled) = judged.pooled() {
                let _ = write!(text, "\n{pooled}\n");
            }
        }
        for (what, hashes) in [("Policy", std::slice::from_ref(&self.policy_sha256)), ("Plan", self.plans_sha256.as_slice())] {
            for hash in hashes.iter().filter(|hash| !hash.is_empty()) {
                let _ = write!(text, "\n{what} `{hash}`\n");
            }
        }
        text
    }
}

/// The findings as a table.
pub(super) fn table(findings: &[Finding]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "));
    let mut text = row(&Finding::HEADS.map(str::to_owned));
    text.push_str(&row(&Finding::HEADS.map(|_| "---".to_owned())));
    for finding in findings {
        text.push_str(&row(&finding.cells()));
    }
    text
}

/// Text that stays text: no column, no markup and no tag comes of it.
pub(super) fn cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => shown.extend(['\\', c]),
            _ => shown.push(c),
        }
    }
    shown
}
