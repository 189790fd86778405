//! The browser around a worker.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::DedicatedWorkerGlobalScope;

/// The worker's global object.
pub(crate) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Lets the browser do what waits: deliver messages, draw, collect what is done with.
pub(crate) async fn give_way() {
    let timeout = Promise::new(&mut |resolve, _| {
        let _ = scope().set_timeout_with_callback(&resolve);
    });
    let _ = JsFuture::from(timeout).await;
}

/// What comes of `computed` within so many milliseconds.
pub(crate) async fn before<T>(milliseconds: i32, computed: impl Future<Output = T>) -> Option<T> {
    let timeout = Promise::new(&mut |resolve, _| {
        let _ = scope().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let (mut computed, mut timeout) = (pin!(computed), pin!(JsFuture::from(timeout)));
    poll_fn(|context| match computed.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timeout.as_mut().poll(context).map(|_| None),
    })
    .await
}

/// What a browser says about a failure.
pub(crate) fn said(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
