//! Questions in files that are on no disk, as a browser has them.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steady_bench::{BenchError, Content, FileSystem, FirstLook, own_questions};

use crate::support::{Place, lines, picture, png};

const TABLE: &str = "image,question,answer\nshots/a.png,Is it blue?,yes\nshots/b.png,Which?,red\n";

/// Files by their paths, and nothing else.
#[derive(Default)]
struct Held(BTreeMap<PathBuf, Vec<u8>>);

impl Held {
    fn with(files: &[(&str, &[u8])]) -> Arc<dyn FileSystem> {
        Arc::new(Self(files.iter().map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec())).collect()))
    }
}

impl FileSystem for Held {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Content>> {
        let bytes = self.0.get(path).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "is not held"))?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }

    fn on_disk(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

fn refused(files: &[(&str, &[u8])], spec: &str) -> String {
    own_questions(&Held::with(files), spec).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn they_are_the_questions_that_a_disk_would_give() {
    let json = "{\"image\": \"shots/a.png\", \"question\": \"Is it blue?\", \"answer\": \"yes\"}\n\
                {\"image\": \"shots/b.png\", \"question\": \"Which?\", \"answer\": \"red\"}\n";
    let list = format!("[{}]", json.trim_end().replace('\n', ","));
    let place = Place::new();
    place.write("deep/shots/a.png", png(0));
    place.write("deep/shots/b.png", png(1));
    let (a, b) = (png(0), png(1));
    for (name, table) in [("q.csv", TABLE), ("q.jsonl", json), ("q.json", list.as_str())] {
        place.write(&format!("deep/{name}"), table);
        let on_disk = place.open(&format!("deep/{name}")).unwrap();
        let path = format!("deep/{name}");
        let held = Held::with(&[(&path, table.as_bytes()), ("deep/shots/a.png", &a), ("deep/shots/b.png", &b)]);
        let elsewhere = own_questions(&held, &path).unwrap();
        assert_eq!((lines(&*elsewhere), elsewhere.fingerprint()), (lines(&*on_disk), on_disk.fingerprint()), "{name}");
        assert_eq!(elsewhere.image("shots/b.png").unwrap(), picture(1));
        let [elsewhere, on_disk] = [&elsewhere, &on_disk].map(|benchmark| FirstLook::at(&**benchmark).unwrap());
        assert_eq!(FirstLook { bench: String::new(), ..elsewhere }, FirstLook { bench: String::new(), ..on_disk }, "{name}");
    }
}

#[test]
fn pictures_may_lie_in_a_folder_of_their_own() {
    let (a, b) = (png(0), png(1));
    let files: [(&str, &[u8]); 3] = [("q.csv", TABLE.as_bytes()), ("all/shots/a.png", &a), ("all/shots/b.png", &b)];
    let benchmark = own_questions(&Held::with(&files), "q.csv,images=all").unwrap();
    assert_eq!((benchmark.spec().as_str(), benchmark.image("shots/a.png").unwrap()), ("file:q.csv,images=all", picture(0)));
}

#[test]
fn what_cannot_be_asked_is_refused_in_the_same_words() {
    let (a, latin) = (png(0), b"image,question,answer\na.png,Caf\xe9?,yes\n");
    assert_eq!(
        refused(&[("q.csv", TABLE.as_bytes()), ("shots/a.png", &a)], "q.csv"),
        "q.csv: 1 of 2 rows cannot be asked:\n  row 2 (line 3), column image: picture shots/b.png: is not held\n\
         mend them, or leave them out with `,broken=skip`"
    );
    assert!(refused(&[("q.csv", latin), ("a.png", &a)], "q.csv").contains("row 1 (line 2), column question: is not UTF-8; save the file"));
    assert_eq!(refused(&[("q.csv", b"")], "q.csv"), "q.csv: is empty");
    assert_eq!(refused(&[], "q.csv"), "q.csv: cannot be read: is not held");
    let expected = "q.parquet: expected a .csv, .tsv, .jsonl or .json file; parquet is read by the command line alone";
    assert_eq!(refused(&[("q.parquet", b"PAR1")], "q.parquet"), expected);
    let error = own_questions(&Held::with(&[("q.csv", TABLE.as_bytes())]), "q.csv,column=1").map(|_| ()).unwrap_err();
    assert!(matches!(error, BenchError::UnknownName { what: "option", .. }), "{error}");
}
