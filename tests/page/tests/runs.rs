//! Logs of other tools, dropped on the page: what `steady compare` makes of them, without a model. And a guard, chosen out of a report.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::PathBuf;

use fantoccini::Client;
use serde_json::json;
use steady_logs::{Choices, FORMATS, Log, Runs, Source, compare, read};
use steady_page_tests::browser::{click, evaluate, find, in_browser, text, text_with};
use steady_page_tests::sample;
use steady_page_tests::server::Server;

const DESKTOP: u32 = 1200;

/// Ten questions: of the second run's answers two are others, one right before and wrong after, one the other way round; on paper DR 20 %, NDR and PDR 10 %.
fn logs() -> [(&'static str, String); 2] {
    let gold = ["yes", "no", "yes", "yes", "no", "3", "4", "red", "blue", "green"];
    let first = ["yes", "no", "yes", "no", "no", "3", "4", "red", "blue", "green"];
    let second = ["yes", "no", "no", "yes", "no", "3", "4", "red", "blue", "green"];
    let table = |said: [&str; 10]| {
        let row = |i: usize| format!("q{i},Is it {i}?,{},{}\n", gold[i], said[i]);
        format!("id,question,gold,prediction\n{}", (0..10).map(row).collect::<String>())
    };
    let lines = |said: [&str; 10]| {
        let line = |i: usize| {
            format!("{}\n", json!({"id": format!("q{i}"), "question": format!("Is it {i}?"), "gold": gold[i], "prediction": said[i]}))
        };
        (0..10).map(line).collect::<String>()
    };
    [("before.csv", table(first)), ("after.jsonl", lines(second))]
}

/// Puts files in a folder and gives their places.
fn written<const N: usize>(folder: &std::path::Path, files: [(&str, String); N]) -> [PathBuf; N] {
    files.map(|(name, content)| {
        let place = folder.join(name);
        fs::write(&place, content).unwrap();
        place
    })
}

async fn pick(client: &Client, css: &str, files: &[&PathBuf]) {
    let names = files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join("\n");
    find(client, css).await.send_keys(&names).await.unwrap();
}

const OPEN: &str = "header input[type=file]";

#[tokio::test]
async fn two_logs_make_the_report_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = written(folder.path(), logs());
    let log = |(name, content): (&str, String)| -> Log {
        let source = Source { name: name.to_owned(), bytes: content.into_bytes() };
        read(name.split('.').next().unwrap(), &[source], &Choices::default(), FORMATS).unwrap()
    };
    let [first, second] = logs().map(log);
    let expected = compare(Runs { baseline: &first, others: &[&second], controls: &[] }, &[], "steady compare before after").unwrap();
    let markdown = expected.report.markdown();
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        // one waits for the other
        pick(&client, OPEN, &[&before]).await;
        let waits = text_with(&client, ".runs", "A run to compare with").await;
        assert!(waits.contains("before: 10 answers"), "{waits}");
        pick(&client, ".runs input", &[&after]).await;
        text_with(&client, ".overview", "20.0 %").await;
        let line = text(&client, ".overview tbody tr").await;
        for part in ["after", "90.0 → 90.0", "20.0 %", "10.0 %"] {
            assert!(line.contains(part), "{part} is not in {line:?}");
        }
        assert!(text(&client, ".origin").await.starts_with("Of the runs before and after"));
        evaluate(&client, "void (navigator.clipboard.writeText = async text => { window.copied = text })").await;
        click(&client, ".hand-on button:nth-of-type(2)").await;
        text_with(&client, ".hand-on p", "Markdown table copied").await;
        assert_eq!(evaluate(&client, "window.copied").await, json!(markdown));
        // a reload shows it again
        client.refresh().await.unwrap();
        text_with(&client, ".overview", "20.0 %").await;

        // both at once
        client.goto(&format!("{page}#")).await.unwrap();
        pick(&client, OPEN, &[&before, &after]).await;
        text_with(&client, ".overview", "20.0 %").await;
    })
    .await;
    assert!(!server.requests().iter().any(|request| request.contains("worker")), "no model is asked");
}

#[tokio::test]
async fn runs_that_were_not_asked_the_same_are_refused_until_that_is_let_through() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, before), (_, after)] = logs();
    let files =
        [("before.csv", before.clone()), ("after.csv", before.replace("Is it 3?", "Was it 3?")), ("notes.csv", "a,b\n1,2\n".to_owned())];
    let [before, other, notes] = written(folder.path(), files);
    let [after] = written(folder.path(), [("later.jsonl", after)]);
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        pick(&client, OPEN, &[&notes]).await;
        text_with(&client, ".refused", "notes.csv is neither a report.json nor a log").await;
        click(&client, ".refused button").await;
        pick(&client, OPEN, &[&before, &other]).await;
        let told = text_with(&client, ".runs", "not asked the same").await;
        assert!(told.contains("prompt: differs in 1 of 10 questions"), "{told}");
        click(&client, ".runs .through").await;
        text_with(&client, ".overview", "0.0 %").await;
        text_with(&client, ".remarks", "let through: prompt").await;
        // and with two that are alike it goes on
        client.goto(&format!("{page}#")).await.unwrap();
        pick(&client, OPEN, &[&before, &after]).await;
        text_with(&client, ".overview", "20.0 %").await;
    })
    .await;
}

#[tokio::test]
async fn a_guard_is_chosen_where_margins_are_known() {
    let server = Server::start([("margins.json", sample::report().to_json().unwrap().into_bytes())]);
    let page = format!("{}#src=margins.json", server.page);
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, "#guard summary").await;
        // a handful of images cannot guarantee two of a hundred
        text_with(&client, "#guard", "are too few for this limit").await;
        // a link holds no margins, and so no guard
        client.goto("about:blank").await.unwrap();
        client.goto(&format!("{}#r={}", server.page, sample::payload(&sample::report()))).await.unwrap();
        find(&client, ".overview").await;
        assert_eq!(evaluate(&client, "document.querySelector('#guard').hidden").await, json!(true));
    })
    .await;
}
