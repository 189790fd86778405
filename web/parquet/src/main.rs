//! The page's answers as Parquet: a program of its own in a worker, fetched when somebody asks for the file. It takes the bytes of an [`Answers`] and gives
//! those of a `Result<Vec<u8>, String>`, both by postcard.

use js_sys::Uint8Array;
use steady_report::Answers;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

fn main() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let say = {
        let scope = scope.clone();
        // a page that is gone ends its worker
        move |bytes: &[u8]| drop(scope.post_message(&Uint8Array::from(bytes)))
    };
    let listening = say.clone();
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let file = written(&Uint8Array::new(&event.data()).to_vec());
        // every file can be put into a message
        if let Ok(message) = postcard::to_allocvec(&file) {
            say(&message);
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    // an empty message tells the page that somebody listens
    listening(&[]);
}

fn written(answers: &[u8]) -> Result<Vec<u8>, String> {
    let answers: Answers<'_> = postcard::from_bytes(answers).map_err(|error| error.to_string())?;
    answers.parquet().map_err(|error| error.to_string())
}
