//! One decision over several benchmarks: did accuracy fall in any of them, or a little in all?
//!
//! J. Kübler and others, "When LLMs get significantly worse: a statistical approach to detect model degradations", arXiv 2602.10144 (ICLR 2026): three
//! ways to put one-sided tests together, each strong where another is weak. Theirs count questions; here whole images change sign, as in
//! [`sign_flips`](super::sign_flips), and the largest drop is judged by its exact distribution, where they draw.

use serde::Serialize;
use statrs::function::gamma::gamma_ur;

use super::{SignFlips, normal_tail};

/// One-sided p-values of "no benchmark lost accuracy", put together in three ways, and one of all three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pooled {
    /// All images as those of one benchmark: strong where every benchmark lost a little.
    pub pooled: f64,
    /// The benchmark that lost most, in standard deviations of its own: strong where one lost much.
    pub largest_drop: f64,
    /// Fisher's product of the p-values: between the two.
    pub fisher: f64,
    /// Three times the least of the three, by Bonferroni: under α, accuracy fell.
    pub any: f64,
}

/// `benchmarks` holds for each benchmark the broken minus the repaired questions of every image. Without any change all p-values are 1.
pub fn pool(benchmarks: &[Vec<i64>]) -> Pooled {
    let all = SignFlips::of(benchmarks.iter().flatten().copied());
    let each: Vec<SignFlips> = benchmarks.iter().map(|differences| SignFlips::of(differences.iter().copied())).collect();
    let moved: Vec<&SignFlips> = each.iter().filter(|flips| flips.moves()).collect();
    let pooled = all.p_as_high(all.sum());
    let highest = moved.iter().map(|flips| flips.sum() as f64 / flips.deviation()).fold(f64::NEG_INFINITY, f64::max);
    // benchmarks are independent: none is as high as the highest with the product of their chances
    let none_as_high = |flips: &&SignFlips| 1.0 - flips.p_as_high((highest * flips.deviation() - 1e-9).ceil() as i64);
    let largest_drop = if moved.is_empty() { 1.0 } else { 1.0 - moved.iter().map(none_as_high).product::<f64>() };
    let product: f64 = moved.iter().map(|flips| flips.p_as_high(flips.sum()).ln()).sum();
    // of T independent p-values -2 Σ ln p has a χ² distribution of 2T degrees; R. A. Fisher, "Statistical Methods for Research Workers" (1932), § 21.1
    let fisher = if product < 0.0 { gamma_ur(moved.len() as f64, -product) } else { 1.0 };
    let any = (3.0 * pooled.min(largest_drop).min(fisher)).min(1.0);
    Pooled { pooled, largest_drop, fisher, any }
}

/// One-sided p of the normal distribution where there are too many sums to count.
pub(super) fn normal_as_high(least: i64, variance: f64) -> f64 {
    normal_tail((least as f64 - 1.0) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn nothing_that_moved_is_no_drop() {
        let nothing = Pooled { pooled: 1.0, largest_drop: 1.0, fisher: 1.0, any: 1.0 };
        assert_eq!((pool(&[]), pool(&[vec![0, 0], vec![]])), (nothing, nothing));
    }

    /// Of 2,000 sets of four benchmarks without any effect at most one in twenty is called a drop; a small one everywhere is found by pooling, a large one
    /// in one benchmark by looking for the largest.
    #[test]
    fn pooling_keeps_its_level_and_finds_drops() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut draw = |lean: [u64; 4]| -> Vec<Vec<i64>> {
            let image = |random: &mut ChaCha8Rng, lean: u64| match random.next_u64() % 100 {
                drawn if drawn < 12 + lean => 1,
                drawn if drawn < 24 => -1,
                _ => 0,
            };
            lean.map(|lean| (0..60).map(|_| image(&mut random, lean)).collect()).into()
        };
        let mut found = |lean: [u64; 4]| {
            let mut found = [0; 4];
            for _ in 0..2000 {
                let Pooled { pooled, largest_drop, fisher, any } = pool(&draw(lean));
                for (found, p) in found.iter_mut().zip([pooled, largest_drop, fisher, any]) {
                    *found += usize::from(p <= 0.05);
                }
            }
            found
        };
        // 5 % of 2,000 is 100, with a standard deviation of 9.7
        assert!(found([0; 4]).iter().all(|&found| found <= 130), "{:?}", found([0; 4]));
        let everywhere = found([4; 4]);
        assert!(everywhere[0] > everywhere[1] && everywhere[0] > 1000, "{everywhere:?}");
        let one = found([12, 0, 0, 0]);
        assert!(one[1] > one[0] && one[1] > 1000, "{one:?}");
    }
}
