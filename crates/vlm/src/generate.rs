//! Greedy decoding with the checkpoint's settings, on host logits.

use std::collections::BTreeSet;

use crate::{VlmError, files::GenerationConfig};

/// How an answer is decoded. Always greedy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoding {
    /// Longest answer in tokens, the end token included.
    pub max_new_tokens: usize,
    /// Divides positive and multiplies negative logits of tokens that occurred, prompt included. `None`: as the checkpoint's
    /// generation config says.
    pub repetition_penalty: Option<f32>,
    /// Decodes on past the end token up to `max_new_tokens`: for measuring speed.
    pub ignore_eos: bool,
}

impl Default for Decoding {
    fn default() -> Self {
        Self { max_new_tokens: 64, repetition_penalty: None, ignore_eos: false }
    }
}

impl Decoding {
    /// As a checkpoint wants to be decoded.
    pub fn of(generation: &GenerationConfig) -> Self {
        let default = Self::default();
        Self { max_new_tokens: generation.max_new_tokens.unwrap_or(default.max_new_tokens), ..default }
    }
}

/// The rules of one decoding run, resolved against the checkpoint.
pub(crate) struct Greedy<'a> {
    pub(crate) max_new_tokens: usize,
    pub(crate) repetition_penalty: f32,
    pub(crate) eos: &'a [u32],
}

/// New tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) output_ids: Vec<u32>,
    pub(crate) end: End,
}

/// Why there are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The last one is an end token.
    Said,
    /// There are as many as there may be.
    Limit,
    /// A logit behind the last of them was not finite: there is no next token, not even a wrong one.
    NotFinite,
}

impl Greedy<'_> {
    /// New tokens after a prompt whose next-token logits are `first`; `step` feeds one token and returns the logits after it.
    /// The end token, when reached, is part of the answer, and nothing is computed after it.
    pub(crate) async fn decode(
        &self,
        prompt: &[u32],
        first: &[f32],
        mut step: impl AsyncFnMut(u32) -> Result<Vec<f32>, VlmError>,
    ) -> Result<Decoded, VlmError> {
        let mut seen: BTreeSet<u32> = prompt.iter().copied().collect();
        let mut output = Vec::new();
        let mut logits = first.to_vec();
        loop {
            if logits.iter().any(|logit| !logit.is_finite()) {
                return Ok(Decoded { output_ids: output, end: End::NotFinite });
            }
            if output.len() == self.max_new_tokens {
                return Ok(Decoded { output_ids: output, end: End::Limit });
            }
            self.penalize(&mut logits, &seen);
            let token = argmax(&logits);
            output.push(token);
            seen.insert(token);
            if self.eos.contains(&token) {
                return Ok(Decoded { output_ids: output, end: End::Said });
            }
            if output.len() == self.max_new_tokens {
                return Ok(Decoded { output_ids: output, end: End::Limit });
            }
            logits = step(token).await?;
        }
    }

    /// The repetition penalty of CTRL (Keskar et al., 2019): each token counts once, however often it occurred.
    #[expect(clippy::float_cmp, reason = "exactly 1 is the documented value for no penalty")]
    fn penalize(&self, logits: &mut [f32], seen: &BTreeSet<u32>) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        for &token in seen {
            // Prompts may hold placeholder ids that have no logit.
            if let Some(logit) = logits.get_mut(token as usize) {
                if *logit < 0.0 {
                    *logit *= self.repetition_penalty;
                } else {
                    *logit /= self.repetition_penalty;
                }
            }
        }
    }
}

/// The index of the largest logit, the lowest on ties.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (index as u32, logit);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;

    use super::*;

    fn decoded(output_ids: &[u32], end: End) -> Decoded {
        Decoded { output_ids: output_ids.to_vec(), end }
    }

    fn greedy(max_new_tokens: usize, repetition_penalty: f32, eos: &[u32]) -> Greedy<'_> {
        Greedy { max_new_tokens, repetition_penalty, eos }
    }

    #[test]
    fn stops_at_the_end_token_and_computes_nothing_after_it() {
        let script = [[0.0, 0.0, 9.0], [9.0, 0.0, 0.0]];
        let mut fed = Vec::new();
        let output = greedy(10, 1.0, &[0])
            .decode(&[1], &[0.0, 9.0, 0.0], async |token| {
                fed.push(token);
                Ok(script[fed.len() - 1].to_vec())
            })
            .block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 2, 0], End::Said));
        assert_eq!(fed, [1, 2]);
    }

    #[test]
    fn stops_at_the_limit() {
        let mut steps = 0;
        let output = greedy(3, 1.0, &[0])
            .decode(&[], &[0.0, 1.0], async |_| {
                steps += 1;
                Ok(vec![0.0, 1.0])
            })
            .block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 1, 1], End::Limit));
        assert_eq!(steps, 2);
        let none = greedy(0, 1.0, &[0]).decode(&[], &[0.0, 1.0], async |_| unreachable!()).block_on();
        assert_eq!(none.unwrap(), decoded(&[], End::Limit));
    }

    #[test]
    fn ties_go_to_the_lowest_id() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
    }

    #[test]
    fn it_ends_where_a_logit_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for max_new_tokens in [0, 5] {
                let first = greedy(max_new_tokens, 1.0, &[0]).decode(&[], &[1.0, bad], async |_| unreachable!()).block_on();
                assert_eq!(first.unwrap(), decoded(&[], End::NotFinite));
            }
            let later = greedy(5, 2.0, &[0]).decode(&[], &[0.0, 1.0], async |_| Ok(vec![bad, 1.0])).block_on();
            assert_eq!(later.unwrap(), decoded(&[1], End::NotFinite));
        }
    }

    /// By transformers' definition: of the tokens that occurred, positive logits are divided, negative ones multiplied, once.
    #[test]
    fn repetition_penalty_covers_prompt_and_output() {
        let rules = greedy(3, 2.0, &[9]);
        // Prompt holds 0 twice (8 -> 4, once) and 3 (-1 -> -2): 1 wins. Then 1 is penalised as well (5 -> 2.5): 0 at 4 wins.
        let output = rules.decode(&[0, 3, 0, 77], &[8.0, 5.0, 1.0, -1.0], async |_| Ok(vec![8.0, 5.0, 3.0, -1.0])).block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 0, 0], End::Limit));
        let mut logits = [8.0, 5.0, 1.0, -1.0];
        rules.penalize(&mut logits, &BTreeSet::from([0, 3, 77]));
        assert_eq!(logits.map(|logit| (logit * 8.0) as i32), [32, 40, 8, -16]);
    }
}
