//! Headless Chromium, driven by its WebDriver, with a fresh profile for every test.

use std::io::{BufRead, BufReader};
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::timeout;

/// Longest time that anything on the page may take: generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest time of a whole test.
const LONGEST: Duration = Duration::from_mins(25);

/// Runs a test in a browser whose window is `width` wide, closes the browser whatever becomes of the test, and gives what the test found.
pub async fn in_browser<F>(width: u32, test: impl FnOnce(Client) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    in_browser_coloured(width, Colours::Light, test).await
}

/// What the visitor's system prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// [`in_browser`], for a visitor who prefers these colours.
pub async fn in_browser_coloured<F>(width: u32, colours: Colours, test: impl FnOnce(Client) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let driver = Driver::start();
    let scheme = match colours {
        Colours::Dark => "--blink-settings=preferredColorScheme=0",
        Colours::Light => "--blink-settings=preferredColorScheme=1",
    };
    let options = json!({
        // smooth scrolling would move what a test is about to click; WebGPU is there on any machine, as software
        "args": ["--headless=new", "--force-prefers-reduced-motion", "--no-sandbox", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-unsafe-webgpu",
            "--use-webgpu-adapter=swiftshader", scheme],
        "mobileEmulation": {"deviceMetrics": {"width": width, "height": 900, "pixelRatio": 1, "mobile": false, "touch": false}},
    });
    let capabilities: Capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    let client = timeout(PATIENCE, builder.capabilities(capabilities).connect(&driver.address)).await.expect("a browser in time");
    let client = client.expect("a browser");
    let outcome = timeout(LONGEST, tokio::spawn(test(client.clone()))).await;
    timeout(PATIENCE, client.close()).await.expect("the browser closes in time").expect("the browser closes");
    let outcome = outcome.unwrap_or_else(|_| panic!("the test has no end after {LONGEST:?}"));
    outcome.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// The program that drives the browser.
struct Driver {
    process: Child,
    address: String,
}

impl Driver {
    /// A port that chromedriver finds free for IPv4 may be taken for IPv6 a moment later; then it ends, and another finds another.
    fn start() -> Self {
        const TRIES: usize = 5;
        (0..TRIES).find_map(|_| Self::try_start()).unwrap_or_else(|| panic!("chromedriver finds no port in {TRIES} tries"))
    }

    /// `None` when it ends without having named a port.
    fn try_start() -> Option<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver starts: `cargo xtask setup` installs it");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut driver = Self { process, address: String::new() };
        // a driver that says nothing would be read from for ever
        let (told, named) = mpsc::channel();
        thread::spawn(move || {
            let port = lines.find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()));
            drop(told.send(port));
        });
        let port = named.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("chromedriver says nothing for {PATIENCE:?}"))?;
        driver.address = format!("http://127.0.0.1:{port}");
        Some(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // a driver that has ended already is just as well
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Waits for an element.
pub async fn find(client: &Client, css: &str) -> fantoccini::elements::Element {
    client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css} does not appear: {error}"))
}

/// Text of an element as people see it, once it is there.
pub async fn text(client: &Client, css: &str) -> String {
    for _ in 0..50 {
        // between finding an element and reading it, a report that grows may have put another in its place
        if let Ok(text) = find(client, css).await.text().await {
            return text;
        }
    }
    panic!("{css} does not stay long enough to be read");
}

/// Waits until the text of an element contains this, and gives it.
pub async fn text_with(client: &Client, css: &str, part: &str) -> String {
    text_within(client, css, part, PATIENCE).await
}

/// [`text_with`], for what may take longer: a model that answers in software.
pub async fn text_within(client: &Client, css: &str, part: &str, patience: Duration) -> String {
    let mut last = String::new();
    for _ in 0..patience.as_millis() / 100 {
        last = text(client, css).await;
        if last.contains(part) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{css} says {last:?}, not {part:?}");
}

/// Clicks, by whatever way it takes.
pub async fn click(client: &Client, css: &str) {
    find(client, css).await.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
}

/// What an expression of JavaScript gives in the page.
pub async fn evaluate(client: &Client, expression: &str) -> serde_json::Value {
    client.execute(&format!("return {expression}"), Vec::new()).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// Presses Copy link and gives the link.
pub async fn copied_link(client: &Client) -> String {
    // headless browsers have no clipboard to look into
    evaluate(client, "void (navigator.clipboard.writeText = async text => { window.copied = text })").await;
    click(client, ".hand-on button").await;
    text_with(client, ".hand-on p", "Link copied").await;
    evaluate(client, "window.copied").await.as_str().expect("a link").to_owned()
}

/// Types into a field anew and leaves it.
pub async fn fill(client: &Client, css: &str, text: &str) {
    // all that is there is selected first, with Control and a: clearing would be a change of its own
    find(client, css).await.send_keys(&format!("\u{e009}a\u{e000}{text}")).await.expect("typed");
    evaluate(client, "document.activeElement.blur()").await;
}

/// Moves a slider, as a hand does.
pub async fn slide(client: &Client, css: &str, to: f64) {
    find(client, css).await;
    evaluate(client, &format!("(slider => {{ slider.value = {to}; slider.dispatchEvent(new Event('input', {{bubbles: true}})) }})(document.querySelector('{css}'))")).await;
}

/// What the browser's own tools answer to a command of theirs.
pub async fn devtools(client: &Client, method: &'static str, parameters: Value) -> Value {
    let command = DevTools { method, parameters };
    client.issue_cmd(command).await.unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// A command of the Chrome DevTools Protocol, which chromedriver hands on.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.method, "params": self.parameters}).to_string()))
    }
}
