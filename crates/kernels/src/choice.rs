//! The greedy choice of the next token, made where the logits are.

use crate::{DeviceError, Matrix, matrix::Place};

/// Chooses tokens greedily and remembers which there were.
#[derive(Debug)]
pub struct Chooser {
    penalty: f32,
    vocab: usize,
    /// A bit for each token of the vocabulary, the first in the lowest bit of the first word: whether it is in the text so far. Empty without a
    /// penalty.
    seen: Vec<u32>,
    /// The same on a GPU, once it chose there; what the host has is then no longer kept up.
    #[cfg(feature = "gpu")]
    on_gpu: Option<steady_gpu::Words>,
}

/// A token that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// Whether all logits were finite; if not, the token is not to be taken.
    pub finite: bool,
}

/// A choice that the host may not know yet.
#[derive(Debug)]
pub struct Next(Progress);

#[derive(Debug)]
enum Progress {
    Known(Choice),
    #[cfg(feature = "gpu")]
    OnItsWay(steady_gpu::Words, steady_gpu::Request),
}

/// A chosen token where it was chosen: what a model goes on with ([`Table::chosen`](crate::Table::chosen)).
#[derive(Clone, Debug)]
pub struct Chosen(pub(crate) TokenPlace);

#[derive(Clone, Debug)]
pub(crate) enum TokenPlace {
    Host(u32),
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Words),
}

impl Chooser {
    /// Of `vocab` tokens, behind a text of `tokens`. `penalty` divides positive and multiplies negative logits of tokens that are in the text or
    /// were chosen since, each once, however often it occurred (CTRL: Keskar et al., 2019); 1 is none. Tokens that have no logit, as
    /// placeholders of prompts may, are let pass.
    #[expect(clippy::float_cmp, reason = "exactly 1 is the documented value for no penalty")]
    pub fn new(penalty: f32, vocab: usize, tokens: &[u32]) -> Self {
        let seen = vec![0; if penalty == 1.0 { 0 } else { vocab.div_ceil(32) }];
        let mut chooser = Self {
            penalty,
            vocab,
            seen,
            #[cfg(feature = "gpu")]
            on_gpu: None,
        };
        for &token in tokens {
            chooser.see(token);
        }
        chooser
    }

    /// The token of the largest of `logits [1, vocab]`, the first of several that are equal. On a GPU nothing waits for it.
    ///
    /// # Errors
    /// When the device failed.
    ///
    /// # Panics
    /// When there are more or fewer than the vocabulary has.
    pub fn choose(&mut self, logits: &Matrix) -> Result<Next, DeviceError> {
        assert_eq!(logits.dims(), [1, self.vocab], "a logit for each token of the vocabulary");
        match &logits.0 {
            Place::Cpu(_) => Ok(self.choose_of(&logits.host()?)),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => {
                if self.on_gpu.is_none() && !self.seen.is_empty() {
                    self.on_gpu = Some(gpu.words(&self.seen));
                }
                let seen = self.on_gpu.as_ref().map(|tokens| steady_gpu::kernels::Seen { tokens, penalty: self.penalty });
                let choice = steady_gpu::kernels::choose(gpu, rows, seen);
                let request = gpu.request(&choice);
                Ok(Next(Progress::OnItsWay(choice, request)))
            }
        }
    }

    /// As [`Chooser::choose`], of logits that are on the host. Before any choice on a GPU, which remembers by itself.
    ///
    /// # Panics
    /// When there are more or fewer than the vocabulary has.
    pub fn choose_of(&mut self, logits: &[f32]) -> Next {
        assert_eq!(logits.len(), self.vocab, "a logit for each token of the vocabulary");
        let mut best = (0, f32::NEG_INFINITY);
        let mut finite = true;
        for (token, &logit) in (0u32..).zip(logits) {
            finite &= logit.is_finite();
            let logit = match self.sees(token) {
                false => logit,
                true if logit > 0.0 => logit / self.penalty,
                true => logit * self.penalty,
            };
            if logit > best.1 {
                best = (token, logit);
            }
        }
        self.see(best.0);
        Next(Progress::Known(Choice { token: best.0, finite }))
    }

    fn see(&mut self, token: u32) {
        if let Some(word) = self.seen.get_mut(token as usize / 32).filter(|_| (token as usize) < self.vocab) {
            *word |= 1 << (token % 32);
        }
    }

    fn sees(&self, token: u32) -> bool {
        self.seen.get(token as usize / 32).is_some_and(|word| (word >> (token % 32)) & 1 == 1)
    }
}

impl Next {
    /// Whether the host knows it already.
    pub fn is_known(&self) -> bool {
        matches!(self.0, Progress::Known(_))
    }

    /// What was chosen. Waits for it, and for nothing that was computed since.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn read(self) -> Result<Choice, DeviceError> {
        match self.0 {
            Progress::Known(choice) => Ok(choice),
            #[cfg(feature = "gpu")]
            Progress::OnItsWay(_, request) => match request.wait().await?[..] {
                [token, _, flag] => Ok(Choice { token, finite: flag == 0 }),
                ref words => Err(DeviceError(format!("a choice of {} words", words.len()))),
            },
        }
    }

    /// The token where it was chosen.
    pub fn chosen(&self) -> Chosen {
        Chosen(match &self.0 {
            Progress::Known(choice) => TokenPlace::Host(choice.token),
            #[cfg(feature = "gpu")]
            Progress::OnItsWay(words, _) => TokenPlace::Gpu(words.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;

    use super::{Choice, Chooser, Next};
    use crate::{Device, Element, Matrix};

    fn read(next: Next) -> Choice {
        assert!(next.is_known());
        next.read().block_on().unwrap()
    }

    fn token(next: Next) -> u32 {
        let choice = read(next);
        assert!(choice.finite);
        choice.token
    }

    #[test]
    fn ties_go_to_the_lowest_id() {
        assert_eq!(token(Chooser::new(1.0, 4, &[]).choose_of(&[1.0, 3.0, 3.0, 2.0])), 1);
    }

    #[test]
    fn what_is_not_finite_is_said() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for penalty in [1.0, 2.0] {
                assert!(!read(Chooser::new(penalty, 2, &[1]).choose_of(&[1.0, bad])).finite);
            }
        }
    }

    /// By transformers' definition: of the tokens that occurred, positive logits are divided, negative ones multiplied, once.
    #[test]
    fn repetition_penalty_covers_prompt_and_choices() {
        let logits = [8.0, 5.0, 3.0, -1.0];
        let on_device = Matrix::new(logits.to_vec(), [1, 4], &Device::Cpu, Element::F32);
        // The prompt holds 0 twice (8 -> 4, once), 3 (-1 -> -2) and a placeholder: 1 wins. Then 1 is penalised as well (5 -> 2.5): 0 at 4 wins.
        let mut chooser = Chooser::new(2.0, 4, &[0, 3, 0, 77]);
        assert_eq!(token(chooser.choose_of(&logits)), 1);
        assert_eq!(token(chooser.choose(&on_device).unwrap()), 0);
        assert_eq!(token(chooser.choose_of(&[1.9, 0.5, 0.9, -1.0])), 0);
        // 2 alone is unseen: 1.9 -> 0.95 is below 0.96, and from now on it is seen.
        assert_eq!(token(chooser.choose_of(&[1.9, 0.5, 0.96, -1.0])), 2);
        assert_eq!(token(chooser.choose_of(&[-3.0, -2.0, -2.5, -1.9])), 3);
    }
}
