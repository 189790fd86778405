//! Greedy choice where what an element is worth only falls as others are chosen.
//!
//! Then what it was worth before is a bound of what it is worth now, and most elements need not be looked at again before one is chosen (M. Minoux,
//! "Accelerated greedy algorithms for maximizing submodular set functions", 1978). What is chosen is what comes of looking at all of them every time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

/// Elements that are looked at again together, by all threads.
const TOGETHER: usize = 64;

/// An element and the last that is known of what it is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth {
    pub(crate) index: usize,
    pub(crate) value: f32,
    /// How many had been chosen when it was looked at.
    pub(crate) seen: usize,
}

impl Ord for Worth {
    /// By value, and of equals the lower index; what is not finite is the least of all.
    fn cmp(&self, other: &Self) -> Ordering {
        let value = |worth: &Self| if worth.value.is_nan() || worth.value == f32::INFINITY { f32::NEG_INFINITY } else { worth.value };
        value(self).total_cmp(&value(other)).then(other.index.cmp(&self.index))
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worth {}

/// Chooses `count` elements, each time the one that is worth most, of equals the lower index; in the order of the choice. `values` are what they are worth
/// when none is chosen. `chosen` is told of each and gives what later looks need of it; `again` is what an element is worth given all of these.
pub(crate) fn greedily<C: Sync>(
    values: &[f32],
    count: usize,
    mut chosen: impl FnMut(Worth, &[C]) -> C,
    again: impl Fn(Worth, &[C]) -> f32 + Sync,
) -> Vec<usize> {
    let mut heap: BinaryHeap<Worth> = values.iter().enumerate().map(|(index, &value)| Worth { index, value, seen: 0 }).collect();
    let (mut order, mut told): (Vec<usize>, Vec<C>) = (Vec::with_capacity(count), Vec::with_capacity(count));
    while order.len() < count {
        let Some(first) = heap.pop() else { break };
        if first.seen == order.len() {
            order.push(first.index);
            let of = chosen(first, &told);
            told.push(of);
            continue;
        }
        let mut stale = vec![first];
        while stale.len() < TOGETHER && heap.peek().is_some_and(|next| next.seen < order.len()) {
            stale.extend(heap.pop());
        }
        stale.par_iter_mut().for_each(|worth| *worth = Worth { value: again(*worth, &told), seen: order.len(), ..*worth });
        heap.extend(stale);
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Values that fall by shares of their own, with ties: the same as looking at all each time.
        #[test]
        fn it_chooses_as_if_it_looked_at_all(values in prop::collection::vec((0_u8..6, 0_u8..4), 0..200), count in 0_usize..220) {
            let falls = |index: usize, by: usize| f32::from(values[index].1) * (1 + by % 3) as f32 * 0.25;
            let first: Vec<f32> = values.iter().map(|(value, _)| f32::from(*value)).collect();
            let again = |worth: Worth, told: &[usize]| told[worth.seen..].iter().fold(worth.value, |value, by| value - falls(worth.index, *by));
            let ours = greedily(&first, count, |worth, _| worth.index, again);
            let (mut left, mut naive) = (first.clone(), Vec::new());
            while naive.len() < count.min(first.len()) {
                let open = (0..first.len()).filter(|index| !naive.contains(index));
                let next = open.reduce(|best, index| if left[index] > left[best] { index } else { best }).unwrap();
                naive.push(next);
                (0..first.len()).for_each(|index| left[index] -= falls(index, next));
            }
            prop_assert_eq!(ours, naive);
        }
    }
}
