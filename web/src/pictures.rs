//! Pictures of the embedded suite, drawn when they are first shown.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use leptos::prelude::*;
use steady_bench::thumbnail;
use steady_report::{Picture as Pictured, image_address};

use crate::opened::Opened;

/// A picture as a `data:` address with its text alternative, where there is one.
pub(crate) type Picture = Option<(String, String)>;

/// The pictures that were drawn so far.
#[derive(Clone, Copy)]
pub(crate) struct Pictures {
    drawn: StoredValue<HashMap<Pictured, String>>,
}

impl Pictures {
    pub(crate) fn new() -> Self {
        Self { drawn: StoredValue::new(HashMap::new()) }
    }

    /// The picture in a report's suite, a moment later if it was not drawn before: drawing takes milliseconds, and what is to be read comes first.
    pub(crate) fn soon(self, opened: &Arc<Opened>, picture: Pictured) -> RwSignal<Picture> {
        let known = self.drawn.with_value(|drawn| drawn.contains_key(&picture));
        let shown = RwSignal::new(known.then(|| self.of(opened, &picture)).flatten());
        if !known && opened.suite.is_some() {
            let opened = Arc::clone(opened);
            // a row that is gone by then needs none
            set_timeout(
                move || {
                    let _ = shown.try_update(|shown| *shown = self.of(&opened, &picture));
                },
                Duration::ZERO,
            );
        }
        shown
    }

    fn of(self, opened: &Opened, picture: &Pictured) -> Picture {
        let suite = opened.suite.as_ref()?;
        let under = picture.perturbation.as_ref().map(|perturbation| format!(" under {perturbation}")).unwrap_or_default();
        let alternative = format!("Image {}{under}", picture.image);
        if let Some(address) = self.drawn.with_value(|drawn| drawn.get(picture).cloned()) {
            return Some((address, alternative));
        }
        let address = image_address(&thumbnail(&**suite, picture).ok()?);
        self.drawn.update_value(|drawn| drop(drawn.insert(picture.clone(), address.clone())));
        Some((address, alternative))
    }
}

/// An image as an address; empty if it has no pixels.
pub(crate) fn address_of(image: &RgbImage) -> String {
    let mut png = Vec::new();
    image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_or_else(|_| String::new(), |()| image_address(&png))
}
