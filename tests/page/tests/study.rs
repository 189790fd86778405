//! Studies and questions through the page, with the model itself, on the CPU.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use fantoccini::Client;
use serde_json::Value;
use steady_page_tests::browser::{click, copied_link, evaluate, fill, find, in_browser, slide, text, text_with, text_within};
use steady_page_tests::native;
use steady_page_tests::sample;
use steady_page_tests::server::Server;
use steady_report::Report;

const DESKTOP: u32 = 1200;
/// Radio button of the CPU among the engines.
const CPU: &str = ".column .choice .tick:nth-of-type(3) input[name=engine]";

/// Chooses so many questions, two accelerations and the CPU.
async fn choose(client: &Client, questions: usize) {
    click(client, ".choose summary").await;
    fill(client, "#how-many", &questions.to_string()).await;
    click(client, ".choices > .choice .tick:nth-of-type(3) input").await;
    click(client, CPU).await;
    let chosen = format!("{questions} questions, 2 accelerations, engine CPU, model steady-llava");
    assert_eq!(text_with(client, ".run .summary", &chosen).await, chosen);
}

/// Waits for the end of a study of `answers` answers.
async fn finish(client: &Client, answers: usize) {
    text_within(client, ".progress", &format!("Done. {answers} of {answers} answers"), Duration::from_mins(5)).await;
}

/// What a reader takes from a report: headline, overview, and every answer, in whatever order the questions stand.
async fn read(client: &Client) -> (String, String, Value) {
    evaluate(client, "document.querySelector('#questions .more:not([hidden])')?.click()").await;
    // but for the margins, which no link holds
    let rows = "[...document.querySelectorAll('#questions tbody tr')].map(row => [...row.cells].filter(cell => cell.className !== 'number') \
                .map(cell => cell.textContent).join(' ')).sort()";
    (text(client, "h1").await, text(client, ".overview").await, evaluate(client, rows).await)
}

#[tokio::test]
async fn a_study_finds_what_the_command_line_does_and_its_link_shows_it_to_somebody_else() {
    let native = native::study(None, 4, &["w3:rtn", "divprune:keep=0.33"], &native::CONTROLS);
    let server = Server::start([]);
    let page = server.page.clone();
    let (link, seen) = in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        choose(&client, 4).await;
        click(&client, ".primary").await;
        // the baseline, two accelerations and three controls
        finish(&client, 24).await;
        let engine = text(&client, ".progress .engine").await;
        assert!(engine.contains("flex, wasm32 simd128") && engine.contains("it was chosen"), "{engine}");
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody tr img').length").await, 4);
        (copied_link(&client).await, read(&client).await)
    })
    .await;
    let ours = native::linked(&link);
    assert_eq!(native::outcomes(&ours), native::outcomes(&native));
    let controls = |report: &Report| report.controls().iter().map(|control| control.spec.clone()).collect::<Vec<_>>();
    assert_eq!(controls(&ours), native::CONTROLS);
    assert_eq!(controls(&ours), controls(&native));
    assert_eq!(ours.plan().checkpoint_sha256, native.plan().checkpoint_sha256);
    let before = server.requests().len();
    in_browser(DESKTOP, |client| async move {
        client.goto(&link).await.unwrap();
        find(&client, "#questions tbody tr:nth-child(4)").await;
        assert_eq!(read(&client).await, seen);
    })
    .await;
    // and whoever reads needs no model
    assert!(!server.requests()[before..].iter().any(|request| request.contains("worker") || request.contains("models/")));
}

#[tokio::test]
async fn a_cancelled_study_stands_still_and_a_reloaded_one_ends_as_if_nothing_had_happened() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        choose(&client, 30).await;
        click(&client, ".primary").await;
        text_with(&client, ".progress", " of 180 answers").await;
        click(&client, ".run .button").await;
        text_with(&client, ".progress", "Cancelled").await;
        let stopped = text(&client, ".progress .numbers").await;
        assert_ne!(stopped, "180 of 180 answers");
        // an answer takes a fraction of this
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(text(&client, ".progress .numbers").await, stopped);

        client.refresh().await.unwrap();
        text_with(&client, ".progress", "Begun on an earlier visit").await;
        assert_eq!(text(&client, ".progress .numbers").await, stopped);
        click(&client, ".primary").await;
        finish(&client, 180).await;
        let resumed = read(&client).await;
        click(&client, ".primary").await;
        finish(&client, 180).await;
        assert_eq!(read(&client).await, resumed);
    })
    .await;
}

#[tokio::test]
async fn a_slider_changes_what_the_model_says() {
    let server = Server::start([]);
    let question = sample::report().questions()[8].clone();
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        choose(&client, 4).await;
        client.goto(&format!("{page}#question={}", question.id)).await.unwrap();
        click(&client, ".inquiry .primary").await;
        let likely = "document.querySelector('.distribution svg').getAttribute('aria-label')";
        find(&client, ".distribution svg").await;
        let clean = evaluate(&client, likely).await;
        slide(&client, "#slider-rotation", 45.0).await;
        // it is asked about as soon as the worker is free
        for _ in 0..600 {
            if evaluate(&client, likely).await != clean {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_ne!(evaluate(&client, likely).await, clean);
        text_with(&client, ".sliders", "baseline ").await;
        // every answer has a row, and the one that sees fewer tokens says so
        assert_eq!(evaluate(&client, "document.querySelectorAll('.asked-answers tbody tr').length").await, 3);
        assert!(text(&client, "figcaption").await.contains("keeps 48 of 144 visual tokens"));
    })
    .await;
}

