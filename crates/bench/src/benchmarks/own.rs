//! Somebody's own questions: a table with a picture and a question in each row.

use std::sync::Arc;

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::{Draft, Fields, FileSystem, Images, Pictures, Refusal, delimiter, disk, open, read, roles::Roles};
use crate::{AnswerKind, BenchError, Benchmark};

/// One's own file among the benchmarks.
pub(super) const FILE: BenchmarkRow = BenchmarkRow {
    name: "file",
    title: "file",
    what: "Your own questions: file:QUESTIONS.csv, .tsv, .jsonl, .json or .parquet",
    questions: "what the file has",
    origin: Origin::Files {
        wanted: "a table (.csv, .tsv, .jsonl, .json, .parquet) with a picture and a question in each row",
        options: &OPTIONS,
        read: |place| own(&disk(), place),
    },
};

/// What may stand behind the file.
const OPTIONS: [(&str, &str); 11] = [
    ("image", "column of the pictures: paths, bytes, base64 or data URLs"),
    ("question", "column of the questions"),
    ("gold", "column of the right answer, or of several as a list or between |"),
    ("choices", "column of the options to choose from, as a list or between |"),
    ("id", "column of what tells questions apart"),
    ("group", "column by which results are told apart"),
    ("kind", "column of the form of the answer: yes_no, choice, number, short, short_or_unanswerable"),
    ("weight", "column of how much a question counts beside others"),
    ("images", "folder or .zip archive of the pictures [default: the folder of the file]"),
    ("delimiter", "what separates fields: comma, tab, semicolon, bar"),
    ("broken", "skip: leave out rows that cannot be asked"),
];

/// What stands behind the options of a question, as LLaVA was trained with it.
pub(crate) const OPTION_LETTER: &str = "Answer with the option's letter from the given choices directly.";

/// Somebody's own questions out of files that are on no disk, as a browser has them: `FILE[,option=value]..`, as behind `--bench file:`.
///
/// # Errors
/// What is wrong with the file, its columns or its rows, in the words of the command line.
pub fn own_questions(files: &Arc<dyn FileSystem>, spec: &str) -> Result<Box<dyn Benchmark>, BenchError> {
    own(files, &Place::parse(FILE.name, spec, &OPTIONS)?)
}

fn own(files: &Arc<dyn FileSystem>, place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    let between = place.option("delimiter").map(|name| {
        delimiter(name).ok_or_else(|| BenchError::UnknownName {
            what: "delimiter",
            found: name.to_owned(),
            expected: "comma, tab, semicolon, bar".to_owned(),
        })
    });
    let table = open(files, &place.path, between.transpose()?)?;
    let roles = Roles::of(place, table.columns())?;
    let mut understood = roles.understood(table.columns());
    understood.odd.extend(table.odd());
    let is_folder = files.on_disk(&place.path).is_some_and(|path| path.is_dir());
    let beside = if is_folder { Some(place.path.as_path()) } else { place.path.parent() };
    let images = match place.option("images") {
        Some(given) => Images::open(files, given.as_ref())?,
        None => Images::Folder(Arc::clone(files), beside.unwrap_or_else(|| "".as_ref()).to_owned()),
    };
    let name = place.path.file_name().map_or_else(|| "questions".to_owned(), |name| name.to_string_lossy().into_owned());
    read(&name, place, Pictures::new(images, vec![table]), understood, None, |fields, pictures| {
        draft(&roles, fields, pictures).map_err(Refusal::from)
    })
}

fn draft(roles: &Roles, fields: &Fields<'_>, pictures: &mut Pictures) -> Result<Draft, String> {
    let column = |role: &str| roles.column(role);
    let optional = |role: &str| column(role).map_or(Ok(None), |column| fields.optional(column));
    let texts = |role: &str| column(role).map_or(Ok(Vec::new()), |column| fields.texts(column));
    let question = fields.text(column("question").unwrap_or_default())?;
    let mut options = texts("choices")?;
    for column in &roles.options {
        options.extend(fields.optional(column)?.map(str::to_owned));
    }
    let gold = texts("gold")?;
    let kind = match optional("kind")? {
        Some(named) => named_kind(named, options).map_err(|problem| format!("column {}: {problem}", column("kind").unwrap_or_default()))?,
        None => kind_of(&gold, options),
    };
    let gold = of_kind(&kind, gold).map_err(|problem| format!("column {}: {problem}", column("gold").unwrap_or_default()))?;
    let images = fields.pictures(column("image").unwrap_or_default(), pictures)?;
    Ok(Draft {
        id: optional("id")?.map_or_else(|| fields.row.split(" (").next().unwrap_or_default().replace(' ', "-"), str::to_owned),
        family: optional("group")?.map_or_else(|| kind.name().to_owned(), str::to_owned),
        text: asked(question, &kind),
        gold,
        kind,
        images,
        weight: optional("weight")?
            .map_or(Ok(1.0), weight)
            .map_err(|problem| format!("column {}: {problem}", column("weight").unwrap_or_default()))?,
    })
}

