//! Somebody's own questions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::Rgb;
use steady_bench::{BENCHMARKS, score};

use crate::support::{Place, lines, picture, png};

const TABLE: &str = "\
image,question,answer,options,category,note
a.png,Is it blue?,yes,,colour,x
b.png,How wide is it?,11,,size,
b.png,Which?,blue,\"[\"\"red\"\", \"\"blue\"\"]\",colour,
c.png,What colour?,blue | navy,,colour,
";

/// What each row of the table comes to, written down by hand.
const READ: [&str; 4] = [
    "row-1 | colour | a.png | Is it blue? | yes | yes_no",
    "row-2 | size | b.png | How wide is it? | 11 | number",
    "row-3 | colour | b.png | Which?/A. red/B. blue/Answer with the option's letter from the given choices directly. | B | choice",
    "row-4 | colour | c.png | What colour? | blue,navy | short",
];

#[test]
fn a_table_of_ones_own() {
    let place = Place::with_pictures();
    place.write("q.csv", TABLE);
    let bench = place.open("q.csv").unwrap();
    assert_eq!((lines(&*bench), bench.name()), (READ.map(str::to_owned).to_vec(), "q.csv"));
    assert_eq!(bench.image("b.png").unwrap(), picture(1));
    assert_eq!(bench.sizes("c.png").unwrap(), [(12, 20)]);
    assert_eq!(
        bench.image("d.png").unwrap_err().to_string(),
        "benchmark q.csv: no image \"d.png\" (expected the id of one of its questions' images)"
    );
    let understood = bench.understood().unwrap();
    let columns: Vec<String> = understood.columns.iter().map(|(role, column)| format!("{role}={column}")).collect();
    assert_eq!(columns, ["image=image", "question=question", "gold=answer", "choices=options", "group=category"]);
    assert_eq!((understood.unused.join(","), understood.odd.len()), ("note".to_owned(), 0));
    let verdicts = bench.questions().iter().zip(["Yes.", "11", "(B)", "Navy"]).map(|(question, reply)| score(question, reply).correct);
    assert!(verdicts.eq([true; 4]));
    // what opens it stands in plans, and opens it from anywhere
    assert!(bench.spec().starts_with("file:/") && bench.spec().ends_with("/q.csv"), "{}", bench.spec());
    assert!(BENCHMARKS.reopen_at(&bench.spec(), &bench.fingerprint()).is_some());
}

