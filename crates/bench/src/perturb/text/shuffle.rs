//! Options in another order.

use rand_chacha::ChaCha8Rng;

use super::{Wording, below};

/// Puts options into an order in which exactly `level` pairs stand the other way round, or all if there are fewer: a permutation with so many inversions, out
/// of its Lehmer code.
pub(super) fn options(wording: &mut Wording, level: u32, mut random: ChaCha8Rng) {
    let count = wording.options.len();
    let pairs = (level as usize).min(count * count.saturating_sub(1) / 2);
    // How many of those that come later go before each.
    let mut code = vec![0; count];
    for _ in 0..pairs {
        let open: Vec<usize> = (0..count).filter(|at| code[*at] < count - 1 - at).collect();
        code[open[below(&mut random, open.len())]] += 1;
    }
    let mut left: Vec<usize> = (0..count).collect();
    let order: Vec<usize> = code.into_iter().map(|skipped| left.remove(skipped)).collect();
    wording.options = order.iter().map(|was| wording.options[*was].clone()).collect();
    wording.order = order.iter().map(|was| wording.order[*was]).collect();
}
