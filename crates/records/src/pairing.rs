//! Pairing: every answer beside the baseline's answer to the same question, as a [`Report`].

use std::collections::{BTreeMap, HashMap};

use steady_bench::{Posed, Question, Verdict};
use steady_report::share::SuiteQuestion;
use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Deriving, Flag, Flagged, Measurements, Outcome, PlanSummary, QuestionRow,
    Report, TokenLogit,
};

use crate::RecordsError;
use crate::plan::{BASELINE, CLEAN, ControlPlan, Plan, perturbation};
use crate::record::Record;
use crate::work::{Group, Work};

/// First-token candidates that a report keeps of the [`TOP`](crate::record::TOP) recorded.
const SHOWN: usize = 5;

/// What a report needs of a [`Record`], wherever that lies.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in a record")]
pub struct Answered<'a> {
    pub question: &'a str,
    pub perturbation: &'a str,
    pub acceleration: &'a str,
    pub answer: &'a str,
    /// Whether the logits ran out of numbers, so that there is no answer.
    pub lost: bool,
    pub cut: Option<bool>,
    pub correct: bool,
    pub margin: Option<f32>,
    pub kl: Option<f64>,
    /// By [`candidates`].
    pub top: Vec<(&'a str, f32)>,
    pub top_logits: &'a [f32],
    pub decoder_visual_tokens: f32,
    pub weight_bytes: u64,
    pub kv_bytes: u64,
    pub prompt_tokens: u32,
    pub flops: u64,
}

/// The first-token candidates that a report keeps: the first few whose logits are numbers.
pub fn candidates<'a>(tokens: impl Iterator<Item = &'a str>, logits: &[f32]) -> Vec<(&'a str, f32)> {
    tokens.zip(logits.iter().copied()).filter(|(_, logit)| logit.is_finite()).take(SHOWN).collect()
}

impl<'a> From<&'a Record> for Answered<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            question: &record.question,
            perturbation: &record.perturbation,
            acceleration: &record.acceleration,
            answer: &record.answer,
            lost: record.no_answer.is_some(),
            cut: record.cut,
            correct: record.correct,
            margin: record.margin,
            kl: record.kl,
            top: candidates(record.top_tokens.iter().map(String::as_str), &record.top_logits),
            top_logits: &record.top_logits,
            decoder_visual_tokens: record.decoder_visual_tokens,
            weight_bytes: record.weight_bytes,
            kv_bytes: record.kv_bytes,
            prompt_tokens: record.prompt_tokens,
            flops: record.flops,
        }
    }
}

/// The report of `records`, which are those of `plan`, all at hand; see [`Pairing`].
///
/// # Errors
/// [`RecordsError::Report`] if answers are missing.
pub fn report<'a>(plan: &Plan, questions: &[Question], records: impl IntoIterator<Item = &'a Record>) -> Result<Report, RecordsError> {
    let mut pairing = Pairing::new(plan, questions)?;
    records.into_iter().for_each(|record| pairing.take(record));
    pairing.report()
}

/// Answers on their way into a report: all questions about the clean images, then all again under each perturbation. They are taken one by one, in
/// whatever order, and of each only what the report says is kept, so that whoever reads records need not hold them all. Wall times stay out of it, so that
/// the same plan gives the same report.
///
/// Records are answers: what they are worth is scored here, by the scorer that also says which are the same, so that the two cannot contradict each
/// other. An answer that was scored otherwise when it was given, by another release, is flagged, and so is one whose logits are no numbers.
#[derive(Debug)]
pub struct Pairing<'a> {
    plan: &'a Plan,
    /// What is asked, in the order of a report's rows: perturbation by perturbation.
    posed: Vec<(&'a str, Posed<'a>)>,
    /// Places by name.
    variants: HashMap<&'a str, usize>,
    perturbations: HashMap<&'a str, usize>,
    asked: HashMap<&'a str, usize>,
    /// Of each variant a row for each question under each perturbation.
    answers: Vec<Vec<Option<Judged>>>,
}

impl<'a> Pairing<'a> {
    /// Answers to `questions`, which are those of `plan`; none yet.
    ///
    /// # Errors
    /// When a perturbation of the plan is none that there is.
    pub fn new(plan: &'a Plan, questions: &'a [Question]) -> Result<Self, RecordsError> {
        let (variants, posed) = (plan.variants(), posed(plan, questions)?);
        Ok(Self {
            plan,
            answers: variants.iter().map(|_| posed.iter().map(|_| None).collect()).collect(),
            posed,
            variants: places(variants),
            perturbations: places(plan.perturbations.iter().map(String::as_str)),
            asked: places(questions.iter().map(|question| question.id.as_str())),
        })
    }

