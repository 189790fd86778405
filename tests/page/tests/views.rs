//! The views that run and ask, as far as they go without a model; and every view as accessibility checkers see it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Cursor, Write};

use fantoccini::Client;
use serde_json::{Value, json};
use steady_page_tests::browser::{Colours, click, evaluate, fill, find, in_browser, in_browser_coloured, slide, text, text_with};
use steady_page_tests::sample;
use steady_page_tests::scripted;
use steady_page_tests::server::Server;

const DESKTOP: u32 = 1200;
const PHONE: u32 = 360;

/// Address of the large image.
async fn pictured(client: &Client) -> Value {
    find(client, ".tokens image").await;
    evaluate(client, "document.querySelector('.tokens image').getAttribute('href')").await
}

#[tokio::test]
async fn run_is_offered_before_anything_of_it_is_fetched() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        assert_eq!(text(&client, ".primary").await, "Run");
        assert_eq!(text(&client, ".run .summary").await, "20 questions, 3 accelerations, engine automatic, model steady-llava");
        // neither a look at the choices nor another view fetches anything
        click(&client, ".choose summary").await;
        click(&client, "nav a[href='#playground']").await;
        text_with(&client, "h1", "image of your own").await;
        let fetched = evaluate(&client, "performance.getEntriesByType('resource').map(entry => entry.name)").await;
        let fetched = fetched.as_array().unwrap();
        assert!(!fetched.is_empty());
        for address in fetched {
            let address = address.as_str().unwrap();
            assert!(!address.contains("worker") && !address.contains("models/"), "{address}");
        }
    })
    .await;
    assert!(!server.requests().iter().any(|request| request.contains("worker") || request.contains("models/")), "{:?}", server.requests());
}

#[tokio::test]
async fn choices_are_there_on_the_next_visit() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#questions", "7").await;
        click(&client, ".chips label:nth-child(1) input").await;
        for ticked in [1, 3, 4] {
            click(&client, &format!(".choices > .choice .tick:nth-of-type({ticked}) input")).await;
        }
        let chosen = "7 questions of 9 families, 0 accelerations, engine automatic";
        let summary = text_with(&client, ".run .summary", chosen).await;
        assert!(summary.starts_with(chosen) && summary.ends_with("Choose at least one acceleration."), "{summary}");
        assert!(!find(&client, ".primary").await.is_enabled().await.unwrap());
        fill(&client, ".choices > .choice .others input", "w4:rtn,g=8 int8").await;
        text_with(&client, ".run .summary", "2 accelerations").await;
        client.refresh().await.unwrap();
        text_with(&client, ".run .summary", "7 questions of 9 families, 2 accelerations, engine automatic").await;
        // more than the page will run, or nonsense
        click(&client, ".choose summary").await;
        fill(&client, "#questions", "123456").await;
        text_with(&client, ".run .summary", "1000 questions").await;
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_cannot_be_fetched_is_told_and_run_is_offered_again() {
    let server = Server::without("worker");
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".primary").await;
        text_with(&client, ".progress", "The study could not run").await;
        text_with(&client, ".primary", "Try again").await;
        assert!(evaluate(&client, "document.querySelector('fieldset.choices').disabled").await == json!(false));
    })
    .await;
}

/// The headline and the tiles of the sample's first 20 questions: 12 of them differ, and those alone, so the share is twice that of all 40.
async fn shows_the_beginning(client: &Client) {
    assert_eq!(text(client, "h1").await, "Accuracy moved by 5.0 points. 60.0 % of the answers changed.");
    assert_eq!(evaluate(client, "document.querySelectorAll('#answers tbody tr').length").await, 12);
}

