//! Where a quantizer breaks answers: what comes back when layers are put back into float, or into 8 bits, some at a time.

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

/// An acceleration with some of its layers in float, or in 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct Restored<'a> {
    /// The layers in float, by a part of their names; empty where there are none.
    pub layers: &'a str,
    /// Those in 8 bits.
    pub eight: &'a str,
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

    /// The layers to leave in float, or in 8 bits, where files may grow by so many bytes: step by step what takes away most KL a byte more, as long as that
    /// fits. What several take away together is taken for the sum of what each does, so ask once more.
    pub fn within(&self, bytes: u64) -> Vec<&Restored<'_>> {
        // What was chosen of some layers, what that takes away and what it takes.
        let mut chosen: BTreeMap<&str, (&Restored<'_>, f64, u64)> = BTreeMap::new();
        let mut left = bytes;
        loop {
            let step = |part: &'_ Restored<'_>| {
                let (before, held) = chosen.get(part.one()).map_or((0.0, 0), |&(_, gone, more)| (gone, more));
                let (gone, more) = (self.gone(part)?, part.more_bytes?);
                (gone > before && more.saturating_sub(held) <= left)
                    .then(|| (gone, more, (gone - before) / more.saturating_sub(held).max(1) as f64))
            };
            let steps = self.parts.iter().filter_map(|part| step(part).map(|(gone, more, worth)| (part, gone, more, worth)));
            let Some((part, gone, more, _)) = steps.max_by(|(.., a), (.., b)| a.total_cmp(b)) else { break };
            let held = chosen.insert(part.one(), (part, gone, more)).map_or(0, |(_, _, held)| held);
            left = (left + held).saturating_sub(more);
        }
        chosen.into_values().map(|(part, ..)| part).collect()
    }

    /// Whether layers were put into 8 bits, too.
    pub(crate) fn has_eight(&self) -> bool {
        self.parts.iter().any(|part| !part.eight.is_empty())
    }
}

impl<'a> Restored<'a> {
    /// The layers that were put back, where they were in one way.
    fn one(&self) -> &'a str {
        if self.layers.is_empty() { self.eight } else { self.layers }
    }

    /// As a row of a table is called: layers in float, if nothing else is said.
    pub fn name(&self) -> String {
        match (self.layers, self.eight) {
            (layers, "") => layers.to_owned(),
            ("", eight) => format!("{eight} in 8 bits"),
            (layers, eight) => format!("{layers}, and {eight} in 8 bits"),
        }
    }
}

impl Report {
    /// Each acceleration that was also asked with more of its layers in float or in 8 bits, as `steady locate` does; empty where none was.
    pub fn sensitivities(&self) -> Vec<Sensitivity<'_>> {
        let summaries = self.summaries();
        let stored = |at: usize| self.accelerations().get(at).and_then(|acceleration| acceleration.cost.stored_bytes);
        let places: BTreeMap<&str, usize> = summaries.iter().enumerate().map(|(at, summary)| (summary.spec.as_str(), at)).collect();
        let mut parts: BTreeMap<usize, Vec<Restored<'_>>> = BTreeMap::new();
        for (at, summary) in summaries.iter().enumerate() {
            // The longest beginning of what is put back that was asked for without the rest.
            let Some(back) = Back::of(&summary.spec) else { continue };
            let wholes =
                back.beginnings().into_iter().find_map(|(whole, eight, layers)| Some((*places.get(whole.as_str())?, eight, layers)));
            let Some((whole, eight, layers)) = wholes else { continue };
            let more_bytes = stored(at).zip(stored(whole)).map(|(with, without)| with.saturating_sub(without));
            parts.entry(whole).or_default().push(Restored { layers, eight, summary, more_bytes });
        }
        let kl = |part: &Restored<'_>| part.summary.kl_mean.unwrap_or(f64::INFINITY);
        for parts in parts.values_mut() {
            parts.sort_by(|a, b| kl(a).total_cmp(&kl(b)).then(a.summary.dr.count.cmp(&b.summary.dr.count)));
        }
        parts.into_iter().map(|(whole, parts)| Sensitivity { whole: &summaries[whole], parts }).collect()
    }

    /// The specs of accelerations that are another with more layers in float or in 8 bits.
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
            let in_float = if best.eight.is_empty() { " in float" } else { "" };
            let (spec, layers) = (one_line(&sensitivity.whole.spec), one_line(&format!("{}{in_float}", best.name())));
            let (before, after) = (sensitivity.whole.dr.count, best.summary.dr.count);
            Some(match sensitivity.gone(best).filter(|gone| *gone > 0.0) {
                Some(gone) => format!(
                    "{spec}: with {layers} {:.0} % of what the quantizer does to the first token's distribution is gone, and {before} changed answers become {after}.",
                    100.0 * gone
                ),
                None => format!(
                    "{spec}: no layers put back bring it nearer to the baseline; with {layers} {before} changed answers become {after}."
                ),
            })
        };
        self.sensitivities().iter().filter_map(line).collect()
    }
}

