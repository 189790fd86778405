//! What a link may ask of its reader: the longest text, the most answers, the most memory.

use super::{Acceleration, Answers, Control, LONGEST_TEXT, MOST_ANSWERS, NOT_CARRIED, Parsed, Plan, Said, Wire, Words, field};
use crate::measurements::{AnswerRow, QuestionRow};
use crate::share::{MOST_EXPANDED, ShareError, SuiteQuestion};
use crate::summary::{FamilySummary, Summary};

/// Longest text of a question or an answer in bytes: what [`cut`](super::cut) leaves, in characters of four bytes, and its ellipsis.
const LONGEST_BYTES: usize = 4 * LONGEST_TEXT + 3;

/// Longest setting of a plan in bytes. A prompt or a command has a few thousand.
const LONGEST_SETTING: usize = 32 << 10;

/// Most intervals by task family, of all accelerations under all conditions: more take a browser seconds.
const MOST_FAMILIES: usize = 5_000;

/// Refuses more answers than a link holds, of questions under the baseline and `columns` more.
pub(super) fn most_answers(questions: usize, columns: usize) -> Result<(), ShareError> {
    let answers = questions.saturating_mul(1 + columns);
    if answers > MOST_ANSWERS { Err(field("answers", answers, format!("at most {MOST_ANSWERS}"))) } else { Ok(()) }
}

fn shorter(name: &'static str, text: &str, longest: usize) -> Result<(), ShareError> {
    if text.len() > longest { Err(field(name, format!("a text of {} bytes", text.len()), format!("at most {longest}"))) } else { Ok(()) }
}

