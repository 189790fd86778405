//! A static host as plain as they come: it serves `dist/` under a sub-path and remembers what it was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where the page is on the host.
const SUB_PATH: &str = "/some/path/";

/// Where the page was built.
pub fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist")
}

/// The host, for as long as the test runs.
#[derive(Clone)]
pub struct Server {
    /// Address of the page.
    pub page: String,
    requests: Arc<Mutex<Vec<String>>>,
    extra: Arc<BTreeMap<String, Vec<u8>>>,
    /// Part of the names of files that are not there.
    missing: Option<&'static str>,
    gone: Arc<AtomicBool>,
    next: Arc<Mutex<Next>>,
}

/// The next build of the page.
#[derive(Default)]
struct Next {
    /// What it has otherwise.
    files: BTreeMap<String, Vec<u8>>,
    deployed: bool,
}

impl Server {
    /// Serves `dist/` but the files whose names contain `missing`.
    pub fn without(missing: &'static str) -> Self {
        Self::new([], Some(missing))
    }

    /// Serves `dist/` and, beside it, files made up by a test.
    pub fn start(extra: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        Self::new(extra, None)
    }

    fn new(extra: impl IntoIterator<Item = (&'static str, Vec<u8>)>, missing: Option<&'static str>) -> Self {
        let dist = dist();
        assert!(dist.join("index.html").exists(), "no dist/index.html: run `cargo xtask web build` first");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let extra = extra.into_iter().map(|(name, content)| (name.to_owned(), content)).collect();
        let server = Self {
            page: format!("http://{address}{SUB_PATH}"),
            requests: Arc::default(),
            extra: Arc::new(extra),
            missing,
            gone: Arc::default(),
            next: Arc::default(),
        };
        let at_work = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, dist) = (at_work.clone(), dist.clone());
                thread::spawn(move || server.reply(&dist, stream));
            }
        });
        server
    }

    /// Paths that were asked for so far, below the sub-path.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A file that the next build has otherwise.
    pub fn has_next(&self, name: &str, content: Vec<u8>) {
        self.next.lock().unwrap().files.insert(name.to_owned(), content);
    }

    /// The next build takes this one's place.
    pub fn deploy_next(&self) {
        self.next.lock().unwrap().deployed = true;
    }

    /// From now on no request is answered, as without a network.
    pub fn go_away(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    fn reply(&self, dist: &Path, mut stream: TcpStream) -> Option<()> {
        let mut request = String::new();
        BufReader::new(stream.try_clone().ok()?).read_line(&mut request).ok()?;
        let asked = request.split(' ').nth(1)?.to_owned();
        if self.gone.load(Ordering::SeqCst) {
            return None;
        }
        self.requests.lock().unwrap().push(asked.strip_prefix(SUB_PATH).unwrap_or(&asked).to_owned());
        let path = asked.strip_prefix(SUB_PATH)?.split('?').next()?;
        let name = if path.is_empty() { "index.html" } else { path };
        let kind = match name.rsplit('.').next()? {
            "html" => "text/html",
            "js" => "text/javascript",
            "css" => "text/css",
            "json" => "application/json",
            "webmanifest" => "application/manifest+json",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "wasm" => "application/wasm",
            _ => "application/octet-stream",
        };
        let there = self.missing.is_none_or(|missing| !name.contains(missing));
        let next = {
            let next = self.next.lock().unwrap();
            next.files.get(name).filter(|_| next.deployed).cloned()
        };
        let found = next.or_else(|| self.extra.get(name).cloned()).or_else(|| fs::read(dist.join(name)).ok()).filter(|_| there);
        let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).ok()?;
        stream.write_all(&body).ok()
    }
}
