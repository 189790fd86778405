//! What goes into other tools: a Markdown table, a CSV of all answers; and the reading of a summary that stands in both.

use insta::assert_snapshot;
use steady_report::{Reading, Report};

use crate::fixture;

#[test]
fn a_table_in_markdown() {
    assert_snapshot!(fixture::report().markdown());
}

#[test]
fn text_is_only_text_in_markdown() {
    let mut measurements = fixture::measurements();
    measurements.accelerations[0].spec = "w4|`</td><img src=x>\n@all".to_owned();
    measurements.plan.model = "[a](b) *c*".to_owned();
    let text = Report::new(measurements).unwrap().markdown();
    assert!(text.contains(r"| w4\|\`\</td\>\<img src=x\>␊\@all |") && text.contains(r"\[a\](b) \*c\*"), "{text}");
    let cells = text.lines().filter(|line| line.starts_with('|')).map(|line| line.replace(r"\|", "").matches('|').count());
    assert_eq!(cells.collect::<Vec<_>>(), [9; 5]);
}

/// Six questions of the baseline and two accelerations, read back by hand.
#[test]
fn a_csv_of_all_answers() {
    let mut measurements = fixture::measurements();
    measurements.questions[0].text = "Is it \"red\",\nor not?".to_owned();
    let text = Report::new(measurements).unwrap().csv();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 1 + 18 + 1);
    assert!(lines[0].starts_with("question,family,image,perturbation,text,gold,acceleration,answer,correct,outcome,"));
    assert_eq!(lines[1], "existence/0,existence,a,,\"Is it \"\"red\"\",\nor not?\",yes,none,yes,true,,0.25,,144");
    assert_eq!(lines[2], "existence/0,existence,a,,\"Is it \"\"red\"\",\nor not?\",yes,\"w4:rtn,g=64\",no,false,broken,0.125,0.5,144");
}

/// The same rows as in the CSV, each cell of its type: what is not known is null, and several accepted answers are a list.
#[cfg(feature = "parquet")]
#[test]
fn a_parquet_of_all_answers() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let mut measurements = fixture::measurements();
    measurements.plan.plan_sha256 = "ab".repeat(32);
    measurements.questions[0].gold = vec!["yes".to_owned(), "\u{fc}ber".to_owned()];
    measurements.questions[1].gold.clear();
    let report = Report::new(measurements).unwrap();
    let file = report.answers().parquet().unwrap();
    let file = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    let footer = file.metadata().file_metadata();
    let pairs = footer.key_value_metadata().unwrap();
    assert!(pairs.iter().any(|pair| pair.key == "steady.plan" && pair.value == Some("ab".repeat(32))), "{pairs:?}");
    assert!(footer.created_by().unwrap().starts_with("steady "));
    let rows: Vec<Vec<(String, Field)>> = file
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(name, cell)| (name.clone(), cell.clone())).collect())
        .collect();
    let csv = report.csv();
    assert_eq!(rows.len(), csv.split("\r\n").count() - 2);
    let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(","), csv.split("\r\n").next().unwrap());
    let cells = |row: usize| rows[row].iter().map(|(_, cell)| format!("{cell:?}")).collect::<Vec<_>>().join(" ");
    // the baseline's answer has neither an outcome nor a divergence
    assert_eq!(
        cells(0),
        r#"Str("existence/0") Str("existence") Str("a") Null Str("Is there a red circle?") ListInternal(List { elements: [Str("yes"), Str("über")] }) Str("none") Str("yes") Bool(true) Null Float(0.25) Null Float(144.0)"#
    );
    assert!(
        cells(1).ends_with(r#"Str("w4:rtn,g=64") Str("no") Bool(false) Str("broken") Float(0.125) Double(0.5) Float(144.0)"#),
        "{}",
        cells(1)
    );
    // what nobody said is right has an empty list
    let of_second: Vec<usize> =
        (0..rows.len()).filter(|&row| cells(row).starts_with(&format!("Str({:?})", report.questions()[1].id))).collect();
    assert_eq!(of_second.len(), 3);
    assert!(of_second.iter().all(|&row| cells(row).contains("ListInternal(List { elements: [] })")));
}