#[tokio::test]
async fn a_study_is_cancelled_survives_a_reload_and_goes_on() {
    let server = Server::start([(scripted::WORKER, scripted::study())]);
    let (page, asked_for) = (server.page.clone(), server.clone());
    let fetched = move || asked_for.requests().iter().filter(|request| request.contains(scripted::WORKER)).count();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#questions", "40").await;
        assert_eq!(fetched(), 0);
        click(&client, ".primary").await;
        text_with(&client, ".progress", "60 of 120 answers").await;
        let engine = text(&client, ".progress .engine").await;
        assert_eq!(engine, "Computing on scripted in f32: there is no other here");
        assert_eq!(evaluate(&client, "document.querySelector('progress').value").await, 0.5);
        assert!(evaluate(&client, "document.querySelector('fieldset.choices').disabled").await == json!(true));
        text_with(&client, "h1", "60.0 %").await;
        shows_the_beginning(&client).await;
        // the latest answer is on top
        let latest = sample::report().questions()[19].clone();
        assert!(text(&client, "#answers tbody tr").await.contains(&latest.text));

        click(&client, ".run .button").await;
        text_with(&client, ".progress", "Cancelled").await;
        assert_eq!(text(&client, ".primary").await, "Resume");
        shows_the_beginning(&client).await;

        client.refresh().await.unwrap();
        text_with(&client, ".progress", "Begun on an earlier visit").await;
        assert!(text(&client, ".progress").await.contains("60 of 120 answers"));
        shows_the_beginning(&client).await;
        // pictures too: the suite is that of all 40
        find(&client, "#answers tbody img").await;
        assert_eq!(fetched(), 1);

        click(&client, ".primary").await;
        text_with(&client, ".progress", "Done. 120 of 120 answers").await;
        text_with(&client, "h1", "Accuracy moved by 2.5 points. 30.0 % of the answers changed.").await;
        assert_eq!((fetched(), text(&client, ".primary").await.as_str()), (2, "Run again"));

        // the next visit begins anew and still has it, until it is told to forget
        client.refresh().await.unwrap();
        text_with(&client, ".primary", "Run").await;
        text_with(&client, "h1", "still give the same answers?").await;
        assert_eq!(text(&client, ".last span").await, "Your last study: steady-llava, 40 questions, 2 accelerations");
        click(&client, ".last a").await;
        text_with(&client, "h1", "Accuracy moved by 2.5 points. 30.0 % of the answers changed.").await;
        assert!(text(&client, ".origin").await.starts_with("From a link"));
        click(&client, ".brand").await;
        click(&client, ".last button").await;
        client.wait().for_element(fantoccini::Locator::Css("main:not(:has(.last)) .landing")).await.unwrap();
        client.refresh().await.unwrap();
        text_with(&client, ".primary", "Run").await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('.last').length").await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_example_is_a_report_of_the_whole_study() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".example").await;
        text_with(&client, "#answers .more", "of 300").await;
        find(&client, "#answers tbody img").await;
    })
    .await;
}

#[tokio::test]
async fn a_study_is_forgotten_on_request_and_another_choice_is_another_study() {
    let server = Server::start([(scripted::WORKER, scripted::study())]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#questions", "40").await;
        click(&client, ".primary").await;
        text_with(&client, ".progress", "60 of 120 answers").await;
        click(&client, ".run .button").await;
        text_with(&client, ".primary", "Resume").await;
        fill(&client, "#questions", "30").await;
        text_with(&client, "h1", "still give the same answers?").await;
        assert_eq!(text(&client, ".primary").await, "Run");
        fill(&client, "#questions", "40").await;
        text_with(&client, ".primary", "Resume").await;
        click(&client, ".run .button:not([hidden])").await;
        text_with(&client, ".primary", "Run").await;
        client.refresh().await.unwrap();
        text_with(&client, ".run .summary", "40 questions").await;
        text_with(&client, ".primary", "Run").await;
    })
    .await;
}

#[tokio::test]
async fn a_failure_leaves_the_report_on_the_screen() {
    let server = Server::start([(scripted::WORKER, scripted::failing("the device <b>is</b> lost"))]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".primary").await;
        text_with(&client, ".progress", "The study stopped: the device <b>is</b> lost. What was answered is kept").await;
        assert_eq!(text(&client, ".primary").await, "Resume");
        find(&client, "#answers tbody tr").await;
    })
    .await;
}

