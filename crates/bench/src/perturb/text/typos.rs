//! Slips of the fingers.

use rand_chacha::ChaCha8Rng;

use super::{Wording, below, shuffled, words};

/// Shorter words become others by a slip.
const SHORTEST: usize = 4;

/// Gives `level` words a slip inside: two letters change places, one is left out, or one is doubled.
pub(super) fn slips(wording: &mut Wording, level: u32, mut random: ChaCha8Rng) {
    let mut text: Vec<char> = wording.body.chars().collect();
    let long: Vec<(usize, usize)> = words(&text).into_iter().filter(|(from, to)| to - from >= SHORTEST).collect();
    let mut chosen: Vec<(usize, usize)> = shuffled(&mut random, long.len())
        .into_iter()
        .take(level as usize)
        .map(|word| {
            let (from, to) = long[word];
            (from + 1 + below(&mut random, to - from - 2), below(&mut random, 3))
        })
        .collect();
    // From the end, so that places stay what they are.
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    for (at, slip) in chosen {
        match slip {
            0 if text[at] != text[at + 1] => text.swap(at, at + 1),
            1 => text.insert(at, text[at]),
            _ => {
                text.remove(at);
            }
        }
    }
    wording.body = text.into_iter().collect();
}