    /// Takes an answer; one to what is not asked is passed over, and of two to the same the later one counts.
    pub fn take(&mut self, record: &Record) {
        if let Some(placed) = self.place(&Answered::from(record)) {
            self.put(placed);
        }
    }

    /// Scores an answer and finds its place, for [`Pairing::put`]; nothing if it is one to what is not asked. That several can do at a time.
    pub fn place(&self, answered: &Answered<'_>) -> Option<Placed> {
        let variant = *self.variants.get(answered.acceleration)?;
        let asked = *self.asked.get(answered.question)?;
        let row = self.perturbations.get(answered.perturbation)? * self.asked.len() + asked;
        Some(Placed { variant, row, judged: Judged::of(&self.posed[row].1, answered) })
    }

    /// Takes an answer that has its place here.
    pub fn put(&mut self, Placed { variant, row, judged }: Placed) {
        self.answers[variant][row] = Some(judged);
    }

    /// How many answers of each variant the limit cut, and how many there are, in the plan's order. Answers of versions that did not say are left out.
    pub fn cut(&self) -> Vec<(String, usize, usize)> {
        let counted = |(variant, answers): (&str, &Vec<Option<Judged>>)| {
            let told = || answers.iter().flatten().filter_map(|answer| answer.cut);
            (told().count() > 0).then(|| (variant.to_owned(), told().filter(|cut| *cut).count(), told().count()))
        };
        self.plan.variants().into_iter().zip(&self.answers).filter_map(counted).collect()
    }

    /// Takes an answer that was scored already, of the plan's `variant`-th variant; one to what is not asked is passed over.
    pub(crate) fn seat(&mut self, question: &str, perturbation: &str, variant: usize, judged: &Judged) {
        let place = self.perturbations.get(perturbation).zip(self.asked.get(question));
        if let Some((perturbation, asked)) = place {
            let row = perturbation * self.asked.len() + asked;
            self.put(Placed { variant, row, judged: judged.clone() });
        }
    }

    /// Pairs what was taken.
    ///
    /// # Errors
    /// [`RecordsError::Report`] if answers are missing.
    pub fn report(self) -> Result<Report, RecordsError> {
        self.begun(Deriving::new)?.report().map_err(|e| RecordsError::Report(e.to_string()))
    }