#[tokio::test]
async fn a_slider_asks_again_and_marks_where_the_answer_flips() {
    let server = Server::start([(scripted::WORKER, scripted::asked())]);
    let question = sample::report().questions()[8].clone();
    let page = format!("{}#question={}", server.page, question.id);
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        // moved before anything was asked: the image as it is must be asked about too
        slide(&client, "#slider-noise", 40.0).await;
        click(&client, ".inquiry .primary").await;
        text_with(&client, ".asked-answers tbody tr:nth-child(2)", "no").await;
        text_with(&client, ".sliders", "divprune:keep=0.25 flips at 40 of 255").await;
        assert!(text(&client, ".sliders").await.contains("baseline has not flipped"));
        let row = text(&client, ".asked-answers tbody tr:nth-child(2)").await;
        assert!(row.contains("36 of 144") && row.contains("another"), "{row}");
        // 144 cells, of which every fourth is kept
        assert_eq!(evaluate(&client, "document.querySelectorAll('.tokens .dropped').length").await, 108);
        // each 6 pixels wide, in the middle half of 144; the first is kept
        assert_eq!(evaluate(&client, "document.querySelector('.tokens .dropped').getAttribute('x')").await, "42");
        assert_eq!(evaluate(&client, "document.querySelectorAll('.tokens .beyond').length").await, 1);
        let words = evaluate(&client, "document.querySelector('.tokens').getAttribute('aria-label')").await;
        assert!(words.as_str().unwrap().contains("divprune:keep=0.25 keeps 36 of 144 visual tokens"), "{words}");
        let chart = evaluate(&client, "document.querySelector('.distribution svg').getAttribute('aria-label')").await;
        assert!(chart.as_str().unwrap().contains("yes: baseline 75.0 %"), "{chart}");
        // the baseline sees everything
        click(&client, ".asked-answers tbody tr:nth-child(1) input").await;
        text_with(&client, "figcaption", "The model sees all 144 visual tokens").await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('.tokens .dropped').length").await, 0);
        // another slider, another answer
        slide(&client, "#slider-noise", 10.0).await;
        text_with(&client, ".sliders", "divprune:keep=0.25 flips at 10 of 255").await;
    })
    .await;
}

