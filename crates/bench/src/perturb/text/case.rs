//! Words in capitals.

use rand_chacha::ChaCha8Rng;

use super::{LEVELS, Wording, shuffled, words};

/// Writes so many fifths of the words in capitals.
pub(super) fn capitals(wording: &mut Wording, level: u32, mut random: ChaCha8Rng) {
    let text: Vec<char> = wording.body.chars().collect();
    let words = words(&text);
    let count = (words.len() * level as usize).div_ceil(LEVELS as usize);
    let mut chosen = shuffled(&mut random, words.len());
    chosen.truncate(count);
    let capital = |at: usize| chosen.iter().any(|word| (words[*word].0..words[*word].1).contains(&at));
    let written = text.iter().enumerate().map(|(at, c)| if capital(at) { c.to_uppercase().collect() } else { c.to_string() });
    wording.body = written.collect::<Vec<String>>().concat();
}