#[tokio::test]
async fn every_acceleration_that_the_page_offers_is_one() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", "1").await;
        click(&client, CPU).await;
        // Those that calibrate ask 128 questions first, which takes a browser minutes.
        let boxes = "[...document.querySelectorAll('.choice:has(> .methods) .tick')]\
                     .filter(tick => !/gptq|awq|smooth|search/.test(tick.innerText)).map(tick => tick.querySelector('input'))";
        click(&client, ".methods summary").await;
        evaluate(&client, &format!("{boxes}.filter(box => !box.checked).forEach(box => box.click())")).await;
        let offered = evaluate(&client, &format!("{boxes}.length")).await.as_u64().unwrap() as usize;
        assert!(offered >= 28, "{offered}");
        text_with(&client, ".run .summary", &format!("1 question, {offered} accelerations, engine CPU")).await;
        click(&client, ".primary").await;
        // the baseline and three controls beside them; the model takes every one
        finish(&client, offered + 4).await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('.left-out').length").await, 0);
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody td.cell').length").await, offered + 1);
    })
    .await;
}

/// Of four accelerations one is none, one asks for a layer that the model does not have, and one is there twice.
/// Whoever presses nothing but Run sees what this is about.
#[tokio::test]
async fn the_default_study_opens_with_what_accuracy_hides() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        text_with(&client, ".run .summary", "140 questions, 3 accelerations").await;
        click(&client, ".primary").await;
        // the baseline, three accelerations and three controls
        finish(&client, 140 * 7).await;
        let title = text(&client, "h1").await;
        assert!(
            title.starts_with("Under w3:rtn,g=auto accuracy did not move. ") && title.ends_with(" % of the answers changed."),
            "{title}"
        );
        let readings =
            evaluate(&client, "[...document.querySelectorAll('.overview tbody th small')].map(small => small.textContent)").await;
        assert_eq!(readings, serde_json::json!(["accuracy hides it", "accuracy shows it", "accuracy shows it"]));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_listed_with_its_reason_and_the_rest_runs() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        choose(&client, 4).await;
        let field = ".choices > .choice .others input";
        find(&client, field).await.send_keys("w3:<b>magic</b> fastv:k=99,keep=0.5 w3:rtn,g=auto").await.unwrap();
        // what can be told without a model is told while it is typed
        let told = text_with(&client, ".wrong", "w3:<b>magic</b>").await;
        assert!(told.contains("unknown acceleration"), "{told}");
        assert_eq!(evaluate(&client, "document.querySelectorAll('.wrong').length").await, 1);
        click(&client, ".primary").await;
        // the baseline, two accelerations and three controls
        finish(&client, 24).await;
        let left_out = text(&client, ".left-out").await;
        for part in ["w3:<b>magic</b>: ", "fastv:k=99,keep=0.5: ", "w3:rtn,g=auto: the same as w3:rtn"] {
            assert!(left_out.contains(part), "{part} is not in {left_out:?}");
        }
        assert_eq!(evaluate(&client, "document.querySelectorAll('.overview tbody tr').length").await, 2);
        // the Question view says so too
        click(&client, "#questions tbody th a").await;
        click(&client, ".inquiry .primary").await;
        find(&client, ".asked-answers").await;

        // where nothing fits there is nothing to run
        client.goto(&format!("{page}#")).await.unwrap();
        click(&client, ".choose summary").await;
        evaluate(&client, "document.querySelectorAll('.choices > .choice .tick input:checked').forEach(box => box.click())").await;
        fill(&client, field, "fastv:k=99,keep=0.5").await;
        click(&client, ".primary").await;
        let told = text_with(&client, ".progress", "The study could not run").await;
        assert!(told.contains("fastv:k=99,keep=0.5"), "{told}");
        text_with(&client, ".primary", "Try again").await;
    })
    .await;
}

#[tokio::test]
async fn the_playground_asks_about_any_image() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("red.jpg");
    image::RgbImage::from_pixel(500, 300, image::Rgb([220, 20, 20])).save(&file).unwrap();
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        choose(&client, 4).await;
        client.goto(&format!("{page}#playground")).await.unwrap();
        find(&client, ".own input[type=file]").await.send_keys(file.to_str().unwrap()).await.unwrap();
        find(&client, ".tokens image").await;
        text_with(&client, ".inquiry .summary", "Type a question first.").await;
        // Enter asks
        find(&client, "#own-question").await.send_keys("Is there a circle?\u{e007}").await.unwrap();
        text_with(&client, ".asked-answers", "48 of 144").await;
        let answers = "[...document.querySelectorAll('.asked-answers .answer')].map(cell => cell.textContent)";
        assert_eq!(evaluate(&client, answers).await.as_array().unwrap().len(), 3);
    })
    .await;
}
