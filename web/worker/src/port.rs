//! What goes to the page and what comes from it.

use async_channel::Receiver;
use js_sys::Uint8Array;
use steady_protocol::{Response, encode};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::MessageEvent;

use crate::scope::scope;

/// Says something to the page.
pub(crate) fn send(response: &Response) {
    // Neither fails: every response can be written, and a page that is gone ends its worker.
    if let Ok(bytes) = encode(response) {
        let _ = scope().post_message(&Uint8Array::from(bytes.as_slice()));
    }
}

/// The page's requests from now on, as bytes. An empty message tells the page that somebody listens: a browser keeps no message for a program
/// that is still being compiled.
pub(crate) fn listen() -> Receiver<Vec<u8>> {
    let (sender, receiver) = async_channel::unbounded();
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        // The receiver lives as long as the program.
        let _ = sender.try_send(Uint8Array::new(&event.data()).to_vec());
    });
    let scope = scope();
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let _ = scope.post_message(&Uint8Array::new_with_length(0));
    receiver
}
