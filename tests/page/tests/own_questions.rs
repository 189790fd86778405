//! The visitor's own questions: picked or dropped, looked at, asked, chosen again, and refused where they must be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fantoccini::{Client, Locator};
use image::ImageFormat;
use serde_json::json;
use steady_bench::world::EmbeddedSuite;
use steady_bench::{Benchmark, Question};
use steady_page_tests::browser::{click, copied_link, devtools, evaluate, fill, find, in_browser, text, text_with};
use steady_page_tests::native;
use steady_page_tests::server::Server;
use steady_report::share;
use tempfile::TempDir;

const DESKTOP: u32 = 1200;
/// Radio button of the visitor's own questions.
const OWN: &str = ".asked-of > .tick:nth-of-type(2) input";
/// The inputs of a folder and of files.
const FOLDER: &str = ".own-questions .button:nth-of-type(1) input";
const FILES: &str = ".own-questions .button:nth-of-type(2) input";

/// One question of the embedded world about each of four pictures.
fn asked() -> Vec<Question> {
    let suite = EmbeddedSuite::test(4);
    let mut seen = HashSet::new();
    suite.questions().iter().filter(|question| seen.insert(&question.image)).take(4).cloned().collect()
}

/// A picture of the embedded world, as a file.
fn png(image: &str) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    EmbeddedSuite::test(4).image(image).unwrap().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A folder called `photos` with the pictures of [`asked`] in `shots/0.png` and so on.
fn photos() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("photos");
    fs::create_dir_all(folder.join("shots")).unwrap();
    for (n, question) in asked().iter().enumerate() {
        fs::write(folder.join(format!("shots/{n}.png")), png(&question.image)).unwrap();
    }
    (place, folder)
}

/// [`asked`] as a table.
fn csv() -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let row = |(n, question): (usize, &Question)| format!("shots/{n}.png,{},{},x\n", quoted(&question.text), quoted(&question.gold[0]));
    format!("image,question,answer,note\n{}", asked().iter().enumerate().map(row).collect::<String>())
}

