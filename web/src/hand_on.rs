//! Handing a report on: a link on the clipboard, files to keep.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use js_sys::{Array, Uint8Array};
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, CanvasRenderingContext2d, HtmlAnchorElement, HtmlCanvasElement, HtmlImageElement, Url};

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

/// An SVG file as the bytes of a PNG file, twice as large so that it is sharp in print and on fine screens.
pub(crate) async fn rasterised(svg: &str) -> Result<Vec<u8>, JsValue> {
    const TIMES: u32 = 2;
    let image = HtmlImageElement::new()?;
    image.set_src(&format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg)));
    JsFuture::from(image.decode()).await?;
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.dyn_into()?;
    let (width, height) = (TIMES * image.natural_width(), TIMES * image.natural_height());
    canvas.set_width(width);
    canvas.set_height(height);
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or("no canvas")?.dyn_into()?;
    context.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, f64::from(width), f64::from(height))?;
    let address = canvas.to_data_url()?;
    let (_, bytes) = address.split_once(',').ok_or("no picture")?;
    BASE64_STANDARD.decode(bytes).map_err(|_| "no picture".into())
}
