//! What a study asks of WebGPU: pipelines, shader text, dispatches, submissions, reads. Counted on a GPU made of software, where counts are
//! the same as on a card and times mean nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use steady_page_tests::browser::{click, evaluate, fill, in_browser, text_with, text_within};
use steady_page_tests::server::Server;

/// Stands before the worker's own start file: counts calls of WebGPU, and notes the counts whenever the worker says something.
const COUNTING: &str = "
const counts = { shaders: 0, wgsl: 0, pipelines: 0, dispatches: 0, submissions: 0, reads: 0 };
const counted = (prototype, names, note) => names.forEach(name => {
    const was = prototype[name];
    prototype[name] = function (...given) { note(...given); return was.apply(this, given); };
});
counted(GPUDevice.prototype, ['createShaderModule'], shader => { counts.shaders += 1; counts.wgsl += shader.code.length; });
counted(GPUDevice.prototype, ['createComputePipeline', 'createComputePipelineAsync'], () => { counts.pipelines += 1; });
counted(GPUComputePassEncoder.prototype, ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect'], () => { counts.dispatches += 1; });
counted(GPUQueue.prototype, ['submit'], () => { counts.submissions += 1; });
counted(GPUBuffer.prototype, ['mapAsync'], () => { counts.reads += 1; });
const marks = [], said = self.postMessage;
self.postMessage = (...given) => { marks.push({ ...counts }); return said.apply(self, given); };
const channel = new BroadcastChannel('count');
channel.onmessage = () => channel.postMessage(marks);
";
/// Asks for the marks.
const TELL: &str = "new Promise(told => {
    const channel = new BroadcastChannel('count');
    channel.onmessage = message => told(message.data);
    channel.postMessage('tell');
})";
/// Radio button of WebGPU among the engines.
const WEBGPU: &str = ".column .choice .tick:nth-of-type(2) input[name=engine]";
const QUESTIONS: usize = 4;
/// The baseline, three accelerations, three controls.
const COLUMNS: usize = 7;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
struct Counts {
    shaders: usize,
    wgsl: usize,
    pipelines: usize,
    dispatches: usize,
    submissions: usize,
    reads: usize,
}

/// No more than this, today; a change that lowers a count lowers it here too.
const MOST: Counts = Counts { shaders: 130, wgsl: 1_100_000, pipelines: 130, dispatches: 1_000, submissions: 50, reads: 5 };

#[tokio::test]
async fn a_study_asks_no_more_of_the_gpu_than_it_did() {
    let worker = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/worker.js")).unwrap();
    let server = Server::start([("worker.js", format!("{COUNTING}{worker}").into_bytes())]);
    let page = server.page.clone();
    let marks = in_browser(1200, |client| async move {
        client.goto(&page).await.unwrap();
        click(&client, ".choose summary").await;
        fill(&client, "#questions", &QUESTIONS.to_string()).await;
        click(&client, WEBGPU).await;
        text_with(&client, ".run .summary", &format!("{QUESTIONS} questions, 3 accelerations, engine WebGPU")).await;
        click(&client, ".primary").await;
        let answers = QUESTIONS * COLUMNS;
        text_within(&client, ".progress", &format!("Done. {answers} of {answers} answers"), Duration::from_mins(14)).await;
        serde_json::from_value::<Vec<Counts>>(evaluate(&client, TELL).await).unwrap()
    })
    .await;
    let last = *marks.last().unwrap();
    let answers = QUESTIONS * COLUMNS;
    let first = marks.iter().find(|mark| mark.reads > 0).unwrap();
    eprintln!(
        "{answers} answers: {} pipelines of {} shaders with {} kB of WGSL, {} of them before the first group was answered; per answer {} dispatches, {:.1} submissions, {:.1} reads",
        last.pipelines,
        last.shaders,
        last.wgsl / 1000,
        first.pipelines,
        last.dispatches / answers,
        last.submissions as f64 / answers as f64,
        last.reads as f64 / answers as f64
    );
    let each =
        Counts { dispatches: last.dispatches / answers, submissions: last.submissions / answers, reads: last.reads / answers, ..last };
    for (name, found, most) in [
        ("shaders", each.shaders, MOST.shaders),
        ("bytes of WGSL", each.wgsl, MOST.wgsl),
        ("pipelines", each.pipelines, MOST.pipelines),
        ("dispatches an answer", each.dispatches, MOST.dispatches),
        ("submissions an answer", each.submissions, MOST.submissions),
        ("reads an answer", each.reads, MOST.reads),
    ] {
        assert!(found <= most, "{name}: {found}, at most {most}");
    }
}