impl Wire {
    /// Refuses what would take too much, before any of it is made. Nothing else is checked here. `drawn` are the questions of the suite, where they are drawn.
    pub(in crate::share) fn check(&self, drawn: Option<&[SuiteQuestion]>) -> Result<(), ShareError> {
        let rows = self.answered.correct.len();
        most_answers(rows, self.columns().count())?;
        self.check_texts()?;
        let summaries = (1 + self.perturbed.perturbations.len()).saturating_mul(1 + self.columns().count());
        let families = summaries.saturating_mul(self.answered.questions.families.len());
        if families > MOST_FAMILIES {
            return Err(field("families", format!("{families} of all accelerations and conditions"), format!("at most {MOST_FAMILIES}")));
        }
        match self.expanded(drawn) {
            found if found > MOST_EXPANDED => Err(ShareError::Expanded { found }),
            _ => Ok(()),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &Answers> {
        let noise_floor = self.answered.noise_floor.iter().map(|(_, answers)| answers);
        let controls = self.controlled.controls.iter().map(|control| &control.answers);
        self.answered.accelerations.iter().map(|acceleration| &acceleration.answers).chain(controls).chain(noise_floor)
    }

    fn check_texts(&self) -> Result<(), ShareError> {
        let Plan {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            specs,
            prompt_template,
            processor,
            decoding,
            precision,
            device,
            versions,
            seeds,
            command_line,
        } = &self.answered.plan;
        let settings = [model, checkpoint_sha256, benchmark, benchmark_fingerprint, prompt_template, precision, device, command_line];
        let named = [processor, decoding, versions, &self.controlled.post_prompts]
            .into_iter()
            .flatten()
            .flat_map(|(name, value)| [name, value])
            .chain(seeds.keys());
        settings.into_iter().chain(named).try_for_each(|text| shorter("plan", text, LONGEST_SETTING))?;
        specs.iter().try_for_each(|spec| shorter("plan.specs", spec, LONGEST_BYTES))?;
        let questions = &self.answered.questions;
        questions.families.iter().try_for_each(|family| shorter("families", family, LONGEST_BYTES))?;
        if let Words::Listed(listed) = &questions.words {
            for (_, id, text, gold) in listed {
                [id, text].into_iter().chain(gold).try_for_each(|text| shorter("words", text, LONGEST_BYTES))?;
            }
        }
        for Said { text, parsed } in &self.answered.said {
            shorter("said", text, LONGEST_BYTES)?;
            if let Parsed::As(parsed) = parsed {
                shorter("said", parsed, LONGEST_BYTES)?;
            }
        }
        for Acceleration { spec, what_it_is, .. } in &self.answered.accelerations {
            [spec, what_it_is].into_iter().try_for_each(|text| shorter("accelerations", text, LONGEST_BYTES))?;
        }
        let noise_floor = self.answered.noise_floor.iter().map(|(what_it_is, _)| what_it_is);
        let controls = self.controlled.controls.iter().flat_map(|Control { spec, what_it_is, .. }| [spec, what_it_is]);
        noise_floor.chain(controls).try_for_each(|text| shorter("controls", text, LONGEST_BYTES))?;
        self.perturbed.perturbations.iter().try_for_each(|text| shorter("perturbations", text, LONGEST_BYTES))?;
        self.controlled.flagged.iter().try_for_each(|(_, spec, _)| shorter("flagged", spec, LONGEST_BYTES))?;
        let left_out = self.incomplete.left_out.iter().flat_map(|(spec, reason)| [spec, reason]);
        left_out.into_iter().try_for_each(|text| shorter("left_out", text, LONGEST_BYTES))
    }

    /// Bytes that rows and summaries will take. Lists that are too short or too long count as far as they go: they are refused for that later.
    fn expanded(&self, drawn: Option<&[SuiteQuestion]>) -> u64 {
        let answered = &self.answered;
        let said = |index: u32| match index.checked_sub(1).and_then(|index| answered.said.get(index as usize)) {
            None => 2 * NOT_CARRIED.len(),
            Some(Said { text, parsed }) => {
                text.len()
                    + match parsed {
                        Parsed::Trimmed => text.len(),
                        Parsed::Unread => 0,
                        Parsed::As(parsed) => parsed.len(),
                    }
            }
        };
        let baseline: Vec<usize> = answered.baseline.iter().map(|&index| said(index)).collect();
        let (rows, conditions) = (answered.correct.len(), 1 + self.perturbed.perturbations.len());
        let mut bytes = baseline.iter().sum::<usize>() as u64;
        for column in self.columns() {
            let mut others = column.said.iter();
            for (code, same) in column.outcomes.iter().zip(&baseline) {
                let words = if *code == 0 { *same } else { others.next().map_or(0, |&index| said(index)) };
                bytes += (size_of::<AnswerRow>() + words) as u64;
            }
        }
        // the words of the questions, under every condition
        let family = |index: &u32| answered.questions.families.get(*index as usize).map_or(0, String::len);
        let mut words = answered.questions.family.iter().map(family).sum::<usize>();
        words += match (&answered.questions.words, drawn) {
            (Words::Listed(listed), _) => {
                let of = |(_, id, text, gold): &(u32, String, String, Vec<String>)| id.len() + text.len() + gold_bytes(gold);
                listed.iter().map(of).sum::<usize>()
            }
            (Words::OfSuite { .. }, Some(drawn)) => {
                drawn.iter().map(|asked| asked.id.len() + asked.image.len() + asked.text.len() + gold_bytes(&asked.gold)).sum()
            }
            (Words::OfSuite { .. }, None) => 0,
        };
        bytes += (rows * (size_of::<QuestionRow>() + 4 * NOT_CARRIED.len())) as u64 + (words as u64).saturating_mul(conditions as u64);
        bytes += self.perturbed.perturbations.iter().map(String::len).sum::<usize>() as u64 * (rows / conditions) as u64;
        // a summary for each column under each condition, in it one for each family
        let families: usize =
            answered.questions.families.iter().map(|family| size_of::<FamilySummary>() + 2 * size_of::<String>() + family.len()).sum();
        let summary = size_of::<Summary>() + LONGEST_BYTES / 4 + families;
        let summaries = (conditions as u64).saturating_mul(1 + self.columns().count() as u64);
        bytes.saturating_add(summaries.saturating_mul(summary as u64))
    }
}

fn gold_bytes(gold: &[String]) -> usize {
    gold.iter().map(|gold| size_of::<String>() + gold.len()).sum()
}