fn weight(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|weight: &f64| *weight > 0.0 && weight.is_finite());
    weight.ok_or_else(|| format!("expected a number above 0, found `{text}`"))
}

/// The question, with its options behind it.
pub(crate) fn asked(question: &str, kind: &AnswerKind) -> String {
    match kind {
        AnswerKind::Choice { options } => {
            let lines = options.iter().zip('A'..).map(|(option, letter)| format!("\n{letter}. {option}"));
            format!("{question}{}\n{OPTION_LETTER}", lines.collect::<String>())
        }
        _ => question.to_owned(),
    }
}

fn named_kind(name: &str, options: Vec<String>) -> Result<AnswerKind, String> {
    Ok(match name {
        "yes_no" => AnswerKind::YesNo,
        "number" => AnswerKind::Number,
        "short" => AnswerKind::Short,
        "short_or_unanswerable" => AnswerKind::ShortOrUnanswerable,
        "choice" if options.len() < 2 => return Err("is `choice`, and there are no options to choose from".to_owned()),
        "choice" => AnswerKind::Choice { options },
        other => return Err(format!("expected yes_no, choice, number, short or short_or_unanswerable, found `{other}`")),
    })
}

/// The form of the answer, as options and right answers tell it.
fn kind_of(gold: &[String], options: Vec<String>) -> AnswerKind {
    let all = |is: &dyn Fn(&str) -> bool| !gold.is_empty() && gold.iter().all(|gold| is(gold));
    if options.len() > 1 {
        AnswerKind::Choice { options }
    } else if all(&|gold| gold.eq_ignore_ascii_case("yes") || gold.eq_ignore_ascii_case("no")) {
        AnswerKind::YesNo
    } else if all(&|gold| gold.parse::<f64>().is_ok_and(f64::is_finite)) {
        AnswerKind::Number
    } else {
        AnswerKind::Short
    }
}

/// Right answers as a scorer of the kind takes them; of options the letter.
fn of_kind(kind: &AnswerKind, gold: Vec<String>) -> Result<Vec<String>, String> {
    match kind {
        AnswerKind::Choice { options } => gold.iter().map(|gold| letter(gold, options)).collect(),
        AnswerKind::YesNo => match gold.iter().find(|gold| !["yes", "no"].contains(&gold.to_lowercase().as_str())) {
            Some(other) => Err(format!("expected yes or no, found `{other}`")),
            None => Ok(gold),
        },
        AnswerKind::Number | AnswerKind::NumberWithin { .. } => {
            match gold.iter().find(|gold| !gold.parse::<f64>().is_ok_and(f64::is_finite)) {
                Some(other) => Err(format!("expected a number, found `{other}`")),
                None => Ok(gold),
            }
        }
        AnswerKind::Short | AnswerKind::ShortOrUnanswerable | AnswerKind::Official(_) => Ok(gold),
    }
}

/// The letter of a right answer, which is given as a letter or as the option's text.
fn letter(gold: &str, options: &[String]) -> Result<String, String> {
    let bare = gold.trim_matches(|c| matches!(c, '(' | ')' | '.'));
    let by_letter = ('A'..).take(options.len()).position(|letter| bare.len() == 1 && bare.eq_ignore_ascii_case(&letter.to_string()));
    let by_text: Vec<usize> = (0..options.len()).filter(|&option| options[option].eq_ignore_ascii_case(gold)).collect();
    let chosen = match (by_letter, by_text.as_slice()) {
        (Some(letter), []) => letter,
        (None, [text]) => *text,
        (Some(letter), [text]) if letter == *text => letter,
        (Some(_), _) => return Err(format!("`{gold}` is the letter of one option and the text of another")),
        (None, []) => return Err(format!("`{gold}` is neither a letter nor one of the choices {}", options.join(" | "))),
        (None, _) => return Err(format!("`{gold}` is the text of several options")),
    };
    Ok(char::from(b'A' + chosen as u8).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_of_a_right_answer() {
        let options = ["red", "blue", "a"].map(str::to_owned);
        for (gold, expected) in
            [("A", None), ("b", Some("B")), ("(C)", Some("C")), ("B.", Some("B")), ("Blue", Some("B")), ("red", Some("A"))]
        {
            assert_eq!(letter(gold, &options).ok().as_deref(), expected, "{gold}");
        }
        let problem = letter("green", &options).unwrap_err();
        assert_eq!(problem, "`green` is neither a letter nor one of the choices red | blue | a");
        assert!(letter("D", &options).is_err());
        // an index could count from 0 or from 1
        assert!(letter("1", &options).is_err());
    }
}
