//! Scorers against hand-written replies.

use proptest::prelude::*;
use steady_bench::{AnswerKind, Question, same_answer, score};

fn question(family: &str, kind: AnswerKind, gold: &str) -> Question {
    Question {
        id: "test/0".into(),
        benchmark: "test".into(),
        family: family.into(),
        image: "0".into(),
        text: "?".into(),
        gold: vec![gold.into()],
        kind,
    }
}

fn yes_no(gold: &str) -> Question {
    question("existence", AnswerKind::YesNo, gold)
}

fn number(family: &str, gold: &str) -> Question {
    let kind = if family == "chart" { AnswerKind::NumberWithin { tolerance: 0.05 } } else { AnswerKind::Number };
    question(family, kind, gold)
}

fn choice(options: &[&str], gold: &str) -> Question {
    let options = options.iter().map(ToString::to_string).collect();
    question("choice", AnswerKind::Choice { options }, gold)
}

/// How each reply is read; `None` is "unparsed".
fn check(question: &Question, cases: &[(&str, Option<&str>)]) {
    for (reply, parsed) in cases {
        let verdict = score(question, reply);
        assert_eq!(verdict.parsed.as_deref(), *parsed, "{reply:?}");
        let right = parsed.is_some_and(|p| p == question.gold[0]);
        assert_eq!(verdict.correct, right, "{reply:?}");
        assert!((verdict.score - f32::from(u8::from(right))).abs() < f32::EPSILON, "{reply:?}");
    }
}

#[test]
fn yes_no_needs_exactly_one_of_the_two_words() {
    check(
        &yes_no("yes"),
        &[
            ("yes", Some("yes")),
            ("Yes.", Some("yes")),
            ("YES, there is a red circle", Some("yes")),
            ("no", Some("no")),
            ("No, there is not.", Some("no")),
            ("yes and no", None),
            ("maybe", None),
            ("not at all", None),
            ("nothing", None),
            ("", None),
            ("yesterday", None),
        ],
    );
}

#[test]
fn choice_takes_a_letter_or_one_option_text_and_never_guesses() {
    check(
        &choice(&["red", "blue", "green", "black"], "b"),
        &[
            ("b", Some("b")),
            ("B", Some("b")),
            ("B.", Some("b")),
            ("(b)", Some("b")),
            ("b)", Some("b")),
            ("B: blue", Some("b")),
            ("The answer is B", Some("b")),
            ("Blue", Some("b")),
            ("it is blue.", Some("b")),
            ("d", Some("d")),
            ("The answer is A", Some("a")),
            ("The answer is (A).", Some("a")),
            // Not an option, several options, a letter against a text, no option.
            ("e", None),
            ("a or b", None),
            ("red or blue", None),
            ("b, the red one", None),
            ("bluebird", None),
            ("yellow", None),
            ("", None),
            // The article.
            ("it is a blue star", Some("b")),
            ("there is a star here", None),
        ],
    );
}

#[test]
fn choice_prefers_the_longer_of_two_nested_options() {
    check(&choice(&["circle", "large circle"], "b"), &[("the large circle", Some("b")), ("a circle", Some("a"))]);
}

#[test]
fn short_answers_are_compared_normalised() {
    check(
        &question("compose", AnswerKind::Short, "red"),
        &[
            ("red", Some("red")),
            (" Red. ", Some("red")),
            ("the red", Some("red")),
            ("\"RED\"", Some("red")),
            ("it is red", Some("it is red")),
            ("reddish", Some("reddish")),
            ("...", None),
            ("", None),
        ],
    );
    check(&question("reading", AnswerKind::Short, "a"), &[("A", Some("a")), ("a.", Some("a")), ("an", Some("an"))]);
    assert!(score(&question("compose", AnswerKind::Short, "2 stars"), "Two stars").correct);
    assert!(score(&question("compose", AnswerKind::Short, "can't"), "cant").correct);
}

#[test]
fn any_of_several_golds_is_right() {
    let mut question = question("compose", AnswerKind::Short, "purple");
    question.gold.push("violet".into());
    assert!(score(&question, "Violet").correct);
    assert!(score(&question, "purple").correct);
    assert!(!score(&question, "blue").correct);
}

