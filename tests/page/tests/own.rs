//! A checkpoint from the visitor's disk: picked, asked, studied, chosen again, and refused where it must be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use fantoccini::Client;
use serde_json::{Value, json};
use steady_page_tests::browser::{click, copied_link, evaluate, fill, find, in_browser, text_with};
use steady_page_tests::server::Server;
use steady_page_tests::{native, scripted};
use steady_protocol::{EMBEDDED, Embedded};
use tempfile::TempDir;

const DESKTOP: u32 = 1200;
const TINY: &str = "tests/reference/tiny-llava";
/// The first of the page's own models.
const STEADY_LLAVA: &str = "input[name=model]";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A copy of the tiny checkpoint, in four shards, that a test may break; the folder is called `tiny`.
fn tiny() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(repository(TINY).join("checkpoint")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    (place, folder)
}

/// Picks a folder.
async fn pick(client: &Client, folder: &Path) {
    find(client, ".model input[type=file]").await.send_keys(folder.to_str().unwrap()).await.unwrap();
}

/// What the page answers in the Playground, the baseline first.
const ANSWERS: &str = "[...document.querySelectorAll('.asked-answers .answer')].map(cell => cell.textContent.trim())";

/// Opens the Playground with the CPU and these accelerations chosen, an image and a question.
async fn playground(client: &Client, page: &str, accelerations: &str, image: &Path, question: &str) {
    client.goto(page).await.unwrap();
    click(client, ".choose summary").await;
    evaluate(client, "document.querySelectorAll('.choices > .choice .tick input:checked').forEach(box => box.click())").await;
    fill(client, ".choices > .choice .others input", accelerations).await;
    evaluate(client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
    client.goto(&format!("{page}#playground")).await.unwrap();
    click(client, ".choose summary").await;
    find(client, ".own input[type=file]").await.send_keys(image.canonicalize().unwrap().to_str().unwrap()).await.unwrap();
    fill(client, "#own-question", question).await;
}

/// What the command line answered, the baseline first.
fn texts(native: &Value) -> Vec<&str> {
    native["answers"].as_array().unwrap().iter().map(|answer| answer["text"].as_str().unwrap()).collect()
}

/// The reference case of the image that is as wide as high as the model looks at, so that nothing is cut and nothing resized.
fn exact() -> Value {
    let cases: Value = serde_json::from_slice(&fs::read(repository(TINY).join("cases.json")).unwrap()).unwrap();
    cases["cases"].as_array().unwrap().iter().find(|case| case["id"] == "exact").unwrap().clone()
}

#[tokio::test]
async fn it_answers_as_transformers_and_the_command_line_do() {
    const ACCELERATIONS: [&str; 2] = ["int8", "random:keep=0.33,seed=7"];
    let case = exact();
    let question = case["question"].as_str().unwrap().to_owned();
    let (_place, folder) = tiny();
    let image = repository(TINY).join("images/exact.png");
    let native = native::ask(&folder, &image, &question, &ACCELERATIONS);
    let texts = texts(&native);
    // transformers was asked for twelve tokens
    assert!(texts[0].starts_with(case["text"].as_str().unwrap()), "{} / {}", texts[0], case["text"]);
    let kept = native["answers"][2]["kept"].as_array().unwrap().len();
    let expected = json!(texts);
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        playground(&client, &page, &ACCELERATIONS.join(" "), &image, &question).await;
        pick(&client, &folder).await;
        text_with(&client, ".model", "From this machine, ").await;
        click(&client, ".inquiry .primary").await;
        text_with(&client, ".asked-answers", &format!("{kept} of ")).await;
        assert_eq!(evaluate(&client, ANSWERS).await, expected);
        assert!(!server.requests().iter().any(|request| request.contains("models/")), "{:?}", server.requests());

        // and the page's own model again, which answers otherwise
        click(&client, STEADY_LLAVA).await;
        click(&client, ".inquiry .primary").await;
        text_with(&client, ".asked-answers", "of 144").await;
        assert_ne!(evaluate(&client, ANSWERS).await, expected);
    })
    .await;
}

