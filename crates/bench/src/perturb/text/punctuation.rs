//! Marks that say nothing new.

use super::Wording;

/// Leaves out the mark at the end (1), leaves out all marks (2), with an ellipsis at the end (3), with commas behind every third word (4) or every word (5) too.
pub(super) fn marks(wording: &mut Wording, level: u32) {
    let body = wording.body.trim_end();
    if level == 1 {
        wording.body = body.trim_end_matches(is_mark).to_owned();
        return;
    }
    let bare = without_marks(body);
    let every = match level {
        4 => Some(3),
        5 => Some(1),
        _ => None,
    };
    let mut words: Vec<String> = bare.split(' ').map(str::to_owned).collect();
    let last = words.len() - 1;
    for (at, word) in words.iter_mut().enumerate() {
        if at < last && !word.is_empty() && every.is_some_and(|every| (at + 1) % every == 0) {
            word.push(',');
        }
    }
    wording.body = words.join(" ") + if level > 2 { "..." } else { "" };
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '(' | ')' | '…' | '“' | '”' | '‘' | '’')
}

/// Without marks; those inside of a word or a number belong to it.
fn without_marks(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let inside = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_alphanumeric());
    let kept = |at: usize| !is_mark(text[at]) || inside(at.checked_sub(1)) && inside(Some(at + 1));
    (0..text.len()).filter(|at| kept(*at)).map(|at| text[at]).collect()
}
