//! Handing a report on: a link on the clipboard, files to keep.

use js_sys::{Array, Uint8Array};
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use steady_report::share::FRAGMENT;

use crate::source;

/// This page's address with a report behind it.
pub(crate) fn address(payload: &str) -> String {
    format!("{}#{FRAGMENT}{payload}", source::bare_address())
}

/// Puts a text on the clipboard; `false` where the browser forbids it.
pub(crate) async fn copy(text: &str) -> bool {
    // only pages by https have one
    let exists = js_sys::Reflect::get(&window().navigator(), &"clipboard".into()).is_ok_and(|clipboard| !clipboard.is_undefined());
    exists && JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}

/// Offers a file to keep.
pub(crate) fn download(name: &str, kind: &str, bytes: &[u8]) -> Result<(), JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    let blob = Blob::new_with_u8_array_sequence_and_options(&Array::of1(&Uint8Array::from(bytes)), &options)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&address);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&address)
}
