//! The worker as the page holds it: bytes of a [`Request`] go in, [`Response`]s come out, and dropping it ends it at once, whatever it is doing.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use steady_protocol::{Request, Response, decode, encode};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, Event, MessageEvent, WorkerOptions, WorkerType};

/// A running worker. Its program is fetched when it is made, the model when it is first asked something.
pub struct Worker {
    script: web_sys::Worker,
    /// Requests made before the worker listened; nothing once it does.
    early: Rc<RefCell<Option<Vec<JsValue>>>>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(Event)>,
}

impl Worker {
    /// Starts the worker. `listener` is told everything that it says; that it cannot be started, or dies, is a [`Response::Failed`] too.
    ///
    /// # Errors
    /// When the browser allows no worker at all.
    pub fn spawn(listener: impl Fn(Response) + 'static) -> Result<Self, String> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let address = address().ok_or("this page does not say where its worker is")?;
        let script =
            web_sys::Worker::new_with_options(&address, &options).map_err(|e| format!("this browser starts no worker: {}", said(&e)))?;
        let early = Rc::new(RefCell::new(Some(Vec::new())));
        let listener = Rc::new(listener);

        let on_message = {
            let (listener, script, early) = (Rc::clone(&listener), script.clone(), Rc::clone(&early));
            Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                let bytes = Uint8Array::new(&event.data()).to_vec();
                // The first message is empty: what is sent before the worker's program runs would reach nobody.
                if bytes.is_empty() {
                    for request in early.take().unwrap_or_default() {
                        post(&script, &request, &*listener);
                    }
                } else {
                    listener(decode(&bytes).unwrap_or_else(|misunderstood| Response::Failed(misunderstood.to_string())));
                }
            })
        };
        let on_error = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let message = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).filter(|message| !message.is_empty());
            listener(Response::Failed(match message {
                // A program that gets no memory ends there and then, and browsers say no more than this.
                Some(message) if message.contains("unreachable") => {
                    format!("the worker stopped, for want of memory most likely ({message})")
                }
                Some(message) => format!("the worker stopped: {message}"),
                None => "the worker's program could not be fetched".to_owned(),
            }));
        });
        script.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        script.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { script, early, _on_message: on_message, _on_error: on_error })
    }

    /// Asks for something, with the files that belong to it. The worker takes requests in turn.
    ///
    /// # Errors
    /// When the request cannot be handed over.
    pub fn send(&self, request: &Request, files: &Array) -> Result<(), String> {
        let bytes = Uint8Array::from(encode(request).map_err(|e| e.to_string())?.as_slice());
        let message: JsValue = if files.length() == 0 { bytes.into() } else { Array::of1(&bytes).concat(files).into() };
        if let Some(early) = &mut *self.early.borrow_mut() {
            early.push(message);
            return Ok(());
        }
        self.script.post_message(&message).map_err(|e| said(&e))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.script.set_onmessage(None);
        self.script.set_onerror(None);
        self.script.terminate();
    }
}

fn post(script: &web_sys::Worker, request: &JsValue, listener: &dyn Fn(Response)) {
    if let Err(error) = script.post_message(request) {
        listener(Response::Failed(said(&error)));
    }
}

/// Where the worker's start file is, as the page's head says.
fn address() -> Option<String> {
    let document = web_sys::window()?.document()?;
    let path = document.query_selector("meta[name=worker]").ok()??.get_attribute("content")?;
    let base = document.base_uri().ok()??;
    web_sys::Url::new_with_base(&path, &base).ok().map(|url| url.href())
}

fn said(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
