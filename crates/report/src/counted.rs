//! A number with what it counts.

/// `1 answer`, `2 answers`: an English noun whose plural ends in s.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