/// Opens the choices, with the CPU, this acceleration alone and the visitor's own questions chosen.
async fn choose(client: &Client, page: &str, acceleration: &str) {
    client.goto(page).await.unwrap();
    click(client, ".choose summary").await;
    evaluate(client, "document.querySelectorAll('.choices > .choice .tick input:checked').forEach(box => box.click())").await;
    fill(client, ".choices > .choice .others input", acceleration).await;
    evaluate(client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
    click(client, OWN).await;
}

async fn pick(client: &Client, input: &str, paths: &[&Path]) {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    find(client, input).await.send_keys(&paths.join("\n")).await.unwrap();
}

#[tokio::test]
async fn a_table_in_a_folder_is_looked_at_asked_and_chosen_again() {
    let (_place, folder) = photos();
    let table = folder.join("q.csv");
    fs::write(&table, csv()).unwrap();
    let native = native::study_of(&format!("file:{}", table.display()), None, 4, &["w4:rtn"], &native::CONTROLS);
    let server = Server::start([]);
    let page = server.page.clone();
    let link = in_browser(DESKTOP, |client| async move {
        choose(&client, &page, "w4:rtn").await;
        text_with(&client, ".run .summary", "Choose the folder of your questions first.").await;
        assert!(!find(&client, ".primary").await.is_enabled().await.unwrap());
        assert!(!server.requests().iter().any(|request| request.contains("worker")), "{:?}", server.requests());

        pick(&client, FOLDER, &[&folder]).await;
        let look = text_with(&client, ".first-look", "q.csv: 4 questions about 4 pictures of 144x144 pixels").await;
        for part in ["gold\nanswer", "not used\nnote", asked()[0].text.lines().next().unwrap(), "shots/0.png (144x144)", "Nothing is odd."]
        {
            assert!(look.contains(part), "{part}: {look}");
        }
        find(&client, ".first-look li:nth-child(3) img").await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('.first-look li').length").await, 3);
        // nobody needs a model to look
        assert!(!server.requests().iter().any(|request| request.contains("models/")), "{:?}", server.requests());

        text_with(&client, ".run .summary", "140 questions of q.csv at most, 1 acceleration").await;
        click(&client, ".primary").await;
        // the baseline, an acceleration and three controls
        text_with(&client, ".progress", "Done. 20 of 20 answers").await;
        find(&client, "#questions tbody tr:nth-child(4) img").await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody tr').length").await, 4);
        let link = copied_link(&client).await;

        // one of them closely, asked again
        click(&client, "#questions tbody tr:nth-child(1) th a").await;
        find(&client, ".inquiry .sight svg.tokens image").await;
        client.wait().for_element(Locator::Css(".inquiry .primary:enabled")).await.unwrap();
        click(&client, ".inquiry .primary").await;
        find(&client, ".asked-answers .answer").await;
        click(&client, ".close .back").await;

        client.refresh().await.unwrap();
        text_with(&client, ".controls > .warning", "choose photos again to ask its questions").await;
        text_with(&client, ".progress", "Done. 20 of 20 answers").await;
        assert!(!find(&client, ".primary").await.is_enabled().await.unwrap());
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody img').length").await, 0);
        click(&client, ".choose summary").await;
        pick(&client, FOLDER, &[&folder]).await;
        find(&client, "#questions tbody tr:nth-child(4) img").await;
        client.wait().for_element(Locator::Css(".primary:enabled")).await.unwrap();
        link
    })
    .await;
    let (_, payload) = link.split_once("#r=").unwrap();
    let ours = share::open(payload, |_| None).unwrap().report;
    assert_eq!(ours.plan().benchmark_fingerprint, native.plan().benchmark_fingerprint);
    assert_eq!(native::outcomes(&ours), native::outcomes(&native));
}

#[tokio::test]
async fn json_lines_without_right_answers_and_a_broken_row_that_is_named() {
    let (_place, folder) = photos();
    let line = |picture: &str, question: &Question| json!({"image": picture, "question": question.text}).to_string();
    let asked = asked();
    let lines = [line("0.png", &asked[0]), line("gone.png", &asked[1]), line("2.png", &asked[2])];
    let table = folder.join("shots/q.jsonl");
    fs::write(&table, lines.join("\n")).unwrap();
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        choose(&client, &page, "int8").await;
        let pictures = ["shots/0.png", "shots/2.png"].map(|name| folder.join(name));
        pick(&client, FILES, &[&pictures[0]]).await;
        text_with(&client, ".own-questions .failed", "no table of questions (.csv, .tsv, .jsonl or .json)").await;
        pick(&client, FILES, &[&table, &pictures[0], &pictures[1]]).await;
        let told = text_with(&client, ".own-questions .failed", "q.jsonl: 1 of 3 rows cannot be asked").await;
        assert!(told.contains("line 2, column image: picture gone.png: is not among the files that were chosen"), "{told}");
        assert!(!find(&client, ".primary").await.is_enabled().await.unwrap());

        fill(&client, "#read-so", "broken=skip").await;
        let look = text_with(&client, ".first-look", "q.jsonl: 2 questions about 2 pictures").await;
        assert!(look.contains("1 of 3 rows are left out: line 2"), "{look}");
        assert!(look.contains("no question has a right answer: only which answers changed will be reported"), "{look}");
        client.wait().for_element(Locator::Css(".primary:enabled")).await.unwrap();
        click(&client, ".primary").await;
        text_with(&client, ".progress", "Done. 10 of 10 answers").await;
        assert_eq!(evaluate(&client, "document.querySelectorAll('#questions tbody tr').length").await, 2);
        let headline = text(&client, "h1").await;
        assert!(!headline.to_lowercase().contains("accuracy"), "{headline}");
    })
    .await;
}

#[tokio::test]
async fn a_folder_is_dropped_and_a_table_that_holds_its_pictures() {
    let (_place, folder) = photos();
    fs::write(folder.join("q.csv"), csv()).unwrap();
    let mut held = "image\tquestion\tanswer\n".to_owned();
    for question in &asked()[..3] {
        writeln!(held, "data:image/png;base64,{}\tIs it red?\tyes", BASE64_STANDARD.encode(png(&question.image))).unwrap();
    }
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        choose(&client, &page, "int8").await;
        let data = json!({"items": [], "files": [folder], "dragOperationsMask": 1});
        for kind in ["dragEnter", "dragOver", "drop"] {
            devtools(&client, "Input.dispatchDragEvent", json!({"type": kind, "x": 300, "y": 300, "data": data})).await;
        }
        text_with(&client, ".first-look", "q.csv: 4 questions about 4 pictures of 144x144 pixels").await;
        let drop = "const data = new DataTransfer(); data.items.add(new File([arguments[0]], 'held.tsv')); \
                    window.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}))";
        client.execute(drop, vec![json!(held)]).await.unwrap();
        let look = text_with(&client, ".first-look", "held.tsv: 3 questions about 3 pictures of 144x144 pixels").await;
        assert!(look.contains("the right answer is `yes` for every question"), "{look}");
        find(&client, ".first-look li:nth-child(3) img").await;
        // and the suite again, with its families
        click(&client, ".asked-of > .tick:nth-of-type(1) input").await;
        find(&client, ".chips").await;
        text_with(&client, ".run .summary", "140 questions, 1 acceleration").await;
    })
    .await;
}
