//! What goes to the page and what comes from it.

use async_channel::Receiver;
use js_sys::{Array, Uint8Array};
use steady_protocol::{Response, encode};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{File, MessageEvent};

use crate::scope::scope;

/// A request as it arrives.
pub(crate) struct Incoming {
    pub(crate) bytes: Vec<u8>,
    /// What travels beside it.
    pub(crate) files: Vec<File>,
}

/// Says something to the page.
pub(crate) fn send(response: &Response) {
    // Neither fails: every response can be written, and a page that is gone ends its worker.
    if let Ok(bytes) = encode(response) {
        let _ = scope().post_message(&Uint8Array::from(bytes.as_slice()));
    }
}

/// The page's requests from now on. An empty message tells the page that somebody listens: a browser keeps no message for a program
/// that is still being compiled.
pub(crate) fn listen() -> Receiver<Incoming> {
    let (sender, receiver) = async_channel::unbounded();
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        // The receiver lives as long as the program.
        let _ = sender.try_send(incoming(&event));
    });
    let scope = scope();
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let _ = scope.post_message(&Uint8Array::new_with_length(0));
    receiver
}

/// Bytes alone, or an array of bytes and files.
fn incoming(event: &MessageEvent) -> Incoming {
    let data = event.data();
    let parts = data.dyn_ref::<Array>().cloned().unwrap_or_else(|| Array::of1(&data));
    Incoming {
        bytes: Uint8Array::new(&parts.get(0)).to_vec(),
        files: parts.iter().skip(1).filter_map(|part| part.dyn_into().ok()).collect(),
    }
}
