//! What cannot be asked, in the words in which it is refused.

use std::fs::File;
use std::io::Write;

use steady_bench::BENCHMARKS;

use crate::support::{Place, png};

#[test]
fn rows_that_cannot_be_asked_are_named_and_counted() {
    let place = Place::with_pictures();
    place.write("text.png", "no picture");
    place.write("cut.png", &png(0)[..20]);
    place.write(
        "q.csv",
        "image,question,answer,choices,id\n\
         a.png,Fine?,yes,,1\n\
         gone.png,Missing?,yes,,2\n\
         a.png,Twice?,yes,,1\n\
         a.png,Which?,green,red | blue,3\n\
         a.png,,yes,,4\n\
         text.png,Text?,yes,,5\n\
         ,Empty?,yes,,6\n\
         a.png,Short?,yes\n\
         https://example.org/a.png,Address?,yes,,7\n\
         a.png,List?,\"['a' 'b']\",,8\n\
         cut.png,Cut?,yes,,9\n",
    );
    insta::assert_snapshot!(place.refused("q.csv"), @r"
    q.csv: 10 of 11 rows cannot be asked:
      row 2 (line 3), column image: picture gone.png: No such file or directory (os error 2)
      row 3 (line 4), column id: `1` is the id of row 1 (line 2) already
      row 4 (line 5), column answer: `green` is neither a letter nor one of the choices red | blue
      row 5 (line 6), column question: is empty
      row 6 (line 7), column image: image text.png: is not a PNG, JPEG or WebP file
      row 7 (line 8), column image: is empty; expected a picture
      row 8 (line 9), has 3 fields, and there are 5 columns
      row 9 (line 10), column image: is the address https://example.org/a.png; fetch the picture and give its path
      row 10 (line 11), column answer: looks like a list, but is one of neither JSON nor Python
      row 11 (line 12), column image: image cut.png: image file is truncated
    mend them, or leave them out with `,broken=skip`
    ");
    // left out on request, and said so
    let bench = place.open("q.csv,broken=skip").unwrap();
    assert_eq!(bench.questions().len(), 1);
    let odd = bench.understood().unwrap().odd.join("\n");
    assert!(odd.starts_with("10 of 11 rows are left out: row 2 (line 3), column image: "), "{odd}");
    assert_eq!(place.refused("q.csv,broken=ignore"), "unknown value of broken \"ignore\": expected one of skip");
}

#[test]
fn many_broken_rows_are_counted_and_some_are_named() {
    let place = Place::with_pictures();
    let rows: Vec<String> = (0..200).map(|n| format!("{n}.png,What?\n")).collect();
    let rows = rows.concat();
    place.write("q.csv", format!("image,question\na.png,What?\n{rows}"));
    let error = place.refused("q.csv");
    assert!(error.starts_with("q.csv: 200 of 201 rows cannot be asked:\n  row 2 (line 3), "), "{error}");
    assert!(error.contains("\n  and 190 more\n"), "{error}");
    place.write("none.csv", "image,question\nx.png,What?\n");
    assert!(place.refused("none.csv,broken=skip").starts_with("none.csv: 1 of 1 rows cannot be asked"));
}

#[test]
fn right_answers_are_given_for_all_questions_or_for_none() {
    let place = Place::with_pictures();
    place.write("q.csv", "image,question,answer\na.png,One?,yes\nb.png,Two?,\n");
    let error = place.refused("q.csv");
    let row = "row 2 (line 3), column gold: is empty, and other rows have a right answer; `,gold=` asks all without";
    assert!(error.starts_with(&format!("q.csv: 1 of 2 rows cannot be asked:\n  {row}\n")), "{error}");
    assert_eq!(place.open("q.csv,broken=skip").unwrap().questions().len(), 1);
    assert!(place.open("q.csv,gold=").unwrap().questions().iter().all(|question| question.gold.is_empty()));
}

#[test]
fn columns_that_are_missing_or_doubtful() {
    let place = Place::with_pictures();
    let refused = |name: &str, table: &str, spec: &str| {
        place.write(name, table);
        place.refused(spec)
    };
    assert_eq!(
        refused("two.csv", "image,question,prompt\na.png,x,y\n", "two.csv"),
        "two.csv: `question` and `prompt` could each be the question; say which, as `,question=COLUMN` behind the file, or `,question=` for none"
    );
    assert!(place.open("two.csv,question=prompt").is_ok());
    assert_eq!(
        place.refused("two.csv,question=text"),
        "two.csv: has no column `text`, which `question=text` names; there are image, question, prompt"
    );
    let error = refused("none.csv", "image,words\na.png,x\n", "none.csv");
    assert!(error.starts_with("none.csv: has no column for the question among image, words; expected one called question, "), "{error}");
    let error = refused("bare.csv", "question,answer\nx,y\n", "bare.csv");
    assert!(error.starts_with("bare.csv: has no column for the image among question, answer; "), "{error}");
    assert_eq!(refused("same.csv", "image,image,question\na.png,a.png,x\n", "same.csv"), "same.csv: has two columns `image`");
    let error = refused("colon.csv", "image:question\na.png:x\n", "colon.csv");
    assert_eq!(
        error,
        "colon.csv: has the one column `image:question`: fields are separated by something else than a comma; say by what, as `,delimiter=tab`, comma, semicolon or bar"
    );
    assert_eq!(place.refused("colon.csv,delimiter=colon"), "unknown delimiter \"colon\": expected one of comma, tab, semicolon, bar");
    // a tab where a comma is usual is seen by the names of the columns
    place.write("tabs.csv", "image\tquestion\na.png\tx, y\n");
    assert_eq!(place.open("tabs.csv").unwrap().questions()[0].text, "x, y");
}

#[test]
fn files_that_are_no_tables() {
    let place = Place::with_pictures();
    let refused = |name: &str, bytes: &[u8]| {
        place.write(name, bytes);
        place.refused(name)
    };
    let utf16: Vec<u8> = "\u{feff}image,question\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(refused("excel.csv", &utf16), "excel.csv: is UTF-16 text; save it as UTF-8 (in Excel: CSV UTF-8)");
    let unmarked = refused("unmarked.jsonl", &utf16[2..]);
    assert!(unmarked.starts_with("unmarked.jsonl: is no UTF-8 text: there are zero bytes in it, as in UTF-16"), "{unmarked}");
    let latin = b"image,question\na.png,Fine?\na.png,Caf\xe9?\n";
    assert!(refused("latin.csv", latin).contains("row 2 (line 3), column question: is not UTF-8; save the file as UTF-8"));
    assert_eq!(refused("empty.csv", b""), "empty.csv: is empty");
    assert_eq!(refused("header.csv", b"image,question\n"), "header.csv: has no rows");
    assert!(refused("book.csv", b"PK\x03\x04....").starts_with("book.csv: is a zip archive or an Excel file, not text"));
    assert!(refused("book.xlsx", b"PK\x03\x04").starts_with("book.xlsx: expected a .csv, .tsv, .jsonl, .json or .parquet file"));
    assert!(refused("q.parquet", b"PAR1 and no more").starts_with("q.parquet: is no parquet file that is read here: "));
    assert!(place.refused("gone.csv").starts_with("gone.csv: cannot be read: No such file"));
    let error = refused("q.jsonl", b"{\"image\": \"a.png\", \"question\": \"x\"}\n{\"image\": \n[1]\n");
    assert!(error.contains("2 of 3 rows cannot be asked"), "{error}");
    assert!(error.contains("line 2, is no JSON: EOF while parsing") && error.contains("line 3, expected an object"), "{error}");
    let error = refused("cut.json", b"[{\"image\": \"a.png\", \"question\": \"x\"}, {\"image\"");
    assert!(error.starts_with("cut.json: row 2: EOF while parsing"), "{error}");
}

/// Ten gigabytes of zeros that take no room on the disk.
#[test]
fn a_row_without_an_end_is_refused_before_it_is_held() {
    let place = Place::with_pictures();
    for (name, start, problem) in [
        ("q.csv", "image,question\na.png,\"", "q.csv: row 1 (line 2) is longer than 128 MiB; is a line break or a closing quote missing?"),
        ("q.jsonl", "{\"image\": \"a.png\", \"question\": \"", "q.jsonl: line 1 is longer than 128 MiB; is a line break missing?"),
        ("q.json", "[{\"question\": \"", "q.json: row 1: control character"),
    ] {
        let mut file = File::create(place.path(name)).unwrap();
        // past what is looked at for zeros
        write!(file, "{start}{}", "x".repeat(5000)).unwrap();
        file.set_len(10 << 30).unwrap();
        let error = place.refused(name);
        assert!(error.starts_with(problem), "{error}");
    }
}

/// A list of JSON is read through a cap of its own.
#[test]
fn a_row_of_a_list_without_an_end_is_refused_too() {
    let place = Place::with_pictures();
    let mut file = std::io::BufWriter::new(File::create(place.path("q.json")).unwrap());
    write!(file, "[{{\"question\": \"").unwrap();
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..140 {
        file.write_all(&megabyte).unwrap();
    }
    drop(file);
    let error = place.refused("q.json");
    assert!(error.starts_with("q.json: row 1: is longer than 128 MiB; is a line break or a closing quote missing?"), "{error}");
}

#[test]
fn a_place_of_what_has_none_and_none_of_what_has_one() {
    let of = |spec: &str| BENCHMARKS.find(spec).and_then(|bench| bench.open(1, &[])).err().unwrap().to_string();
    assert_eq!(of("embedded:x.csv"), "benchmark embedded:x.csv: embedded is drawn by this program and has no files");
    assert!(of("file").starts_with("benchmark file: say where its files are, as file:PATH; they are a table"));
    assert!(of("easy-vqa").contains("pip install easy-vqa"), "{}", of("easy-vqa"));
    assert!(of("file:q.csv,questoin=x").starts_with("unknown option \"questoin\": expected one of image, question, gold"));
    assert_eq!(of("file:q.csv,id=a,id=b"), "benchmark q.csv,id=a,id=b: `id` is given twice");
    // a comma in a path is part of it
    let place = Place::with_pictures();
    place.write("a,b=c.csv", "image,question\na.png,x\n");
    assert_eq!(place.open("a,b=c.csv").unwrap().name(), "a,b=c.csv");
}
