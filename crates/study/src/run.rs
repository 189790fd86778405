//! Running a plan into a folder: groups in order, parts as they fill, nothing asked twice.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use steady_bench::Benchmark;
use steady_records::Record;

use crate::work::{answer, check};
use crate::{Folder, StudyError, Subject};

/// What a listener is told after each group.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Answers recorded or about to be, earlier runs included.
    pub done: usize,
    /// Answers planned.
    pub total: usize,
    /// Answers taken over from earlier runs.
    pub resumed: usize,
    /// How many of the answers done were cut at the limit of tokens ([`Record::cut`]).
    pub cut: usize,
    /// The records of the group just answered; empty for the first call, which comes before any work.
    pub fresh: &'a [Record],
}

/// Answers everything in the folder's plan that is not recorded in it yet.
///
/// A part file holds the same groups however often the run was interrupted, so its bytes do not depend on that. A group is kept as soon as
/// it is answered, so an interruption costs the group in flight.
/// Returns the number of answers that were asked for in this call.
///
/// ```
/// use std::path::Path;
/// use std::sync::atomic::AtomicBool;
///
/// use steady_vlm::Device;
/// use pollster::FutureExt;
/// use steady_accel::Acceleration;
/// use steady_bench::world::EMBEDDED;
/// use steady_study::{Folder, Variants, run};
/// use steady_vlm::{Checkpoint, Decoding, Precision, Vlm};
///
/// let checkpoint = Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava"))?;
/// let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32)?;
/// let variants = Variants::build(model, &[Acceleration::parse("divprune:keep=0.33")?], Decoding::default()).block_on()?;
///
/// let (suite, questions) = EMBEDDED.draw(2, &[])?;
/// let (sha256, clean) = (checkpoint.sha256()?, steady_records::plan::perturbations(&[])?);
/// let plan = variants.plan(&[], &sha256, "cpu", &*suite, &questions, clean)?;
///
/// let place = tempfile::tempdir()?;
/// let folder = Folder::create(&place.path().join("study"), &plan, &questions)?;
/// let cancel = AtomicBool::new(false);
/// let answered = run(&folder, &*suite, &variants, &cancel, &mut |_| ()).block_on()?;
/// assert_eq!(answered, 2 * 3); // of the baseline, of the acceleration, and of the baseline in another order: the control
/// assert_eq!(run(&folder, &*suite, &variants, &cancel, &mut |_| ()).block_on()?, 0); // nothing is asked twice
///
/// let report = folder.report()?;
/// assert_eq!(report.questions().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`StudyError::Cancelled`] once `cancel` is raised, [`StudyError::Broken`] naming a damaged part, or what the subject, the benchmark
/// or the disk say. Groups already answered stay.
pub async fn run(
    folder: &Folder,
    benchmark: &dyn Benchmark,
    subject: &impl Subject,
    cancel: &AtomicBool,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<usize, StudyError> {
    let work = folder.work();
    check(work, subject)?;
    let total = folder.total();
    let (journal, recorded) = (folder.journal(), folder.part_indices()?);
    let parts: Vec<&[usize]> = folder.parts().collect();
    let cut_among = |records: &[Record]| records.iter().filter(|record| record.cut == Some(true)).count();
    let (mut done, mut cut) = (0, 0);
    for &index in &recorded {
        let records = folder.whole_part(index)?;
        done += records.len();
        cut += cut_among(&records);
        // A run that was killed between writing a part and this left them.
        journal.forget(parts[index])?;
    }
    let mut kept = BTreeMap::new();
    for group in journal.groups()? {
        folder.part_of(group)?;
        let answers = journal.read(group)?;
        done += answers.records.len();
        cut += cut_among(&answers.records);
        kept.insert(group, answers);
    }
    let resumed = done;
    listener(&Progress { done, total, resumed, cut, fresh: &[] });
    let missing: Vec<usize> = (0..parts.len()).filter(|index| recorded.binary_search(index).is_err()).collect();
    let unanswered: Vec<usize> =
        missing.iter().flat_map(|&index| parts[index]).copied().filter(|group| !kept.contains_key(group)).collect();
    // They come in order, however many are being answered at a time, so files do not tell.
    let answers = stream::iter(unanswered).map(|group| answer(work, &work.groups()[group], benchmark, subject));
    let mut answers = pin!(answers.buffered(subject.groups_at_once().max(1)));
    for index in missing {
        let (mut records, mut timings) = (Vec::new(), Vec::new());
        let part = parts[index];
        for &number in part {
            let answers = if let Some(answers) = kept.remove(&number) {
                answers
            } else {
                if cancel.load(Ordering::Relaxed) {
                    return Err(StudyError::Cancelled { done, total });
                }
                let ended = || Err(StudyError::Plan(format!("group {number} was not answered")));
                let answers = answers.next().await.unwrap_or_else(ended)?;
                // The last one is kept by the part, which follows at once.
                if part.last() != Some(&number) {
                    journal.write(number, &answers)?;
                }
                done += answers.records.len();
                cut += cut_among(&answers.records);
                listener(&Progress { done, total, resumed, cut, fresh: &answers.records });
                answers
            };
            records.extend(answers.records);
            timings.extend(answers.timings);
        }
        folder.write_part(index, &records, &timings)?;
        journal.forget(part)?;
    }
    Ok(total - resumed)
}
