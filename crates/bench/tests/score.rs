//! Scorers against hand-written replies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use steady_bench::world::EmbeddedSuite;
use steady_bench::{AnswerKind, Benchmark, Question, same_answer, score};

fn question(family: &str, kind: AnswerKind, gold: &str) -> Question {
    Question {
        id: "test/0".into(),
        benchmark: "test".into(),
        family: family.into(),
        image: "0".into(),
        text: "?".into(),
        gold: vec![gold.into()],
        kind,
        weight: 1.0,
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

#[test]
fn typography_around_an_answer_says_nothing() {
    let options = choice(&["red", "blue", "green", "black"], "b");
    for reply in ["B。", "B．", "“B”", "‘b’", "（B）", "【B】", "«B»", "Ｂ", "B…", "\u{200b}B\u{feff}", "B、", "B؟"] {
        assert!(score(&options, reply).correct, "{reply:?}");
        assert!(same_answer(&options, "B", reply), "{reply:?}");
    }
    for reply in ["three。", "３", "“3”", "three．", "３。"] {
        assert!(score(&number("counting", "3"), reply).correct, "{reply:?}");
        assert!(same_answer(&number("counting", "3"), "three", reply), "{reply:?}");
    }
    check(
        &number("counting", "3"),
        &[
            // a minus is no hyphen's business alone
            ("\u{2212}3", Some("-3")),
            ("2\u{2013}3", None),
            // signs that make another number of it
            ("√3", None),
            ("3‰", None),
            ("3°", None),
            ("3½", None),
            ("3²", None),
            // neither a fraction nor a number too large for one is guessed
            ("3/3", None),
            ("3 3", Some("3")),
            ("-0", Some("0")),
            ("9".repeat(400).as_str(), None),
        ],
    );
    assert!(score(&number("chart", "12%"), "１２％。").correct);
    assert!(!same_answer(&number("counting", "3"), "3 3", "3/3"), "one is read and the other is not");
}

/// What transformers answered to the first questions of the suite, and whether its text is a gold answer to the letter: 4 checkpoints, 120 answers each.
#[test]
fn verdicts_on_the_embedded_suite_are_those_of_the_reference() {
    let suite = EmbeddedSuite::test(100);
    let mut seen = 0;
    for checkpoint in ["steady-llava", "steady-llava-next", "steady-qwen2-vl", "steady-qwen2.5-vl"] {
        let file = format!("{}/../../tests/reference/{checkpoint}/suite.json", env!("CARGO_MANIFEST_DIR"));
        let reference: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for row in reference["answers"].as_array().unwrap() {
            let question = suite.questions().iter().find(|question| question.id == row["id"].as_str().unwrap()).unwrap();
            assert_eq!(question.text, row["question"].as_str().unwrap());
            let verdict = score(question, row["text"].as_str().unwrap());
            assert_eq!(verdict.correct, row["right"].as_bool().unwrap(), "{checkpoint}: {row}");
            seen += 1;
        }
    }
    assert_eq!(seen, 480);
}

/// A question of every kind.
fn questions() -> [Question; 8] {
    [
        yes_no("yes"),
        number("counting", "3"),
        number("chart", "40"),
        number("chart", "0"),
        choice(&["red", "blue circle", ""], "b"),
        question("compose", AnswerKind::Short, "3 stars"),
        question("unanswerable", AnswerKind::ShortOrUnanswerable, "none"),
        choice(&["a", "b", "a b"], "a"),
    ]
}

/// Replies that are near to one another: few words, and between them whatever may stand there, plain or not.
fn near() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "",
        "a",
        "B",
        "b",
        "the",
        "yes",
        "No",
        "three",
        "3",
        "-3",
        "３",
        "40",
        "41",
        "4e1",
        "twenty",
        "none",
        "red",
        "blue circle",
        "Ｂ",
        "İ",
        "ß",
        "½",
    ];
    const BETWEEN: &[&str] = &[
        "", " ", ". ", "。", "．", "“", "”", "’", "'", "/", "-", "−", "–", ",", "%", "％", "\u{200b}", "\u{301}", "\n", "\u{3000}", "(",
        "）", "√",
    ];
    prop::collection::vec((prop::sample::select(BETWEEN), prop::sample::select(WORDS)), 0..4)
        .prop_flat_map(move |parts| (Just(parts), prop::sample::select(BETWEEN)))
        .prop_map(|(parts, end)| parts.into_iter().flat_map(|(before, word)| [before, word]).chain([end]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Being the same answer is an equivalence, and the same answer has the same verdict: of replies of any kind, and of such as are near to one another.
    #[test]
    fn the_same_answer_has_the_same_verdict(replies in prop::collection::vec(prop_oneof![1 => any::<String>(), 4 => near()], 3)) {
        let [a, b, c] = [&replies[0], &replies[1], &replies[2]];
        for question in questions() {
            let (of_a, of_b) = (score(&question, a), score(&question, b));
            prop_assert!(!of_a.correct || of_a.parsed.is_some());
            prop_assert!(same_answer(&question, a, a));
            let same = same_answer(&question, a, b);
            prop_assert_eq!(same, same_answer(&question, b, a));
            if same {
                prop_assert_eq!(&of_a, &of_b, "{:?} {:?}", question, replies);
                prop_assert_eq!(same_answer(&question, a, c), same_answer(&question, b, c));
            }
            // what is read alike is the same answer
            prop_assert!(same || of_a.parsed.is_none() || of_a.parsed != of_b.parsed);
        }
    }

    #[test]
    fn every_whole_number_is_read_back(n in 0u32..1_000_000) {
        prop_assert_eq!(score(&number("counting", "1"), &format!(" {n}. ")).parsed, Some(n.to_string()));
    }
}
