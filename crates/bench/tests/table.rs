//! Benchmarks by name, one of them of somebody else; and questions in files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::RgbImage;
use serde_json::json;
use steady_bench::world::{EMBEDDED, EmbeddedSuite};
use steady_bench::{AnswerKind, BENCHMARKS, BenchError, Benchmark, BenchmarkRow, Benchmarks, Origin, Question, score};

/// Gauges to be read, within a tenth.
struct Gauges(Vec<Question>);

const GAUGES: BenchmarkRow = BenchmarkRow {
    name: "gauges",
    title: "gauges/1",
    what: "Two dials",
    questions: "2",
    origin: Origin::Drawn(|_, _| {
        let question = |n: usize, family: &str| Question {
            id: format!("gauge-{n}"),
            benchmark: "gauges/1".into(),
            family: family.into(),
            image: format!("dial-{n}"),
            text: "What does it show?".into(),
            gold: vec!["40".into()],
            kind: AnswerKind::NumberWithin { tolerance: 0.1 },
            weight: 1.0,
        };
        Ok(Box::new(Gauges(vec![question(0, "pressure"), question(1, "level")])))
    }),
};

impl Benchmark for Gauges {
    fn name(&self) -> &'static str {
        "gauges/1"
    }

    fn questions(&self) -> &[Question] {
        &self.0
    }

    fn image(&self, _id: &str) -> Result<RgbImage, BenchError> {
        Ok(RgbImage::new(8, 8))
    }

    fn fingerprint(&self) -> String {
        "9".repeat(64)
    }
}

const TABLE: Benchmarks<'static> = Benchmarks(&[EMBEDDED, GAUGES]);

#[test]
fn a_benchmark_of_ones_own_is_a_row_beside_the_others() {
    let (gauges, questions) = TABLE.find("gauges").unwrap().draw(10, &[]).unwrap();
    assert_eq!((gauges.name(), questions.len()), ("gauges/1", 2));
    assert!(score(&questions[0], "43.9").correct && !score(&questions[0], "44.1").correct);
    let (_, level) = TABLE.find("gauges/1").unwrap().draw(10, &["level".into()]).unwrap();
    assert_eq!(level.iter().map(|question| question.id.as_str()).collect::<Vec<_>>(), ["gauge-1"]);
    let error = GAUGES.draw(1, &["depth".into()]).err().unwrap().to_string();
    assert_eq!(error, "unknown family \"depth\": expected one of level, pressure");
    // whoever reads a report opens it again, if it is the same
    assert!(TABLE.reopen("gauges/1", &"9".repeat(64), 2).is_some());
    assert!(TABLE.reopen("gauges/1", &"8".repeat(64), 2).is_none());
    assert!(BENCHMARKS.reopen("gauges/1", &"9".repeat(64), 2).is_none());
    let error = TABLE.find("pope").err().unwrap().to_string();
    assert_eq!(error, "unknown benchmark \"pope\": expected one of embedded, gauges");
    assert!(std::ptr::eq(TABLE.find("steady-world").unwrap().row, TABLE.find("embedded").unwrap().row));
}

/// Hashes of questions are in the plans of runs that were begun before kinds said how exact an answer must be.
#[test]
fn questions_of_the_suite_are_written_as_they_always_were() {
    let suite = EmbeddedSuite::test(1);
    let of = |family: &str| suite.questions().iter().find(|question| question.family == family).unwrap();
    for (family, written, kind) in [
        ("chart", "number", AnswerKind::NumberWithin { tolerance: 0.05 }),
        ("unanswerable", "short", AnswerKind::ShortOrUnanswerable),
        ("counting", "number", AnswerKind::Number),
        ("compose", "short", AnswerKind::Short),
    ] {
        let json = serde_json::to_value(of(family)).unwrap();
        assert_eq!((&json["kind"], &of(family).kind), (&json!(written), &kind));
        assert_eq!(&serde_json::from_value::<Question>(json).unwrap(), of(family));
    }
    // of another benchmark the same words mean what they say
    let chart = Question { benchmark: "other".into(), kind: AnswerKind::Number, ..of("chart").clone() };
    assert_eq!(serde_json::from_value::<Question>(serde_json::to_value(&chart).unwrap()).unwrap(), chart);
    let json = serde_json::to_value(&GAUGES.draw(1, &[]).unwrap().1[0]).unwrap();
    assert_eq!(json["kind"], json!({"number_within": {"tolerance": 0.1}}));
}
