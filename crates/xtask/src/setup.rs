//! Installs what the tests need, and says what it does. Every step first looks whether it is already done.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::shell::{self, announce, cargo, installed, output, program, succeeds, target_dir};
use crate::stages::do_without;

/// The wasm target's triple.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// A program from crates.io that a task calls.
struct Tool {
    name: &'static str,
    version: &'static str,
    /// Whether its published lock file is used: trunk only compiles with it, wasm-bindgen-cli's names a version that the registry lacks.
    locked: bool,
}

/// What builds the page.
const PAGE_TOOLS: [Tool; 2] =
    [Tool { name: "trunk", version: "0.21.14", locked: true }, Tool { name: "wasm-bindgen-cli", version: "0.2.130", locked: false }];

/// What the lints call.
const LINT_TOOLS: [Tool; 2] =
    [Tool { name: "cargo-machete", version: "0.9.2", locked: true }, Tool { name: "cargo-deny", version: "0.20.2", locked: true }];

/// A Debian package: a program or file that proves it is there, its name, what it is for.
type Package = (&'static str, &'static str, &'static str);

const PACKAGES: [Package; 5] = [
    ("/usr/share/vulkan/icd.d/lvp_icd*.json", "mesa-vulkan-drivers", "a software Vulkan driver: the GPU code runs without a GPU"),
    ("/usr/lib/*/libvulkan.so.1", "libvulkan1", "the Vulkan loader"),
    ("chromium", "chromium", "the browser that the page is tested in"),
    ("chromedriver", "chromium-driver", "drives that browser"),
    ("npm", "npm", "fetches axe-core, the accessibility checker of the page's tests"),
];

/// Installs what is missing.
pub(crate) fn run() -> anyhow::Result<()> {
    system_packages()?;
    accessibility()?;
    public_questions()?;
    LINT_TOOLS.iter().try_for_each(install_tool)?;
    page()
}

/// The accessibility checker of the page's tests, and its version. It is fetched from npm and runs in tests alone.
const AXE: &str = "axe-core@4.14.1";

/// Where the checker lies once it is fetched.
pub(crate) fn axe() -> Option<PathBuf> {
    let file = target_dir().join("axe/node_modules/axe-core/axe.min.js");
    // a browser's tests run elsewhere than this task
    file.canonicalize().ok()
}

/// Fetches the checker.
fn accessibility() -> anyhow::Result<()> {
    if axe().is_some() {
        return Ok(());
    }
    let folder = target_dir().join("axe");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut npm = program("npm", ["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]);
    shell::run(npm.arg(&folder).arg(AXE))
        .or_else(|error| do_without(&format!("npm fetches no axe-core, which looks at the page's accessibility ({error:#})")))
}

/// A public data set, which its package holds whole.
const EASY_VQA: &str = "easy-vqa==1.0";

/// Where it lies once it is fetched.
pub(crate) fn easy_vqa() -> Option<PathBuf> {
    let folder = target_dir().join("easy-vqa");
    folder.join("easy_vqa/data/test/questions.json").is_file().then(|| folder.canonicalize().ok())?
}

/// Fetches it; nothing of what it would run is installed along.
fn public_questions() -> anyhow::Result<()> {
    if easy_vqa().is_some() {
        return Ok(());
    }
    let mut pip = program("python3", ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
    shell::run(pip.arg(target_dir().join("easy-vqa")).arg(EASY_VQA))
        .or_else(|error| do_without(&format!("pip fetches no easy-vqa, a public data set that is asked whole ({error:#})")))
}

/// Installs what is missing to build the page.
pub(crate) fn page() -> anyhow::Result<()> {
    wasm_target()?;
    PAGE_TOOLS.iter().try_for_each(install_tool)
}

fn present(evidence: &str) -> bool {
    if !evidence.starts_with('/') {
        return installed(evidence);
    }
    // A pattern with one `*` in one component: enough to find a file whose folder names the architecture.
    let Some((before, after)) = evidence.split_once('*') else {
        return Path::new(evidence).exists();
    };
    let Some((folder, stem)) = before.rsplit_once('/') else {
        return false;
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(stem)) else {
            return false;
        };
        match after.split_once('/') {
            Some((rest, below)) => name.ends_with(rest) && entry.path().join(below).exists(),
            None => name.ends_with(after),
        }
    })
}

fn system_packages() -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        announce("not Linux: the platform's own GPU driver and browser are used");
        return Ok(());
    }
    let missing: Vec<_> = PACKAGES.iter().filter(|(evidence, ..)| !present(evidence)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for (_, package, purpose) in &missing {
        announce(&format!("needs {package}: {purpose}"));
    }
    let names: Vec<_> = missing.iter().map(|(_, package, _)| *package).collect();
    apt_install(&names)
}

/// Installs Debian packages as root, or through sudo when it asks no password; else says what to install.
fn apt_install(packages: &[&str]) -> anyhow::Result<()> {
    let root = output(&mut program("id", ["-u"])).as_deref() == Some("0");
    let sudo = !root && succeeds(&mut program("sudo", ["-n", "true"]));
    if !installed("apt-get") || !(root || sudo) {
        bail!("no apt-get or no root here. Please install: {}; then run this again", packages.join(" "));
    }
    let apt = |arguments: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { program("sudo", ["-n", "apt-get"]) };
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(&mut command)
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages);
    apt(&install)
}

