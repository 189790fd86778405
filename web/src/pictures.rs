//! Pictures of questions, drawn or read when they are first shown.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use leptos::prelude::*;
use leptos::task::spawn_local;
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

    /// A report's picture, a moment later if it was not shown before: drawing takes milliseconds, and what is to be read comes first.
    pub(crate) fn soon(self, opened: &Arc<Opened>, picture: Pictured) -> RwSignal<Picture> {
        let known = self.drawn.with_value(|drawn| drawn.get(&picture).cloned());
        let shown = RwSignal::new(known.map(|address| (address, alternative(&picture))));
        if shown.with_untracked(Option::is_some) {
            return shown;
        }
        // a row that is gone by then needs none
        let show = move |picture: &Pictured, file: &[u8]| {
            let address = image_address(file);
            let _ = shown.try_update(|shown| *shown = Some((address.clone(), alternative(picture))));
            let _ = self.drawn.try_update_value(|drawn| drawn.insert(picture.clone(), address));
        };
        if let Some(suite) = opened.suite.clone() {
            let draw = move || {
                if let Ok(file) = thumbnail(&*suite, &picture) {
                    show(&picture, &file);
                }
            };
            set_timeout(draw, Duration::ZERO);
        } else if let Some(own) = opened.own.clone() {
            // the files may be chosen again while this is on the screen
            Effect::new(move |_| {
                if own.at_hand() && shown.with_untracked(Option::is_none) {
                    let (reader, picture) = (own.reader, picture.clone());
                    spawn_local(async move {
                        if let Some(file) = reader.thumbnail(picture.clone()).await {
                            show(&picture, &file);
                        }
                    });
                }
            });
        }
        shown
    }
}

fn alternative(picture: &Pictured) -> String {
    let under = picture.perturbation.as_ref().map(|perturbation| format!(" under {perturbation}")).unwrap_or_default();
    format!("Image {}{under}", picture.image)
}

/// An image as an address; empty if it has no pixels.
pub(crate) fn address_of(image: &RgbImage) -> String {
    let mut png = Vec::new();
    image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_or_else(|_| String::new(), |()| image_address(&png))
}
