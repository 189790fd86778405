#![allow(dead_code, unreachable_pub, reason = "shared by two test programs")]
//! The little of HTTP that a server inside a test speaks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Somebody who listens on this machine until dropped.
pub struct Listening {
    pub address: SocketAddr,
    gone: Arc<AtomicBool>,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub target: String,
    pub body: Vec<u8>,
    headers: BTreeMap<String, String>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }
}

impl Listening {
    /// Gives every request to `answer`, each on a thread of its own.
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = Self { address: listener.local_addr().unwrap(), gone: Arc::default() };
        let (gone, answer) = (Arc::clone(&listening.gone), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    // Whoever asks may hang up at any time.
                    if let Ok(asked) = read(&stream) {
                        drop(answer(&asked, &mut stream));
                    }
                });
            }
        });
        listening
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Asked { target, body, headers })
}

/// The first lines of an answer.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}
