//! Pictures of the embedded suite, drawn when they are first shown.

use std::collections::HashMap;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};
use leptos::prelude::*;
use steady_bench::thumbnail;

use crate::opened::Opened;

/// A picture as a `data:` address with its text alternative, where there is one.
pub(crate) type Picture = Option<(String, String)>;

/// The pictures that were drawn so far.
#[derive(Clone, Copy)]
pub(crate) struct Pictures {
    drawn: StoredValue<HashMap<String, String>>,
}

impl Pictures {
    pub(crate) fn new() -> Self {
        Self { drawn: StoredValue::new(HashMap::new()) }
    }

    /// The picture of that name in a report's suite.
    pub(crate) fn of(self, opened: &Opened, id: &str) -> Picture {
        let suite = opened.suite.as_ref()?;
        let alternative = format!("Image {id}");
        if let Some(address) = self.drawn.with_value(|drawn| drawn.get(id).cloned()) {
            return Some((address, alternative));
        }
        let address = png_address(&thumbnail(&**suite, id).ok()?);
        self.drawn.update_value(|drawn| drop(drawn.insert(id.to_owned(), address.clone())));
        Some((address, alternative))
    }
}

/// A PNG file as an address, which the page's policy allows for images.
fn png_address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

/// An image as an address; empty if it has no pixels.
pub(crate) fn address_of(image: &RgbImage) -> String {
    let mut png = Vec::new();
    image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_or_else(|_| String::new(), |()| png_address(&png))
}
