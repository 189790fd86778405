//! Verdicts as people and machines read them: cells of a table, Markdown, JUnit XML, annotations of GitHub, a section of a model card, a page.

mod annotations;
mod card;
mod junit;
mod markdown;
mod page;

use std::fmt;

use steady_report::one_line;

use crate::check::Check;
use crate::criterion::{Criterion, Evidence, Finding, Measure, Verdict};
use crate::gate::{Gate, Judged};

/// A share in percent, as short as it is: `2 %`, `0.25 %`.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{} %", if text == "-0" { "0" } else { text })
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let than = if self.measure == Measure::NonInferiority { "<" } else { "<=" };
        write!(f, "{} {than} {}", self.measure.label(), percent(self.limit))
    }
}

impl Criterion {
    /// Which questions it is about: benchmark, group and perturbation.
    pub fn about(&self) -> String {
        let mut about = one_line(&self.benchmark);
        for (before, part) in [(", ", &self.group), (" under ", &self.perturbation)] {
            about.extend(part.iter().map(|part| format!("{before}{}", one_line(part))));
        }
        about
    }
}

impl Finding {
    /// Heads of [`Finding::cells`].
    pub const HEADS: [&'static str; 7] = ["tier", "questions", "limit", "observed", "bounds", "verdict", "why"];

    /// The row of a table.
    pub fn cells(&self) -> [String; 7] {
        let Self { criterion, verdict, evidence } = self;
        let observed = evidence.map_or_else(|| "-".to_owned(), |evidence| percent(evidence.observed));
        let bounds = evidence.and_then(|evidence| evidence.at_least.zip(evidence.at_most));
        let bounds = bounds.map_or_else(|| "-".to_owned(), |(low, high)| format!("{} to {}", percent(low), percent(high)));
        [criterion.tier.name().to_owned(), criterion.about(), criterion.to_string(), observed, bounds, verdict.to_string(), self.why()]
    }

    /// What the verdict rests on, in words.
    pub fn why(&self) -> String {
        let Some(Evidence { questions, images, needed, at_least, at_most, .. }) = self.evidence else {
            return format!("no run of benchmark {} was given", one_line(&self.criterion.benchmark));
        };
        let of = format!("{questions} questions about {images} images");
        match (self.verdict, at_least.zip(at_most)) {
            (Verdict::Pass, Some((_, high))) => format!("at most {}: {of}", percent(high)),
            (Verdict::Fail, Some((low, _))) => format!("at least {}: {of}", percent(low)),
            (_, None) => format!("as observed: {of}"),
            (Verdict::Inconclusive, _) => match needed {
                Some(needed) => format!("{of} are too few; about {needed} would do if what was observed is true"),
                None => format!("{of} are too few, and what was observed is too close to the limit for any number"),
            },
        }
    }
}

impl Judged {
    /// The verdict in a line.
    pub fn headline(&self) -> String {
        let count = |verdict: Verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (passed, failed, open) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Inconclusive));
        format!(
            "{}: {} of {}: {passed} limits hold, {failed} do not, {open} open",
            self.verdict,
            one_line(&self.spec),
            one_line(&self.model)
        )
    }

    /// Whether accuracy fell in several benchmarks together, in a line.
    pub fn pooled(&self) -> Option<String> {
        let pooled = self.accuracy_fell?;
        Some(format!(
            "did accuracy fall over all benchmarks? p={:.3} pooled, {:.3} largest drop, {:.3} Fisher; {:.3} together (arXiv 2602.10144)",
            pooled.pooled, pooled.largest_drop, pooled.fisher, pooled.any
        ))
    }
}

impl Gate {
    /// The verdict, and how sure it is.
    pub fn headline(&self) -> String {
        format!("{} at {} confidence", self.verdict, percent(self.confidence))
    }
}

impl Check {
    /// Heads of [`Check::cells`].
    pub const HEADS: [&'static str; 4] = ["control", "verdict", "fails", "inconclusive"];

    /// The rows of a table.
    pub fn cells(&self) -> Vec<[String; 4]> {
        let row = |checked: &crate::Checked| {
            [one_line(&checked.control), checked.verdict.to_string(), percent(checked.fails), percent(checked.inconclusive)]
        };
        self.controls.iter().map(row).collect()
    }

    /// What follows, in a line.
    pub fn headline(&self) -> String {
        match self.verdict {
            Verdict::Pass => "PASS: the baseline passes against each of its controls".to_owned(),
            Verdict::Inconclusive => "INCONCLUSIVE: so few questions do not show the limits even of a model that is the same".to_owned(),
            Verdict::Fail => {
                format!("FAIL: this policy fails a model that is the same in more than {} of studies", percent(1.0 - self.confidence))
            }
        }
    }
}
