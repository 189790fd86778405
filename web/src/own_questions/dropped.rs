//! Files and folders that were dropped on the page.

use js_sys::{Array, Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

/// What was dropped. A browser tells it during the drop alone; what is in folders it tells later.
pub(super) struct Dropped {
    entries: Vec<FileSystemEntry>,
    /// Files that are no entries, as a program may drop them.
    loose: Vec<File>,
}

impl Dropped {
    pub(super) fn of(data: &DataTransfer) -> Self {
        let items = data.items();
        let entry = |i: u32| items.get(i)?.webkit_get_as_entry().ok().flatten();
        let entries: Vec<FileSystemEntry> = (0..items.length()).filter_map(entry).collect();
        let files = data.files().filter(|_| entries.is_empty());
        let loose = files.iter().flat_map(|files| (0..files.length()).filter_map(move |i| files.get(i))).collect();
        Self { entries, loose }
    }

    /// All files by their paths: that of the folder, if one folder was dropped and nothing else, and else one called `unnamed` that holds all.
    pub(super) async fn files(self, unnamed: &str) -> Vec<(String, File)> {
        let one_folder = matches!(self.entries.as_slice(), [only] if only.is_directory());
        let below = |path: &str| if one_folder { path.to_owned() } else { format!("{unnamed}/{path}") };
        let mut files: Vec<(String, File)> = self.loose.into_iter().map(|file| (below(&file.name()), file)).collect();
        let mut waiting = self.entries;
        while let Some(entry) = waiting.pop() {
            if entry.is_directory() {
                waiting.extend(within(entry.unchecked_into()).await);
            } else if let Some(file) = opened(entry.unchecked_ref()).await {
                files.push((below(entry.full_path().trim_start_matches('/')), file));
            }
        }
        files
    }
}

/// What is in a folder. A browser tells a hundred entries at a time, and none at the end; what it cannot read it leaves out.
async fn within(folder: FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader = folder.create_reader();
    let mut entries = Vec::new();
    while let Ok(some) = called_back(|told, failed| reader.read_entries_with_callback_and_callback(told, failed)).await {
        let some: Array = some.unchecked_into();
        if some.length() == 0 {
            break;
        }
        entries.extend(some.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
    }
    entries
}

/// The file behind an entry, where it can be read.
async fn opened(entry: &FileSystemFileEntry) -> Option<File> {
    let file = called_back(|told, failed| {
        entry.file_with_callback_and_callback(told, failed);
        Ok(())
    });
    file.await.ok()?.dyn_into().ok()
}

/// What a function tells that takes two others to call, one of which it does.
async fn called_back(function: impl Fn(&Function, &Function) -> Result<(), JsValue>) -> Result<JsValue, JsValue> {
    let promise = Promise::new(&mut |told, failed| {
        if let Err(error) = function(&told, &failed) {
            // whoever waits hears of it
            drop(failed.call1(&JsValue::NULL, &error));
        }
    });
    JsFuture::from(promise).await
}