#[tokio::test]
async fn every_model_of_the_page_answers_as_on_the_command_line() {
    const ACCELERATIONS: [&str; 2] = ["w4:rtn", "divprune:keep=0.5"];
    // One that each answers by a margin that no rounding turns.
    const QUESTION: &str = "Which colour is the shape?";
    let image = repository("tests/reference/steady-llava/images/wide.png");
    let answered = |model: &Embedded| json!(texts(&native::ask(&repository(&model.address()), &image, QUESTION, &ACCELERATIONS)));
    let expected: Vec<Value> = EMBEDDED.iter().map(answered).collect();
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        playground(&client, &page, &ACCELERATIONS.join(" "), &image, QUESTION).await;
        assert_eq!(expected.len(), 4);
        for (i, (model, expected)) in EMBEDDED.iter().zip(expected).enumerate() {
            evaluate(&client, &format!("document.querySelectorAll('input[name=model]')[{i}].click()")).await;
            click(&client, ".inquiry .primary").await;
            text_with(&client, ".asked-answers", "divprune").await;
            assert_eq!(evaluate(&client, ANSWERS).await, expected, "{}", model.name);
            assert!(server.requests().iter().any(|request| request.contains(&model.address())), "{}", model.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_study_finds_what_the_command_line_does_and_names_it_by_its_folder() {
    let (_place, folder) = tiny();
    // The weights are random: what int8 moves logits by decides an answer no more firmly than the rounding in which two platforms differ.
    let far = "divprune:keep=0.25";
    let native = native::study(Some(&folder), 4, &[far], &native::CONTROLS);
    let server = Server::start([]);
    let page = server.page.clone();
    let link = in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        evaluate(&client, "document.querySelectorAll('.choices > .choice .tick input:checked').forEach(box => box.click())").await;
        fill(&client, ".choices > .choice .others input", far).await;
        evaluate(&client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
        fill(&client, "#how-many", "4").await;
        pick(&client, &folder).await;
        text_with(&client, ".run .summary", "4 questions, 1 acceleration, engine CPU, model tiny").await;
        click(&client, ".primary").await;
        text_with(&client, ".progress", "Done. 20 of 20 answers").await;
        copied_link(&client).await
    })
    .await;
    let ours = native::linked(&link);
    assert_eq!((ours.plan().model.as_str(), &ours.plan().checkpoint_sha256), ("tiny", &native.plan().checkpoint_sha256));
    assert_eq!(native::outcomes(&ours), native::outcomes(&native));
}

#[tokio::test]
async fn after_a_reload_it_must_be_chosen_again() {
    let (_place, folder) = tiny();
    let server = Server::start([(scripted::WORKER, scripted::study())]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", "40").await;
        pick(&client, &folder).await;
        text_with(&client, ".run .summary", "model tiny").await;
        click(&client, ".primary").await;
        text_with(&client, ".progress", "60 of 120 answers").await;
        click(&client, ".run .button").await;
        text_with(&client, ".progress", "Cancelled").await;
        click(&client, ".choose summary").await;
        // the model of the page has another study
        click(&client, STEADY_LLAVA).await;
        text_with(&client, ".primary", "Run").await;
        pick(&client, &folder).await;
        text_with(&client, ".primary", "Resume").await;

        client.refresh().await.unwrap();
        text_with(&client, ".progress", "Begun on an earlier visit").await;
        text_with(&client, ".controls > .warning", "choose tiny again").await;
        assert!(!find(&client, ".primary").await.is_enabled().await.unwrap());
        click(&client, ".choose summary").await;
        pick(&client, &folder).await;
        client.wait().for_element(fantoccini::Locator::Css(".primary:enabled")).await.unwrap();
        click(&client, ".primary").await;
        text_with(&client, ".progress", "Done. 120 of 120 answers").await;

        click(&client, ".choose summary").await;
        // a folder of that name in which a file grew is another checkpoint, and so another study
        fs::write(folder.join("generation_config.json"), "{\"do_sample\":   false}").unwrap();
        pick(&client, &folder).await;
        text_with(&client, ".primary", "Run").await;
    })
    .await;
}

/// Makes of the tiny model in `folder` one with an embedding of 2.5 million rows of 1,000, which is its head too: a weight file of five
/// gigabytes, of which the file system holds the header alone.
fn huge(folder: &Path) {
    let config = folder.join("config.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    settings["tie_word_embeddings"] = json!(true);
    settings["text_config"]["vocab_size"] = json!(2_500_000);
    settings["text_config"]["hidden_size"] = json!(1000);
    fs::write(config, settings.to_string()).unwrap();
    let wider = |size: u64| match size {
        40 => 1000,
        416 => 2_500_000,
        size => size,
    };
    let (mut end, mut header) = (0, serde_json::Map::new());
    for shard in (1..=4).map(|shard| fs::read(folder.join(format!("model-0000{shard}-of-00004.safetensors"))).unwrap()) {
        let length = u64::from_le_bytes(shard[..8].try_into().unwrap()) as usize;
        let tensors: serde_json::Map<String, Value> = serde_json::from_slice(&shard[8..8 + length]).unwrap();
        for (name, tensor) in tensors.into_iter().filter(|(name, _)| name != "__metadata__" && !name.contains("lm_head")) {
            let shape: Vec<u64> = tensor["shape"].as_array().unwrap().iter().map(|size| wider(size.as_u64().unwrap())).collect();
            let bytes = 2 * shape.iter().product::<u64>();
            header.insert(name, json!({"dtype": "BF16", "shape": shape, "data_offsets": [end, end + bytes]}));
            end += bytes;
        }
    }
    let header = Value::Object(header).to_string();
    let mut file = File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();
}

#[tokio::test]
async fn what_is_no_checkpoint_or_too_large_is_refused_with_the_reason() {
    let (_no_config, no_config) = tiny();
    fs::remove_file(no_config.join("config.json")).unwrap();
    let (_garbled, garbled) = tiny();
    fs::write(garbled.join("config.json"), "{\"model_type\": ").unwrap();
    let (_cut, cut) = tiny();
    let shard = cut.join("model-00002-of-00004.safetensors");
    let length = fs::metadata(&shard).unwrap().len();
    File::options().write(true).open(&shard).unwrap().set_len(length - 10).unwrap();
    let (_large, large) = tiny();
    huge(&large);
    let (_place, folder) = tiny();
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        playground(&client, &page, "", &repository(TINY).join("images/exact.png"), "is it red?").await;
        for (folder, parts) in [
            (no_config, ["tiny has no config.json", "it names the architecture and its sizes"]),
            (garbled, ["tiny:config.json is not valid JSON", "line 1"]),
            (cut, ["tiny:model-00002-of-00004.safetensors is not a usable safetensors file", "it is truncated"]),
            // 2.5 thousand million weights, 4 bytes each, and once more on their way; 4 GiB less what the program takes
            (large, ["model tiny does not fit: it takes 20.1 GB in f32", ", 4.2"]),
        ] {
            pick(&client, &folder).await;
            click(&client, ".inquiry .primary").await;
            let told = text_with(&client, ".inquiry .summary", parts[0]).await;
            assert!(told.contains(parts[1]), "{told}");
        }
        // none of which stands in the way of one that is
        pick(&client, &folder).await;
        click(&client, ".inquiry .primary").await;
        find(&client, ".asked-answers .answer").await;
    })
    .await;
}
