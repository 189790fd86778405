//! Greedy decoding with the checkpoint's settings.

use steady_kernels::{Choice, Chooser, Chosen, Matrix};

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

/// From this many tokens on the next one is computed before the last is known. Answers of a study are a word or two, and what is computed behind
/// an end token is thrown away.
const LONG: usize = 8;

impl Greedy<'_> {
    /// New tokens after a prompt whose next-token logits are `first`; `step` feeds one token and gives the logits after it. The end token, when
    /// reached, is part of the answer.
    ///
    /// On a GPU, of a long answer, `step` may be asked for one token more than the answer turns out to have; it never is beyond the limit.
    pub(crate) async fn decode(
        &self,
        prompt: &[u32],
        first: &[f32],
        mut step: impl FnMut(&Chosen) -> Result<Matrix, VlmError>,
    ) -> Result<Decoded, VlmError> {
        let mut chooser = Chooser::new(self.repetition_penalty, first.len(), prompt);
        let mut output = Vec::new();
        let mut next = chooser.choose_of(first);
        loop {
            let chosen = next.chosen();
            let mut follow = || Ok::<_, VlmError>(chooser.choose(&step(&chosen)?)?);
            let ahead = !next.is_known() && output.len() >= LONG && output.len() + 1 < self.max_new_tokens;
            let ahead = if ahead { Some(follow()?) } else { None };
            let Choice { token, finite } = next.read().await?;
            if !finite {
                return Ok(Decoded { output_ids: output, end: End::NotFinite });
            }
            if output.len() == self.max_new_tokens {
                return Ok(Decoded { output_ids: output, end: End::Limit });
            }
            output.push(token);
            if self.eos.contains(&token) {
                return Ok(Decoded { output_ids: output, end: End::Said });
            }
            if output.len() == self.max_new_tokens {
                return Ok(Decoded { output_ids: output, end: End::Limit });
            }
            next = match ahead {
                Some(ahead) => ahead,
                None => follow()?,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;
    use steady_kernels::{Device, Element};

    use super::*;

    fn decoded(output_ids: &[u32], end: End) -> Decoded {
        Decoded { output_ids: output_ids.to_vec(), end }
    }

    fn greedy(max_new_tokens: usize, repetition_penalty: f32, eos: &[u32]) -> Greedy<'_> {
        Greedy { max_new_tokens, repetition_penalty, eos }
    }

    fn row(logits: &[f32]) -> Matrix {
        Matrix::new(logits.to_vec(), [1, logits.len()], &Device::Cpu, Element::F32)
    }

    #[test]
    fn stops_at_the_end_token_and_computes_nothing_after_it() {
        let script = [[0.0, 0.0, 9.0], [9.0, 0.0, 0.0]];
        let mut steps = 0;
        let output = greedy(10, 1.0, &[0])
            .decode(&[1], &[0.0, 9.0, 0.0], |_| {
                steps += 1;
                Ok(row(&script[steps - 1]))
            })
            .block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 2, 0], End::Said));
        assert_eq!(steps, 2);
    }

    #[test]
    fn stops_at_the_limit() {
        let mut steps = 0;
        let output = greedy(3, 1.0, &[0])
            .decode(&[], &[0.0, 1.0], |_| {
                steps += 1;
                Ok(row(&[0.0, 1.0]))
            })
            .block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 1, 1], End::Limit));
        assert_eq!(steps, 2);
        let none = greedy(0, 1.0, &[0]).decode(&[], &[0.0, 1.0], |_| unreachable!()).block_on();
        assert_eq!(none.unwrap(), decoded(&[], End::Limit));
    }

    #[test]
    fn it_ends_where_a_logit_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for max_new_tokens in [0, 5] {
                let first = greedy(max_new_tokens, 1.0, &[0]).decode(&[], &[1.0, bad], |_| unreachable!()).block_on();
                assert_eq!(first.unwrap(), decoded(&[], End::NotFinite));
            }
            let later = greedy(5, 2.0, &[0]).decode(&[], &[0.0, 1.0], |_| Ok(row(&[bad, 1.0]))).block_on();
            assert_eq!(later.unwrap(), decoded(&[1], End::NotFinite));
        }
    }

    /// The prompt's 0 counts as seen: 8 becomes 4, below 5. Then 1 is seen as well: 5 becomes 2.5.
    #[test]
    fn what_was_said_is_penalised() {
        let output = greedy(3, 2.0, &[9]).decode(&[0, 77], &[8.0, 5.0, 3.0], |_| Ok(row(&[8.0, 5.0, 3.0]))).block_on();
        assert_eq!(output.unwrap(), decoded(&[1, 0, 0], End::Limit));
    }
}