/// What the canonical text of a spec says is in float or in 8 bits.
struct Back<'a> {
    /// What stands before that, with its separator.
    before: &'a str,
    /// Parts of names with `/` between.
    eight: &'a str,
    float: &'a str,
    after: &'a str,
}

impl<'a> Back<'a> {
    fn of(spec: &'a str) -> Option<Self> {
        let starts = |key: &str| {
            let start = spec.find(key).filter(|start| *start > 0 && [b',', b':'].contains(&spec.as_bytes()[start - 1]))?;
            let value = start + key.len();
            Some((start, value, spec[value..].find([',', '+']).map_or(spec.len(), |end| value + end)))
        };
        // They stand in this order, side by side.
        let (eight, float) = (starts("w8="), starts("float="));
        let (start, _, _) = eight.or(float)?;
        let (_, _, end) = float.or(eight)?;
        let value = |place: Option<(usize, usize, usize)>| place.map_or("", |(_, value, end)| &spec[value..end]);
        Some(Self { before: &spec[..start], eight: value(eight), float: value(float), after: &spec[end..] })
    }

    /// The spec with these layers in 8 bits and in float.
    fn with(&self, eight: &str, float: &str) -> String {
        let back: Vec<String> = [("w8", eight), ("float", float)]
            .iter()
            .filter(|(_, layers)| !layers.is_empty())
            .map(|(key, layers)| format!("{key}={layers}"))
            .collect();
        let before = if back.is_empty() { self.before.trim_end_matches([',', ':']) } else { self.before };
        format!("{before}{}{}", back.join(","), self.after)
    }

    /// Specs with fewer layers put back, the most first, each with the layers that it lacks: in 8 bits, and in float.
    fn beginnings(&self) -> Vec<(String, &'a str, &'a str)> {
        let Self { eight, float, .. } = *self;
        let fewer_float = cuts(float).map(|(left, gone)| (self.with(eight, left), "", gone));
        let fewer_eight = cuts(eight).map(|(left, gone)| (self.with(left, float), gone, ""));
        let neither = (!eight.is_empty() && !float.is_empty()).then(|| (self.with("", ""), eight, float));
        fewer_float.chain(fewer_eight).chain(neither).collect()
    }
}

/// The beginnings of parts with `/` between, the longest first and nothing last, each with the rest.
fn cuts(layers: &str) -> impl Iterator<Item = (&str, &str)> {
    let within = layers.rmatch_indices('/').map(move |(at, _)| (&layers[..at], &layers[at + 1..]));
    within.chain((!layers.is_empty()).then_some(("", layers)))
}

#[cfg(test)]
mod tests {
    use super::Back;

    fn beginnings(spec: &str) -> Vec<(String, &str, &str)> {
        Back::of(spec).map(|back| back.beginnings()).unwrap_or_default()
    }

    #[test]
    fn what_is_put_back_is_told_from_the_spec() {
        assert_eq!(beginnings("w4:rtn,g=64,float=layers.3+fastv:k=2"), [("w4:rtn,g=64+fastv:k=2".to_owned(), "", "layers.3")]);
        assert_eq!(
            beginnings("int8:threshold=6,float=a/b.c"),
            [("int8:threshold=6,float=a".to_owned(), "", "b.c"), ("int8:threshold=6".to_owned(), "", "a/b.c")]
        );
        assert_eq!(
            beginnings("w4:rtn,w8=a,float=b+fastv"),
            [
                ("w4:rtn,w8=a+fastv".to_owned(), "", "b"),
                ("w4:rtn,float=b+fastv".to_owned(), "a", ""),
                ("w4:rtn+fastv".to_owned(), "a", "b")
            ]
        );
        assert_eq!(beginnings("q4_0:w8=a/b"), [("q4_0:w8=a".to_owned(), "b", ""), ("q4_0".to_owned(), "a/b", "")]);
        for spec in ["w4:rtn,g=64", "none", "float=a", "w8=a", "fastv:k=2", ""] {
            assert_eq!(beginnings(spec), [], "{spec}");
        }
    }
}
