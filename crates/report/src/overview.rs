//! What a reader takes away of each acceleration, in a line: what accuracy did, what the answers did, what was saved, and how the first two go together.

use crate::measurements::CostRow;
use crate::report::Report;
use crate::summary::Summary;

/// How what happened to the answers goes together with what accuracy shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No answer changed.
    Unchanged,
    /// Answers changed, and not more than under the noisiest control.
    Noise,
    /// Accuracy shows little of it, see [`Summary::hidden`].
    Hidden,
    /// Accuracy shows it.
    Shown,
    /// Answers changed, and nobody judged which are right.
    Changed,
}

impl Reading {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "no answer changed",
            Self::Noise => "not above the noise floor",
            Self::Hidden => "accuracy hides it",
            Self::Shown => "accuracy shows it",
            Self::Changed => "answers changed",
        }
    }
}

impl Report {
    /// How a summary of this report is to be read.
    pub fn reading(&self, summary: &Summary) -> Reading {
        match summary.above_noise_floor() {
            _ if summary.dr.count == 0 => Reading::Unchanged,
            Some(false) => Reading::Noise,
            _ if !self.judged() => Reading::Changed,
            _ if summary.hidden() => Reading::Hidden,
            _ => Reading::Shown,
        }
    }

    /// What an acceleration saves, in words: `2.99 of 4.24 MB`, `48 of 144 visual tokens`. Weights are those of the files where they are known. Nothing where it
    /// saves nothing, or nobody knows.
    pub fn saved(&self, acceleration: usize) -> Vec<String> {
        let Some(cost) = self.accelerations().get(acceleration).map(|acceleration| &acceleration.cost) else { return Vec::new() };
        let baseline = &self.measurements().baseline_cost;
        let weights = |cost: &CostRow| cost.stored_bytes.unwrap_or(cost.weight_bytes);
        let (ours, theirs) = (weights(cost), weights(baseline));
        let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
        let bytes = (ours != theirs && ours > 0).then(|| format!("{} of {} MB", megabytes(ours), megabytes(theirs)));
        let fewer = cost.visual_tokens > 0.0 && (cost.visual_tokens - baseline.visual_tokens).abs() > 0.05;
        let tokens = fewer.then(|| format!("{} of {} visual tokens", whole(cost.visual_tokens), whole(baseline.visual_tokens)));
        bytes.into_iter().chain(tokens).collect()
    }
}

/// With a decimal where there is one to see.
fn whole(tokens: f64) -> String {
    let text = format!("{tokens:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
