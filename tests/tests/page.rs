//! The page in a real browser: headless Chromium opens `dist/` from a local static server under a sub-path.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Serves a folder under `/some/path/` on a free port of the loopback address and returns the page's address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || reply(&folder, stream));
        }
    });
    format!("http://{address}/some/path/")
}

fn reply(folder: &Path, mut stream: TcpStream) -> Option<()> {
    let mut request = String::new();
    BufReader::new(stream.try_clone().ok()?).read_line(&mut request).ok()?;
    let path = request.split(' ').nth(1)?.strip_prefix("/some/path/")?.split('?').next()?;
    let name = if path.is_empty() { "index.html" } else { path };
    let kind = match name.rsplit('.').next()? {
        "html" => "text/html",
        "js" => "text/javascript",
        "css" => "text/css",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    let (status, body) = match fs::read(folder.join(name)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).ok()?;
    stream.write_all(&body).ok()
}

#[test]
fn opens_under_a_sub_path() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    assert!(dist.join("index.html").exists(), "no dist/index.html: run `cargo xtask web build` first");
    let profile = tempfile::tempdir().expect("a folder for the browser's profile");
    let output = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(serve(dist))
        .output()
        .expect("chromium starts: `cargo xtask setup` installs it");
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.contains("<h1>steady</h1>"), "the page did not mount; chromium printed:\n{page}");
}
