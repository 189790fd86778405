//! `steady report`: the report of a run folder, rebuilt from its records.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use steady_bench::{BENCHMARKS, Benchmark, thumbnail, thumbnails};
use steady_report::{PICTURES, Page, Report};
use steady_study::Folder;
use steady_verdict::{Gate, Policy, Run};

use crate::args::ReportArgs;
use crate::commands::{benchmarks, gate, runs, share};
use crate::console;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let printed = match (args.json, args.markdown, args.csv) {
        (true, ..) => Printed::Json,
        (_, true, _) => Printed::Markdown,
        (.., true) => Printed::Csv,
        _ => Printed::Table,
    };
    let runs = runs::meant(&args.runs);
    let folder = match (runs.as_slice(), args.runs.as_slice()) {
        ([run], [_]) if args.html.is_none() => Folder::open(run)?,
        (_, given) => return several(args, &runs, given, printed),
    };
    if args.records {
        let mut out = console::stdout();
        folder.export_jsonl(&mut out)?;
        return Ok(out.flush()?);
    }
    folder.is_whole()?;
    let policy = args.policy.as_deref().map(gate::read_policy).transpose()?;
    let Published { report, file } = publish_under(policy.as_ref(), &folder, reopened(&folder).as_deref(), printed)?;
    if args.open {
        let shown = match &args.page {
            Some(page) => share::address(page, &share::link(&report)?.payload)?,
            None => file.display().to_string(),
        };
        open::that_detached(&shown).with_context(|| format!("no browser could be started; open {shown} yourself"))?;
    }
    Ok(())
}

/// Runs of several benchmarks side by side.
fn several(args: &ReportArgs, runs: &[PathBuf], given: &[PathBuf], printed: Printed) -> Result<()> {
    for (flag, is_given) in
        [("--json", args.json), ("--records", args.records), ("--page", args.page.is_some()), ("--policy", args.policy.is_some())]
    {
        if is_given {
            bail!("{flag} is about one run, and {} are given; `steady gate` judges several", runs.len());
        }
    }
    let html = match (&args.html, given) {
        (Some(html), _) => Some(html.clone()),
        (None, [folder]) => Some(benchmarks::page_in(folder)),
        (None, _) => None,
    };
    benchmarks::publish(runs, html.as_deref(), printed)?;
    match html.filter(|_| args.open) {
        Some(html) => open::that_detached(&html).with_context(|| format!("no browser could be started; open {} yourself", html.display())),
        None => Ok(()),
    }
}

/// The benchmark that was asked, for its pictures; says so where it is not at hand.
pub(crate) fn reopened(folder: &Folder) -> Option<Box<dyn Benchmark>> {
    let asked = &folder.plan().benchmark;
    let benchmark = match &asked.opened_by {
        Some(spec) => BENCHMARKS.reopen_at(spec, &asked.fingerprint),
        None => BENCHMARKS.reopen_asked(&asked.name, &asked.fingerprint, asked.size, asked.questions),
    };
    if benchmark.is_none() {
        console::note(&format!("benchmark {} is not at hand as it was asked; the report has no pictures", asked.name));
    }
    benchmark
}

/// What of a report goes to stdout.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printed {
    /// Table and findings.
    Table,
    Json,
    Markdown,
    Csv,
}

