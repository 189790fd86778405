//! The control: a random set of visual tokens, the same for every question about an image.
//!
//! Published comparisons find random pruning hard to beat (UniPruneBench, arXiv 2511.02650), so no reducer should be
//! judged without it. Nor by one alone: whether what is left is counted anew or keeps its positions may matter more than which tokens are left.
//! `placed` keeps them, for the methods that do.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use steady_methods::{Keep, RANDOM, Value};
use steady_vlm::{Evidence, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &RANDOM,
    build: |values| match *values {
        [Value::Keep(keep), Value::Seed(seed), Value::Flag(placed)] => Some(Built::Reducer(Arc::new(RandomKeep { keep, seed, placed }))),
        _ => None,
    },
};

/// Keeps a random set of visual tokens, drawn from the seed and the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomKeep {
    /// How many stay.
    pub keep: Keep,
    /// Which random sets.
    pub seed: u64,
    /// Whether they keep their positions.
    pub placed: bool,
}

impl TokenReducer for RandomKeep {
    fn name(&self) -> String {
        RANDOM.spell(&[Value::Keep(self.keep), Value::Seed(self.seed), Value::Flag(self.placed)])
    }

    fn steps(&self) -> Vec<Step> {
        let positions = if self.placed { PositionPolicy::Keep } else { PositionPolicy::Renumber };
        vec![Step::at(Site::AfterProjector, positions)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let n = evidence.visual_tokens;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&evidence.image_key.to_le_bytes());
        let mut kept = index::sample(&mut ChaCha8Rng::from_seed(seed), n, self.keep.of(n).min(n)).into_vec();
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}
