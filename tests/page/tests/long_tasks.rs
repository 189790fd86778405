//! How much of the page's one thread a report takes that grows: 11,200 answers in half a minute, by what the browser calls long tasks.
//!
//! `cargo test --release -p steady-page-tests --features page --test long_tasks -- --nocapture` says what was seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::time::Duration;

use fantoccini::Client;
use serde_json::json;
use steady_page_tests::browser::{click, devtools, evaluate, fill, in_browser, text, text_with, text_within};
use steady_page_tests::scripted::{self, LONG_ANSWERS, LONG_QUESTIONS};
use steady_page_tests::server::Server;

/// From the first answer to the last.
const SECONDS: f64 = 30.0;

/// What holds the thread for longer than 50 ms is a long task.
const WATCH: &str = "void (window.long = [], new PerformanceObserver(list => list.getEntries() \
                     .forEach(entry => long.push(entry.duration))).observe({type: 'longtask'}))";

/// How often the page says how far the study is, since when, and when it last did.
const TOLD: &str = "void (window.told = {times: 0, from: performance.now()}, \
                    new MutationObserver(() => { told.times += 1; told.until = performance.now() }) \
                    .observe(document.querySelector('.progress .numbers'), {subtree: true, childList: true, characterData: true}))";

/// At most so often in a second.
const TOLD_A_SECOND: f64 = 4.0;

/// Processor time that the page's thread took so far, in seconds. It is the same on a busy machine, where tasks last longer.
async fn taken(client: &Client) -> f64 {
    let metrics = devtools(client, "Performance.getMetrics", json!({})).await;
    let all = metrics["metrics"].as_array().unwrap();
    all.iter().find(|metric| metric["name"] == "TaskDuration").unwrap()["value"].as_f64().unwrap()
}

#[tokio::test]
async fn a_report_grows_while_the_page_can_be_used() {
    let server = Server::start([(scripted::WORKER, scripted::long(SECONDS))]);
    let page = server.page.clone();
    in_browser(1200, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", &LONG_QUESTIONS.to_string()).await;
        evaluate(&client, WATCH).await;
        devtools(&client, "Performance.enable", json!({"timeDomain": "threadTicks"})).await;
        let before = taken(&client).await;
        evaluate(&client, TOLD).await;
        click(&client, ".primary").await;
        // it grows before it is whole
        let growing = text_with(&client, "#count", " questions; the first 12 are shown").await;
        let shown = |count: &str| count.split(' ').next().and_then(|count| count.parse::<usize>().ok()).unwrap();
        assert!(shown(&growing) < 8 * LONG_QUESTIONS, "{growing}");
        // looking at the page has it laid out, so it is left alone meanwhile
        tokio::time::sleep(Duration::from_secs_f64(SECONDS)).await;
        let done = format!("Done. {LONG_ANSWERS} of {LONG_ANSWERS} answers");
        text_within(&client, ".progress", &done, Duration::from_mins(5)).await;
        text_with(&client, "#count", &format!("{} questions", 8 * LONG_QUESTIONS)).await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('.overview tbody tr').length").await, 3);
        assert!(text(&client, "#perturbed").await.contains("under noise=20"));
        let told: [f64; 2] = serde_json::from_value(evaluate(&client, "[told.times, (told.until - told.from) / 1e3]").await).unwrap();
        // the first and the last words come when they come
        assert!(told[0] <= TOLD_A_SECOND * told[1] + 4.0, "said {} times in {} s how far it is", told[0], told[1]);
        let long: Vec<f64> = serde_json::from_value(evaluate(&client, "long").await).unwrap();
        let (all, longest) = (long.iter().sum::<f64>(), long.iter().copied().fold(0.0, f64::max));
        let line = format!(
            "{LONG_ANSWERS} answers in {SECONDS} s: {} long tasks, {:.2} s in all, the longest {longest:.0} ms; {:.2} s of processor time",
            long.len(),
            all / 1e3,
            taken(&client).await - before
        );
        // past the test runner, which shows nothing of a test that passes
        writeln!(std::io::stderr(), "{line}").unwrap();
    })
    .await;
}
