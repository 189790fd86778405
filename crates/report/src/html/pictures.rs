//! Where the page has its pictures: in itself as long as they are not too many, and beside it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{PICTURES, image_address};
use crate::measurements::{Picture, QuestionRow};
use crate::printable::printable;

/// Bytes of pictures, as addresses, that are part of the page. With the cards' bytes the page stays under 5 MB.
const MOST_EMBEDDED: usize = 2_000_000;

/// The pictures of the questions that are shown.
pub(super) struct Pictures {
    /// In the order of their names, each with its address.
    embedded: BTreeMap<Picture, String>,
    /// Names of files.
    beside: BTreeMap<Picture, String>,
}

impl Pictures {
    /// Of these questions, in the order in which they are shown: the first ones are part of the page. With `folder` the others are files in [`PICTURES`],
    /// and without they are left out.
    pub(super) fn of<'q>(questions: impl Iterator<Item = &'q QuestionRow>, images: &BTreeMap<Picture, Vec<u8>>, folder: bool) -> Self {
        let (mut pictures, mut bytes) = (Self { embedded: BTreeMap::new(), beside: BTreeMap::new() }, 0);
        for picture in questions.map(QuestionRow::picture) {
            if pictures.embedded.contains_key(&picture) || pictures.beside.contains_key(&picture) {
                continue;
            }
            let address = images.get(&picture).map(|file| image_address(file)).filter(|address| bytes + address.len() <= MOST_EMBEDDED);
            if let Some(address) = address {
                bytes += address.len();
                pictures.embedded.insert(picture, address);
            } else if folder {
                // what a file is called says nothing of what it holds, which may come from anywhere
                let name = format!("{:04}", pictures.beside.len());
                pictures.beside.insert(picture, name);
            }
        }
        pictures
    }

    pub(super) fn are_beside(&self) -> bool {
        !self.beside.is_empty()
    }

    /// The files that belong into [`PICTURES`].
    pub(super) fn beside(self) -> BTreeMap<String, Picture> {
        self.beside.into_iter().map(|(picture, name)| (name, picture)).collect()
    }

    /// Every picture of the page once, however many questions are about it.
    pub(super) fn store(&self) -> Markup {
        html! {
            svg.store aria-hidden="true" {
                defs {
                    @for (i, address) in self.embedded.values().enumerate() {
                        image id={ "image-" (i) } width="100" height="100" href=(address) {}
                    }
                }
            }
        }
    }

    pub(super) fn thumbnail(&self, question: &QuestionRow) -> Markup {
        let picture = question.picture();
        let under = question.perturbation.as_ref().map(|perturbation| format!(" under {}", printable(perturbation)));
        let label = format!("Image {}{}", printable(&question.image), under.unwrap_or_default());
        html! {
            @if let Some(i) = self.embedded.keys().position(|embedded| *embedded == picture) {
                button.thumb type="button" title="Enlarge" { svg viewBox="0 0 100 100" role="img" aria-label=(label) { use href={ "#image-" (i) } {} } }
            } @else if let Some(name) = self.beside.get(&picture) {
                button.thumb type="button" title="Enlarge" { img loading="lazy" alt=(label) src={ (PICTURES) "/" (name) }; }
            } @else {
                div.thumb.missing { "no image" }
            }
        }
    }
}
