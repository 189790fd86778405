//! The page's programs in workers as the page holds them: bytes go in, bytes come out, and dropping one ends it at once, whatever it is doing.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use js_sys::{Array, Uint8Array};
use leptos::prelude::set_timeout;
use steady_protocol::{Request, Response, decode, encode};
use steady_report::Answers;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, Event, MessageEvent, WorkerOptions, WorkerType};

/// The model: [`Request`]s go in, [`Response`]s come out. It is fetched when it is first asked something.
pub struct Worker(Program);

impl Worker {
    /// Starts the worker. `listener` is told everything that it says; that it cannot be started, or dies, is a [`Response::Failed`] too.
    ///
    /// # Errors
    /// When the browser allows no worker at all.
    pub fn spawn(listener: impl Fn(Response) + 'static) -> Result<Self, String> {
        let hear = move |said: Result<Vec<u8>, String>| {
            let response = said.and_then(|bytes| decode(&bytes).map_err(|misunderstood| misunderstood.to_string()));
            listener(response.unwrap_or_else(Response::Failed));
        };
        Program::spawn("worker", hear).map(Self)
    }

    /// Asks for something, with the files that belong to it. The worker takes requests in turn.
    ///
    /// # Errors
    /// When the request cannot be handed over.
    pub fn send(&self, request: &Request, files: &Array) -> Result<(), String> {
        let bytes = Uint8Array::from(encode(request).map_err(|e| e.to_string())?.as_slice());
        self.0.send(if files.length() == 0 { bytes.into() } else { Array::of1(&bytes).concat(files).into() })
    }
}

/// How long a program that has done its work may take to keep its files.
const KEEPING: Duration = Duration::from_secs(30);

/// Answers as the bytes of a Parquet file, which a program of its own writes.
///
/// # Errors
/// When that program cannot be had, or fails, in words.
pub async fn parquet(answers: &Answers<'_>) -> Result<Vec<u8>, String> {
    let (told, hear) = oneshot::channel();
    let told = RefCell::new(Some(told));
    // of all that it says the first word counts
    let program = Program::spawn("parquet", move |said| drop(told.take().map(|told| told.send(said))))?;
    program.send(Uint8Array::from(encode(answers).map_err(|error| error.to_string())?.as_slice()).into())?;
    let said = hear.await.map_err(|_| "it was ended".to_owned())??;
    // meanwhile it keeps its files for a visit without a network
    set_timeout(move || drop(program), KEEPING);
    decode::<Result<Vec<u8>, String>>(&said).map_err(|misunderstood| misunderstood.to_string())?
}

/// A running program.
struct Program {
    script: web_sys::Worker,
    /// Messages sent before the program listened; nothing once it does.
    early: Rc<RefCell<Option<Vec<JsValue>>>>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(Event)>,
}

impl Program {
    /// Starts the program of that name. `listener` is told everything that it says, and that it cannot be started, or dies.
    fn spawn(name: &str, listener: impl Fn(Result<Vec<u8>, String>) + 'static) -> Result<Self, String> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let address = address(name).ok_or("this page does not say where its worker is")?;
        let script =
            web_sys::Worker::new_with_options(&address, &options).map_err(|e| format!("this browser starts no worker: {}", said(&e)))?;
        let early = Rc::new(RefCell::new(Some(Vec::new())));
        let listener = Rc::new(listener);

        let on_message = {
            let (listener, script, early) = (Rc::clone(&listener), script.clone(), Rc::clone(&early));
            Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                let bytes = Uint8Array::new(&event.data()).to_vec();
                // The first message is empty: what is sent before the program runs would reach nobody.
                if bytes.is_empty() {
                    for message in early.take().unwrap_or_default() {
                        if let Err(error) = script.post_message(&message) {
                            listener(Err(said(&error)));
                        }
                    }
                } else {
                    listener(Ok(bytes));
                }
            })
        };
        let on_error = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let message = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).filter(|message| !message.is_empty());
            listener(Err(match message {
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

    fn send(&self, message: JsValue) -> Result<(), String> {
        if let Some(early) = &mut *self.early.borrow_mut() {
            early.push(message);
            return Ok(());
        }
        self.script.post_message(&message).map_err(|e| said(&e))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.script.set_onmessage(None);
        self.script.set_onerror(None);
        self.script.terminate();
    }
}

/// Where a program's start file is, as the page's head says.
fn address(name: &str) -> Option<String> {
    let document = web_sys::window()?.document()?;
    let path = document.query_selector(&format!("meta[name={name}]")).ok()??.get_attribute("content")?;
    let base = document.base_uri().ok()??;
    web_sys::Url::new_with_base(&path, &base).ok().map(|url| url.href())
}

fn said(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