    /// Pairs what was taken, and has `begin` begin a report of it.
    pub(crate) fn begun(self, begin: fn(Measurements) -> Deriving) -> Result<Deriving, RecordsError> {
        let Self { plan, posed, asked, answers, .. } = self;
        let (questions, mut answers) = (asked.len(), answers.into_iter());
        let mut next = |variant: &str| complete(&posed, variant, answers.next().unwrap_or_default());
        let mut flagged = Vec::new();
        let baseline = next(BASELINE)?;
        flagged.extend(flags(BASELINE, &baseline));
        let mut accelerations = Vec::new();
        for acceleration in plan.accelerations.iter().filter(|acceleration| acceleration.spec != BASELINE) {
            let after = next(&acceleration.spec)?;
            flagged.extend(flags(&acceleration.spec, &after));
            accelerations.push(AccelerationReport {
                spec: acceleration.spec.clone(),
                what_it_is: acceleration.describe.clone(),
                first_token: None,
                cost: cost(&after[..questions], acceleration.stored_bytes),
                answers: paired(&posed, &acceleration.spec, &baseline, after)?,
            });
        }
        let mut controls = Vec::new();
        for ControlPlan { spec, describe } in &plan.controls {
            let after = next(spec)?;
            flagged.extend(flags(spec, &after));
            let answers = paired(&posed, spec, &baseline, after)?;
            controls.push(ControlReport { spec: spec.clone(), what_it_is: describe.clone(), answers, first_token: None });
        }
        let baseline_cost = cost(&baseline[..questions], plan.accelerations.first().and_then(|baseline| baseline.stored_bytes));
        // about perturbed images, beside what the same model says about the clean one
        let outcomes = posed
            .iter()
            .enumerate()
            .map(|(i, asked)| {
                let clean = i % questions;
                (asked.0 != CLEAN).then(|| baseline[i].beside(asked, (&baseline[clean], &posed[clean].1), BASELINE)).transpose()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let rows = posed.iter().zip(baseline).zip(outcomes).map(|(((perturbation, posed), answered), outcome)| {
            let row = SuiteQuestion::from(posed.question()).answered(AnswerRow { outcome, ..answered.row });
            QuestionRow { perturbation: (*perturbation != CLEAN).then(|| (*perturbation).to_owned()), ..row }
        });
        let questions = rows.collect();
        Ok(begin(Measurements { plan: summary(plan)?, baseline_cost, questions, accelerations, controls, flagged }))
    }
}

/// The answers of a group, scored: question by question, each with all variants, as [`Work::open`] found them.
pub(crate) fn judge(work: &Work, group: &Group, records: &[Record]) -> Result<Vec<Judged>, RecordsError> {
    let (plan, spec) = (work.plan(), perturbation(&group.perturbation)?);
    let mut judged = Vec::with_capacity(records.len());
    for (&question, records) in group.questions.iter().zip(records.chunks(plan.variants().len())) {
        let posed = Posed::of(&work.questions()[question], &spec, &plan.post_prompts);
        judged.extend(records.iter().map(|record| Judged::of(&posed, &Answered::from(record))));
    }
    Ok(judged)
}

/// Where each name stands in a list.
fn places<'a>(names: impl IntoIterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    names.into_iter().enumerate().map(|(place, name)| (name, place)).collect()
}

/// What a plan asks, in the order of a report's rows: perturbation by perturbation.
fn posed<'a>(plan: &'a Plan, questions: &'a [Question]) -> Result<Vec<(&'a str, Posed<'a>)>, RecordsError> {
    let mut posed = Vec::with_capacity(plan.perturbations.len() * questions.len());
    for text in &plan.perturbations {
        let spec = perturbation(text)?;
        posed.extend(questions.iter().map(|question| (text.as_str(), Posed::of(question, &spec, &plan.post_prompts))));
    }
    Ok(posed)
}