#[test]
fn numbers_are_read_from_digits_and_words() {
    check(
        &number("counting", "3"),
        &[
            ("3", Some("3")),
            ("3.", Some("3")),
            ("three", Some("3")),
            ("Three!", Some("3")),
            ("There are 3 objects.", Some("3")),
            ("3.0", Some("3")),
            ("three, 3", Some("3")),
            ("2", Some("2")),
            ("none", Some("0")),
            ("zero", Some("0")),
            ("thirteen", Some("13")),
            ("twenty-three", Some("23")),
            ("twenty three", Some("23")),
            ("forty", Some("40")),
            ("1,000", Some("1000")),
            ("-3", Some("-3")),
            ("2 or 3", None),
            ("2-3", None),
            ("three dozen", None),
            ("a hundred", None),
            ("some", None),
            ("inf", None),
            ("nan", None),
            ("3rd", None),
            ("", None),
        ],
    );
}

#[test]
fn chart_values_may_be_five_percent_off_and_counts_may_not() {
    let chart = number("chart", "40");
    for reply in ["38", "42", "40", "forty", "41.5"] {
        assert!(score(&chart, reply).correct, "{reply}");
    }
    for reply in ["37.9", "42.1", "0.4"] {
        assert!(!score(&chart, reply).correct, "{reply}");
    }
    assert!(!score(&number("counting", "40"), "41").correct);
    assert!(!score(&number("chart", "0"), "0.01").correct);
    assert!(score(&number("chart", "12%"), "0.12").correct);
}

#[test]
fn unanswerable_has_several_forms_but_only_in_its_kind() {
    let asked = question("unanswerable", AnswerKind::ShortOrUnanswerable, "unanswerable");
    for reply in ["unanswerable", "Unanswerable.", "There is none.", "none", "cannot tell", "Can't tell"] {
        assert!(score(&asked, reply).correct, "{reply}");
    }
    for reply in ["red", "no star", "answerable"] {
        assert!(!score(&asked, reply).correct, "{reply}");
    }
    assert!(!score(&question("compose", AnswerKind::Short, "unanswerable"), "none").correct);
    // In the scan family "none" is an answer of its own.
    assert!(score(&question("scan", AnswerKind::Short, "none"), "None").correct);
}

#[test]
fn same_answer_compares_what_was_read() {
    let options = choice(&["red", "blue"], "a");
    assert!(same_answer(&options, "A", "(a) red"));
    assert!(same_answer(&options, "Red.", "a"));
    assert!(!same_answer(&options, "a", "b"));
    assert!(!same_answer(&options, "a", "green"));
    assert!(same_answer(&options, "Green!", "green"));
    assert!(!same_answer(&options, "green", "yellow"));
    assert!(same_answer(&yes_no("yes"), "No.", "no, there is none"));
    assert!(same_answer(&number("counting", "3"), "three", "3"));
    assert!(!same_answer(&number("chart", "40"), "40", "41"));
    assert!(same_answer(&question("unanswerable", AnswerKind::ShortOrUnanswerable, "red"), "none", "cannot tell"));
}

proptest! {
    /// Whatever the bytes, a reply is read the same way twice, does not panic, and is the same answer as itself.
    #[test]
    fn any_reply_is_survived(reply in any::<String>(), other in "[ -~]{0,40}") {
        for question in [
            yes_no("yes"),
            number("chart", "3"),
            choice(&["red", "blue circle", ""], "a"),
            question("unanswerable", AnswerKind::ShortOrUnanswerable, "red"),
        ] {
            let verdict = score(&question, &reply);
            prop_assert!(!verdict.correct || verdict.parsed.is_some());
            prop_assert!(same_answer(&question, &reply, &reply));
            prop_assert_eq!(same_answer(&question, &reply, &other), same_answer(&question, &other, &reply));
        }
    }

    #[test]
    fn every_whole_number_is_read_back(n in 0u32..1_000_000) {
        prop_assert_eq!(score(&number("counting", "1"), &format!(" {n}. ")).parsed, Some(n.to_string()));
    }
}
