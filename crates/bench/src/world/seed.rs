//! All chance in the world: a ChaCha8 stream per (domain, image index), and draws that no library update can change.
//!
//! Training images have indices below 2^40 ([`Split::Train`]), test images from 2^40 on ([`Split::Test`]), so the two can
//! never share a seed.

use crate::BenchError;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

/// Which of the two disjoint seed ranges an image comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Image indices below 2^40.
    Train,
    /// Image indices from 2^40 on.
    Test,
}

impl Split {
    /// Number of images in a split, and the first index of the test split.
    pub const SIZE: u64 = 1 << 40;

    /// `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// Seed index of the `i`-th image of the split. Positions wrap at [`Split::SIZE`], so no position reaches the other split.
    pub(crate) fn index(self, i: u64) -> u64 {
        let i = i % Self::SIZE;
        match self {
            Self::Train => i,
            Self::Test => Self::SIZE + i,
        }
    }
}

impl std::str::FromStr for Split {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        match name {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            _ => Err(BenchError::UnknownName { what: "split", found: name.into(), expected: "train, test".into() }),
        }
    }
}

/// A seeded source of draws.
///
/// The draws are written out here instead of taken from `rand`, whose range algorithms may change between releases: the
/// world must stay the same for as long as the checkpoints trained on it.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Key of the stream: SHA-256 of the domain, a zero byte, and the index in little endian.
    pub(crate) fn new(domain: &str, index: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"steady-world/1/");
        hash.update(domain.as_bytes());
        hash.update([0]);
        hash.update(index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Uniform in `0..n` (0 for n = 0; n below 2^32), by the high half of a product.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1).max(1) as usize) as i32
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items, `None` if there are none.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.below(items.len())).copied()
    }

    /// One of the items of a list that cannot be empty.
    pub(crate) fn one<T: Copy, const N: usize>(&mut self, items: &[T; N]) -> T {
        items[self.below(N)]
    }

    /// Index drawn in proportion to its weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (i, &w) in weights.iter().enumerate() {
            if left < w {
                return i;
            }
            left -= w;
        }
        0
    }

    /// The same items in a uniformly drawn order (Fisher-Yates).
    pub(crate) fn shuffled<T: Copy>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
        items
    }

    /// Uniform bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn no_position_of_one_split_reaches_the_other(train in any::<u64>(), test in any::<u64>()) {
            prop_assert!(Split::Train.index(train) < 1 << 40);
            prop_assert!(Split::Test.index(test) >= 1 << 40);
        }

        #[test]
        fn draws_stay_in_range(index in any::<u64>(), n in 1usize..50, low in -100i32..100, width in 0i32..100) {
            let mut dice = Dice::new("test", index);
            for _ in 0..20 {
                prop_assert!(dice.below(n) < n);
                prop_assert!((low..=low + width).contains(&dice.between(low, low + width)));
            }
        }
    }

    #[test]
    fn weights_are_kept() {
        let mut dice = Dice::new("test", 0);
        let mut counts = [0u32; 4];
        for _ in 0..10_000 {
            counts[dice.weighted(&[1, 0, 2, 1])] += 1;
        }
        // 2500, 0, 5000, 2500 with a standard deviation below 51.
        assert!(counts[0].abs_diff(2500) < 250 && counts[1] == 0 && counts[2].abs_diff(5000) < 250, "{counts:?}");
    }

    #[test]
    fn domains_and_indices_give_different_streams() {
        let first = |domain, index| Dice::new(domain, index).below(1 << 31);
        let draws: BTreeSet<usize> = [("a", 0), ("a", 1), ("b", 0), ("", 0), ("a", 1 << 40)].map(|(d, i)| first(d, i)).into();
        assert_eq!(draws.len(), 5);
    }

    #[test]
    fn shuffling_keeps_the_items() {
        let mut shuffled = Dice::new("test", 3).shuffled(&[1, 2, 3, 4, 5]);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [1, 2, 3, 4, 5]);
        assert_eq!(Dice::new("test", 3).pick::<u8>(&[]), None);
    }
}
