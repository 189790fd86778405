//! Folders from the visitor's disk, a checkpoint's above all. Their files are handed to the worker as they are, unread; the browser lets go of them when the page is
//! left, and what is remembered is which they were.

use js_sys::{Array, Reflect};
use leptos::prelude::*;
use steady_protocol::{Folder, FolderFile, Model};
use web_sys::File;

/// How deep below the folder a checkpoint's files may be: a vision tower may have a folder of its own, called `owner/name`.
const DEPTH: usize = 3;

/// The folder that was picked on this visit.
#[derive(Clone, Copy)]
pub(crate) struct Picked(RwSignal<Option<(Folder, Array)>, LocalStorage>);

impl Picked {
    pub(crate) fn none() -> Self {
        Self(RwSignal::new_local(None))
    }

    /// Takes what a visitor picked; nothing where the folder is empty.
    pub(crate) fn take(self, files: Vec<File>) -> Option<Folder> {
        let (folder, files) = taken(by_path(files, "checkpoint"), DEPTH)?;
        self.0.set(Some((folder.clone(), files)));
        Some(folder)
    }

    /// Whether this model's files are not at hand.
    pub(crate) fn lacks(self, model: &Model) -> bool {
        matches!(model, Model::Folder(folder) if self.0.with(|picked| picked.as_ref().is_none_or(|(held, _)| held != folder)))
    }

    /// The files that go with a request for this model.
    ///
    /// # Errors
    /// When they must be picked again.
    pub(crate) fn files(self, model: &Model) -> Result<Array, String> {
        let Model::Folder(folder) = model else { return Ok(Array::new()) };
        let held = self.0.with_untracked(|picked| picked.as_ref().filter(|(held, _)| held == folder).map(|(_, files)| files.clone()));
        held.ok_or_else(|| format!("the folder {} must be chosen again", folder.name))
    }

    /// Runs `changed` whenever another folder was picked.
    pub(crate) fn on_change(self, changed: impl Fn() + 'static) {
        Effect::new(move |before: Option<()>| {
            self.0.track();
            if before.is_some() {
                changed();
            }
        });
    }
}

/// A folder out of files by their paths, the folder's name first: those that are at most `depth` deep in it, in the order of their paths. Nothing where there
/// are none.
pub(crate) fn taken(files: impl Iterator<Item = (String, File)>, depth: usize) -> Option<(Folder, Array)> {
    let (name, files) = listed(files, depth)?;
    let list = |(path, file): &(String, File)| FolderFile { path: path.clone(), bytes: file.size() as u64 };
    let folder = Folder { name, files: files.iter().map(list).collect() };
    Some((folder, files.into_iter().map(|(_, file)| file).collect()))
}

/// Files by their paths. Those that were picked without a folder are in one called `unnamed`.
pub(crate) fn by_path(files: Vec<File>, unnamed: &str) -> impl Iterator<Item = (String, File)> {
    files.into_iter().map(move |file| {
        let path = Reflect::get(&file, &"webkitRelativePath".into()).ok().and_then(|path| path.as_string());
        (path.filter(|path| !path.is_empty()).unwrap_or_else(|| format!("{unnamed}/{}", file.name())), file)
    })
}

/// The folder's name, and those of its files that are neither hidden nor too deep, by their paths below it and in their order.
fn listed<F>(files: impl Iterator<Item = (String, F)>, depth: usize) -> Option<(String, Vec<(String, F)>)> {
    let mut name = None;
    let mut below = Vec::new();
    for (path, file) in files {
        let Some((folder, rest)) = path.split_once('/') else { continue };
        name.get_or_insert_with(|| folder.to_owned());
        if rest.split('/').count() <= depth && !rest.split('/').any(|part| part.starts_with('.')) {
            below.push((rest.to_owned(), file));
        }
    }
    below.sort_by(|(a, _), (b, _)| a.cmp(b));
    name.map(|name| (name, below))
}

/// `1 file, 0.3 MB`.
pub(crate) fn size(folder: &Folder) -> String {
    let files = if folder.files.len() == 1 { "file" } else { "files" };
    let bytes: u64 = folder.files.iter().map(|file| file.bytes).sum();
    format!("{} {files}, {}", folder.files.len(), megabytes(bytes))
}

/// `0.3 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_in_order_without_what_lies_deep_or_hidden() {
        let paths = ["tiny/model.safetensors", "tiny/config.json", "tiny/.git/config", "tiny/openai/clip/config.json", "tiny/a/b/c/d.json"];
        let (name, files) = listed(paths.into_iter().map(|path| (path.to_owned(), ())), DEPTH).unwrap();
        let files: Vec<&str> = files.iter().map(|(path, ())| path.as_str()).collect();
        assert_eq!((name.as_str(), files.as_slice()), ("tiny", ["config.json", "model.safetensors", "openai/clip/config.json"].as_slice()));
        assert!(listed(std::iter::empty::<(String, ())>(), DEPTH).is_none());
    }

    #[test]
    fn sizes_are_those_of_all_files() {
        let file = |bytes| FolderFile { path: "x".to_owned(), bytes };
        assert_eq!(size(&Folder { name: "tiny".to_owned(), files: vec![file(100_000), file(160_000)] }), "2 files, 0.3 MB");
        assert_eq!(size(&Folder { name: "tiny".to_owned(), files: vec![file(40)] }), "1 file, 0.0 MB");
    }
}