/// Makes `wasm32-unknown-unknown` available: through rustup, or else with Debian's compiler, whose library is built once from source.
fn wasm_target() -> anyhow::Result<()> {
    if wasm_toolchain().is_some() {
        return Ok(());
    }
    announce("wasm target: asking rustup");
    if succeeds(&mut program("rustup", ["target", "add", WASM])) {
        return Ok(());
    }
    announce("wasm target: rustup cannot fetch it; building the standard library with Debian's compiler (about two minutes)");
    apt_install(&["rustc-web", "cargo-web", "rust-web-src"])?;
    build_debian_wasm_library().context("cannot build the wasm standard library with Debian's compiler")
}

/// How to call cargo for wasm: the environment to set, or `None` when no toolchain has the target.
pub(crate) fn wasm_toolchain() -> Option<Vec<(&'static str, OsString)>> {
    let has_library = |rustc: &str| {
        let sysroot = output(&mut program(rustc, ["--print", "sysroot"]))?;
        let library = Path::new(&sysroot).join("lib/rustlib").join(WASM).join("lib");
        fs::read_dir(library).ok()?.flatten().any(|file| file.path().extension().is_some_and(|end| end == "rlib")).then_some(())
    };
    if has_library("rustc").is_some() {
        return Some(Vec::new());
    }
    let debian = Path::new("/usr/bin/rustc");
    if !debian.exists() || has_library("/usr/bin/rustc").is_none() {
        return None;
    }
    Some(vec![("RUSTC", debian.into()), ("CARGO", "/usr/bin/cargo".into()), ("PATH", debian_path().ok()?)])
}

/// The PATH on which Debian's compiler comes first and finds the linker.
fn debian_path() -> Result<OsString, env::JoinPathsError> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    env::join_paths(iter::once(PathBuf::from("/usr/bin")).chain(rust_lld_folder()).chain(env::split_paths(&inherited)))
}

/// rustup's linker, which Debian's compiler calls by name.
fn rust_lld_folder() -> Option<PathBuf> {
    let sysroot = output(&mut program("rustc", ["--print", "sysroot"]))?;
    let host = output(&mut program("rustc", ["--print", "host-tuple"]))?;
    let folder = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin");
    folder.join("rust-lld").exists().then_some(folder)
}

fn build_debian_wasm_library() -> anyhow::Result<()> {
    let folder = target_dir().join("wasm-std");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n")?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let mut build = Command::new("/usr/bin/cargo");
    build
        .args(["build", "--release", "-Z", "build-std=std,panic_abort,panic_unwind", "--target", WASM])
        .current_dir(&folder)
        .env("PATH", debian_path()?)
        .env("RUSTC", "/usr/bin/rustc")
        // build-std is unstable; Debian ships its stable compiler with the sources that it needs.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    shell::run(&mut build)?;
    let library = Path::new("/usr/lib/rustlib").join(WASM).join("lib");
    fs::create_dir_all(&library).with_context(|| format!("cannot create {}", library.display()))?;
    for file in fs::read_dir(folder.join("target").join(WASM).join("release/deps"))?.flatten() {
        let name = file.file_name();
        let ours = name.to_string_lossy().starts_with("libempty");
        if !ours && file.path().extension().is_some_and(|end| end == "rlib") {
            fs::copy(file.path(), library.join(&name)).with_context(|| format!("cannot write into {}", library.display()))?;
        }
    }
    Ok(())
}

fn install_tool(tool: &Tool) -> anyhow::Result<()> {
    let binary = if tool.name == "wasm-bindgen-cli" { "wasm-bindgen" } else { tool.name };
    if output(&mut program(binary, ["--version"])).is_some_and(|version| version.contains(tool.version)) {
        return Ok(());
    }
    announce(&format!("installing {} {} from crates.io (some minutes, once)", tool.name, tool.version));
    let mut install = cargo(["install", tool.name, "--version", tool.version, "--force"]);
    if tool.locked {
        install.arg("--locked");
    }
    // A tool is run a few times: compile time counts, its own speed does not.
    install
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_TARGET_DIR", target_dir().join("tools"));
    shell::run(&mut install)
}
