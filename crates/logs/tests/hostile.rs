//! Logs that are broken, cut off, unlike or not what they seem: every one is refused with what is wrong and where, or compared with what to know about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use proptest::prelude::*;
use steady_logs::{Choices, FORMATS, Log, LogError, Runs, Source, compare, read};

fn log(name: &str, text: impl AsRef<[u8]>) -> Result<Log, LogError> {
    log_with(name, text, &Choices::default())
}

fn log_with(name: &str, text: impl AsRef<[u8]>, choices: &Choices) -> Result<Log, LogError> {
    read(name, &[Source { name: name.to_owned(), bytes: text.as_ref().to_vec() }], choices, FORMATS)
}

const A: &str = "id,question,gold,prediction\n1,A cat?,yes,Yes\n2,A dog?,no,No\n3,A bus?,yes,Yes\n4,A car?,no,No\n";

/// What comparing says, refusal or notes.
fn said(a: &str, b: &str, allowed: &[&str]) -> String {
    let allowed: Vec<String> = allowed.iter().map(|field| (*field).to_owned()).collect();
    let (a, b) = (log("a.csv", a).unwrap(), log("b.csv", b).unwrap());
    match compare(Runs { baseline: &a, others: &[&b], controls: &[] }, &allowed, "") {
        Ok(compared) => format!("{} questions\n{}", compared.report.plan().questions, compared.notes.join("\n")),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_was_not_asked_the_same_is_refused_by_its_field() {
    let other = |from: &str, to: &str| A.replace(from, to);
    let mut all = String::new();
    for (what, b, allowed) in [
        ("prompt", other("A bus?", "A train?"), vec![]),
        ("gold", other("no,No", "maybe,No"), vec![]),
        ("missing", other("3,A bus?,yes,Yes\n", ""), vec![]),
        ("missing, let through", other("3,A bus?,yes,Yes\n", ""), vec!["questions"]),
        (
            "nothing in common",
            A.replace("\n1", "\n11").replace("\n2", "\n12").replace("\n3", "\n13").replace("\n4", "\n14"),
            vec!["questions"],
        ),
        ("order", "id,question,gold,prediction\n2,A dog?,no,No\n1,A cat?,yes,Yes\n3,A bus?,yes,Yes\n4,A car?,no,No\n".to_owned(), vec![]),
        ("prompt, let through", other("A bus?", "A train?"), vec!["prompt"]),
    ] {
        writeln!(all, "== {what}\n{}", said(A, &b, &allowed)).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_cannot_be_read_is_refused_by_its_place() {
    let refused = |name: &str, text: &str| log(name, text).unwrap_err().to_string();
    let mut all = String::new();
    for (name, text) in [
        ("twice.csv", "id,question,gold,prediction\n1,A cat?,yes,Yes\n1,A cat?,yes,No\n"),
        ("two.csv", "id,question,prompt,prediction\n1,A cat?,A cat?,Yes\n"),
        ("score.csv", "id,prediction,score\n1,Yes,73\n"),
        ("empty-id.csv", "id,prediction\n1,Yes\n,No\n"),
        (
            "choices.jsonl",
            "{\"doc_id\": 1, \"target\": \"0\", \"arguments\": [[\"q\", \" a\"], [\"q\", \" b\"]], \"filtered_resps\": [[-1.0, true]], \"prompt_hash\": \"x\"}\n",
        ),
        (
            "repeats.jsonl",
            "{\"doc_id\": 1, \"target\": \"0\", \"filtered_resps\": [\"a\", \"b\"], \"doc_hash\": \"x\", \"input\": \"q\"}\n",
        ),
        ("header.json", "{\"version\": 2, \"eval\": {\"task\": \"t\"}, \"plan\": {}}"),
        ("strange.json", "{\"version\": 2, \"results\": {}}"),
        ("strange.csv", "name,age\nAnn,7\n"),
        ("report.json", "{\"format\": \"steady-report/9\", \"questions\": [], \"accelerations\": [], \"plan\": {}}"),
    ] {
        writeln!(all, "== {name}\n{}", refused(name, text)).unwrap();
    }
    let column = Choices { columns: vec![("gold".into(), "age".into())], ..Choices::default() };
    writeln!(all, "== --column gold=age\n{}", log_with("a.csv", A, &column).unwrap_err()).unwrap();
    let role = Choices { columns: vec![("truth".into(), "gold".into())], ..Choices::default() };
    writeln!(all, "== --column truth=gold\n{}", log_with("a.csv", A, &role).unwrap_err()).unwrap();
    let filter = Choices { format: Some("excel".into()), ..Choices::default() };
    writeln!(all, "== --format excel\n{}", log_with("a.csv", A, &filter).unwrap_err()).unwrap();
    insta::assert_snapshot!(all);
}

#[test]
fn columns_are_what_they_are_said_to_be() {
    let choices = Choices { columns: vec![("answer".into(), "said".into()), ("gold".into(), "truth".into())], ..Choices::default() };
    let log = log_with("a.csv", "nr,question,said,truth\n1,A cat?,Yes,yes\n", &choices).unwrap();
    assert_eq!((log.answers[0].reply.as_str(), log.answers[0].gold[0].as_str()), ("Yes", "yes"));
}

/// Long answers that no parser read are another answer when they say something else, and the same when they do not.
#[test]
fn unread_answers_are_told_apart_by_what_they_say() {
    let line = |reply: &str| {
        format!(
            "{{\"doc_id\": 1, \"target\": \"5\", \"arguments\": {{\"gen_args_0\": {{\"arg_0\": \"q\", \"arg_1\": {{}}}}}}, \"resps\": [[\"{reply}\"]], \
             \"filtered_resps\": [\"[invalid]\"], \"filter\": \"strict\", \"metrics\": [\"exact_match\"], \"prompt_hash\": \"x\", \"exact_match\": 0.0}}\n"
        )
    };
    let [one, same, other] = ["five", "five", "six"].map(|reply| log("a.jsonl", line(reply)).unwrap());
    let changed =
        |log: &Log| compare(Runs { baseline: &one, others: &[log], controls: &[] }, &[], "").unwrap().report.summaries()[0].dr.count;
    assert_eq!((changed(&same), changed(&other)), (0, 1));
}

/// A judge that scores the same words otherwise the second time: not a changed answer, and said.
#[test]
fn one_answer_has_one_verdict() {
    let table = |score: &str| format!("id,prediction,score\n1,the same words,{score}\n2,others,1\n");
    let (a, b) = (log("a.csv", table("1")).unwrap(), log("b.csv", table("0")).unwrap());
    let compared = compare(Runs { baseline: &a, others: &[&b], controls: &[] }, &[], "").unwrap();
    let summary = &compared.report.summaries()[0];
    assert_eq!((summary.dr.count, summary.accuracy_after.count), (0, 2));
    assert!(compared.notes.iter().any(|note| note.contains("1 answers are the same and were scored otherwise")), "{:?}", compared.notes);
}

#[test]
fn a_rerun_of_the_baseline_is_the_noise_floor() {
    let (a, b) = (log("a.csv", A).unwrap(), log("b.csv", A.replace("bus?,yes,Yes", "bus?,yes,No")).unwrap());
    let again = log("again.csv", A).unwrap();
    let compared = compare(Runs { baseline: &a, others: &[&b], controls: &[&again] }, &[], "").unwrap();
    assert_eq!(compared.report.noise_floor().unwrap().dr.count, 0);
    assert_eq!(compared.report.summaries()[0].ndr.count, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A log cut anywhere is read as far as it is whole, or refused; it is never a panic.
    #[test]
    fn a_cut_or_changed_log_is_no_panic(at in 0_usize..6000, byte in any::<u8>()) {
        for file in ["lm-eval/a/samples_sums_2026-01-01T00-00-00.000000.jsonl", "inspect/a/exam.eval", "vlmevalkit/a_Exam.xlsx", "table/a.csv"] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/logs").join(file);
            let whole = std::fs::read(path).unwrap();
            let at = at % whole.len();
            let _cut = log("cut", &whole[..at]);
            let mut changed = whole;
            changed[at] = byte;
            let _changed = log("changed", &changed);
        }
    }

    /// A log compared with itself changes nothing, whatever stands in it.
    #[test]
    fn nothing_changes_against_itself(answers in prop::collection::vec("[ -~]{0,12}", 1..20)) {
        let rows = answers.iter().enumerate().map(|(i, answer)| serde_json::json!({"id": i, "question": format!("q{i}"), "gold": "yes", "prediction": answer}));
        let text = rows.map(|row| row.to_string()).collect::<Vec<_>>().join("\n");
        let (a, b) = (log("a", &text).unwrap(), log("b", &text).unwrap());
        let compared = compare(Runs { baseline: &a, others: &[&b], controls: &[] }, &[], "").unwrap();
        prop_assert_eq!(compared.report.summaries()[0].dr.count, 0);
    }
}
