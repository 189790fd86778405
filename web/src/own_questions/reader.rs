//! Whoever reads the visitor's own questions: a worker without a model, which tells what it understood and shows pictures, one at a time.

use std::sync::Arc;

use futures_channel::oneshot::{self, Sender};
use image::RgbImage;
use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::FirstLook;
use steady_protocol::{Folder, OwnQuestions, PictureForm, PictureReply, PictureRequest, Pixels, Request, Response, Shown};
use steady_report::Picture;
use web_sys::{DataTransfer, File};

use super::OwnFiles;
use super::dropped::Dropped;
use crate::folder;
use crate::study::settings::Settings;
use crate::worker::Worker;

/// How deep below the folder its files may be.
const DEPTH: usize = 8;

/// What files are called together that came without a folder.
const UNNAMED: &str = "what you chose";

/// How far reading is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Reading {
    /// Nothing was picked on this visit.
    #[default]
    Nothing,
    /// The worker reads.
    Begun,
    /// What was understood of the files, read so.
    Read(OwnFiles, Arc<FirstLook>),
    /// They cannot be asked, for this reason.
    Refused(String),
}

/// The files of this visit, and who reads them.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) reading: RwSignal<Reading>,
    /// The files that were picked on this visit, and their mark.
    held: RwSignal<Option<(String, Folder, Array)>, LocalStorage>,
    worker: StoredValue<Option<Worker>, LocalStorage>,
    /// Those who wait for a picture, by the number of their request.
    waiting: StoredValue<Vec<(u32, Sender<Shown>)>, LocalStorage>,
    last: StoredValue<u32>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            reading: RwSignal::new(Reading::Nothing),
            held: RwSignal::new_local(None),
            worker: StoredValue::new_local(None),
            waiting: StoredValue::new_local(Vec::new()),
            last: StoredValue::new(0),
        }
    }

    /// Takes files that a visitor picked, and reads them.
    pub(crate) fn take(self, settings: RwSignal<Settings>, files: Vec<File>) {
        self.take_by_path(settings, folder::by_path(files, UNNAMED));
    }

    /// Takes files and folders that a visitor dropped, and reads them.
    pub(crate) fn take_dropped(self, settings: RwSignal<Settings>, data: &DataTransfer) {
        let dropped = Dropped::of(data);
        spawn_local(async move { self.take_by_path(settings, dropped.files(UNNAMED).await.into_iter()) });
    }

    fn take_by_path(self, settings: RwSignal<Settings>, files: impl Iterator<Item = (String, File)>) {
        let Some((folder, files)) = folder::taken(files, DEPTH) else { return };
        match OwnFiles::of(&folder) {
            Ok(own) => {
                // the same files again are read as they were
                let known = settings.with_untracked(|settings| settings.files.clone());
                let own = known.filter(|known| known.mark == own.mark).unwrap_or(own);
                self.held.set(Some((own.mark.clone(), folder, files)));
                settings.update(|settings| {
                    settings.own = true;
                    settings.files = Some(own.clone());
                });
                self.read(&own);
            }
            Err(reason) => self.refuse(reason),
        }
    }

    /// Reads the files that are held, as is said here.
    pub(crate) fn read(self, own: &OwnFiles) {
        self.let_go();
        self.reading.set(Reading::Begun);
        let begun = self.questions(own).and_then(|(questions, files)| {
            let own = own.clone();
            let worker = Worker::spawn(move |response| self.hear(&own, response))?;
            worker.send(&Request::Look(questions), &files)?;
            Ok(worker)
        });
        match begun {
            Ok(worker) => self.worker.set_value(Some(worker)),
            Err(reason) => self.refuse(reason),
        }
    }

    /// The questions, and the files that go with a request for them.
    ///
    /// # Errors
    /// When the files must be picked again.
    pub(crate) fn questions(self, own: &OwnFiles) -> Result<(OwnQuestions, Array), String> {
        let held = self.held.get_untracked().filter(|(mark, ..)| *mark == own.mark);
        let (_, folder, files) = held.ok_or_else(|| format!("{} must be chosen again", own.folder))?;
        Ok((OwnQuestions { folder, spec: own.spec() }, files))
    }

    /// Whether these files are not at hand.
    pub(crate) fn lacks(self, own: &OwnFiles) -> bool {
        self.held.with(|held| held.as_ref().is_none_or(|(mark, ..)| *mark != own.mark))
    }

    /// Whether these questions can be asked.
    pub(crate) fn is_ready(self, own: &OwnFiles) -> bool {
        !self.lacks(own) && self.reading.with(|reading| matches!(reading, Reading::Read(read, _) if read == own))
    }

    /// Whether it shows the pictures of the questions of this fingerprint.
    pub(crate) fn holds(self, fingerprint: &str) -> bool {
        self.reading.with(|reading| matches!(reading, Reading::Read(_, look) if look.fingerprint == fingerprint))
    }

    /// A picture as a small file; nothing where there is none any more.
    pub(crate) async fn thumbnail(self, Picture { image, perturbation }: Picture) -> Option<Vec<u8>> {
        match self.show(image, PictureForm::Thumbnail(perturbation)).await? {
            Shown::File(file) => Some(file),
            Shown::Pixels(_) => None,
        }
    }

    /// An image as it is asked about; nothing where there is none any more, or several are shown together.
    pub(crate) async fn image(self, image: String) -> Option<RgbImage> {
        match self.show(image, PictureForm::Whole).await? {
            Shown::Pixels(Pixels { width, height, rgb }) => RgbImage::from_raw(width, height, rgb),
            Shown::File(_) => None,
        }
    }

    async fn show(self, image: String, form: PictureForm) -> Option<Shown> {
        let id = self.last.try_update_value(|last| {
            *last = last.wrapping_add(1);
            *last
        })?;
        let request = Request::Show(PictureRequest { id, image, form });
        let sent = self.worker.with_value(|worker| worker.as_ref().is_some_and(|worker| worker.send(&request, &Array::new()).is_ok()));
        if !sent {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.update_value(|waiting| waiting.push((id, sender)));
        receiver.await.ok()
    }

    fn hear(self, own: &OwnFiles, response: Response) {
        match response {
            Response::Looked(look) => self.reading.set(Reading::Read(own.clone(), Arc::new(look))),
            Response::Shown(PictureReply { id, shown }) => {
                let place = self.waiting.with_value(|waiting| waiting.iter().position(|(other, _)| *other == id));
                let sender = place.and_then(|place| self.waiting.try_update_value(|waiting| waiting.swap_remove(place).1));
                // whoever waited may be gone; without a picture the sender goes, which says so
                if let (Some(sender), Ok(shown)) = (sender, shown) {
                    drop(sender.send(shown));
                }
            }
            Response::Failed(reason) => self.refuse(reason),
            _ => {}
        }
    }

    fn refuse(self, reason: String) {
        self.reading.set(Reading::Refused(reason));
        self.let_go();
    }

    /// Lets go of the worker; whoever waits for a picture gets none.
    fn let_go(self) {
        self.waiting.update_value(Vec::clear);
        // this may be the worker's own call: it must return before the worker goes
        let worker = self.worker.try_update_value(Option::take);
        spawn_local(async move { drop(worker) });
    }
}
