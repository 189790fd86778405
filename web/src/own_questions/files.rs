//! Which files the questions are in, as far as that can be said without reading them. Plain data.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use steady_protocol::Folder;

/// Endings of tables that are read in a browser.
const TABLES: [&str; 5] = ["csv", "tsv", "jsonl", "ndjson", "json"];

/// Most tables to choose from: a folder may have a file of annotations for each picture.
const MOST_TABLES: usize = 20;

/// A folder of questions that was picked. It is remembered from visit to visit; the files themselves are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnFiles {
    /// The folder's name.
    pub(crate) folder: String,
    /// What tells its files from others, by their paths and sizes.
    pub(crate) mark: String,
    /// Those that may be the table of questions, the least deep first.
    pub(crate) tables: Vec<String>,
    /// The one that is.
    pub(crate) table: String,
    /// How it is read, as typed: `question=prompt,gold=label`.
    pub(crate) options: String,
}

impl OwnFiles {
    /// What was picked.
    ///
    /// # Errors
    /// When none of it is a table, in words.
    pub(crate) fn of(folder: &Folder) -> Result<Self, String> {
        let ending = |path: &str| path.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
        let mut tables: Vec<&String> =
            folder.files.iter().map(|file| &file.path).filter(|path| TABLES.contains(&ending(path).as_str())).collect();
        tables.sort_by_key(|path| (path.matches('/').count(), *path));
        tables.truncate(MOST_TABLES);
        let Some(table) = tables.first().map(|table| (*table).clone()) else {
            let parquet = folder.files.iter().any(|file| ending(&file.path) == "parquet");
            let hint = if parquet { "parquet is read by the command line alone" } else { "choose the folder that holds one by its button" };
            return Err(format!("no table of questions (.csv, .tsv, .jsonl or .json) is among the files of {}; {hint}", folder.name));
        };
        let mut hash = DefaultHasher::new();
        for file in &folder.files {
            (&file.path, file.bytes).hash(&mut hash);
        }
        Ok(Self {
            folder: folder.name.clone(),
            mark: format!("{:016x}", hash.finish()),
            tables: tables.into_iter().cloned().collect(),
            table,
            options: String::new(),
        })
    }

    /// Which file is the table and how it is read, as behind `--bench file:`.
    pub(crate) fn spec(&self) -> String {
        let options = self.options.trim_matches([',', ' ']);
        if options.is_empty() { self.table.clone() } else { format!("{},{options}", self.table) }
    }

    /// The table's own name.
    pub(crate) fn name(&self) -> &str {
        self.table.rsplit('/').next().unwrap_or(&self.table)
    }
}

#[cfg(test)]
mod tests {
    use steady_protocol::FolderFile;

    use super::*;

    fn folder(files: &[(&str, u64)]) -> Folder {
        let file = |&(path, bytes): &(&str, u64)| FolderFile { path: path.to_owned(), bytes };
        Folder { name: "photos".to_owned(), files: files.iter().map(file).collect() }
    }

    #[test]
    fn the_table_is_found_among_the_files() {
        let own = OwnFiles::of(&folder(&[("a.png", 1), ("deep/notes.json", 2), ("q.CSV", 3)])).unwrap();
        assert_eq!((own.table.as_str(), own.tables.join(" ")), ("q.CSV", "q.CSV deep/notes.json".to_owned()));
        let deep = OwnFiles { table: "deep/notes.json".to_owned(), options: " ,question=prompt, ".to_owned(), ..own };
        assert_eq!((deep.name(), deep.spec().as_str()), ("notes.json", "deep/notes.json,question=prompt"));
    }

    #[test]
    fn without_a_table_it_is_said_which_there_could_be() {
        let refused = |files: &[(&str, u64)]| OwnFiles::of(&folder(files)).unwrap_err();
        let none = refused(&[("a.png", 1), ("csv", 1)]);
        assert!(none.contains("(.csv, .tsv, .jsonl or .json) is among the files of photos; choose the folder"), "{none}");
        assert!(refused(&[("q.parquet", 1)]).ends_with("parquet is read by the command line alone"));
    }

    #[test]
    fn other_files_have_another_mark() {
        let mark = |files: &[(&str, u64)]| OwnFiles::of(&folder(files)).unwrap().mark;
        let first = mark(&[("a.png", 1), ("q.csv", 2)]);
        assert_eq!(mark(&[("a.png", 1), ("q.csv", 2)]), first);
        for other in [[("a.png", 2), ("q.csv", 2)], [("b.png", 1), ("q.csv", 2)]] {
            assert_ne!(mark(&other), first);
        }
    }
}