/// A variant's answers, all of them.
fn complete(posed: &[(&str, Posed<'_>)], variant: &str, answers: Vec<Option<Judged>>) -> Result<Vec<Judged>, RecordsError> {
    let missing = |(perturbation, posed): &(&str, Posed<'_>)| {
        RecordsError::Report(format!(
            "question {}, acceleration {variant}, perturbation {perturbation}: no record; the run is not finished, run it again to continue",
            posed.question().id
        ))
    };
    posed.iter().zip(answers).map(|(asked, answer)| answer.ok_or_else(|| missing(asked))).collect()
}

/// A variant's answers with what became of the questions since the baseline's.
fn paired(posed: &[(&str, Posed<'_>)], variant: &str, baseline: &[Judged], after: Vec<Judged>) -> Result<Vec<AnswerRow>, RecordsError> {
    let pair = |((asked, before), after): ((&(&str, Posed<'_>), &Judged), Judged)| {
        let outcome = Some(after.beside(asked, (before, &asked.1), variant)?);
        Ok(AnswerRow { outcome, ..after.row })
    };
    posed.iter().zip(baseline).zip(after).map(pair).collect()
}

/// An answer that was scored, and its place in a [`Pairing`].
#[derive(Debug)]
pub struct Placed {
    variant: usize,
    row: usize,
    judged: Judged,
}

/// What a report keeps of an answer, and what it is worth.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// Its row, without what became of the question.
    row: AnswerRow,
    /// Whether there is none, because the logits ran out of numbers.
    lost: bool,
    flag: Option<Flag>,
    cut: Option<bool>,
    weight_bytes: u64,
    kv_bytes: u64,
    prompt_tokens: u32,
    flops: u64,
}

impl Judged {
    fn of(posed: &Posed<'_>, answered: &Answered<'_>) -> Self {
        // what stands there before the logits ran out is no answer
        let lost = answered.lost;
        let verdict = if lost { Verdict::on_no_answer() } else { posed.score(answered.answer) };
        let finite = !lost
            && answered.margin.is_none_or(f32::is_finite)
            && answered.kl.is_none_or(f64::is_finite)
            && answered.top_logits.iter().all(|logit| logit.is_finite());
        let flag = match (finite, answered.correct == verdict.correct) {
            (false, _) => Some(Flag::NoAnswer),
            (true, false) => Some(Flag::Rescored),
            (true, true) => None,
        };
        let row = AnswerRow {
            text: answered.answer.to_owned(),
            parsed: verdict.parsed,
            correct: verdict.correct,
            score: verdict.score,
            margin: answered.margin.filter(|margin| !lost && margin.is_finite()),
            kl: answered.kl.filter(|kl| kl.is_finite()),
            outcome: None,
            visual_tokens: answered.decoder_visual_tokens,
            top: answered.top.iter().map(|&(token, logit)| TokenLogit { token: token.to_owned(), logit }).collect(),
        };
        let Answered { cut, weight_bytes, kv_bytes, prompt_tokens, flops, .. } = *answered;
        Self { row, lost, flag, cut, weight_bytes, kv_bytes, prompt_tokens, flops }
    }

    /// What became of the question, asked under a perturbation, since `before`, which is an answer to it under another or the same.
    fn beside(
        &self,
        (perturbation, posed): &(&str, Posed<'_>),
        (before, before_posed): (&Self, &Posed<'_>),
        variant: &str,
    ) -> Result<Outcome, RecordsError> {
        // Where there is no answer there is nothing to compare: none equals none, and nothing else.
        let same = if before.lost || self.lost {
            before.lost == self.lost
        } else {
            posed.same_answer(&self.row.text, before_posed, &before.row.text)
        };
        Outcome::of(same, before.row.correct, self.row.correct).map_err(|e| {
            let pair = format!("question {}, acceleration {variant}, perturbation {perturbation}", posed.question().id);
            RecordsError::Report(format!("{pair}: {e} ({:?} -> {:?})", before.row.text, self.row.text))
        })
    }
}

/// What is odd about a variant's answers, by its name in the records.
fn flags<'a>(variant: &'a str, answers: &'a [Judged]) -> impl Iterator<Item = Flagged> + 'a {
    let odd = answers.iter().enumerate().filter_map(|(row, answer)| Some((row, answer.flag?)));
    odd.map(move |(row, flag)| Flagged { row, spec: variant.to_owned(), flag })
}

fn cost(answers: &[Judged], stored_bytes: Option<u64>) -> CostRow {
    let mean = |of: &dyn Fn(&Judged) -> f64| answers.iter().map(of).sum::<f64>() / answers.len() as f64;
    CostRow {
        weight_bytes: answers.first().map_or(0, |answer| answer.weight_bytes),
        stored_bytes,
        kv_bytes: mean(&|answer| answer.kv_bytes as f64),
        visual_tokens: mean(&|answer| f64::from(answer.row.visual_tokens)),
        prompt_tokens: mean(&|answer| f64::from(answer.prompt_tokens)),
        flops: mean(&|answer| answer.flops as f64),
        seconds: None,
    }
}

fn summary(plan: &Plan) -> Result<PlanSummary, RecordsError> {
    let versions = [("steady", &plan.versions.steady), ("burn", &plan.versions.burn)];
    Ok(PlanSummary {
        model: plan.model.name.clone(),
        checkpoint_sha256: plan.model.sha256.clone(),
        benchmark: plan.benchmark.name.clone(),
        benchmark_fingerprint: plan.benchmark.fingerprint.clone(),
        plan_sha256: plan.sha256()?,
        questions: plan.benchmark.questions,
        perturbations: plan.perturbations.iter().filter(|perturbation| *perturbation != CLEAN).cloned().collect(),
        specs: plan.accelerations.iter().map(|acceleration| acceleration.spec.clone()).filter(|spec| spec != BASELINE).collect(),
        left_out: plan.left_out.iter().map(|left| (left.spec.clone(), left.reason.clone())).collect(),
        prompt_template: plan.prompt.clone(),
        post_prompts: plan.post_prompts.iter().map(|(form, text)| (form.to_owned(), text.to_owned())).collect(),
        processor: plan.processor.clone(),
        decoding: plan.decoding.clone(),
        precision: plan.precision.clone(),
        device: match &plan.elsewhere {
            Some(elsewhere) => format!("{}; the baseline on {}", plan.device, elsewhere.device),
            None => plan.device.clone(),
        },
        versions: versions.map(|(name, version)| (name.to_owned(), version.clone())).into(),
        seeds: BTreeMap::new(),
        command_line: plan.command.clone(),
    })
}
