//! How much memory there is for a model.

use std::cell::OnceCell;

use js_sys::{ArrayBuffer, WebAssembly};
use wasm_bindgen::JsCast;

/// What a program of 32-bit addresses can hold.
const REACH: u64 = 1 << 32;

thread_local! {
    static AT_FIRST: OnceCell<u64> = const { OnceCell::new() };
}

/// Bytes that a model may take: all that this program can address, less what it held before any model came. What a model leaves behind is taken
/// by the next, but the memory of a program in a browser never shrinks, so what it holds now says nothing.
pub(crate) fn room() -> u64 {
    AT_FIRST.with(|at_first| REACH.saturating_sub(*at_first.get_or_init(held)))
}

fn held() -> u64 {
    let memory: WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    u64::from(memory.buffer().unchecked_into::<ArrayBuffer>().byte_length())
}
