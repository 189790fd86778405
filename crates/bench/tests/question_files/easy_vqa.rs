//! easy-VQA in the layout of its package, with pictures and questions made here.

use steady_bench::BENCHMARKS;

use crate::support::{Place, lines, open, picture, png};

fn package() -> Place {
    let place = Place::new();
    for n in 0..2 {
        place.write(&format!("easy_vqa/data/test/images/{n}.png"), png(n));
    }
    let questions = r#"[["what shape does the image contain?", "circle", 0], ["what is the color of the shape?", "teal", 0], ["is there no red shape?", "yes", 1]]"#;
    place.write("easy_vqa/data/test/questions.json", questions);
    place
}

#[test]
fn the_test_half_is_asked() {
    let place = package();
    let expected = [
        "test-1 | shape | 0.png | what shape does the image contain? | circle | short",
        "test-2 | color | 0.png | what is the color of the shape? | teal | short",
        "test-3 | yes/no | 1.png | is there no red shape? | yes | yes_no",
    ];
    for folder in ["", "easy_vqa", "easy_vqa/data", "easy_vqa/data/test"] {
        let bench = open("easy-vqa", &place.path(folder)).unwrap();
        assert_eq!((lines(&*bench), bench.name()), (expected.map(str::to_owned).to_vec(), "easy-vqa"));
        assert_eq!(bench.image("1.png").unwrap(), picture(1));
    }
}

#[test]
fn what_is_missing_or_broken_is_said() {
    let place = Place::new();
    let error = place.without_path(&open("easy-vqa", &place.path("x")).err().unwrap().to_string());
    assert!(error.starts_with("x: has no easy_vqa/data/test/questions.json in it; the files are in the PyPI package"), "{error}");
    let place = package();
    place.write("easy_vqa/data/test/questions.json", r#"[["what?", "circle", 0], ["what?", "circle"], ["what?", "circle", 7]]"#);
    let error = place.without_path(&open("easy-vqa", &place.path("")).err().unwrap().to_string());
    assert!(error.contains("2 of 3 rows cannot be asked:\n  row 2, expected [question, answer, number of an image]: "), "{error}");
    assert!(error.contains("\n  row 3, picture easy_vqa/data/test/images/7.png: No such file"), "{error}");
    assert!(BENCHMARKS.find("easy-vqa:x,split=train").is_err());
}