impl Printed {
    /// What a study prints.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// A report that was written.
pub(crate) struct Published {
    pub(crate) report: Report,
    /// `report.html`.
    pub(crate) file: PathBuf,
}

/// Writes `report.json` and `report.html` into the folder and prints what of it was asked for.
pub(crate) fn publish(folder: &Folder, benchmark: Option<&dyn Benchmark>, printed: Printed) -> Result<Published> {
    publish_under(None, folder, benchmark, printed)
}

/// The same, with what a policy says of it on top.
fn publish_under(policy: Option<&Policy>, folder: &Folder, benchmark: Option<&dyn Benchmark>, printed: Printed) -> Result<Published> {
    folder.tidy()?;
    let pairing = folder.pairing()?;
    let cut = cut(&pairing.cut(), folder.plan().decoding.get("max_new_tokens").map_or("?", String::as_str));
    let report = pairing.report()?;
    folder.write_by("report.json", |out| report.write_json(out).map_err(std::io::Error::other))?;
    let gate = policy.map(|policy| judged(policy, folder, &report)).transpose()?;
    let file = shown(&page(folder, &report, gate.as_ref(), benchmark)?);
    if printed == Printed::Markdown {
        let above = gate.map(|gate| format!("{}\n", gate.markdown())).unwrap_or_default();
        console::result(&format!("{above}{}", report.markdown_document()))?;
        return Ok(Published { report, file });
    }
    if printed == Printed::Csv {
        console::result(&report.csv())?;
        return Ok(Published { report, file });
    }
    if printed == Printed::Json {
        let mut out = console::stdout();
        report.write_json(&mut out)?;
        out.flush()?;
        return Ok(Published { report, file });
    }
    // Wall times are in the table alone: the report is the same for every run of a plan, and they are not.
    let seconds = folder.seconds()?;
    let timed = report.timed(|acceleration| seconds.get(acceleration).copied())?;
    let above = gate.map(|gate| format!("{}\n\n", gate::told(&gate).join("\n"))).unwrap_or_default();
    console::result(&format!("{above}{}{cut}\n{}\n\nReport: {}", timed.table(), timed.findings().join("\n"), file.display()))?;
    Ok(Published { report: timed.timed(|_| None)?, file })
}

/// What a policy says of the one run.
fn judged(policy: &Policy, folder: &Folder, report: &Report) -> Result<Gate> {
    let run = Run { name: folder.path().display().to_string(), report: report.clone(), page: None };
    Ok(Gate::judge(policy, &[run], &[])?)
}

/// Writes `report.html`, and beside it the pictures that it has no room for.
fn page(folder: &Folder, report: &Report, gate: Option<&Gate>, benchmark: Option<&dyn Benchmark>) -> Result<PathBuf> {
    let above = gate.map(Gate::above).unwrap_or_default();
    let Some(benchmark) = benchmark else {
        return Ok(folder.write("report.html", report.page_below(&above, None).html.as_bytes())?);
    };
    let images = thumbnails(report, benchmark)?;
    let Page { html, beside } = report.page_below(&above, Some(&images));
    for (name, picture) in beside {
        let drawn = images.get(&picture).map_or_else(|| thumbnail(benchmark, &picture).map(Cow::Owned), |file| Ok(Cow::Borrowed(file)))?;
        folder.write(&format!("{PICTURES}/{name}"), &drawn)?;
    }
    Ok(folder.write("report.html", html.as_bytes())?)
}

/// A line about the answers that did not come to an end, if there are any: what an answer would have gone on to say is not compared.
fn cut(counts: &[(String, usize, usize)], limit: &str) -> String {
    if counts.iter().all(|(_, cut, _)| *cut == 0) {
        return String::new();
    }
    let counted: Vec<String> = counts.iter().map(|(variant, cut, all)| format!("{variant} {cut} of {all}")).collect();
    format!("\nCut at the limit of {limit} tokens: {}\n", counted.join(", "))
}

/// A path that a browser takes.
fn shown(page: &Path) -> PathBuf {
    page.canonicalize().unwrap_or_else(|_| page.to_path_buf())
}

#[cfg(test)]
mod tests {
    use steady_report::{
        AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, QuestionKind, QuestionRow,
    };

    use super::*;

    fn answer(text: &str, outcome: Option<Outcome>) -> AnswerRow {
        let correct = text == "red";
        let kl = outcome.map(|outcome| if outcome == Outcome::Same { 0.01 } else { 0.8 });
        AnswerRow {
            text: text.into(),
            parsed: Some(text.into()),
            correct,
            score: f32::from(u8::from(correct)),
            margin: Some(1.5),
            kl,
            outcome,
            visual_tokens: 144.0,
            top: Vec::new(),
        }
    }

    fn cost(weight_bytes: u64, visual_tokens: f64) -> CostRow {
        CostRow {
            weight_bytes,
            stored_bytes: None,
            kv_bytes: 50_000.0,
            visual_tokens,
            prompt_tokens: 160.0,
            flops: 3e9,
            seconds: Some(1.25),
        }
    }

    /// Ten questions, 8 right before; one acceleration breaks two and repairs one, the other changes nothing.
    fn report() -> Report {
        let before = ["red", "red", "red", "red", "red", "red", "red", "red", "blue", "blue"];
        let shaky = ["blue", "blue", "red", "red", "red", "red", "red", "red", "red", "blue"];
        let rows = |after: &[&str]| {
            let pairs = before.iter().zip(after);
            pairs.map(|(a, b)| answer(b, Some(Outcome::of(a == b, *a == "red", *b == "red").unwrap()))).collect::<Vec<_>>()
        };
        let acceleration =
            |spec: &str, answers, cost| AccelerationReport { spec: spec.into(), what_it_is: spec.into(), answers, first_token: None, cost };
        let question = |(index, text): (usize, &&str)| QuestionRow {
            id: format!("q{index}"),
            family: "colour".into(),
            image: format!("i{}", index / 2),
            perturbation: None,
            text: "What colour?".into(),
            gold: vec!["red".into()],
            kind: QuestionKind::Short,
            baseline: answer(text, None),
            weight: 1.0,
        };
        Report::new(Measurements {
            plan: PlanSummary { questions: before.len(), ..PlanSummary::default() },
            baseline_cost: cost(8_000_000, 144.0),
            questions: before.iter().enumerate().map(question).collect(),
            accelerations: vec![
                acceleration("calm", rows(&before), cost(8_000_000, 72.0)),
                acceleration("shaky", rows(&shaky), cost(1_200_000, 144.0)),
            ],
            controls: vec![ControlReport { spec: "none".into(), what_it_is: "order".into(), answers: rows(&before), first_token: None }],
            flagged: Vec::new(),
        })
        .unwrap()
    }

    #[test]
    fn cut_answers_are_told_where_there_are_any() {
        let counts = |cut| [("none".to_owned(), 0, 10), ("shaky".to_owned(), cut, 10)];
        assert_eq!(cut(&counts(0), "64"), "");
        assert_eq!(cut(&counts(3), "64"), "\nCut at the limit of 64 tokens: none 0 of 10, shaky 3 of 10\n");
    }

    #[test]
    fn table_and_findings() {
        let report = report();
        insta::assert_snapshot!(format!("{}\n{}", report.table(), report.findings().join("\n")));
    }
}
