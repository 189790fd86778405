//! The worker: by its requests and responses, with an eye on what the server is asked for meanwhile. What it answers is held against the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fantoccini::Client;
use serde_json::{Value, json};
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_page_tests::browser::{evaluate, in_browser};
use steady_page_tests::native;
use steady_page_tests::server::Server;
use steady_protocol::{
    Answered, AskReply, AskRequest, Cell, Engine, EngineChoice, Frame, Model, Pixels, Questions, Request, Response, Setting, StudyRequest,
    View, decode, encode,
};
use steady_records::{Growing, Work};
use steady_report::{AnswerRow, Report};

const DESKTOP: u32 = 1200;
const WEIGHTS: &str = "models/steady-llava/model.safetensors";

fn study(engine: EngineChoice, questions: usize, accelerations: &[&str], recorded: Vec<Vec<u8>>) -> Request {
    let accelerations = accelerations.iter().map(|spec| (*spec).to_owned()).collect();
    let setting = Setting { engine, model: Model::Address("models/steady-llava/".into()), accelerations };
    Request::Study(StudyRequest {
        setting,
        questions: Questions::Suite { families: Vec::new() },
        count: questions,
        perturbations: Vec::new(),
        controls: vec!["order".to_owned()],
        recorded,
        begun: None,
    })
}

/// Opens the page and starts a worker beside it.
async fn start(client: &Client, page: &str) {
    client.goto(page).await.unwrap();
    let script = "window.heard = []; window.worker = new Worker(document.querySelector('meta[name=worker]').content, {type: 'module'}); \
                  worker.onmessage = event => heard.push(Array.from(event.data)); \
                  worker.onerror = event => heard.push(event.message ?? 'no program')";
    client.execute(script, Vec::new()).await.unwrap();
    // the first message is empty: the worker listens
    assert_eq!(hear(client).await, json!([]));
}

