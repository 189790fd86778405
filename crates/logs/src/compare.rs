//! Two runs or more as a report.
//!
//! Whose verdict counts is decided question by question and is the same for all runs: the tool's, unless its scorer is known to be wrong about such an answer
//! ([`crate::defects`]), the runs are of different tools, or one of them was not scored; then that of the scorers of this program.
//! Where there is neither gold nor score, nothing is right or wrong, and only changed answers are counted.

use std::collections::{BTreeMap, HashMap};

use steady_bench::{Question, same_answer, score};
use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Flag, Flagged, Measurements, Outcome, PlanSummary, QuestionRow, Report,
};

use crate::LogError;
use crate::comparable::{Difference, look};
use crate::defects::{self, Corrected};
use crate::log::{Answer, Log, Read};

/// Runs that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// The one to compare with.
    pub baseline: &'a Log,
    /// Those that are compared with it.
    pub others: &'a [&'a Log],
    /// Runs of the baseline itself, under which nothing should change.
    pub controls: &'a [&'a Log],
}

/// A report of logs, and what to know about it.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The report.
    pub report: Report,
    /// What a reader should know, a line each, the run that it is about first.
    pub notes: Vec<String>,
}

/// Who says what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// The tool, in its log.
    Tool,
    /// The tool, where it is known to be wrong, corrected.
    Corrected,
    /// The scorers of this program.
    Ours,
    /// Nobody: neither gold nor score.
    Nobody,
}

/// An answer, judged.
struct Judged<'a> {
    answer: &'a Answer,
    read: Read,
    correct: bool,
    score: f64,
    parsed: Option<String>,
    /// The tool's own verdict was another.
    rescored: bool,
}

/// Compares runs.
///
/// # Errors
/// [`LogError::Incomparable`] naming every field that differs and is not among `allowed`.
pub fn compare(runs: Runs<'_>, allowed: &[String], command: &str) -> Result<Comparison, LogError> {
    let Runs { baseline, others, controls } = runs;
    let all: Vec<&Log> = std::iter::once(baseline).chain(others.iter().copied()).chain(controls.iter().copied()).collect();
    let mut notes: Vec<Vec<String>> = all.iter().map(|log| log.notes.clone()).collect();
    let mut refused = Vec::new();
    for (log, notes) in all.iter().zip(&mut notes).skip(1) {
        let look = look(baseline, log);
        let (let_through, no): (Vec<Difference>, Vec<Difference>) =
            look.refused.into_iter().partition(|difference| difference.is_allowed(allowed));
        notes.extend(
            let_through
                .into_iter()
                .map(|difference| format!("let through: {} {}", difference.field, difference.what.replace("\n    ", " "))),
        );
        notes.extend(look.remarks);
        refused.extend(no);
    }
    if !refused.is_empty() {
        refused.dedup();
        return Err(LogError::Incomparable(refused));
    }
    let by_id: Vec<HashMap<&str, &Answer>> =
        all.iter().map(|log| log.answers.iter().map(|answer| (answer.id.as_str(), answer)).collect()).collect();
    let one_format = all.iter().all(|log| log.format.name == baseline.format.name);
    let mut asked: Vec<(Question, Vec<&Answer>, Judge)> = Vec::new();
    for answer in &baseline.answers {
        let answers: Option<Vec<&Answer>> = by_id.iter().map(|answers| answers.get(answer.id.as_str()).copied()).collect();
        let Some(answers) = answers else { continue };
        let question = question(&answers);
        let judge = judge(&question, &answers, one_format);
        asked.push((question, answers, judge));
    }
    if asked.is_empty() {
        return Err(LogError::NothingShared);
    }
    let unjudged: Vec<String> =
        asked.iter().filter(|(.., judge)| *judge == Judge::Nobody).map(|(question, ..)| question.id.clone()).collect();
    if unjudged.is_empty() || unjudged.len() == asked.len() {
        if !unjudged.is_empty() {
            notes[0].push("neither gold nor scores: only changed answers are counted".to_owned());
        }
    } else {
        let left_out =
            format!("{} questions are left out, {} first: they have neither gold nor a score in every run", unjudged.len(), unjudged[0]);
        notes.iter_mut().skip(1).for_each(|notes| notes.push(left_out.clone()));
        asked.retain(|(.., judge)| *judge != Judge::Nobody);
    }
    let columns: Vec<Vec<Judged<'_>>> = (0..all.len())
        .map(|run| asked.iter().map(|(question, answers, judge)| Judged::of(question, answers[run], *judge)).collect())
        .collect();
    for (column, notes) in columns.iter().zip(&mut notes).skip(1) {
        notes.extend(corrections(&columns[0], column, &asked));
    }
    report(runs, &all, &asked, &columns, notes, command)
}

