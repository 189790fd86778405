//! A checkpoint's files, from the browser's keeping or from the server. Either way a file is taken for what its hash says.

use anyhow::{Result, anyhow, bail};
use data_encoding::HEXLOWER;
use js_sys::{Array, Reflect, Uint8Array};
use sha2::{Digest, Sha256};
use steady_protocol::{EMBEDDED, Embedded, EmbeddedFile, Loading, Response};
use steady_vlm::Checkpoint;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, ReadableStreamDefaultReader};

use crate::port;
use crate::scope::{said, scope};

/// Where the browser keeps files across visits.
const KEPT: &str = "steady-models";

/// The checkpoint in the folder at `address`, which is relative to the page. Tells the page how far it is.
pub(crate) async fn checkpoint(address: &str) -> Result<Checkpoint> {
    let model = Embedded::at(address).ok_or_else(|| {
        let known: Vec<&str> = EMBEDDED.iter().map(|model| model.name).collect();
        anyhow!("{address}: no model that this page was built with; known: {}", known.join(", "))
    })?;
    let folder = folder(address)?;
    let cache = cache().await;
    let mut loading = Loading { file: String::new(), received: 0, total: Some(model.bytes()) };
    let mut files = Vec::with_capacity(model.files.len());
    for file in model.files {
        file.name.clone_into(&mut loading.file);
        port::send(&Response::Loading(loading.clone()));
        let before = loading.received;
        // With its hash in the address a newer file is another one, here and in every cache on the way.
        let url = format!("{folder}{}?{}", file.name, file.sha256);
        let bytes = if let Some(bytes) = kept(cache.as_ref(), &url, file).await {
            bytes
        } else {
            let bytes = fetched(&url, file, |received| {
                loading.received = before + received;
                port::send(&Response::Loading(loading.clone()));
            })
            .await?;
            keep(cache.as_ref(), &url, &bytes).await;
            bytes
        };
        loading.received = before + file.bytes;
        port::send(&Response::Loading(loading.clone()));
        files.push((file.name.to_owned(), bytes));
    }
    if let Some(cache) = &cache {
        // Whether it worked is of no interest: it is about room.
        let _ = forget_older(cache, &folder, model).await;
    }
    Ok(Checkpoint::from_fetched(model.name, files)?)
}

/// The absolute address of a folder, with a slash at its end.
fn folder(address: &str) -> Result<String> {
    let url = web_sys::Url::new_with_base(address, &scope().location().href()).map_err(|_| anyhow!("{address}: not an address"))?;
    Ok(format!("{}/", url.href().trim_end_matches('/')))
}

/// The browser's keeping; none where the browser keeps nothing (private windows, plain http).
async fn cache() -> Option<Cache> {
    JsFuture::from(scope().caches().ok()?.open(KEPT)).await.ok().map(JsCast::unchecked_into)
}

/// A file that is kept and whole.
async fn kept(cache: Option<&Cache>, url: &str, file: &EmbeddedFile) -> Option<Vec<u8>> {
    let response: web_sys::Response = JsFuture::from(cache?.match_with_str(url)).await.ok()?.dyn_into().ok()?;
    let buffer = JsFuture::from(response.array_buffer().ok()?).await.ok()?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    is(file, &bytes).then_some(bytes)
}

/// Keeps a file that is whole. A browser without room keeps nothing, and the next visit fetches it again.
async fn keep(cache: Option<&Cache>, url: &str, bytes: &[u8]) {
    let Some(cache) = cache else { return };
    if let Ok(response) = web_sys::Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes))) {
        let _ = JsFuture::from(cache.put_with_str(url, &response)).await;
    }
}

/// Lets go of what is kept of this folder and belongs to another build.
async fn forget_older(cache: &Cache, folder: &str, model: &Embedded) -> Result<(), JsValue> {
    let keys: Array = JsFuture::from(cache.keys()).await?.unchecked_into();
    for key in keys.iter() {
        let url = Reflect::get(&key, &"url".into())?.as_string().unwrap_or_default();
        let Some(kept) = url.strip_prefix(folder) else { continue };
        if !model.files.iter().any(|file| kept == format!("{}?{}", file.name, file.sha256)) {
            JsFuture::from(cache.delete_with_str(&url)).await?;
        }
    }
    Ok(())
}

/// A file from the server; `progress` is told the bytes that have come.
async fn fetched(url: &str, file: &EmbeddedFile, mut progress: impl FnMut(u64)) -> Result<Vec<u8>> {
    let response = JsFuture::from(scope().fetch_with_str(url)).await;
    let response: web_sys::Response = response.map_err(|error| anyhow!("{url} cannot be fetched: {}", said(&error)))?.unchecked_into();
    if !response.ok() {
        bail!("{url}: the server answers {} {}", response.status(), response.status_text());
    }
    let broken_off = |error: &JsValue| anyhow!("{url}: the transfer broke off: {}", said(error));
    let mut bytes = Vec::with_capacity(file.bytes as usize);
    if let Some(body) = response.body() {
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        loop {
            let chunk = JsFuture::from(reader.read()).await.map_err(|error| broken_off(&error))?;
            let field = |name: &str| Reflect::get(&chunk, &JsValue::from_str(name)).map_err(|error| broken_off(&error));
            if field("done")?.is_truthy() {
                break;
            }
            bytes.extend(Uint8Array::new(&field("value")?).to_vec());
            progress(bytes.len() as u64);
        }
    }
    if !is(file, &bytes) {
        bail!(
            "{url}: {} bytes came that are not the {} bytes this page was built with; the transfer broke off, or the page is older than its \
             model: reload it",
            bytes.len(),
            file.bytes
        );
    }
    Ok(bytes)
}

/// Whether these bytes are that file.
fn is(file: &EmbeddedFile, bytes: &[u8]) -> bool {
    bytes.len() as u64 == file.bytes && HEXLOWER.encode(&Sha256::digest(bytes)) == file.sha256
}
