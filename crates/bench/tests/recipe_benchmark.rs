//! How to add a benchmark.
//!
//! 1. Write it in a file of its own, `crates/bench/src/benchmarks/<name>.rs`: something that implements [`Benchmark`], and its
//!    [`BenchmarkRow`].
//! 2. Name the file in `crates/bench/src/benchmarks.rs`, and the row in `BENCHMARKS` there.
//!
//! Nothing else names it. The command line's list and `--bench`, and whoever reads a report, read the table. Questions carry how they are
//! scored, in their [`AnswerKind`], so that a benchmark brings no scorer.
//!
//! This file does so from outside: the row stands in a table of its own, beside the embedded suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use data_encoding::HEXLOWER;
use image::{Rgb, RgbImage};
use sha2::{Digest, Sha256};
use steady_bench::world::EMBEDDED;
use steady_bench::{AnswerKind, BenchError, Benchmark, BenchmarkRow, Benchmarks, Origin, Question, same_answer, score};

const NAME: &str = "flags/1";
const FLAGS: [(&str, [Rgb<u8>; 3], &str); 2] = [
    ("upright", [Rgb([0, 0, 200]), Rgb([250, 250, 250]), Rgb([200, 0, 0])], "white"),
    ("lying", [Rgb([200, 0, 0]), Rgb([250, 250, 0]), Rgb([0, 120, 0])], "yellow"),
];

/// What the stripe in the middle of a flag looks like, and how many stripes there are. This would be `crates/bench/src/benchmarks/flags.rs`.
struct Flags(Vec<Question>);

/// This would be a row of `BENCHMARKS`.
const ROW: BenchmarkRow = BenchmarkRow {
    name: "flags",
    title: NAME,
    what: "Flags of three stripes",
    questions: "4",
    origin: Origin::Drawn(|_, _| Ok(Box::new(Flags::new()))),
};

impl Flags {
    fn new() -> Self {
        let questions = FLAGS.iter().flat_map(|(flag, _, middle)| {
            let question = |family: &str, text: &str, gold: &str, kind: AnswerKind| Question {
                id: format!("{family}/{flag}"),
                benchmark: NAME.into(),
                family: family.into(),
                image: (*flag).into(),
                text: text.into(),
                gold: vec![gold.into()],
                kind,
                weight: 1.0,
            };
            [
                question("color", "What color is the stripe in the middle?", middle, AnswerKind::Short),
                question("counting", "How many stripes are there?", "3", AnswerKind::Number),
            ]
        });
        Self(questions.collect())
    }
}

impl Benchmark for Flags {
    fn name(&self) -> &str {
        NAME
    }

    fn questions(&self) -> &[Question] {
        &self.0
    }

    fn image(&self, id: &str) -> Result<RgbImage, BenchError> {
        let unknown = || BenchError::UnknownImage { benchmark: NAME.into(), image: id.into(), expected: "upright or lying" };
        let (flag, stripes, _) = FLAGS.iter().find(|(flag, ..)| *flag == id).ok_or_else(unknown)?;
        Ok(RgbImage::from_fn(30, 30, |x, y| stripes[if *flag == "upright" { x } else { y } as usize / 10]))
    }

    /// Over all that decides what is asked: questions, gold answers, pixels.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for question in &self.0 {
            hash.update(serde_json::to_vec(question).unwrap());
            hash.update(self.image(&question.image).unwrap().as_raw());
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

const TABLE: Benchmarks<'static> = Benchmarks(&[EMBEDDED, ROW]);

#[test]
fn it_is_opened_by_its_name_and_asked() {
    let (flags, questions) = TABLE.find("flags").unwrap().draw(3, &[]).unwrap();
    let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    // families take turns, and questions on one image stay together
    assert_eq!(ids, ["color/upright", "counting/upright", "color/lying"]);
    let image = flags.image(&questions[0].image).unwrap();
    assert_eq!([0, 10, 29].map(|x| *image.get_pixel(x, 5)), FLAGS[0].1);
    let (_, counting) = TABLE.find(NAME).unwrap().draw(9, &["counting".into()]).unwrap();
    assert_eq!(counting.len(), 2);
    // Who says nothing of sizes has the images looked at.
    assert_eq!(flags.sizes(&flags.questions()[0].image).unwrap(), [flags.image(&flags.questions()[0].image).unwrap().dimensions()]);
    let error = flags.image("waving").unwrap_err().to_string();
    assert_eq!(error, "benchmark flags/1: no image \"waving\" (expected upright or lying)");
}

#[test]
fn answers_are_scored_by_their_kind() {
    let Flags(questions) = Flags::new();
    let [color, counting, ..] = questions.as_slice() else { panic!("{questions:?}") };
    assert!(score(color, "White.").correct && !score(color, "blue").correct);
    assert!(score(counting, "three").correct && !score(counting, "2").correct);
    assert!(same_answer(counting, "3", "three") && !same_answer(color, "white", "blue"));
}

#[test]
fn who_reads_a_report_opens_it_again_if_it_is_the_same() {
    let fingerprint = Flags::new().fingerprint();
    assert_eq!(TABLE.reopen(NAME, &fingerprint, 4).unwrap().questions().len(), 4);
    let mut others = Flags::new();
    others.0[0].gold = vec!["blue".into()];
    assert_ne!(others.fingerprint(), fingerprint);
    assert!(TABLE.reopen(NAME, &others.fingerprint(), 4).is_none());
}
