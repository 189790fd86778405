//! The same plan on two instruction sets: this machine's, and WebAssembly's with 128-bit vectors, which sum in another order. What that
//! changes is noise, and the controls of the study say how much of it there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use steady_page_tests::browser::{click, evaluate, fill, in_browser, text_with, text_within};
use steady_page_tests::native;
use steady_page_tests::server::Server;
use steady_report::{AnswerRow, Report};

const QUESTIONS: usize = 100;
/// Those of a first study, and one that is ticked.
const CONTROLS: [&str; 4] = ["order", "split", "bf16", "pixels=pil"];
const ACCELERATIONS: [&str; 2] = ["w3:rtn,g=auto", "divprune:keep=0.33"];

/// The columns of a report by name: the baseline, accelerations and controls.
fn columns(report: &Report) -> Vec<(String, Vec<&AnswerRow>)> {
    let baseline = ("none".to_owned(), report.questions().iter().map(|row| &row.baseline).collect());
    let accelerations = report.accelerations().iter().map(|column| (column.spec.clone(), column.answers.iter().collect()));
    let controls = report.controls().iter().map(|column| (column.spec.clone(), column.answers.iter().collect()));
    std::iter::once(baseline).chain(accelerations).chain(controls).collect()
}

#[tokio::test]
async fn what_another_instruction_set_changes_is_below_what_controls_change() {
    let native = native::study(None, QUESTIONS, &ACCELERATIONS, &CONTROLS);
    let server = Server::start([]);
    let page = server.page.clone();
    let json = in_browser(1200, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", &QUESTIONS.to_string()).await;
        // of the first study's three accelerations two, and one control more
        for name in ["fastv:k=2,keep=0.5", "bf16"] {
            evaluate(&client, &format!("[...document.querySelectorAll('.tick code')].find(code => code.textContent === '{name}').click()"))
                .await;
        }
        evaluate(&client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
        text_with(&client, ".run .summary", &format!("{QUESTIONS} questions, 2 accelerations, engine CPU")).await;
        click(&client, ".primary").await;
        let answers = QUESTIONS * (1 + ACCELERATIONS.len() + CONTROLS.len());
        text_within(&client, ".progress", &format!("Done. {answers} of {answers} answers"), Duration::from_mins(8)).await;
        // what would be saved is kept where it can be read
        let hook = "(made => { URL.createObjectURL = blob => { blob.text().then(text => { window.saved = text }); return made(blob) } })\
            (URL.createObjectURL.bind(URL))";
        evaluate(&client, hook).await;
        click(&client, ".save summary").await;
        click(&client, ".save .buttons button:nth-child(1)").await;
        for _ in 0..100 {
            if let Some(json) = evaluate(&client, "window.saved ?? null").await.as_str() {
                return json.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing was saved")
    })
    .await;
    let page = Report::from_json(&json).unwrap();
    assert!(page.plan().device.contains("wasm32") && !native.plan().device.contains("wasm32"));
    // by so much a control moved the lead of some first token
    let margin = native.summaries()[0].ties.unwrap().margin;
    let mut firm = Vec::new();
    for ((name, here), (other, there)) in columns(&native).into_iter().zip(columns(&page)) {
        assert_eq!(name, other);
        let differing: Vec<_> = native.questions().iter().zip(here.iter().zip(there)).filter(|(_, (a, b))| a.text != b.text).collect();
        eprintln!("{name}: {} of {QUESTIONS} answers differ", differing.len());
        for (question, (a, b)) in differing {
            let lead = f64::from(a.margin.unwrap());
            eprintln!("  {}: {:?} and {:?}, lead {lead:.4}", question.id, a.text, b.text);
            if lead > margin {
                firm.push(format!("{name} {}", question.id));
            }
        }
    }
    eprintln!("the controls move leads by up to {margin:.4}");
    assert!(firm.is_empty(), "{firm:?}");
}