/// The next message of the worker.
async fn hear(client: &Client) -> Value {
    for _ in 0..45_000 {
        let message = client.execute("return heard.shift() ?? null", Vec::new()).await.unwrap();
        if !message.is_null() {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the worker says nothing");
}

/// Everything that the worker says to a request.
async fn ask(client: &Client, request: &Request) -> Vec<Response> {
    timed(client, request).await.into_iter().map(|(_, response)| response).collect()
}

/// [`ask`], with when it was heard after the request was made.
async fn timed(client: &Client, request: &Request) -> Vec<(Duration, Response)> {
    let start = Instant::now();
    client.execute("worker.postMessage(new Uint8Array(arguments[0]))", vec![json!(encode(request).unwrap())]).await.unwrap();
    let mut responses = Vec::new();
    loop {
        let bytes: Vec<u8> = serde_json::from_value(hear(client).await).unwrap();
        responses.push((start.elapsed(), decode(&bytes).unwrap()));
        if matches!(responses.last(), Some((_, Response::Finished | Response::Asked(_) | Response::Failed(_)))) {
            return responses;
        }
    }
}

/// What became of a study that must succeed.
struct Done {
    engine: Engine,
    work: Vec<u8>,
    states: Vec<Answered>,
    report: Report,
}

/// The report of groups, as the page derives it.
fn report<'a>(work: &[u8], groups: impl IntoIterator<Item = &'a Vec<u8>>) -> Report {
    let mut growing = Growing::new(Work::from_bytes(work).unwrap());
    groups.into_iter().filter(|group| !group.is_empty()).for_each(|group| growing.take(group).unwrap());
    growing.report().unwrap().unwrap()
}

#[expect(clippy::print_stdout, reason = "how long it took, for those who ask with --nocapture")]
async fn run(client: &Client, request: &Request) -> Done {
    let responses = timed(client, request).await;
    let Some((end, Response::Finished)) = responses.last().cloned() else { panic!("{:?}", responses.last()) };
    let ready =
        responses.iter().find_map(|(at, response)| if let Response::Ready(engine) = response { Some((*at, engine.clone())) } else { None });
    let (ready, engine) = ready.unwrap();
    let work = responses.iter().find_map(|(_, response)| if let Response::Planned(work) = response { Some(work.clone()) } else { None });
    let work = work.unwrap();
    let answered = |(at, response)| if let Response::Answered(answered) = response { Some((at, answered)) } else { None };
    let (heard, states): (Vec<Duration>, Vec<Answered>) = responses.into_iter().filter_map(answered).unzip();
    let Request::Study(StudyRequest { recorded, .. }) = request else { panic!("no study") };
    let report = report(&work, recorded.iter().chain(states.iter().map(|state| &state.group)));
    let answers = states.last().unwrap().done;
    let each = end.saturating_sub(ready) / answers as u32;
    println!("{}: model after {ready:.1?}, first answers after {:.1?}, {each:.1?} for each of {answers}", engine.device, heard[0]);
    Done { engine, work, states, report }
}

/// All answers by question and acceleration, each with the margin of the same answer.
fn answers(report: &Report) -> BTreeMap<(String, String), &AnswerRow> {
    let baseline = report.questions().iter().map(|question| ((question.id.clone(), "none".to_owned()), &question.baseline));
    let accelerated = report.accelerations().iter().flat_map(|acceleration| {
        let rows = report.questions().iter().zip(&acceleration.answers);
        rows.map(|(question, answer)| ((question.id.clone(), acceleration.spec.clone()), answer))
    });
    baseline.chain(accelerated).collect()
}

#[tokio::test]
async fn on_the_cpu_it_answers_as_the_command_line_does() {
    const ACCELERATIONS: [&str; 2] = ["w4:rtn", "fastv:k=1,keep=0.25"];
    let native = native::study(None, 4, &ACCELERATIONS, &["order"]);
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        start(&client, &page).await;
        assert!(!server.requests().iter().any(|request| request.contains("models/")), "the model comes before anybody asked for it");
        let Done { engine, work, states, report: whole } = run(&client, &study(EngineChoice::Cpu, 4, &ACCELERATIONS, Vec::new())).await;
        assert!(engine.device.starts_with("flex, wasm32 simd128") && engine.dtype == "f32", "{engine:?}");
        let (ours, theirs) = (answers(&whole), answers(&native));
        assert_eq!(ours.len(), 12);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (asked, answer) in &ours {
            let other = theirs[asked];
            assert_eq!((&answer.text, answer.correct, answer.outcome), (&other.text, other.correct, other.outcome), "{asked:?}");
            let apart = answer.margin.unwrap() - other.margin.unwrap();
            assert!(apart.abs() < 1e-2, "{asked:?}: margins are {apart} apart");
            assert!((answer.visual_tokens - other.visual_tokens).abs() < 1e-6, "{asked:?}");
        }
        let plan = |report: &Report| {
            let plan = report.plan();
            (plan.checkpoint_sha256.clone(), plan.benchmark_fingerprint.clone(), plan.prompt_template.clone(), plan.command_line.clone())
        };
        assert_eq!(plan(&whole), plan(&native));
        // 4 questions under baseline, 2 accelerations and a control
        assert_eq!(states.iter().map(|state| state.total).collect::<Vec<_>>(), vec![16; states.len()]);
        assert_eq!(states.last().unwrap().done, 16);

        // meanwhile one file lost its second half, and one is left of an older page
        let harm = "caches.open('steady-models').then(async cache => {\
            const key = (await cache.keys()).find(key => key.url.includes('/config.json?')), text = await (await cache.match(key)).text();\
            await cache.put(key, new Response(text.slice(0, text.length / 2)));\
            await cache.put('models/steady-llava/config.json?old', new Response(text)); return true })";
        assert_eq!(evaluate(&client, harm).await, json!(true));

        // a later visit: the weights are there already, and so are the first answers
        start(&client, &page).await;
        let kept: Vec<Vec<u8>> = states[..2].iter().map(|state| state.group.clone()).collect();
        let again = run(&client, &study(EngineChoice::Cpu, 4, &ACCELERATIONS, kept.clone())).await;
        assert_eq!(again.states.len(), states.len() - 1);
        assert!(again.states[0].group.is_empty());
        assert_eq!((again.states[0].done, report(&again.work, &kept)), (states[1].done, report(&work, &kept)));
        assert_eq!(again.report.to_json().unwrap(), whole.to_json().unwrap());
        let fetched = |name: &str| server.requests().iter().filter(|request| request.starts_with(name)).count();
        assert_eq!((fetched(WEIGHTS), fetched("models/steady-llava/config.json")), (1, 2), "{:?}", server.requests());
        let old = "caches.open('steady-models').then(async cache => (await cache.keys()).filter(key => key.url.endsWith('?old')).length)";
        assert_eq!(evaluate(&client, old).await, json!(0));

        // and one question alone gets the answers that it got in the study
        let suite = EmbeddedSuite::test(1);
        let row = &whole.questions()[1];
        let image = suite.image(&row.image).unwrap();
        let pixels = Pixels { width: image.width(), height: image.height(), rgb: image.into_raw() };
        let Request::Study(StudyRequest { setting, .. }) = study(EngineChoice::Cpu, 1, &ACCELERATIONS, Vec::new()) else { unreachable!() };
        let request = AskRequest { id: 7, setting, image: pixels, question: row.text.clone() };
        let responses = ask(&client, &Request::Ask(request)).await;
        let [Response::Ready(_), Response::Asked(AskReply { id: 7, views, cells, answers: asked })] = responses.as_slice() else {
            panic!("{responses:?}")
        };
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 144.0, height: 144.0 });
        assert_eq!(*views, [View { rows: 12, columns: 12, frame }]);
        assert_eq!((cells.len(), cells[13]), (144, Some(Cell { view: 0, row: 1, column: 1 })));
        assert_eq!(asked.len(), 3);
        for answer in asked {
            let in_study = ours[&(row.id.clone(), answer.acceleration.clone())];
            assert_eq!(answer.text, in_study.text, "{}", answer.acceleration);
            assert_eq!(answer.first_token[0].0, in_study.top[0].token);
            let shares: Vec<f32> = answer.first_token.iter().map(|(_, share)| *share).collect();
            assert!(shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<f32>() < 1.000_01, "{shares:?}");
        }
        assert_eq!(asked.iter().map(|answer| answer.kept.as_ref().map(Vec::len)).collect::<Vec<_>>(), [None, None, Some(36)]);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        start(&client, &page).await;
        let fails = async |request: &Request, because: &str| {
            let responses = ask(&client, request).await;
            let Some(Response::Failed(reason)) = responses.last() else { panic!("{responses:?}") };
            assert!(reason.contains(because), "{reason}");
        };
        let changed = |change: &dyn Fn(&mut StudyRequest)| {
            let Request::Study(mut request) = study(EngineChoice::Cpu, 2, &["divprune"], Vec::new()) else { unreachable!() };
            change(&mut request);
            Request::Study(request)
        };
        fails(&changed(&|study| study.setting.accelerations = vec!["w5".into()]), "unknown acceleration `w5`").await;
        fails(&changed(&|study| study.questions = Questions::Suite { families: vec!["cats".into()] }), "unanswerable").await;
        fails(&changed(&|study| study.setting.model = Model::Address("models/other/".into())), "known: steady-llava").await;
        fails(&changed(&|study| study.setting.model = Model::Address("nowhere/steady-llava".into())), "404").await;
        fails(&changed(&|study| study.recorded = vec![vec![1, 2, 3]]), "earlier run").await;
        // none of which was the end of it
        let automatic = |begun: Option<&str>| {
            changed(&|study| {
                study.setting.engine = EngineChoice::Auto;
                study.begun = begun.map(ToOwned::to_owned);
            })
        };
        let Done { engine, report, .. } = run(&client, &automatic(None)).await;
        assert_eq!(report.questions().len(), 2);
        let reasons = ["before a GPU would be ready", "software adapter"];
        assert!(engine.device.starts_with("flex") && reasons.iter().any(|reason| engine.reason.contains(reason)), "{engine:?}");
        start(&client, &page).await;
        let Done { engine: again, .. } = run(&client, &automatic(Some(&engine.device))).await;
        assert_eq!((again.device, &*again.reason), (engine.device, "the study began there"));
        // and a GPU that is the CPU in disguise is not taken for one
        let Done { engine, .. } = run(&client, &automatic(Some("another device"))).await;
        assert!(engine.device.starts_with("flex") && engine.reason.contains("software adapter"), "{engine:?}");
    })
    .await;
}

/// On the software adapter that Chromium brings: slow, and correct all the same. Where the native baseline decides by less than this, another device may
/// decide otherwise.
#[tokio::test]
async fn on_webgpu_it_answers_as_the_command_line_does() {
    const FIRM: f32 = 0.05;
    const ACCELERATIONS: [&str; 1] = ["w4:rtn"];
    let native = native::study(None, 2, &ACCELERATIONS, &["order"]);
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        start(&client, &page).await;
        let Done { engine, report, .. } = run(&client, &study(EngineChoice::WebGpu, 2, &ACCELERATIONS, Vec::new())).await;
        assert!(engine.device.starts_with("wgpu, ") && engine.device.ends_with(", WebGPU"), "{engine:?}");
        let (ours, theirs) = (answers(&report), answers(&native));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        let firm: Vec<_> = theirs.iter().filter(|(_, answer)| answer.margin.unwrap() > FIRM).collect();
        assert!(!firm.is_empty());
        for (asked, answer) in firm {
            assert_eq!(ours[asked].text, answer.text, "{asked:?}");
        }
    })
    .await;
}
