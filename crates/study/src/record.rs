//! A reply as a record: scored, its logits condensed.

use steady_bench::{Posed, Verdict};
use steady_records::record::{Record, TOP};
use steady_report::{DistributionError, kl_divergence, kl_of_likeliest, margin};

use crate::{Distribution, Reply, StudyError};

/// The circumstances of a reply that the reply itself does not know.
pub(crate) struct Circumstances<'a> {
    pub(crate) posed: &'a Posed<'a>,
    pub(crate) perturbation: &'a str,
    pub(crate) acceleration: &'a str,
    pub(crate) weight_bytes: usize,
    /// The text of a token.
    pub(crate) token: &'a dyn Fn(u32) -> String,
    /// The baseline's reply, unless this is the baseline.
    pub(crate) baseline: Option<&'a Reply>,
}

impl Circumstances<'_> {
    /// Scores a reply and condenses its logits.
    pub(crate) fn record(&self, reply: &Reply) -> Result<Record, StudyError> {
        let question = self.posed.question();
        let fail = |reason: &dyn std::fmt::Display| StudyError::Answer {
            question: question.id.clone(),
            acceleration: self.acceleration.to_owned(),
            reason: format!("first answer token: {reason}"),
        };
        // What a model said before it ran out of numbers is no answer, whatever can be read in it.
        let answered = reply.no_answer.is_none();
        let baseline = self.baseline.filter(|baseline| answered && baseline.no_answer.is_none());
        let kl =
            baseline.map(|baseline| divergence(&baseline.first_token, &reply.first_token)).transpose().map_err(|e| fail(&e))?.flatten();
        let mut candidates = Candidates::default();
        let verdict = if answered {
            candidates = Candidates::of(&reply.first_token, self.token).map_err(|e| fail(&e))?;
            self.posed.score(&reply.text)
        } else {
            Verdict::on_no_answer()
        };
        Ok(Record {
            question: question.id.clone(),
            family: question.family.clone(),
            image: question.image.clone(),
            perturbation: self.perturbation.to_owned(),
            acceleration: self.acceleration.to_owned(),
            answer: reply.text.clone(),
            output_ids: reply.output_ids.clone(),
            cut: Some(reply.cut),
            parsed: verdict.parsed,
            no_answer: reply.no_answer.clone(),
            correct: verdict.correct,
            score: verdict.score,
            margin: candidates.margin,
            kl,
            top_ids: candidates.ids,
            top_logits: candidates.logits,
            top_tokens: candidates.tokens,
            visual_tokens: reply.visual_tokens as u32,
            kept: reply.kept().map(tokens),
            kept_by_step: (reply.left.len() > 1).then(|| reply.left.iter().map(|left| tokens(&left.kept)).collect()),
            prompt_tokens: reply.prompt_tokens as u32,
            decoder_visual_tokens: reply.decoder_visual_tokens,
            kv_bytes: reply.kv_bytes as u64,
            weight_bytes: self.weight_bytes as u64,
            flops: reply.flops,
        })
    }
}

/// What records keep of a distribution: the likeliest tokens.
#[derive(Default)]
struct Candidates {
    margin: Option<f32>,
    /// Of a model whose vocabulary is known.
    ids: Vec<u32>,
    tokens: Vec<String>,
    /// Logits, or logarithms of probabilities, which differ from them by what all tokens have in common.
    logits: Vec<f32>,
}

impl Candidates {
    fn of(distribution: &Distribution, token: &dyn Fn(u32) -> String) -> Result<Self, DistributionError> {
        Ok(match distribution {
            Distribution::Logits(logits) => {
                let (ids, logits_of_top): (Vec<u32>, Vec<f32>) = top(logits).into_iter().unzip();
                Self { margin: Some(margin(logits)?), tokens: ids.iter().map(|id| token(*id)).collect(), ids, logits: logits_of_top }
            }
            Distribution::Likeliest(list) => {
                let (tokens, logits): (Vec<String>, Vec<f32>) = list.iter().take(TOP).cloned().unzip();
                Self { margin: margin(&logits).ok(), ids: Vec::new(), tokens, logits }
            }
        })
    }
}

/// KL(base || accelerated) as far as it is known.
fn divergence(base: &Distribution, accelerated: &Distribution) -> Result<Option<f64>, DistributionError> {
    match (base, accelerated) {
        (Distribution::Logits(base), Distribution::Logits(accelerated)) => kl_divergence(base, accelerated).map(Some),
        (Distribution::Likeliest(base), Distribution::Likeliest(accelerated)) => Ok(kl_of_likeliest(base, accelerated)),
        _ => Ok(None),
    }
}

fn tokens(kept: &[usize]) -> Vec<u32> {
    kept.iter().map(|&token| token as u32).collect()
}

/// The [`TOP`] largest logits with their ids, largest first, ties by id.
pub fn top(logits: &[f32]) -> Vec<(u32, f32)> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let better = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if order.len() > TOP {
        order.select_nth_unstable_by(TOP - 1, better);
        order.truncate(TOP);
    }
    order.sort_unstable_by(better);
    order.into_iter().map(|id| (id, logits[id as usize])).collect()
}

/// The `count` likeliest tokens with their probabilities, likeliest first, ties by id; at most [`TOP`].
pub fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - highest).exp();
    let total: f64 = logits.iter().copied().map(weight).sum();
    top(logits).into_iter().take(count).map(|(id, logit)| (id, (weight(logit) / total) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_shares_of_the_whole_vocabulary() {
        // e^0 : e^ln 3 : e^0 = 1 : 3 : 1
        let found = likeliest(&[7.0, 7.0 + 3f32.ln(), 7.0], 2);
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 0]);
        assert!((found[0].1 - 0.6).abs() < 1e-6 && (found[1].1 - 0.2).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn top_is_sorted_and_ties_go_to_the_lower_id() {
        assert_eq!(top(&[1.0, 3.0, 3.0, 2.0]), [(1, 3.0), (2, 3.0), (3, 2.0), (0, 1.0)]);
        let many: Vec<f32> = (0..100).map(|i| (i % 10) as f32).collect();
        let ids: Vec<u32> = top(&many).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [9, 19, 29, 39, 49, 59, 69, 79, 89, 99, 8, 18, 28, 38, 48, 58, 68, 78, 88, 98]);
    }
}
