//! Where a report comes from: the fragment of the address, another address, a file. What is read is capped in size before it is parsed.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, File, HtmlInputElement, ReadableStreamDefaultReader, ReferrerPolicy, RequestCredentials, RequestInit, Response, Url};

use leptos::prelude::{location, window};

/// Most bytes of a `report.json`: some fifty thousand answers.
const MOST_BYTES: usize = 32 << 20;

/// What stands behind the `#` of the address.
pub(crate) fn fragment() -> String {
    location().hash().unwrap_or_default().trim_start_matches('#').to_owned()
}

/// This page's address without any fragment.
pub(crate) fn bare_address() -> String {
    let here = location().href().unwrap_or_default();
    here.split('#').next().unwrap_or_default().to_owned()
}

/// Programs that pass addresses on may escape some of their characters.
pub(crate) fn decoded(text: &str) -> String {
    js_sys::decode_uri_component(text).map_or_else(|_| text.to_owned(), String::from)
}

/// Text as a part of a fragment, with those signs left as they are that mean nothing in one.
pub(crate) fn encoded(text: &str) -> String {
    let escaped = String::from(js_sys::encode_uri_component(text));
    [("%3A", ":"), ("%2C", ","), ("%3D", "="), ("%2B", "+"), ("%2F", "/")]
        .iter()
        .fold(escaped, |text, (escape, sign)| text.replace(escape, sign))
}

/// The files of an input's change. The input is empty again, so that picking the same file once more is a change.
pub(crate) fn picked(event: &Event) -> Vec<File> {
    let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return Vec::new() };
    let files = input.files().map(|files| (0..files.length()).filter_map(|i| files.get(i)).collect());
    input.set_value("");
    files.unwrap_or_default()
}

/// Text of a file that someone picked or dropped.
pub(crate) async fn read(file: &File) -> Result<String, String> {
    String::from_utf8(bytes(file).await?).map_err(|_| format!("{} is not a text", file.name()))
}

/// Content of a file that someone picked or dropped.
pub(crate) async fn bytes(file: &File) -> Result<Vec<u8>, String> {
    let name = file.name();
    if file.size() > MOST_BYTES as f64 {
        return Err(too_large(&name));
    }
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(|error| format!("{name} cannot be read: {}", reason(&error)))?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Text at an address, asked for without cookies or referrer, by https or from where this page is.
pub(crate) async fn fetch(address: &str) -> Result<String, String> {
    let here = location().href().unwrap_or_default();
    let url = Url::new_with_base(address, &here).map_err(|_| format!("{address} is not an address"))?;
    if url.protocol() != "https:" && Some(url.origin()) != location().origin().ok() {
        return Err(format!("{address} is not an address by https"));
    }
    let options = RequestInit::new();
    options.set_credentials(RequestCredentials::Omit);
    options.set_referrer_policy(ReferrerPolicy::NoReferrer);
    let response = JsFuture::from(window().fetch_with_str_and_init(&url.href(), &options))
        .await
        .map_err(|_| format!("{address} cannot be fetched: no such server, or it does not let other pages read this (CORS)"))?;
    let response: Response = response.dyn_into().map_err(|_| format!("{address} gave no response"))?;
    if !response.ok() {
        return Err(format!("{address} answers with status {}", response.status()));
    }
    let bytes = body(&response, address).await?;
    String::from_utf8(bytes).map_err(|_| format!("{address} is not a text in UTF-8"))
}

/// The body piece by piece, given up as soon as it is too large, whatever its header said.
async fn body(response: &Response, address: &str) -> Result<Vec<u8>, String> {
    let Some(stream) = response.body() else { return Ok(Vec::new()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let broken = |error: JsValue| format!("{address} broke off: {}", reason(&error));
        let piece = JsFuture::from(reader.read()).await.map_err(broken)?;
        if Reflect::get(&piece, &"done".into()).map_err(broken)?.is_truthy() {
            return Ok(bytes);
        }
        let piece: Uint8Array = Reflect::get(&piece, &"value".into()).map_err(broken)?.unchecked_into();
        if bytes.len() + piece.length() as usize > MOST_BYTES {
            // whether the server hears that it can stop is its own affair
            drop(reader.cancel());
            return Err(too_large(address));
        }
        bytes.extend(piece.to_vec());
    }
}

fn too_large(name: &str) -> String {
    format!("{name} is larger than {} MB", MOST_BYTES >> 20)
}

pub(crate) fn reason(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "the browser does not say why".to_owned(), |error| String::from(error.message()))
}