#[tokio::test]
async fn a_study_begins_without_the_model_of_an_earlier_question() {
    let server = Server::start([(scripted::WORKER, scripted::asked())]);
    let (page, asked_for) = (server.page.clone(), server.clone());
    let started = move || asked_for.requests().iter().filter(|request| request.contains(scripted::WORKER)).count();
    let question = format!("{page}#question={}", sample::report().questions()[8].id);
    in_browser(DESKTOP, |client| async move {
        client.goto(&question).await.unwrap();
        for _ in 0..2 {
            click(&client, ".inquiry .primary").await;
            find(&client, ".asked-answers").await;
        }
        assert_eq!(started(), 1);
        client.goto(&format!("{page}#")).await.unwrap();
        click(&client, ".controls .primary").await;
        text_with(&client, ".progress", "Computing on scripted").await;
        assert_eq!(started(), 2);
        client.goto(&question).await.unwrap();
        click(&client, ".inquiry .primary").await;
        find(&client, ".asked-answers").await;
        assert_eq!(started(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_row_leads_to_its_question_and_back() {
    let server = Server::start([]);
    let page = format!("{}#r={}", server.page, sample::payload(&sample::report()));
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        assert_eq!(text(&client, "#answers thead").await.split_whitespace().last(), Some("int8"));
        // the ninth question is the first that broke
        let broken = sample::report().questions()[8].clone();
        let row = text(&client, "#answers tbody tr:nth-child(9)").await;
        assert!(row.contains(&broken.text) && row.contains("mauve") && row.contains("broken"), "{row}");
        assert_eq!(evaluate(&client, "document.querySelectorAll('#answers tbody tr').length").await, 12);
        click(&client, "#answers .more").await;
        client.wait().for_element(fantoccini::Locator::Css("#answers tbody tr:nth-child(40)")).await.unwrap();
        find(&client, "#filters select[name=outcome]").await.select_by_value("broken").await.unwrap();
        text_with(&client, "#count", "Showing 6 of 6").await;
        let link = find(&client, "#answers tbody tr:nth-child(9) th a").await;
        link.click().await.unwrap();
        assert_eq!(text(&client, "h1.question").await, broken.text);
        assert!(text(&client, ".recorded").await.contains("mauve"));
        find(&client, ".tokens image").await;
        let height = evaluate(&client, "scrollY").await;
        assert_eq!(height, 0);
        click(&client, ".back").await;
        // as it was left: the filter, and the place
        text_with(&client, "#count", "Showing 6 of 6").await;
        assert!(
            evaluate(&client, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(scrollY))))")
                .await
                .as_f64()
                .unwrap()
                > 0.0
        );
    })
    .await;
}

#[tokio::test]
async fn sliders_change_the_image_and_reset_brings_it_back() {
    let server = Server::start([]);
    let question = sample::report().questions()[8].clone();
    let page = format!("{}#question={}", server.page, question.id);
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        assert_eq!(text(&client, "h1.question").await, question.text);
        let clean = pictured(&client).await;
        for (slider, amount, said) in [("rotation", 20.0, "20 °"), ("noise", 40.0, "40 of 255"), ("jpeg", 10.0, "10 %")] {
            let before = pictured(&client).await;
            slide(&client, &format!("#slider-{slider}"), amount).await;
            text_with(&client, &format!("output[for=slider-{slider}]"), said).await;
            assert_ne!(pictured(&client).await, before, "{slider}");
        }
        click(&client, ".perturb .button").await;
        text_with(&client, "output[for=slider-noise]", "off").await;
        assert_eq!(pictured(&client).await, clean);
        client.goto("about:blank").await.unwrap();
        client.goto(&format!("{page}nothing")).await.unwrap();
        text_with(&client, "[role=alert]", "no question").await;
    })
    .await;
}

#[tokio::test]
async fn the_playground_takes_images_of_any_shape() {
    let folder = tempfile::tempdir().unwrap();
    let [wide, long, broken] = ["wide.png", "long.png", "broken.png"].map(|name| folder.path().join(name));
    // red, and in the middle a green square
    let image = image::RgbImage::from_fn(60, 20, |x, _| image::Rgb(if (20..40).contains(&x) { [0, 255, 0] } else { [255, 0, 0] }));
    image.save(&wide).unwrap();
    image::RgbImage::new(4, 2_072).save(&long).unwrap();
    std::fs::write(&broken, "no image").unwrap();
    let server = Server::start([]);
    let page = format!("{}#playground", server.page);
    in_browser(PHONE, |client| async move {
        client.goto(&page).await.unwrap();
        assert!(!find(&client, ".inquiry .primary").await.is_enabled().await.unwrap());
        let input = find(&client, ".own input[type=file]").await;
        input.send_keys(broken.to_str().unwrap()).await.unwrap();
        text_with(&client, "[role=alert]", "broken.png is no image").await;
        let shown = async || {
            let png = base64(pictured(&client).await.as_str().unwrap());
            image::load(Cursor::new(png), image::ImageFormat::Png).unwrap().to_rgb8()
        };
        input.send_keys(wide.to_str().unwrap()).await.unwrap();
        assert_eq!(shown().await, image);
        input.send_keys(long.to_str().unwrap()).await.unwrap();
        client.wait().for_element(fantoccini::Locator::Css("svg.tokens[viewBox='0 0 2 1036']")).await.unwrap();
        assert_eq!(shown().await.dimensions(), (2, 1_036));
        assert!(!find(&client, ".inquiry .primary").await.is_enabled().await.unwrap());
        fill(&client, "#own-question", "What colour is it?").await;
        client.wait().for_element(fantoccini::Locator::Css(".inquiry .primary:enabled")).await.unwrap();
    })
    .await;
}