/// The question of answers to it: with gold and options from whichever run has them.
fn question(answers: &[&Answer]) -> Question {
    let first = answers[0];
    let with_gold = answers.iter().find(|answer| !answer.gold.is_empty()).unwrap_or(&first);
    let with_options = answers.iter().find(|answer| !answer.options.is_empty()).unwrap_or(&first);
    let whole = Answer { gold: with_gold.gold.clone(), options: with_options.options.clone(), ..first.clone() };
    defects::question(&whole)
}

fn judge(question: &Question, answers: &[&Answer], one_format: bool) -> Judge {
    let (gold, scored) = (!question.gold.is_empty(), answers.iter().all(|answer| answer.verdict().is_some()));
    if gold && answers.iter().any(|answer| answer.corrected.is_some()) {
        Judge::Corrected
    } else if scored && (one_format || !gold) {
        Judge::Tool
    } else if gold {
        Judge::Ours
    } else {
        Judge::Nobody
    }
}

impl<'a> Judged<'a> {
    fn of(question: &Question, answer: &'a Answer, judge: Judge) -> Self {
        let ours = || score(question, answer.words());
        let (correct, graded, read) = match (judge, &answer.corrected) {
            (Judge::Tool, _) => {
                let correct = answer.verdict().unwrap_or_default();
                (correct, answer.score.unwrap_or(f64::from(u8::from(correct))), answer.read.clone())
            }
            (Judge::Corrected, Some(Corrected { correct, read, .. })) => (*correct, f64::from(u8::from(*correct)), read.clone()),
            (Judge::Corrected | Judge::Ours, _) => {
                let verdict = ours();
                let correct = verdict.correct && answer.read != Read::Nothing;
                (correct, if correct { f64::from(verdict.score) } else { 0.0 }, answer.read.clone())
            }
            (Judge::Nobody, _) => (false, 0.0, answer.read.clone()),
        };
        let parsed = match &read {
            Read::As(read) => Some(read.clone()),
            Read::Nothing => None,
            Read::Unsaid => ours().parsed,
        };
        let rescored = judge != Judge::Nobody && answer.verdict().is_some_and(|verdict| verdict != correct);
        Self { answer, read, correct, score: graded, parsed, rescored }
    }

    fn words(&self) -> &str {
        match &self.read {
            Read::As(read) => read,
            Read::Unsaid | Read::Nothing => &self.answer.reply,
        }
    }

    /// Whether both give the same answer. Where nothing was found in either, they are the same only if they say the same.
    fn is_same(&self, question: &Question, other: &Self) -> bool {
        match (&self.read, &other.read) {
            (Read::Nothing, Read::Nothing) => self.answer.reply.trim() == other.answer.reply.trim(),
            (Read::Nothing, _) | (_, Read::Nothing) => false,
            _ => same_answer(question, self.words(), other.words()),
        }
    }

    fn row(&self) -> AnswerRow {
        let Answer { reply, margin, visual_tokens, top, .. } = self.answer;
        AnswerRow {
            text: reply.clone(),
            parsed: self.parsed.clone(),
            correct: self.correct,
            score: self.score as f32,
            margin: *margin,
            kl: None,
            outcome: None,
            visual_tokens: *visual_tokens,
            top: top.clone(),
        }
    }
}

/// How many answers the tool took for right, and how many are, where its scorer is known to be wrong: before and after.
fn corrections(before: &[Judged<'_>], after: &[Judged<'_>], asked: &[(Question, Vec<&Answer>, Judge)]) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for ((before, after), _) in before.iter().zip(after).zip(asked).filter(|(_, (.., judge))| *judge == Judge::Corrected) {
        let Some(corrected) = before.answer.corrected.as_ref().or(after.answer.corrected.as_ref()) else { continue };
        let counts = by_reason.entry(corrected.reason).or_default();
        let tool = |judged: &Judged<'_>| judged.answer.verdict() == Some(true);
        for (count, right) in counts.iter_mut().zip([true, tool(before), tool(after), before.correct, after.correct]) {
            *count += usize::from(right);
        }
    }
    let line = |(reason, [of, tool_before, tool_after, before, after]): (&str, [usize; 5])| {
        format!("{reason}: of {of} the tool took {tool_before} for right before and {tool_after} after, here it is {before} and {after}")
    };
    by_reason.into_iter().map(line).collect()
}

