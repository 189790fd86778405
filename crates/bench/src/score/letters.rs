//! The letter of an option in free text, as lmms-eval 0.7.3 finds it for MMStar, RealWorldQA, MMBench and MMMU.

use super::official::option_letter;

/// Phrases behind which the answer stands.
const PHRASES: [&str; 27] = [
    "the answer is",
    "answer is",
    "the correct answer is",
    "correct answer is",
    "the best answer is",
    "best answer is",
    "the correct option is",
    "correct option is",
    "the best option is",
    "best option is",
    "the choice is",
    "choice is",
    "the correct choice is",
    "correct choice is",
    "i choose",
    "i select",
    "i pick",
    "my answer is",
    "my choice is",
    "옵션",
    "정답은",
    "답은",
    "답:",
    "答案是",
    "答案为",
    "选",
    "答えは",
];

/// The letter that a reply gives most clearly, of the first `options` (`mcq_extract.extract_mcq_answer`): at its beginning, else at its end, else behind a
/// phrase, else as `(B)`, `B.`, `B:`, `B)`, `B `, else anywhere. Of several in one form the last one.
pub(super) fn extracted(reply: &str, options: usize) -> Option<char> {
    if reply.trim().is_empty() {
        return None;
    }
    let mut text = reply.trim();
    for sign in [',', '.', '!', '?', ';', ':', '\'', '"'] {
        text = text.trim_matches(sign);
    }
    let text: Vec<char> = format!(" {text} ").chars().collect();
    // How clear a form is, where it stands, and the letter.
    let mut found: Vec<(u8, usize, char)> = Vec::new();
    let letters = || (0..options).map(option_letter);
    for (clear, before, after) in [(6, "(", ")"), (5, "", "."), (4, "", ":"), (3, "", ")"), (2, "", " ")] {
        found.extend(letters().filter_map(|letter| Some((clear, last(&text, &format!("{before}{letter}{after}"))?, letter))));
    }
    let lower: Vec<char> = text.iter().flat_map(|c| c.to_lowercase()).collect();
    for phrase in PHRASES {
        let Some(at) = first(&lower, phrase, 0) else { continue };
        let behind = at + phrase.chars().count();
        found.extend(letters().filter_map(|letter| Some((7, first(&text, &letter.to_string(), behind)?, letter))));
    }
    let inside: Vec<char> = text.iter().collect::<String>().trim().chars().collect();
    let alone = |neighbour: Option<&char>| neighbour.is_none_or(|c| !c.is_alphabetic());
    found.extend(letters().filter(|letter| inside.first() == Some(letter) && alone(inside.get(1))).map(|letter| (10, 0, letter)));
    let last_but_one = inside.len().checked_sub(2).and_then(|at| inside.get(at));
    found.extend(letters().filter(|letter| inside.last() == Some(letter) && alone(last_but_one)).map(|letter| (9, text.len() - 1, letter)));
    if found.is_empty() {
        found.extend(letters().filter_map(|letter| Some((0, last(&text, &letter.to_string())?, letter))));
    }
    // Of equals the first.
    found.into_iter().rev().max_by_key(|(clear, at, _)| (*clear, *at)).map(|(.., letter)| letter)
}

/// MMBench's reading (`MMBench_Evaluator`, method `static`): one of A to E alone in one form, else the one option whose text the reply holds, else
/// [`extracted`]. In place of the last lmms-eval asks GPT where it has a key.
pub(super) fn mm_bench(reply: &str, options: &[String]) -> Option<char> {
    let reply = reply.trim();
    inferred(reply).or_else(|| one_text(reply, options)).or_else(|| extracted(reply, options.len()))
}

fn inferred(reply: &str) -> Option<char> {
    const FORMS: [(&str, &str); 13] = [
        ("", ""),
        ("", "."),
        ("", ","),
        ("", ":"),
        ("", ")"),
        ("", ")."),
        ("(", ")"),
        ("(", ")."),
        (":", ""),
        (":", ","),
        (":", "."),
        (":", ")"),
        (":", ")."),
    ];
    let words: Vec<&str> = reply.split_whitespace().collect();
    let quantifier = words.len() > 3 && words.contains(&"A");
    for (form, (before, after)) in FORMS.iter().enumerate() {
        let mut there = ('A'..='E').filter(|letter| words.contains(&format!("{before}{letter}{after}").as_str()));
        if let (Some(letter), None) = (there.next(), there.next())
            // A lone "A" in a sentence may be an article.
            && !(form == 0 && quantifier)
        {
            return Some(letter);
        }
    }
    None
}

fn one_text(reply: &str, options: &[String]) -> Option<char> {
    let reply = reply.to_lowercase();
    // Four at most, as there.
    let mut there = options.iter().take(4).enumerate().filter(|(_, option)| reply.contains(&option.to_lowercase()));
    there.next().filter(|_| there.next().is_none()).map(|(index, _)| option_letter(index))
}

/// MMMU's reading of an answer with options (`parse_mmmu_multi_choice_response`): `(B)`, else `B `, else `B.`, else, in more than five words, an option's
/// text; of several the last one. Where there is none, MMMU draws a letter. Here that is unread.
pub(super) fn mmmu(reply: &str, options: &[String]) -> Option<char> {
    let mut reply = reply;
    for sign in [',', '.', '!', '?', ';', ':', '\''] {
        reply = reply.trim_matches(sign);
    }
    let reply = format!(" {reply} ");
    let holding = |before: &str, after: &str| -> Vec<usize> {
        (0..options.len()).filter(|index| reply.contains(&format!("{before}{}{after}", option_letter(*index)))).collect()
    };
    // Which are there, and where the last of a form is, or none.
    let latest = |found: &[usize], place: &dyn Fn(usize) -> Option<usize>| {
        found.iter().copied().reduce(|best, next| if place(next) > place(best) { next } else { best })
    };
    let bracketed = holding("(", ")");
    if !bracketed.is_empty() {
        return latest(&bracketed, &|index| reply.rfind(&format!("({})", option_letter(index)))).map(option_letter);
    }
    for found in [holding("", " "), holding("", ".")] {
        if !found.is_empty() {
            return latest(&found, &|index| reply.rfind(&format!(" {} ", option_letter(index)))).map(option_letter);
        }
    }
    if reply.split_whitespace().count() <= 5 {
        return None;
    }
    let lower = reply.to_lowercase();
    let found: Vec<usize> = (0..options.len()).filter(|index| lower.contains(&options[*index].to_lowercase())).collect();
    latest(&found, &|index| lower.rfind(&options[index].to_lowercase())).map(option_letter)
}

/// Where `part` stands first in `text`, from `start` on.
fn first(text: &[char], part: &str, start: usize) -> Option<usize> {
    let part: Vec<char> = part.chars().collect();
    (start..text.len()).find(|at| text[*at..].starts_with(&part))
}

/// Where it stands last.
fn last(text: &[char], part: &str) -> Option<usize> {
    let part: Vec<char> = part.chars().collect();
    (0..text.len()).rev().find(|at| text[*at..].starts_with(&part))
}
