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
        let (mean, all) = (cost.visual_tokens, baseline.visual_tokens);
        let fewer = mean > 0.0 && (mean - all).abs() > 0.05;
        let tokens = fewer.then(|| match left_from(&self.accelerations()[acceleration].spec, mean, all) {
            Some((left, layer)) => {
                format!("{} of {} visual tokens from layer {layer} (mean over layers {})", whole(left), whole(all), whole(mean))
            }
            None => format!("{} of {} visual tokens", whole(mean), whole(all)),
        });
        bytes.into_iter().chain(tokens).collect()
    }
}

/// What a method leaves that drops visual tokens before one decoder layer, and that layer, as the spec has both (`fastv:k=2,keep=0.5`). `mean`, over all
/// layers, must be what comes of it in a decoder of some whole number of layers: else nothing is said.
fn left_from(spec: &str, mean: f64, all: f64) -> Option<(f64, usize)> {
    let parameters = spec.split('+').find_map(|part| part.strip_prefix("fastv:"))?;
    let value = |name: &str| parameters.split(',').find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='));
    let (layer, keep): (usize, f64) = (value("k")?.parse().ok()?, value("keep")?.parse().ok()?);
    let budget = if keep > 1.0 { keep } else { keep * all };
    [budget.round(), budget.floor(), budget.ceil()].into_iter().find_map(|left| {
        let layers = layer as f64 * (all - left) / (mean - left);
        let whole = (layers - layers.round()).abs() < 1e-3 && layers > layer as f64;
        whole.then_some((left, layer))
    })
}

/// With a decimal where there is one to see.
fn whole(tokens: f64) -> String {
    let text = format!("{tokens:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On paper: two of four layers see 144 tokens and two see 72, which is 108; two of eight see 144 and six see 48, which is 72.
    #[test]
    fn a_drop_inside_the_decoder_is_told_by_its_layer() {
        assert_eq!(left_from("fastv:k=2,keep=0.5", 108.0, 144.0), Some((72.0, 2)));
        assert_eq!(left_from("w4:rtn,g=8+fastv:k=2,keep=48", 72.0, 144.0), Some((48.0, 2)));
        // another mean than any decoder gives, and what drops in front of it
        assert_eq!(left_from("fastv:k=2,keep=0.5", 110.0, 144.0), None);
        assert_eq!(left_from("divprune:keep=0.33", 48.0, 144.0), None);
    }
}