fn report(
    runs: Runs<'_>,
    all: &[&Log],
    asked: &[(Question, Vec<&Answer>, Judge)],
    columns: &[Vec<Judged<'_>>],
    mut notes: Vec<Vec<String>>,
    command: &str,
) -> Result<Comparison, LogError> {
    let Runs { baseline, others, controls } = runs;
    let mut names: Vec<String> = Vec::new();
    for log in &all[1..] {
        let taken = |name: &str| name == "none" || names.iter().any(|known| known == name);
        let mut name = log.name.clone();
        while taken(&name) {
            name.push_str(" again");
        }
        names.push(name);
    }
    let mut flagged = Vec::new();
    let mut flags = |spec: &str, column: &[Judged<'_>]| {
        let odd = column.iter().enumerate().filter(|(_, judged)| judged.rescored);
        flagged.extend(odd.map(|(row, _)| Flagged { row, spec: spec.to_owned(), flag: Flag::Rescored }));
    };
    flags("none", &columns[0]);
    let mut paired = Vec::new();
    for ((column, name), notes) in columns[1..].iter().zip(&names).zip(&mut notes[1..]) {
        flags(name, column);
        let mut contradicted = Vec::new();
        let mut rows = Vec::with_capacity(asked.len());
        for ((before, after), (question, ..)) in columns[0].iter().zip(column).zip(asked) {
            let same = before.is_same(question, after);
            let mut row = after.row();
            if same && before.correct != after.correct {
                contradicted.push(question.id.as_str());
                (row.correct, row.score) = (before.correct, before.score as f32);
            }
            row.outcome = Outcome::of(same, before.correct, row.correct).ok();
            rows.push(row);
        }
        if let Some(first) = contradicted.first() {
            notes.push(format!(
                "{} answers are the same and were scored otherwise than in {}, {first} first: its verdict stands for both",
                contradicted.len(),
                baseline.name
            ));
        }
        paired.push(rows);
    }
    let what = |log: &Log, notes: &[String]| {
        let model = log.model.as_ref().map(|model| format!(", {model}")).unwrap_or_default();
        std::iter::once(format!("{}{model}", log.format.title)).chain(notes.iter().cloned()).collect::<Vec<_>>().join("; ")
    };
    let described: Vec<String> = all.iter().zip(&notes).map(|(log, notes)| what(log, notes)).collect();
    let cost = |log: &Log| log.cost.clone().unwrap_or(NO_COST);
    let mut paired = paired.into_iter().zip(&names).zip(&described[1..]).zip(&all[1..]);
    let accelerations = paired
        .by_ref()
        .take(others.len())
        .map(|(((answers, spec), what_it_is), log)| AccelerationReport {
            spec: spec.clone(),
            what_it_is: what_it_is.clone(),
            answers,
            first_token: None,
            cost: cost(log),
        })
        .collect();
    let controls_of = paired.take(controls.len()).map(|(((answers, spec), what_it_is), _)| ControlReport {
        spec: spec.clone(),
        what_it_is: what_it_is.clone(),
        answers,
        first_token: None,
    });
    let controls_of = controls_of.collect();
    let questions = columns[0].iter().zip(asked).map(|(judged, (question, ..))| QuestionRow {
        id: question.id.clone(),
        family: question.family.clone(),
        image: question.image.clone(),
        perturbation: None,
        text: question.text.clone(),
        gold: question.gold.clone(),
        kind: (&question.kind).into(),
        baseline: judged.row(),
        weight: question.weight,
    });
    let measurements = Measurements {
        plan: plan(baseline, all, &names[..others.len()], asked.len(), command),
        baseline_cost: cost(baseline),
        questions: questions.collect(),
        accelerations,
        controls: controls_of,
        flagged,
    };
    let notes = all.iter().zip(notes).flat_map(|(log, notes)| notes.into_iter().map(|note| format!("{}: {note}", log.name))).collect();
    Ok(Comparison { report: Report::new(measurements)?, notes })
}

/// A cost that nobody measured.
const NO_COST: CostRow =
    CostRow { weight_bytes: 0, stored_bytes: None, kv_bytes: 0.0, visual_tokens: 0.0, prompt_tokens: 0.0, flops: 0.0, seconds: None };

fn plan(baseline: &Log, all: &[&Log], specs: &[String], questions: usize, command: &str) -> PlanSummary {
    let shared = |of: &dyn Fn(&Log) -> &BTreeMap<String, String>| -> BTreeMap<String, String> {
        of(baseline)
            .iter()
            .filter(|(name, value)| all.iter().all(|log| of(log).get(*name) == Some(*value)))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    };
    let mut decoding = shared(&|log| &log.settings);
    let mut circumstances = shared(&|log| &log.circumstances);
    let take = |from: &mut BTreeMap<String, String>, name: &str| from.remove(name).unwrap_or_default();
    let prompt_template = take(&mut decoding, "prompt");
    let (device, precision) = (take(&mut circumstances, "device"), take(&mut circumstances, "precision"));
    decoding.extend(circumstances);
    let same_questions = all.iter().all(|log| log.fingerprint == baseline.fingerprint);
    PlanSummary {
        model: baseline.model.clone().unwrap_or_else(|| baseline.name.clone()),
        benchmark: if baseline.benchmark.is_empty() { baseline.name.clone() } else { baseline.benchmark.clone() },
        benchmark_fingerprint: if same_questions { baseline.fingerprint.clone() } else { String::new() },
        questions,
        specs: specs.to_vec(),
        prompt_template,
        decoding,
        precision,
        device,
        versions: [("steady".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        command_line: command.to_owned(),
        ..PlanSummary::default()
    }
}
