//! Models behind somebody else's server: two OpenAI-compatible endpoints (vLLM, SGLang, llama.cpp, Ollama, `transformers serve`) as baseline and
//! accelerated model of a study, whatever was done to the second one.
//!
//! An [`Address`] says where a server is, [`Server::open`] asks it what it is and whether it takes pictures, [`Endpoints`] are several of them with the
//! plan of asking them, and [`Asking`] is the [`Subject`](steady_study::Subject) that a study runs on. Requests wait in a line for each server, a few are in
//! flight, and every answer is written down as it comes, so that a run that breaks off asks nothing twice.

mod address;
mod chat;
mod client;
mod endpoints;
mod error;
mod key;
mod ledger;
mod line;
mod server;

pub use address::Address;
pub use client::Patience;
pub use endpoints::{AGAIN, Asking, Endpoints};
pub use error::EndpointError;
pub use key::Key;
pub use server::Server;
