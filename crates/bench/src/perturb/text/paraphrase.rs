//! The instruction in other words.

use super::Wording;

/// Instructions that the field and this program put behind questions, each with five others that ask for the same form, the nearest first.
const INSTRUCTIONS: [(&[&str], [&str; 5]); 5] = [
    (
        &["Answer the question using a single word or phrase."],
        [
            "Answer the question with a single word or phrase.",
            "Please answer the question using one word or a short phrase.",
            "Reply with just a word or a short phrase.",
            "Keep your answer to one word or a brief phrase.",
            "I only need a word or a few; no sentences, please.",
        ],
    ),
    (
        &[
            "Answer with the option's letter from the given choices directly.",
            "Answer with the option's letter from the given choices directly",
        ],
        [
            "Answer directly with the option's letter from the given choices.",
            "Please answer with the letter of the correct option only.",
            "Reply with just the letter of the right choice.",
            "Which letter is right? Give nothing but the letter.",
            "Pick one of the choices above and tell me its letter, nothing else.",
        ],
    ),
    (
        &["When the provided information is insufficient, respond with 'Unanswerable'."],
        [
            "If the provided information is insufficient, respond with 'Unanswerable'.",
            "Respond with 'Unanswerable' when the information provided is not enough.",
            "If the image does not tell, reply 'Unanswerable'.",
            "Should there be no way to know, say 'Unanswerable'.",
            "Not everything can be answered from the image; where it cannot, your answer is 'Unanswerable'.",
        ],
    ),
    (
        &["Answer the question with a single word."],
        [
            "Answer the question using a single word.",
            "Please answer with one word.",
            "Reply with just one word.",
            "Keep your answer to one word.",
            "I only need one word; no sentences, please.",
        ],
    ),
    (
        &["Answer with the letter.", "Give the letter."],
        [
            "Reply with the letter.",
            "Please answer with the letter.",
            "Answer with just the letter of the option.",
            "Give nothing but the letter of the right option.",
            "Pick one of the options above and tell me its letter, nothing else.",
        ],
    ),
];

/// What stands before a question that has no instruction, the nearest to nothing first.
const LEADS: [&str; 5] = [
    "Question: ",
    "Look at the image. ",
    "Please look at the image and answer. ",
    "Here is an image, and this is what I would like to know about it. ",
    "You are shown an image. Consider all of it before you answer what follows. ",
];

/// Whether lines hold instructions and nothing else.
pub(super) fn is_instruction(lines: &[&str]) -> bool {
    let known = |line: &&&str| INSTRUCTIONS.iter().any(|(known, _)| known.contains(line));
    lines.iter().any(|line| known(&line)) && lines.iter().all(|line| line.is_empty() || known(&line))
}

/// Puts every instruction into words of this level.
pub(super) fn instruction(wording: &mut Wording, level: u32) {
    let of_level = |texts: &[&'static str; 5]| texts[(level as usize).clamp(1, texts.len()) - 1];
    let mut found = false;
    let behind = wording.behind.as_ref().map(|behind| {
        let lines = behind.split('\n').map(|line| match INSTRUCTIONS.iter().find(|(known, _)| known.contains(&line)) {
            Some((_, others)) => {
                found = true;
                of_level(others)
            }
            None => line,
        });
        lines.collect::<Vec<&str>>().join("\n")
    });
    wording.behind = behind;
    if !found {
        wording.body.insert_str(0, of_level(&LEADS));
    }
}
