//! `steady benches`: what can be asked, and how the files of a benchmark are read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use steady_bench::{BENCHMARK_PRESETS, BENCHMARKS, Benchmark, BenchmarkPreset, BenchmarkRow, Origin, Question};
use steady_report::QuestionKind;

use crate::args::{BenchesArgs, BenchesCommand, ListArgs, ShowArgs};
use crate::console;

pub(crate) fn run(args: &BenchesArgs) -> Result<()> {
    match &args.command {
        None => list(&args.list),
        Some(BenchesCommand::Show(args)) => show(args),
    }
}

/// A family of a benchmark that the program draws, or a benchmark that lies in files.
#[derive(Serialize)]
struct BenchRow {
    name: &'static str,
    what: &'static str,
    questions: &'static str,
    /// Which files it lies in, and where they can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    gold: Vec<String>,
}

fn list(args: &ListArgs) -> Result<()> {
    let mut rows: Vec<BenchRow> = Vec::new();
    let mut text = Vec::new();
    let mut in_files = console::table(&["--bench", "what it is", "questions", "files"]);
    for &BenchmarkRow { name, title, what, questions, origin } in BENCHMARKS.0 {
        let row = |files, family, example, gold| BenchRow { name, what, questions, files, family, example, gold };
        if let Origin::Files { wanted, .. } = origin {
            rows.push(row(Some(wanted), None, None, Vec::new()));
            in_files.add_row([&format!("{name}:PATH"), what, questions, wanted]);
            continue;
        }
        let benchmark = BENCHMARKS.find(name)?.open(1, &[])?;
        let mut seen = BTreeSet::new();
        let mut families = console::table(&["family", "example", "gold"]);
        for Question { family, text, gold, .. } in benchmark.questions() {
            if seen.insert(family) {
                families.add_row([family, text, &gold.join(" / ")]);
                rows.push(row(None, Some(family.clone()), Some(text.clone()), gold.clone()));
            }
        }
        text.push(format!("{name} ({title}): {what}; {questions} questions, spread evenly over {} families\n{families}", seen.len()));
    }
    if args.json {
        return console::json(&rows);
    }
    let mut presets = console::table(&["--bench", "what it is", "benchmarks"]);
    for BenchmarkPreset { name, what, members } in BENCHMARK_PRESETS {
        presets.add_row([&format!("{name}:DIR"), what, &members.join(", ")]);
    }
    text.push(format!("In files that you have; `steady benches show NAME:PATH` says how they are read\n{in_files}"));
    text.push(format!("Presets: several of these, in a folder each\n{presets}"));
    console::result(&text.join("\n\n"))
}

/// How many questions are shown.
const SHOWN: usize = 3;
/// How many groups are counted apart; the rest are counted together.
const GROUPS: usize = 20;

#[derive(Serialize)]
struct Look {
    bench: String,
    questions: usize,
    pictures: usize,
    columns: Vec<(String, String)>,
    unused: Vec<String>,
    kinds: BTreeMap<&'static str, usize>,
    groups: BTreeMap<String, usize>,
    smallest_picture: (u32, u32),
    largest_picture: (u32, u32),
    first: Vec<ShownQuestion>,
    odd: Vec<String>,
    fingerprint: String,
}

#[derive(Serialize)]
struct ShownQuestion {
    id: String,
    group: String,
    picture: String,
    sizes: Vec<(u32, u32)>,
    question: String,
    gold: Vec<String>,
}

fn show(args: &ShowArgs) -> Result<()> {
    let named = args.bench.split(':').next().is_some_and(|name| BENCHMARKS.find(name).is_ok());
    let spec = if named { args.bench.clone() } else { format!("file:{}", args.bench) };
    let benchmark = BENCHMARKS.find(&spec)?.open(100, &[])?;
    let look = look(&*benchmark)?;
    if args.json {
        return console::json(&look);
    }
    console::result(&look.words())
}

