//! Greedy decoding with the checkpoint's settings.

use steady_kernels::{Choice, Chooser, Chosen, Matrix, Next};

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

/// An answer on its way.
struct Line {
    /// Which of the prompts it follows.
    prompt: usize,
    chooser: Chooser,
    output_ids: Vec<u32>,
}

impl Greedy<'_> {
    /// New tokens after each of `prompts`, whose next-token logits are `first`. All answers go on side by side: `step` feeds a token each to some prompts, of which it is
    /// told the numbers, ascending, and gives a row of logits after each. The end token, when reached, is part of the answer.
    ///
    /// On a GPU, of a long answer, `step` may be asked for one token more than the answer turns out to have; it never is beyond the limit.
    pub(crate) async fn decode(
        &self,
        prompts: &[&[u32]],
        first: &[Vec<f32>],
        mut step: impl FnMut(&[usize], &[Chosen]) -> Result<Matrix, VlmError>,
    ) -> Result<Vec<Decoded>, VlmError> {
        let mut follow = |lines: &mut [Line], chosen: &[Chosen]| -> Result<Vec<Next>, VlmError> {
            let prompts: Vec<usize> = lines.iter().map(|line| line.prompt).collect();
            let logits = step(&prompts, chosen)?;
            lines.iter_mut().enumerate().map(|(row, line)| Ok(line.chooser.choose(&logits.slice(row..row + 1))?)).collect()
        };
        let (mut lines, mut next) = (Vec::with_capacity(prompts.len()), Vec::with_capacity(prompts.len()));
        for (prompt, (ids, logits)) in prompts.iter().zip(first).enumerate() {
            let mut chooser = Chooser::new(self.repetition_penalty, logits.len(), ids);
            next.push(chooser.choose_of(logits));
            lines.push(Line { prompt, chooser, output_ids: Vec::new() });
        }
        let mut decoded: Vec<Option<Decoded>> = prompts.iter().map(|_| None).collect();
        // Lines that go on are all of this length.
        for length in 0.. {
            let chosen: Vec<Chosen> = next.iter().map(Next::chosen).collect();
            let ahead = next.iter().all(|next| !next.is_known()) && length >= LONG && length + 1 < self.max_new_tokens;
            let mut ahead = if ahead { follow(&mut lines, &chosen)?.into_iter().map(Some).collect() } else { Vec::new() };
            ahead.resize_with(lines.len(), || None);
            let (mut going, mut said, mut known) = (Vec::new(), Vec::new(), Vec::new());
            for (((mut line, next), chosen), ahead) in lines.into_iter().zip(next).zip(chosen).zip(ahead) {
                let end = self.end(&mut line, next.read().await?);
                if let Some(end) = end {
                    decoded[line.prompt] = Some(Decoded { output_ids: line.output_ids, end });
                } else {
                    going.push(line);
                    said.push(chosen);
                    known.extend(ahead);
                }
            }
            if going.is_empty() {
                break;
            }
            next = if known.is_empty() { follow(&mut going, &said)? } else { known };
            lines = going;
        }
        Ok(decoded.into_iter().flatten().collect())
    }

    /// Adds the token that was chosen, if it may be; why there are no more behind it, if so.
    fn end(&self, line: &mut Line, Choice { token, finite }: Choice) -> Option<End> {
        if !finite {
            return Some(End::NotFinite);
        }
        if line.output_ids.len() < self.max_new_tokens {
            line.output_ids.push(token);
            if self.eos.contains(&token) {
                return Some(End::Said);
            }
        }
        (line.output_ids.len() == self.max_new_tokens).then_some(End::Limit)
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

    /// The answer after one prompt; `step` feeds it a token.
    fn one(greedy: &Greedy<'_>, prompt: &[u32], first: &[f32], mut step: impl FnMut() -> Matrix) -> Decoded {
        let step = |prompts: &[usize], _: &[Chosen]| {
            assert_eq!(prompts, [0]);
            Ok(step())
        };
        greedy.decode(&[prompt], &[first.to_vec()], step).block_on().unwrap().remove(0)
    }

    fn row(logits: &[f32]) -> Matrix {
        Matrix::new(logits.to_vec(), [1, logits.len()], &Device::Cpu, Element::F32)
    }

    #[test]
    fn stops_at_the_end_token_and_computes_nothing_after_it() {
        let script = [[0.0, 0.0, 9.0], [9.0, 0.0, 0.0]];
        let mut steps = 0;
        let output = one(&greedy(10, 1.0, &[0]), &[1], &[0.0, 9.0, 0.0], || {
            steps += 1;
            row(&script[steps - 1])
        });
        assert_eq!(output, decoded(&[1, 2, 0], End::Said));
        assert_eq!(steps, 2);
    }

    #[test]
    fn stops_at_the_limit() {
        let mut steps = 0;
        let output = one(&greedy(3, 1.0, &[0]), &[], &[0.0, 1.0], || {
            steps += 1;
            row(&[0.0, 1.0])
        });
        assert_eq!(output, decoded(&[1, 1, 1], End::Limit));
        assert_eq!(steps, 2);
        assert_eq!(one(&greedy(0, 1.0, &[0]), &[], &[0.0, 1.0], || unreachable!()), decoded(&[], End::Limit));
    }

    #[test]
    fn it_ends_where_a_logit_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for max_new_tokens in [0, 5] {
                let first = one(&greedy(max_new_tokens, 1.0, &[0]), &[], &[1.0, bad], || unreachable!());
                assert_eq!(first, decoded(&[], End::NotFinite));
            }
            let later = one(&greedy(5, 2.0, &[0]), &[], &[0.0, 1.0], || row(&[bad, 1.0]));
            assert_eq!(later, decoded(&[1], End::NotFinite));
        }
    }

    /// The prompt's 0 counts as seen: 8 becomes 4, below 5. Then 1 is seen as well: 5 becomes 2.5.
    #[test]
    fn what_was_said_is_penalised() {
        let output = one(&greedy(3, 2.0, &[9]), &[0, 77], &[8.0, 5.0, 3.0], || row(&[8.0, 5.0, 3.0]));
        assert_eq!(output, decoded(&[1, 0, 0], End::Limit));
    }

    /// Answers of one, three, no and two tokens: who is done is fed no more.
    #[test]
    fn answers_of_several_lengths_go_side_by_side() {
        let first = [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [f32::NAN, 0.0, 0.0], [0.0, 9.0, 0.0]].map(Vec::from);
        let mut fed = Vec::new();
        let step = |prompts: &[usize], chosen: &[Chosen]| {
            fed.push(prompts.to_vec());
            assert_eq!(prompts.len(), chosen.len());
            let logits: Vec<f32> =
                prompts.iter().flat_map(|&prompt| if prompt == 1 && fed.len() == 1 { [0.0, 0.0, 9.0] } else { [9.0, 0.0, 0.0] }).collect();
            Ok(Matrix::new(logits, [prompts.len(), 3], &Device::Cpu, Element::F32))
        };
        let output = greedy(10, 1.0, &[0]).decode(&[&[], &[], &[], &[]], &first, step).block_on().unwrap();
        let expected =
            [decoded(&[0], End::Said), decoded(&[1, 2, 0], End::Said), decoded(&[], End::NotFinite), decoded(&[1, 0], End::Said)];
        assert_eq!(output, expected);
        assert_eq!(fed, [vec![1, 3], vec![1]]);
    }
}
