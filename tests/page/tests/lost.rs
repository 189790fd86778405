//! A GPU that goes away in the middle of a study, as drivers do it after a crash or on another card.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::time::Duration;

use fantoccini::Client;
use steady_page_tests::browser::{click, evaluate, fill, in_browser, text, text_with, text_within};
use steady_page_tests::server::{Server, dist};

/// Stands before the worker's own start file: whoever calls on this channel takes the GPU away.
const TAKEN_AWAY: &str = "
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...wanted) {
    const device = await request.apply(this, wanted);
    new BroadcastChannel('gpu').onmessage = () => device.destroy();
    return device;
};
";
/// Radio button of WebGPU among the engines.
const WEBGPU: &str = ".column .choice .tick:nth-of-type(2) input[name=engine]";

#[tokio::test]
async fn a_study_outlives_its_gpu() {
    let worker = fs::read_to_string(dist().join("worker.js")).unwrap();
    let server = Server::start([("worker.js", format!("{TAKEN_AWAY}{worker}").into_bytes())]);
    let page = server.page.clone();
    in_browser(1200, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#how-many", "30").await;
        // one acceleration of the three
        evaluate(&client, "document.querySelectorAll('.choices > .choice .tick input:checked').forEach((box, i) => i && box.click())")
            .await;
        click(&client, WEBGPU).await;
        text_with(&client, ".run .summary", "30 questions, 1 acceleration, engine WebGPU").await;
        click(&client, ".primary").await;
        // software compiles each kernel for many seconds on first use
        text_within(&client, ".progress", " of 150 answers", Duration::from_mins(7)).await;
        evaluate(&client, "new BroadcastChannel('gpu').postMessage('away')").await;
        let told = text_with(&client, ".progress", "The study stopped").await;
        assert!(told.contains("GPU") && told.contains("lost") && told.contains("Resume goes on from there"), "{told}");
        let kept = answers(&client).await;
        assert!((1..150).contains(&kept), "{kept}");

        // on another GPU, or on this one once it is back
        click(&client, ".primary").await;
        text_with(&client, ".progress", "Asking").await;
        assert!(answers(&client).await >= kept);
    })
    .await;
}

/// How many answers the page says there are.
async fn answers(client: &Client) -> usize {
    let numbers = text(client, ".progress .numbers").await;
    numbers.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{numbers}"))
}