#[test]
fn the_same_table_in_every_format_asks_the_same() {
    let place = Place::with_pictures();
    place.write("q.csv", TABLE);
    place.write("q.tsv", TABLE.replace("\"[\"\"red\"\", \"\"blue\"\"]\"", "red | blue").replace(',', "\t"));
    place.write(
        "semicolons.csv",
        TABLE.replace("\"[\"\"red\"\", \"\"blue\"\"]\"", "['red'; 'blue']").replace(',', ";").replace("'; '", "', '"),
    );
    place.write("bom.csv", format!("\u{feff}{}", TABLE.replace('\n', "\r\n")));
    let rows = [
        r#"{"image": "a.png", "question": "Is it blue?", "answer": "yes", "category": "colour"}"#,
        r#"{"image": "b.png", "question": "How wide is it?", "answer": 11, "options": null, "category": "size"}"#,
        r#"{"image": {"path": "b.png"}, "question": "Which?", "answer": "blue", "options": ["red", "blue"], "category": "colour"}"#,
        r#"{"image": ["c.png"], "question": "What colour?", "answer": ["blue", "navy"], "category": "colour"}"#,
    ];
    place.write("q.jsonl", rows.join("\n"));
    place.write("q.json", format!("[{}]", rows.join(",\n")));
    place.write("lines.json", rows.join("\n"));
    for name in ["q.csv", "q.tsv", "semicolons.csv", "bom.csv", "q.jsonl", "q.json", "lines.json"] {
        let bench = place.open(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<String> = lines(&*bench).into_iter().map(|line| line.split_once(" | ").unwrap().1.to_owned()).collect();
        assert_eq!(found, READ.map(|line| line.split_once(" | ").unwrap().1.to_owned()), "{name}");
    }
    let odd = &place.open("semicolons.csv").unwrap().understood().unwrap().odd.join("\n");
    assert_eq!(odd, "fields are separated by a semicolon, not by a comma");
}

#[test]
fn only_picture_and_question_are_needed_and_columns_can_be_named() {
    let place = Place::with_pictures();
    place.write("bare.csv", "photo,prompt\na.png,What is it?\nb.png,What is it?\n");
    let expected = ["row-1 | short | a.png | What is it? |  | short", "row-2 | short | b.png | What is it? |  | short"];
    assert_eq!(lines(&*place.open("bare.csv").unwrap()), expected);
    place.write("odd.csv", "A file,Frage,Antwort,answer,id\na.png,Was?,ja,yes,7\n");
    let bench = place.open("odd.csv,image=A file,question=Frage,gold=Antwort,id=").unwrap();
    assert_eq!(lines(&*bench), ["row-1 | short | a.png | Was? | ja | short"]);
    let bench = place.open("odd.csv,image=A file,question=Frage").unwrap();
    assert_eq!(lines(&*bench), ["7 | yes_no | a.png | Was? | yes | yes_no"]);
    // options with a column each, and a form that is named
    place.write("abcd.csv", "image,question,A,B,C,answer\na.png,Which?,red,blue,,b\nb.png,Which?,red,blue,green,green\n");
    let bench = place.open("abcd.csv").unwrap();
    assert_eq!(bench.questions().iter().map(|question| question.gold.concat()).collect::<String>(), "BC");
    assert_eq!(bench.understood().unwrap().columns.last().unwrap().1, "A, B, C");
    place.write("kinds.csv", "image,question,answer,kind\na.png,Year?,1984,short\na.png,Who?,unanswerable,short_or_unanswerable\n");
    let kinds: Vec<&str> = place.open("kinds.csv").unwrap().questions().iter().map(|question| question.kind.name()).collect();
    assert_eq!(kinds, ["short", "short_or_unanswerable"]);
}

#[test]
fn some_questions_count_more_than_others() {
    let place = Place::with_pictures();
    place.write("q.csv", "image,question,weight\na.png,One?,2.5\nb.png,Two?,\n");
    let bench = place.open("q.csv").unwrap();
    assert_eq!(bench.questions().iter().map(|question| question.weight).collect::<Vec<_>>(), [2.5, 1.0]);
    place.write("even.csv", "image,question\na.png,One?\nb.png,Two?\n");
    assert_ne!(bench.fingerprint(), place.open("even.csv").unwrap().fingerprint());
    for wrong in ["0", "-1", "much", "inf", "NaN"] {
        place.write("q.csv", format!("image,question,weight\na.png,One?,{wrong}\n"));
        let said = format!("column weight: expected a number above 0, found `{wrong}`");
        assert!(place.refused("q.csv").contains(&said), "{}", place.refused("q.csv"));
    }
}

#[test]
fn a_question_may_show_several_pictures() {
    let place = Place::with_pictures();
    place.write(
        "q.jsonl",
        "{\"images\": [\"a.png\", \"c.png\"], \"question\": \"Alike?\", \"answer\": \"no\"}\n\
         {\"images\": [\"c.png\", \"a.png\"], \"question\": \"Alike?\", \"answer\": \"no\"}\n\
         {\"images\": \"a.png\", \"question\": \"Blue?\", \"answer\": \"yes\"}\n",
    );
    place.write("q.csv", "image,question,answer\n\"['a.png', 'c.png']\",Alike?,no\n");
    let bench = place.open("q.jsonl").unwrap();
    let ids: Vec<&str> = bench.questions().iter().map(|question| question.image.as_str()).collect();
    assert_eq!(ids, ["a.png + c.png", "c.png + a.png", "a.png"]);
    assert_eq!(place.open("q.csv").unwrap().questions()[0].image, ids[0]);
    let shown = |id: &str| bench.images(id).unwrap();
    assert_eq!(shown(ids[0]), [("a.png".to_owned(), picture(0)), ("c.png".to_owned(), picture(2))]);
    assert_eq!((bench.sizes(ids[1]).unwrap(), shown(ids[2]).len()), (vec![(12, 20), (10, 20)], 1));
    // For people: both, and white between them.
    let both = bench.image(ids[0]).unwrap();
    assert_eq!((both.dimensions(), both.get_pixel(9, 0), both.get_pixel(18, 0)), ((30, 20), &Rgb([0, 100, 200]), &Rgb([2, 100, 200])));
    assert!((10..18).all(|x| (0..20).all(|y| both.get_pixel(x, y) == &Rgb([255; 3]))));
    place.write("a.png + c.png", png(1));
    place.write(
        "both.jsonl",
        "{\"images\": [\"a.png\", \"c.png\"], \"question\": \"Alike?\"}\n{\"images\": \"a.png + c.png\", \"question\": \"Blue?\"}\n",
    );
    assert!(
        place.refused("both.jsonl").contains("has a picture called \"a.png + c.png\", as several pictures of one question are together")
    );
}

#[test]
fn pictures_in_rows_are_told_apart_by_what_they_are() {
    let place = Place::new();
    let code = |n| STANDARD.encode(png(n));
    let row = |n, question: &str| format!("data:image/png;base64,{}\t{question}\tyes\n", code(n));
    place.write("q.tsv", format!("image\tquestion\tanswer\n{}{}{}", row(0, "One?"), row(1, "Two?"), row(0, "Three?")));
    let bench = place.open("q.tsv").unwrap();
    let images: Vec<&str> = bench.questions().iter().map(|question| question.image.as_str()).collect();
    assert!(images[0] == images[2] && images[0] != images[1], "{images:?}");
    // in any order, and again
    for (image, n) in [(images[1], 1), (images[0], 0), (images[1], 1)] {
        assert_eq!((bench.image(image).unwrap(), bench.sizes(image).unwrap()), (picture(n), vec![picture(n).dimensions()]));
    }
    place.write(
        "q.jsonl",
        format!(
            "{{\"image\": \"{}\", \"question\": \"One?\"}}\n\n{{\"image\": {{\"bytes\": \"{}\"}}, \"question\": \"Two?\"}}\n",
            code(3),
            code(4)
        ),
    );
    let bench = place.open("q.jsonl").unwrap();
    for (question, n) in bench.questions().iter().zip([3, 4]) {
        assert_eq!(bench.image(&question.image).unwrap(), picture(n));
    }
}

#[test]
fn pictures_lie_where_they_are_said_to() {
    let place = Place::new();
    place.write("q.csv", "image,question\na.png,What?\nsub/b.png,What?\n");
    place.write("pictures/a.png", png(5));
    place.write("pictures/sub/b.png", png(6));
    let folder = place.path("pictures");
    let bench = place.open(&format!("q.csv,images={}", folder.display())).unwrap();
    assert_eq!(bench.image("sub/b.png").unwrap(), picture(6));
    // an archive, with the folder that holds all in it
    let mut archive = zip::ZipWriter::new(std::fs::File::create(place.path("pictures.zip")).unwrap());
    for (name, n) in [("imgs/a.png", 5), ("imgs/sub/b.png", 6)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)).unwrap();
        std::io::Write::write_all(&mut archive, &png(n)).unwrap();
    }
    archive.finish().unwrap();
    let zipped = place.open(&format!("q.csv,images={}", place.path("pictures.zip").display())).unwrap();
    assert_eq!(zipped.image("sub/b.png").unwrap(), picture(6));
    assert_eq!(zipped.fingerprint(), bench.fingerprint());
    let error = place.refused(&format!("q.csv,images={}", place.path("q.csv").display()));
    assert_eq!(error, "q.csv: expected a folder of pictures or a .zip archive");
}

#[test]
fn a_fingerprint_is_of_questions_and_pictures() {
    let place = Place::with_pictures();
    let of = |table: &str| {
        place.write("q.csv", table);
        place.open("q.csv").unwrap().fingerprint()
    };
    let first = of(TABLE);
    assert_eq!(of(TABLE), first);
    // a column that plays no part
    assert_eq!(of(&TABLE.replace(",x\n", ",y\n")), first);
    assert_ne!(of(&TABLE.replace("How wide", "How broad")), first);
    assert_ne!(of(&TABLE.replace("blue | navy", "navy | blue")), first);
    assert_ne!(of(&TABLE.replace("red", "rot")), first);
    let bench = {
        place.write("q.csv", TABLE);
        place.open("q.csv").unwrap()
    };
    place.write("c.png", png(7));
    assert_ne!(of(TABLE), first);
    // one that changes after it was opened is noticed when it is asked about
    assert_eq!(bench.image("c.png").unwrap_err().to_string(), "picture \"c.png\": the file has changed since it was opened");
    assert!(BENCHMARKS.reopen_at(&bench.spec(), &first).is_none());
}
