//! Greedy choice where what an element is worth only falls as others are chosen.
//!
//! Then what it was worth before is a bound of what it is worth now, and most elements need not be looked at again before one is chosen (M. Minoux,
//! "Accelerated greedy algorithms for maximizing submodular set functions", 1978). What is chosen is what comes of looking at all of them every time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

/// Elements that a thread looks at again together, so that what they are compared with is read once.
const TOGETHER: usize = 16;
/// The same where one is far behind: most will be looked at again anyway, and what they are compared with is too much for a core's cache.
const FAR_TOGETHER: usize = 256;
/// An element is far behind when so many were chosen since it was looked at.
const FAR: usize = 64;
/// Fewest and most of them that a thread looks at again at once: those that are equally far behind, as nearly as can be.
const CHUNK: (usize, usize) = (16, 64);
/// Most threads that are kept busy by it.
const THREADS: usize = 8;

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
/// when none is chosen.
///
/// `chosen` is told of each and gives what later looks need of it. It may lower the values of others that it makes worth less, where that is at hand; they
/// are looked at all the same before they are chosen. `again` makes the values of some elements, those that were `seen` first in front, what they are worth given all
/// that were chosen since, and may leave `seen` as it is.
pub(crate) fn greedily<C: Sync>(
    mut values: Vec<f32>,
    count: usize,
    mut chosen: impl FnMut(Worth, &[C], &mut [f32]) -> C,
    again: impl Fn(&mut [Worth], &[C]) + Sync,
) -> Vec<usize> {
    let mut heap: BinaryHeap<Worth> = values.iter().enumerate().map(|(index, &value)| Worth { index, value, seen: 0 }).collect();
    let (mut order, mut told): (Vec<usize>, Vec<C>) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let threads = rayon::current_num_threads().clamp(1, THREADS);
    let mut stale: Vec<Worth> = Vec::with_capacity(FAR_TOGETHER * threads);
    while order.len() < count {
        let mut together = TOGETHER;
        // What was lowered meanwhile goes to its place first.
        while let Some(next) = heap.peek().copied()
            && (next.seen < order.len() || next.value > values[next.index])
        {
            if next.value > values[next.index] {
                heap.pop();
                heap.push(Worth { value: values[next.index], ..next });
                continue;
            }
            if order.len() - next.seen >= FAR {
                together = FAR_TOGETHER;
            }
            if stale.len() >= threads * together {
                break;
            }
            heap.pop();
            stale.push(next);
        }
        if !stale.is_empty() {
            stale.sort_unstable_by_key(|worth| worth.seen);
            let each = (stale.len() / (4 * threads)).next_multiple_of(4).clamp(CHUNK.0, CHUNK.1);
            stale.par_chunks_mut(each).for_each(|some| again(some, &told));
            for worth in stale.drain(..) {
                values[worth.index] = worth.value;
                heap.push(Worth { seen: order.len(), ..worth });
            }
            continue;
        }
        let Some(first) = heap.pop() else { break };
        order.push(first.index);
        let of = chosen(first, &told, &mut values);
        told.push(of);
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
            let again = |some: &mut [Worth], told: &[usize]| {
                for worth in some {
                    worth.value = told[worth.seen..].iter().fold(worth.value, |value, by| value - falls(worth.index, *by));
                }
            };
            let ours = greedily(first.clone(), count, |worth, _, _| worth.index, again);
            let (mut left, mut naive) = (first.clone(), Vec::new());
            while naive.len() < count.min(first.len()) {
                let open = (0..first.len()).filter(|index| !naive.contains(index));
                let next = open.reduce(|best, index| if left[index] > left[best] { index } else { best }).unwrap();
                naive.push(next);
                (0..first.len()).for_each(|index| left[index] -= falls(index, next));
            }
            prop_assert_eq!(ours, naive);
        }

        /// Values that are capped by what is chosen, some of them at once: the same.
        #[test]
        fn what_is_lowered_at_once_is_chosen_no_earlier(values in prop::collection::vec(0_u8..9, 0..90), caps in prop::collection::vec(0_u8..9, 97), count in 0_usize..99) {
            let cap = |index: usize, by: usize| f32::from(caps[(index * 7 + by * 13) % 97]);
            let first: Vec<f32> = values.iter().map(|value| f32::from(*value)).collect();
            let again = |some: &mut [Worth], told: &[usize]| {
                for worth in some {
                    worth.value = told[worth.seen..].iter().fold(worth.value, |value, by| value.min(cap(worth.index, *by)));
                }
            };
            let chosen = |worth: Worth, _: &[usize], values: &mut [f32]| {
                for (index, value) in values.iter_mut().enumerate().skip(worth.index.saturating_sub(2)).take(5) {
                    *value = value.min(cap(index, worth.index));
                }
                worth.index
            };
            let ours = greedily(first.clone(), count, chosen, again);
            let (mut left, mut naive) = (first.clone(), Vec::new());
            while naive.len() < count.min(first.len()) {
                let open = (0..first.len()).filter(|index| !naive.contains(index));
                let next = open.reduce(|best, index| if left[index] > left[best] { index } else { best }).unwrap();
                naive.push(next);
                (0..first.len()).for_each(|index| left[index] = left[index].min(cap(index, next)));
            }
            prop_assert_eq!(ours, naive);
        }
    }
}
