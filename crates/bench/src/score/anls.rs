//! ANLS, the average normalised Levenshtein similarity of DocVQA (Biten et al. 2019, arXiv 1907.00490), as lmms-eval 0.7.3 has it from Qwen-VL.

/// Below this similarity an answer is worth nothing.
const THRESHOLD: f64 = 0.5;

/// The words of a reply in lower case. White space that is left out counts in the reply's length, and so it stands behind them.
pub(super) fn read(reply: &str) -> String {
    let words = words(reply);
    let left_out = length(reply).saturating_sub(words.chars().count());
    words + &" ".repeat(left_out)
}

/// The best similarity of what was read with one of the right answers.
pub(super) fn similarity(read: &str, gold: &[String]) -> f32 {
    let answer: Vec<char> = read.trim_end().chars().collect();
    let said = read.chars().count();
    let distances = gold.iter().map(|gold| {
        let right: Vec<char> = words(gold).chars().collect();
        let longest = said.max(length(gold));
        if longest == 0 { 0.0 } else { edits(&right, &answer) as f64 / longest as f64 }
    });
    let similarity = 1.0 - distances.fold(1.0, f64::min);
    if similarity < THRESHOLD { 0.0 } else { similarity as f32 }
}

fn words(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn length(text: &str) -> usize {
    text.to_uppercase().chars().count()
}

/// The Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, one) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            row.push((above[j] + usize::from(one != other)).min(above[j + 1] + 1).min(row[j] + 1));
        }
        above = row;
    }
    above.last().copied().unwrap_or(0)
}
