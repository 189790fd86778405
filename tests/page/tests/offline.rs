//! The page without a network: a second visit, and what a browser asks of a page that it is to install.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use fantoccini::Client;
use serde_json::{Value, json};
use steady_page_tests::browser::{click, devtools, evaluate, fill, find, in_browser, text, text_with, text_within};
use steady_page_tests::server::{Server, dist};

const DESKTOP: u32 = 1200;

/// What is kept by that name.
async fn kept(client: &Client, cache: &str) -> Vec<String> {
    let script = "const done = arguments[1]; caches.keys().then(async names => { \
                  const name = names.find(name => name.startsWith(arguments[0])); \
                  done(name ? (await (await caches.open(name)).keys()).map(request => request.url) : []) }, error => done([String(error)]))";
    serde_json::from_value(client.execute_async(script, vec![json!(cache)]).await.unwrap()).unwrap()
}

/// Waits until the page is kept: the browser installs that behind the page's back.
async fn keeps_the_page(client: &Client) {
    let script = "const done = arguments[0]; const late = setTimeout(() => done('not installed'), 60000); \
                  navigator.serviceWorker.ready.then(() => { clearTimeout(late); done('installed') })";
    assert_eq!(client.execute_async(script, Vec::new()).await.unwrap(), "installed");
    // it takes over the page that is open already
    for _ in 0..100 {
        if evaluate(client, "navigator.serviceWorker.controller !== null").await == json!(true) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no page is controlled");
}

/// One question, of one acceleration, on the CPU.
async fn run(client: &Client, page: &str) {
    client.goto(page).await.unwrap();
    click(client, ".choose summary").await;
    fill(client, "#how-many", "1").await;
    evaluate(client, "document.querySelectorAll('input[name=engine]')[2].click()").await;
    click(client, ".primary").await;
    text_within(client, ".progress", "Done. ", Duration::from_mins(5)).await;
}

/// Downloads the answers of the report on the screen.
async fn wants_parquet(client: &Client) {
    click(client, ".save summary").await;
    click(client, ".save .buttons button:nth-child(4)").await;
    text_with(client, ".hand-on p", "answers.parquet is among the downloads").await;
}

#[tokio::test]
async fn the_second_visit_needs_no_network() {
    let server = Server::start([]);
    let (page, network) = (server.page.clone(), server.clone());
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        keeps_the_page(&client).await;
        // who only looks keeps neither worker nor model
        assert!(!network.requests().iter().any(|request| request.contains("worker") || request.contains("models/")));
        assert_eq!(kept(&client, "steady-worker").await, Vec::<String>::new());
        run(&client, &page).await;
        for _ in 0..100 {
            if kept(&client, "steady-worker").await.len() == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(kept(&client, "steady-worker").await.len(), 3);
        let answered = text(&client, ".overview").await;
        // so is the program that writes Parquet, once somebody wanted it
        assert_eq!(kept(&client, "steady-parquet").await, Vec::<String>::new());
        wants_parquet(&client).await;
        for _ in 0..100 {
            if kept(&client, "steady-parquet").await.len() == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(kept(&client, "steady-parquet").await.len(), 3);
        // the program is large: it was fetched once
        let fetched = |part: &str| network.requests().iter().filter(|request| request.contains(part)).count();
        assert_eq!(fetched("steady-worker_bg.wasm"), 1);

        network.go_away();
        client.goto("about:blank").await.unwrap();
        run(&client, &format!("{page}#")).await;
        click(&client, ".primary").await;
        text_within(&client, ".progress", "Done. ", Duration::from_mins(5)).await;
        assert_eq!(text(&client, ".overview").await, answered);
        wants_parquet(&client).await;
        // another view, and a link
        client.goto(&format!("{page}#playground")).await.unwrap();
        text_with(&client, "h1", "image of your own").await;
        // what was never fetched is not there, and said to be missing
        assert!(evaluate(&client, "fetch('models/steady-qwen2-vl/config.json').then(() => 'there', () => 'gone')").await == json!("gone"));
    })
    .await;
}

#[tokio::test]
async fn it_can_be_installed() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        find(&client, "h1").await;
        keeps_the_page(&client).await;
        let manifest = devtools(&client, "Page.getAppManifest", json!({})).await;
        assert_eq!(manifest["errors"], json!([]), "{manifest}");
        let told: Value = serde_json::from_str(manifest["data"].as_str().unwrap()).unwrap();
        assert_eq!(told["short_name"], "steady");
        let errors = devtools(&client, "Page.getInstallabilityErrors", json!({})).await;
        assert_eq!(errors["installabilityErrors"], json!([]), "{errors}");
    })
    .await;
}

/// A server that has another build by now.
#[tokio::test]
async fn a_new_build_is_taken_whole() {
    let read = |name: &str| std::fs::read_to_string(dist().join(name)).unwrap();
    let (index, offline) = (read("index.html"), read("offline.js"));
    let version = offline.split("const VERSION = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(version.len(), 16, "{version}");
    let next = "0123456789abcdef";
    let server = Server::start([]);
    server.has_next("index.html", index.replace("<body>", "<body><p id=\"next\">the next build</p>").into_bytes());
    server.has_next("offline.js", offline.replace(&version, next).into_bytes());
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        keeps_the_page(&client).await;
        assert!(!kept(&client, &format!("steady-page-{version}")).await.is_empty());
        server.deploy_next();
        // the page comes from the server, and with it the new build, which is kept beside the old one until nobody has that open
        client.goto("about:blank").await.unwrap();
        client.goto(&page).await.unwrap();
        find(&client, "#next").await;
        for _ in 0..300 {
            if kept(&client, &format!("steady-page-{next}")).await.len() > 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.goto("about:blank").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.goto(&page).await.unwrap();
        find(&client, "#next").await;
        keeps_the_page(&client).await;
        server.go_away();
        client.goto("about:blank").await.unwrap();
        client.goto(&page).await.unwrap();
        find(&client, "#next").await;
        find(&client, "h1").await;
        assert_eq!(kept(&client, &format!("steady-page-{version}")).await, Vec::<String>::new());
    })
    .await;
}
