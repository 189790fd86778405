//! Perturbations on the page: in a report from a link, and in a study that it runs itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::json;
use steady_page_tests::browser::{click, evaluate, fill, find, in_browser, text, text_with};
use steady_page_tests::sample;
use steady_page_tests::server::Server;
use steady_report::{AnswerRow, Outcome, QuestionRow, Report};

const DESKTOP: u32 = 1200;

/// [`sample::measurements`], and the same questions under noise, which breaks the baseline's answer to the last question. There the first acceleration
/// breaks the last but one, and nothing else changes: 32 of 40 right on clean images, 31 under noise, 30 under noise and acceleration.
fn report() -> Report {
    let mut measurements = sample::measurements(&sample::suite(), "mauve");
    let broken =
        |row: &AnswerRow| AnswerRow { text: "mauve".into(), correct: false, score: 0.0, outcome: Some(Outcome::Broken), ..row.clone() };
    let noisy = |row: &QuestionRow| QuestionRow {
        perturbation: Some("noise=40".into()),
        baseline: AnswerRow { outcome: Some(Outcome::Same), ..row.baseline.clone() },
        ..row.clone()
    };
    let mut rows: Vec<QuestionRow> = measurements.questions.iter().map(noisy).collect();
    let last = rows.len() - 1;
    rows[last].baseline = broken(&rows[last].baseline);
    let unchanged = |row: &QuestionRow| AnswerRow { outcome: Some(Outcome::Same), kl: Some(0.0), ..row.baseline.clone() };
    for acceleration in &mut measurements.accelerations {
        acceleration.answers.extend(rows.iter().map(unchanged));
    }
    let hurt = &mut measurements.accelerations[0].answers[sample::QUESTIONS + last - 1];
    *hurt = broken(hurt);
    measurements.controls[0].answers.extend(rows.iter().map(unchanged));
    measurements.plan.perturbations = vec!["noise=40".into()];
    measurements.questions.extend(rows);
    Report::new(measurements).unwrap()
}

#[tokio::test]
async fn a_link_shows_what_changed_under_perturbation() {
    let server = Server::start([]);
    let report = report();
    let hurt = report.questions()[sample::QUESTIONS - 2].clone();
    let address = format!("{}#r={}", server.page, sample::payload(&report));
    in_browser(DESKTOP, |client| async move {
        client.goto(&address).await.unwrap();
        // what names no perturbation speaks of the clean images
        assert_eq!(text(&client, "h1").await, "Under w4:rtn,g=128 30.0 % of the answers changed. Accuracy moved by 2.5 points.");
        let under = text(&client, "#perturbed").await;
        for part in ["under noise=40", "80.0 → 77.5", "77.5 → 75.0", "77.5 → 77.5"] {
            assert!(under.contains(part), "{part} is not in {under:?}");
        }
        text_with(&client, "#count", "80 questions").await;
        find(&client, "#filters select[name=outcome]").await.select_by_value("differs").await.unwrap();
        text_with(&client, "#count", "13 of 80 questions").await;
        let select = "#filters select[name=condition]";
        find(&client, select).await.select_by_value("0").await.unwrap();
        text_with(&client, "#count", "12 of 80 questions").await;
        find(&client, select).await.select_by_value("1").await.unwrap();
        text_with(&client, "#count", "1 of 80 questions").await;
        let card = text(&client, "#questions tbody tr").await;
        assert!(card.contains("under noise=40") && card.contains(&hurt.text), "{card}");
        let picture =
            evaluate(&client, "[document.querySelector('#questions tbody img')].map(image => [image.alt, image.src.slice(0, 16)])[0]");
        assert_eq!(picture.await, json!([format!("Image {} under noise=40", hurt.image), "data:image/jpeg;"]));
        // looked at closely, the image is as bad as it was
        click(&client, "#questions tbody th a").await;
        text_with(&client, "output[for=slider-noise]", "40 of 255").await;
        text_with(&client, "section.recorded h2", "What the report says under noise=40").await;
        text_with(&client, "article.recorded", "✕ broken").await;
        client.goto(&format!("{}#question={}&perturb=fog=1", server.page, hurt.id)).await.unwrap();
        text_with(&client, "[role=alert]", "there is no perturbation `fog`").await;
        client.goto(&address).await.unwrap();
        // every answer is there, the perturbed ones by their name
        click(&client, "#questions .more").await;
        let rows = evaluate(&client, "document.querySelectorAll('#questions tbody tr').length").await;
        assert!(rows.as_u64().unwrap() > 40, "{rows}");
        text_with(&client, "#questions tbody tr:nth-child(42) th", "under noise=40").await;
    })
    .await;
}

#[tokio::test]
async fn a_study_asks_about_worse_images_too() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", "2").await;
        evaluate(&client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
        // of the first study's three, one stays
        for spec in ["divprune:keep=0.33", "fastv:k=2,keep=0.5", "noise=20"] {
            evaluate(&client, &format!("[...document.querySelectorAll('.tick code')].find(code => code.textContent === '{spec}').click()"))
                .await;
        }
        fill(&client, "#perturbations input[type=text]", "blur=2.0").await;
        let chosen = "2 questions, 1 acceleration, 2 perturbations, engine CPU, model steady-llava";
        assert_eq!(text_with(&client, ".run .summary", chosen).await, chosen);
        click(&client, ".primary").await;
        // two questions under three conditions, by the baseline, one acceleration and three controls
        text_with(&client, ".progress", "Done. 30 of 30 answers").await;
        let under = text(&client, "#perturbed").await;
        assert!(under.contains("under noise=20") && under.contains("under blur=2"), "{under}");
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody tr').length").await, 6);
        // what cannot be done is said by the worker, in its words
        click(&client, ".choose summary").await;
        fill(&client, "#perturbations input[type=text]", "fog=1").await;
        text_with(&client, ".wrong", "there is no perturbation `fog`").await;
        click(&client, ".primary").await;
        text_with(&client, ".progress", "there is no perturbation `fog`").await;
    })
    .await;
}