fn look(benchmark: &dyn Benchmark) -> Result<Look> {
    let questions = benchmark.questions();
    let understood = benchmark.understood().cloned().unwrap_or_default();
    let pictures: BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
    let sizes = pictures.iter().map(|image| benchmark.sizes(image)).collect::<Result<Vec<_>, _>>()?.concat();
    let area = |size: &&(u32, u32)| u64::from(size.0) * u64::from(size.1);
    let (mut kinds, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for question in questions {
        *kinds.entry(QuestionKind::from(&question.kind).label()).or_default() += 1;
        *groups.entry(question.family.clone()).or_default() += 1;
    }
    let shown = |question: &Question| -> Result<ShownQuestion> {
        let Question { id, family, image, text, gold, .. } = question.clone();
        Ok(ShownQuestion { id, group: family, sizes: benchmark.sizes(&image)?, picture: image, question: text, gold })
    };
    let mut odd = understood.odd;
    odd.extend(oddities(questions));
    Ok(Look {
        bench: benchmark.spec(),
        questions: questions.len(),
        pictures: pictures.len(),
        columns: understood.columns,
        unused: understood.unused,
        kinds,
        groups,
        smallest_picture: sizes.iter().min_by_key(area).copied().unwrap_or_default(),
        largest_picture: sizes.iter().max_by_key(area).copied().unwrap_or_default(),
        first: questions.iter().take(SHOWN).map(shown).collect::<Result<_>>()?,
        odd,
        fingerprint: benchmark.fingerprint(),
    })
}

/// What a reader of the questions would stumble over.
fn oddities(questions: &[Question]) -> Vec<String> {
    let mut odd = Vec::new();
    if questions.iter().all(|question| question.gold.is_empty()) {
        odd.push("no question has a right answer: only which answers changed will be reported".to_owned());
    }
    let mut asked: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for question in questions {
        if let Some(first) = asked.insert((&question.image, &question.text), &question.id) {
            twice.push(format!("{first} and {}", question.id));
        }
    }
    if let Some(first) = twice.first() {
        odd.push(format!("{} questions are asked twice about the same picture, the first: {first}", twice.len()));
    }
    let golds: BTreeSet<&[String]> = questions.iter().map(|question| question.gold.as_slice()).collect();
    if let (Some([gold]), true) = (golds.first(), golds.len() == 1 && questions.len() > 1) {
        odd.push(format!("the right answer is `{gold}` for every question"));
    }
    odd
}

impl Look {
    fn words(&self) -> String {
        let by = |(width, height): (u32, u32)| format!("{width}x{height}");
        let sizes = if self.smallest_picture == self.largest_picture {
            by(self.largest_picture)
        } else {
            format!("{} to {}", by(self.smallest_picture), by(self.largest_picture))
        };
        let mut text = vec![format!("{}\n{} questions about {} pictures of {sizes} pixels", self.bench, self.questions, self.pictures)];
        if !self.columns.is_empty() {
            let mut columns = console::table(&["is read as", "column"]);
            for (role, column) in &self.columns {
                columns.add_row([role, column]);
            }
            let unused = if self.unused.is_empty() { String::new() } else { format!("\nNot used: {}", self.unused.join(", ")) };
            text.push(format!("{columns}{unused}"));
        }
        let kinds = self.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ");
        let mut groups: Vec<(&String, &usize)> = self.groups.iter().collect();
        groups.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let rest: usize = groups.iter().skip(GROUPS).map(|(_, count)| **count).sum();
        let mut named: Vec<String> = groups.iter().take(GROUPS).map(|(name, count)| format!("{name} {count}")).collect();
        if rest > 0 {
            named.push(format!("{rest} in {} more", groups.len() - GROUPS));
        }
        text.push(format!("Forms of answers: {kinds}\nGroups: {}", named.join(", ")));
        let mut first = console::table(&["id", "picture", "question as it is asked", "gold"]);
        for ShownQuestion { id, picture, sizes, question, gold, .. } in &self.first {
            let sizes = sizes.iter().map(|size| by(*size)).collect::<Vec<_>>().join(", ");
            let gold = if gold.is_empty() { "none".to_owned() } else { gold.join(" / ") };
            first.add_row([id, &format!("{picture} ({sizes})"), question, &gold]);
        }
        text.push(first.to_string());
        if self.odd.is_empty() {
            text.push("Nothing is odd.".to_owned());
        } else {
            text.push(format!("Odd:\n  {}", self.odd.join("\n  ")));
        }
        text.join("\n\n")
    }
}