/// The bytes of a `data:` address.
fn base64(address: &str) -> Vec<u8> {
    let digit = |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|&known| known == c);
    let digits: Vec<u32> = address.split_once(',').unwrap().1.bytes().filter_map(digit).map(|digit| digit as u32).collect();
    let bytes = digits.chunks(4).flat_map(|chunk| {
        let bits = chunk.iter().chain([0; 3].iter()).take(4).fold(0, |bits, digit| bits << 6 | digit);
        bits.to_be_bytes().into_iter().skip(1).take(chunk.len() - 1)
    });
    bytes.collect()
}

/// Rules of axe-core that a page breaks, of those that it calls serious or critical.
async fn violations(client: &Client, axe: &str) -> Vec<String> {
    client.execute(axe, Vec::new()).await.unwrap();
    let script = "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(result => done(result.violations \
                  .filter(found => ['serious', 'critical'].includes(found.impact)) \
                  .map(found => found.id + ': ' + found.nodes.map(node => node.target + ' ' + node.failureSummary).join(' | '))), error => done([String(error)]))";
    let found = client.execute_async(script, Vec::new()).await.unwrap();
    serde_json::from_value(found).unwrap()
}

#[tokio::test]
async fn axe_finds_nothing_serious_on_any_view() {
    let Some(axe) = std::env::var_os("STEADY_AXE") else {
        let missing = "STEADY_AXE names no axe-core: `cargo xtask setup` fetches it, `cargo xtask test` names it";
        assert!(std::env::var_os("STEADY_MAY_SKIP").is_some_and(|skip| skip == "1"), "{missing}; STEADY_MAY_SKIP=1 goes on without it");
        // past the test runner, which shows nothing of a test that passes
        writeln!(std::io::stderr(), "LEFT OUT: accessibility: {missing}").unwrap();
        return;
    };
    let axe = std::fs::read_to_string(&axe).unwrap();
    let question = sample::report().questions()[8].id.clone();
    for (colours, width) in [(Colours::Light, DESKTOP), (Colours::Dark, PHONE)] {
        let server =
            Server::start([("hello.json", sample::report().to_json().unwrap().into_bytes()), (scripted::WORKER, scripted::study())]);
        let asked = Server::start([(scripted::WORKER, scripted::asked())]);
        let (axe, question, answering) = (axe.clone(), question.clone(), format!("{}#question={question}", asked.page));
        in_browser_coloured(width, colours, move |client| async move {
            let dark = evaluate(&client, "matchMedia('(prefers-color-scheme: dark)').matches").await;
            assert_eq!(dark, json!(colours == Colours::Dark));
            for fragment in ["", "#src=hello.json", &format!("#question={question}"), "#playground", "#r=damaged"] {
                client.goto("about:blank").await.unwrap();
                client.goto(&format!("{}{fragment}", server.page)).await.unwrap();
                find(&client, if fragment == "#r=damaged" { "[role=alert]" } else { "h1" }).await;
                evaluate(&client, "document.querySelectorAll('details').forEach(details => details.open = true)").await;
                let found = violations(&client, &axe).await;
                assert!(found.is_empty(), "{colours:?} {fragment:?}: {found:#?}");
            }
            client.goto(&server.page).await.unwrap();
            click(&client, ".primary").await;
            text_with(&client, ".progress", "60 of 120 answers").await;
            let found = violations(&client, &axe).await;
            assert!(found.is_empty(), "{colours:?} while it runs: {found:#?}");
            client.goto(&answering).await.unwrap();
            click(&client, ".inquiry .primary").await;
            find(&client, ".tokens .dropped").await;
            slide(&client, "#slider-noise", 40.0).await;
            find(&client, ".strip.flips").await;
            let found = violations(&client, &axe).await;
            assert!(found.is_empty(), "{colours:?} when it was asked: {found:#?}");
        })
        .await;
    }
}