#[test]
fn each_summary_is_read_in_its_way() {
    let mut measurements = fixture::measurements();
    let readings = |measurements: &steady_report::Measurements| {
        let report = Report::new(measurements.clone()).unwrap();
        report.summaries().iter().map(|summary| report.reading(summary)).collect::<Vec<_>>()
    };
    // three changed answers of six are not more than chance makes of a control that changes none
    assert_eq!(readings(&measurements), [Reading::Noise, Reading::Unchanged]);
    // without a control nothing speaks against them: one broke, one was repaired, and accuracy did not move
    measurements.controls.clear();
    assert_eq!(readings(&measurements), [Reading::Hidden, Reading::Unchanged]);
    let repaired = &mut measurements.accelerations[0].answers[2];
    (repaired.correct, repaired.score, repaired.outcome) = (false, 0.0, Some(steady_report::Outcome::Changed));
    // 3 of 6 changed beside 1 of 6 points of accuracy: three times as many
    assert_eq!(readings(&measurements)[0], Reading::Hidden);
    let changed = &mut measurements.accelerations[0].answers[4];
    *changed = steady_report::AnswerRow { outcome: Some(steady_report::Outcome::Same), ..measurements.questions[4].baseline.clone() };
    assert_eq!(readings(&measurements)[0], Reading::Shown);
}

#[test]
fn what_is_saved_is_said_in_its_units() {
    let mut measurements = fixture::measurements();
    measurements.accelerations[1].cost.weight_bytes = 8_000_000;
    measurements.accelerations[1].cost.visual_tokens = 47.5;
    let report = Report::new(measurements).unwrap();
    assert_eq!([0, 1, 2].map(|i| report.saved(i).join(" + ")), ["1.50 of 8.00 MB", "47.5 of 144 visual tokens", ""]);
}

/// Forty questions in one family of four gold answers: guessing gets 10 right. Of 40 answers Wilson's interval around 16 right begins at 26.4 %, around 15 at
/// 24.2 % (by hand).
#[test]
fn a_baseline_that_guesses_is_told_from_one_that_knows() {
    let with_right = |right: usize, questions: usize| {
        let mut measurements = fixture::measurements();
        let question = measurements.questions[3].clone();
        let row = |i: usize| {
            let mut row = steady_report::QuestionRow { id: format!("q{i}"), gold: vec![format!("word {}", i % 4)], ..question.clone() };
            row.baseline.correct = i < right;
            row
        };
        measurements.questions = (0..questions).map(row).collect();
        measurements.plan.questions = questions;
        measurements.controls.clear();
        for acceleration in &mut measurements.accelerations {
            let same = |row: &steady_report::QuestionRow| steady_report::AnswerRow {
                outcome: Some(steady_report::Outcome::Same),
                ..row.baseline.clone()
            };
            acceleration.answers = measurements.questions.iter().map(same).collect();
        }
        Report::new(measurements).unwrap()
    };
    assert_eq!(with_right(16, 40).guessing(), None);
    let guessing = with_right(15, 40).guessing().unwrap();
    assert_eq!((guessing.accuracy.count, guessing.by_chance), (15, 0.25));
    // so few say nothing, unless none is right
    assert_eq!(with_right(1, 8).guessing(), None);
    assert!(with_right(0, 8).guessing().is_some());
}

/// Of three yes/no questions guessing gets half, of three with three gold answers a third.
#[test]
fn a_report_of_a_guessing_baseline_opens_with_that() {
    let mut measurements = fixture::measurements();
    for question in &mut measurements.questions {
        (question.baseline.correct, question.baseline.score) = (false, 0.0);
    }
    for answers in
        measurements.accelerations.iter_mut().map(|a| &mut a.answers).chain(measurements.controls.iter_mut().map(|c| &mut c.answers))
    {
        for answer in answers {
            (answer.correct, answer.score) = (false, 0.0);
            answer.outcome = answer.outcome.map(|o| if o.diverged() { steady_report::Outcome::Changed } else { o });
        }
    }
    let page = Report::new(measurements).unwrap().html(&std::collections::BTreeMap::new());
    assert!(page.contains("The baseline may be guessing: 0.0\u{a0}% right, where guessing gets 41.7\u{a0}%."));
}

/// Files that other programs read: XML with balanced elements, its style within, and nothing that leads elsewhere.
#[test]
fn every_chart_is_a_file_of_its_own() {
    let mut measurements = fixture::measurements();
    measurements.accelerations[1].spec = "<b>&\"'</svg>".to_owned();
    let charts = Report::new(measurements).unwrap().charts();
    assert_eq!(charts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["accuracy", "families", "common-changes"]);
    for (_, svg) in &charts {
        stands_alone(svg);
    }
    let (_, svg) = &charts[0];
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\"") && svg.ends_with("</svg>"));
    for part in ["--broken: #c4410f", ".chart rect.broken { fill: var(--broken); }", "16.7", "&lt;b&gt;&amp;"] {
        assert!(svg.contains(part), "{part}");
    }
}

fn stands_alone(svg: &str) {
    assert!(!svg.contains("href") && !svg.contains("<b>"));
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|rest| rest.split(['>', ' ', '\n']).next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
