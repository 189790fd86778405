//! Where a quantizer breaks answers: what comes back when layers are put back into float, some at a time.

use std::collections::{BTreeMap, BTreeSet};

use crate::printable::one_line;
use crate::report::Report;
use crate::summary::Summary;

/// An acceleration whose layers were put back into float, some at a time.
#[derive(Clone, Debug)]
pub struct Sensitivity<'a> {
    /// With no more layers in float than it asks for.
    pub whole: &'a Summary,
    /// With some of them in float, those first without which the answers' distribution is nearest to the baseline's: by mean KL, then by
    /// changed answers, then in the order asked.
    pub parts: Vec<Restored<'a>>,
}

/// An acceleration with some of its layers in float.
#[derive(Clone, Copy, Debug)]
pub struct Restored<'a> {
    /// These layers, by a part of their names.
    pub layers: &'a str,
    /// What became of the answers.
    pub summary: &'a Summary,
    /// Bytes by which files grow for it; `None` where it is not known what the weights take.
    pub more_bytes: Option<u64>,
}

impl Sensitivity<'_> {
    /// The share of the acceleration's KL that is gone with these layers in float; below 0 where it grew, `None` where it is not known.
    pub fn gone(&self, part: &Restored<'_>) -> Option<f64> {
        let (whole, part) = (self.whole.kl_mean?, part.summary.kl_mean?);
        (whole > 0.0).then(|| 1.0 - part / whole)
    }

    /// The layers to leave in float where files may grow by so many bytes: those that take away most KL a byte, one after the other, as long
    /// as they fit. What several take away together is taken for the sum of what each does, so ask once more.
    pub fn within(&self, bytes: u64) -> Vec<&Restored<'_>> {
        let worth = |part: &Restored<'_>| Some((self.gone(part).filter(|gone| *gone > 0.0)?, part.more_bytes?.max(1)));
        let mut parts: Vec<_> =
            self.parts.iter().filter_map(|part| worth(part).map(|(gone, more)| (part, gone / more as f64, more))).collect();
        parts.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
        let mut left = bytes;
        parts.retain(|(_, _, more)| match left.checked_sub(*more) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        parts.into_iter().map(|(part, ..)| part).collect()
    }
}

impl Report {
    /// Each acceleration that was also asked with more of its layers in float, as `steady locate` does; empty where none was.
    pub fn sensitivities(&self) -> Vec<Sensitivity<'_>> {
        let summaries = self.summaries();
        let stored = |at: usize| self.accelerations().get(at).and_then(|acceleration| acceleration.cost.stored_bytes);
        let places: BTreeMap<&str, usize> = summaries.iter().enumerate().map(|(at, summary)| (summary.spec.as_str(), at)).collect();
        let mut parts: BTreeMap<usize, Vec<Restored<'_>>> = BTreeMap::new();
        for (at, summary) in summaries.iter().enumerate() {
            // The longest beginning of what is in float that was asked for without the rest.
            let Some(float) = Float::of(&summary.spec) else { continue };
            let wholes = float.beginnings().find_map(|(whole, layers)| Some((*places.get(whole.as_str())?, layers)));
            let Some((whole, layers)) = wholes else { continue };
            let more_bytes = stored(at).zip(stored(whole)).map(|(with, without)| with.saturating_sub(without));
            parts.entry(whole).or_default().push(Restored { layers, summary, more_bytes });
        }
        let kl = |part: &Restored<'_>| part.summary.kl_mean.unwrap_or(f64::INFINITY);
        for parts in parts.values_mut() {
            parts.sort_by(|a, b| kl(a).total_cmp(&kl(b)).then(a.summary.dr.count.cmp(&b.summary.dr.count)));
        }
        parts.into_iter().map(|(whole, parts)| Sensitivity { whole: &summaries[whole], parts }).collect()
    }

    /// The specs of accelerations that are another with more layers in float.
    pub(crate) fn restored(&self) -> BTreeSet<&str> {
        self.sensitivities().into_iter().flat_map(|sensitivity| sensitivity.parts).map(|part| part.summary.spec.as_str()).collect()
    }

    /// The summaries of the accelerations, without those that are another with more layers in float.
    pub(crate) fn whole_summaries(&self) -> impl Iterator<Item = &Summary> {
        let restored = self.restored();
        self.summaries().iter().filter(move |summary| !restored.contains(summary.spec.as_str()))
    }

    /// One line an acceleration: which layers matter most.
    pub(crate) fn sensitive(&self) -> Vec<String> {
        let line = |sensitivity: &Sensitivity<'_>| {
            let best = sensitivity.parts.first()?;
            let (spec, layers) = (one_line(&sensitivity.whole.spec), one_line(best.layers));
            let (before, after) = (sensitivity.whole.dr.count, best.summary.dr.count);
            Some(match sensitivity.gone(best).filter(|gone| *gone > 0.0) {
                Some(gone) => format!(
                    "{spec}: with {layers} in float {:.0} % of what the quantizer does to the first token's distribution is gone, and {before} changed answers become {after}.",
                    100.0 * gone
                ),
                None => format!(
                    "{spec}: no layers put back into float bring it nearer to the baseline; with {layers} {before} changed answers become {after}."
                ),
            })
        };
        self.sensitivities().iter().filter_map(line).collect()
    }
}

/// What the canonical text of a spec says is in float.
struct Float<'a> {
    /// What stands before `float=`, with its separator.
    before: &'a str,
    /// Parts of names with `/` between.
    layers: &'a str,
    after: &'a str,
}

impl<'a> Float<'a> {
    fn of(spec: &'a str) -> Option<Self> {
        const KEY: &str = "float=";
        let start = spec.find(KEY).filter(|start| *start > 0 && [b',', b':'].contains(&spec.as_bytes()[start - 1]))?;
        let rest = &spec[start + KEY.len()..];
        let end = rest.find([',', '+']).unwrap_or(rest.len());
        Some(Self { before: &spec[..start], layers: &rest[..end], after: &rest[end..] })
    }

    /// Specs with fewer layers in float, the most first, each with the layers that it lacks.
    fn beginnings(&self) -> impl Iterator<Item = (String, &'a str)> {
        let Self { before, layers, after } = *self;
        let cuts = layers.rmatch_indices('/').map(move |(at, _)| (format!("{before}float={}{after}", &layers[..at]), &layers[at + 1..]));
        let none = before.trim_end_matches([',', ':']);
        cuts.chain([(format!("{none}{after}"), layers)])
    }
}

#[cfg(test)]
mod tests {
    use super::Float;

    fn beginnings(spec: &str) -> Vec<(String, &str)> {
        Float::of(spec).map(|float| float.beginnings().collect()).unwrap_or_default()
    }

    #[test]
    fn what_is_in_float_is_told_from_the_spec() {
        assert_eq!(beginnings("w4:rtn,g=64,float=layers.3+fastv:k=2"), [("w4:rtn,g=64+fastv:k=2".to_owned(), "layers.3")]);
        assert_eq!(
            beginnings("int8:threshold=6,float=a/b.c"),
            [("int8:threshold=6,float=a".to_owned(), "b.c"), ("int8:threshold=6".to_owned(), "a/b.c")]
        );
        for spec in ["w4:rtn,g=64", "none", "float=a", "fastv:k=2", ""] {
            assert_eq!(beginnings(spec), [], "{spec}");
        }
    }
}
