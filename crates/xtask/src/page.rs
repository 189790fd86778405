//! The page: trunk builds `index.html` and `web/` into `dist/`, which any static host serves under any path.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use clap::Subcommand;

use crate::lints::documentation;
use crate::setup::{self, wasm_toolchain};
use crate::shell::{cargo, program, run as run_command, target_dir};

/// What to do with the page.
#[derive(Subcommand)]
pub(crate) enum WebTask {
    /// Install what building it needs: wasm target, trunk, wasm-bindgen.
    Setup,
    /// Build it into `dist/`.
    Build,
    /// Serve it on a local port and rebuild on every change.
    Serve,
    /// Run the kernels' conformance suite in a browser.
    Kernels,
}

pub(crate) fn run(task: &WebTask) -> anyhow::Result<()> {
    match task {
        WebTask::Setup => setup::page(),
        WebTask::Build => build(),
        WebTask::Serve => trunk(&["serve", "--release"]),
        WebTask::Kernels => kernels(),
    }
}

/// Builds the page into `dist/`.
pub(crate) fn build() -> anyhow::Result<()> {
    // offline, trunk fetches no tools of its own, but its cargo fetches nothing either
    run_command(&mut cargo(["fetch", "--target", setup::WASM]))?;
    trunk(&["build", "--release", "--offline"])?;
    address_workers(Path::new("dist"))?;
    list_shell(Path::new("dist"))
}

/// Says in `offline.js` what the page is made of, so that a browser can keep it, and in the page that it may be kept. The page itself has no hash in its name,
/// so what `offline.js` is called after is the content of all.
fn list_shell(dist: &Path) -> anyhow::Result<()> {
    const BESIDE: [&str; 3] = ["icon.svg", "icon.png", "manifest.webmanifest"];
    let mut page = fs::read_to_string(dist.join("index.html")).context("cannot read dist/index.html")?;
    let head = page.find("</head>").context("dist/index.html has no head")?;
    page.insert_str(head, "<meta name=\"offline\" content=\"offline.js\" />\n");
    fs::write(dist.join("index.html"), &page).context("cannot write dist/index.html")?;
    let mut names = Vec::new();
    for entry in fs::read_dir(dist).context("cannot list dist")? {
        let name = entry.context("cannot list dist")?.file_name().to_string_lossy().into_owned();
        // whatever else there is, the page has by its hash
        if page.contains(&name) && name.contains('-') || BESIDE.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort();
    let mut hash = DefaultHasher::new();
    page.hash(&mut hash);
    for name in &names {
        fs::read(dist.join(name)).with_context(|| format!("cannot read dist/{name}"))?.hash(&mut hash);
    }
    let shell: Vec<String> = std::iter::once("./").chain(names.iter().map(String::as_str)).map(|name| format!("{name:?}")).collect();
    let script = fs::read_to_string(dist.join("offline.js")).context("cannot read dist/offline.js")?;
    let lines = [
        ("const SHELL = [];", format!("const SHELL = [{}];", shell.join(", "))),
        ("const VERSION = \"\";", format!("const VERSION = \"{:016x}\";", hash.finish())),
    ];
    let mut told = script;
    for (line, filled) in lines {
        if !told.contains(line) {
            bail!("web/offline.js has no line {line}");
        }
        told = told.replace(line, &filled);
    }
    fs::write(dist.join("offline.js"), told).context("cannot write dist/offline.js")
}

/// Puts a hash of their files behind the addresses that the page starts its programs in workers by, so that no cache mixes two builds of them.
fn address_workers(dist: &Path) -> anyhow::Result<()> {
    const PROGRAMS: [&str; 2] = ["steady-worker", "steady-parquet"];
    let read = |name: &str| {
        let path = dist.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut page = String::from_utf8(read("index.html")?)?;
    for program in PROGRAMS {
        let mut hash = DefaultHasher::new();
        for name in [format!("{program}.js"), format!("{program}_bg.wasm")] {
            read(&name)?.hash(&mut hash);
        }
        let address = format!("content=\"worker.js?{program}\"");
        if !page.contains(&address) {
            bail!("dist/index.html does not say where {program} is: expected {address}");
        }
        page = page.replace(&address, &format!("content=\"worker.js?{program}&amp;{:016x}\"", hash.finish()));
    }
    fs::write(dist.join("index.html"), page).context("cannot write dist/index.html")
}

/// Clippy and rustdoc over the page and its tests, compiled for this machine: the page has no code that only a browser compiles. The worker was linted
/// with all that it is made of.
pub(crate) fn lint() -> anyhow::Result<()> {
    const PARTS: [&[&str]; 2] = [&["--package", "steady-web"], &["--package", "steady-page-tests", "--features", "page"]];
    for part in PARTS {
        run_command(cargo(["clippy", "--release"]).args(part).args(["--all-targets", "--", "-D", "warnings"]))?;
        documentation(cargo(["doc", "--release"]).args(part))?;
    }
    Ok(())
}

/// Tests what the page decides without a browser, then drives the built page in one.
pub(crate) fn test() -> anyhow::Result<()> {
    run_command(&mut cargo(["test", "--release", "--package", "steady-web"]))?;
    let mut browser = cargo(["test", "--release", "--package", "steady-page-tests", "--features", "page"]);
    // without it the test that needs it says so
    browser.envs(setup::axe().map(|axe| ("STEADY_AXE", axe)));
    run_command(&mut browser)
}

/// Holds every kernel to its definition in a browser's WebGPU, in a worker, as the page computes: the suite that also runs natively.
pub(crate) fn kernels() -> anyhow::Result<()> {
    // Seconds of all tests together; a GPU made of software takes minutes.
    const LONGEST: &str = "1800";
    let mut suite = cargo(["test", "--release", "--target", setup::WASM, "--package", "steady-gpu", "--test", "conformance"]);
    // The runner comes with wasm-bindgen. It starts the browser as `crates/gpu/webdriver.json` says.
    suite.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
    suite.env("CHROMEDRIVER", "chromedriver").env("WASM_BINDGEN_TEST_TIMEOUT", LONGEST);
    for_wasm(&mut suite)
}

fn trunk(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = program("trunk", arguments);
    // trunk takes `1` for a value of its flag, which it is not.
    for_wasm(command.env_remove("NO_COLOR"))
}

/// Runs a command that compiles for the browser.
fn for_wasm(command: &mut Command) -> anyhow::Result<()> {
    let environment =
        wasm_toolchain().with_context(|| format!("no compiler here has the {} target: run `cargo xtask setup`", setup::WASM))?;
    command
        // Two compilers may be at work (see setup): their outputs stay apart.
        .env("CARGO_TARGET_DIR", target_dir().join("wasm"))
        .envs(environment)
        // Set by the cargo that runs this task; they would point trunk's own cargo back at it.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO_MANIFEST_DIR");
    run_command(command)
}
