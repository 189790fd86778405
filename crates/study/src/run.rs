//! Running a plan into a folder: groups in order, parts as they fill, nothing asked twice.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt, stream};
use pollster::FutureExt as _;
use steady_bench::Benchmark;
use steady_records::{Answers, Record};

use crate::lanes::{Arrived, in_lanes};
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
/// it is answered, so an interruption costs the groups in flight: one, or as many as are computed [side by side](Subject::lanes).
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
    subject: &(impl Subject + Sync),
    cancel: &AtomicBool,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<usize, StudyError> {
    let work = folder.work();
    check(work, subject)?;
    let (mut kept, recorded) = (Kept::default(), folder.part_indices()?);
    let parts: Vec<&[usize]> = folder.parts().collect();
    let journal = folder.journal();
    for &index in &recorded {
        kept.count(&folder.whole_part(index)?);
        // A run that was killed between writing a part and this left them.
        journal.forget(parts[index])?;
    }
    for group in journal.groups()? {
        folder.part_of(group)?;
        let answers = journal.read(group)?;
        kept.count(&answers.records);
        kept.groups.insert(group, answers);
    }
    let resumed = kept.done;
    let total = folder.total();
    listener(&Progress { done: resumed, total, resumed, cut: kept.cut, fresh: &[] });
    let missing: Vec<usize> = (0..parts.len()).filter(|index| recorded.binary_search(index).is_err()).collect();
    let in_parts = missing.iter().flat_map(|&index| parts[index]).copied();
    let unanswered: Vec<usize> = in_parts.filter(|group| !kept.groups.contains_key(group)).collect();
    let mut keeping = Keeping { folder, kept, resumed, cancel, listener };
    let threads = rayon::current_num_threads();
    let lanes = subject.lanes(threads).min(threads);
    if lanes > 0 {
        in_lanes(lanes, threads / lanes, (work, &unanswered), (benchmark, subject), cancel, |arriving| {
            keeping.parts(&missing, stream::iter(arriving)).block_on()
        })?;
    } else {
        let answered = stream::iter(unanswered)
            .map(async |group| (group, answer(work, &work.groups()[group], benchmark, subject).await))
            .buffered(subject.groups_at_once().max(1));
        keeping.parts(&missing, answered).await?;
    }
    Ok(total - resumed)
}

/// What is answered.
#[derive(Default)]
struct Kept {
    /// Groups whose part is not whole yet.
    groups: BTreeMap<usize, Answers>,
    /// Answers, those of whole parts included.
    done: usize,
    /// How many of them were cut.
    cut: usize,
}

impl Kept {
    fn count(&mut self, records: &[Record]) {
        self.done += records.len();
        self.cut += records.iter().filter(|record| record.cut == Some(true)).count();
    }
}

/// A run that takes what arrives.
struct Keeping<'a, 'l> {
    folder: &'a Folder,
    kept: Kept,
    resumed: usize,
    cancel: &'a AtomicBool,
    listener: &'a mut (dyn FnMut(&Progress<'_>) + 'l),
}

impl Keeping<'_, '_> {
    /// Writes the `missing` parts in order. Groups may arrive in another: files do not tell.
    async fn parts(&mut self, missing: &[usize], arriving: impl Stream<Item = Arrived>) -> Result<(), StudyError> {
        let mut arriving = pin!(arriving);
        let (folder, journal) = (self.folder, self.folder.journal());
        for (index, part) in folder.parts().enumerate().filter(|(index, _)| missing.binary_search(index).is_ok()) {
            let (mut records, mut timings) = (Vec::new(), Vec::new());
            for &number in part {
                let answers = loop {
                    if let Some(answers) = self.kept.groups.remove(&number) {
                        break answers;
                    }
                    let cancelled = || self.cancel.load(Ordering::Relaxed);
                    let arrived = if cancelled() { None } else { arriving.next().await };
                    let Some((group, answers)) = arrived else {
                        // Nothing arrives any more when it was raised meanwhile.
                        return Err(if cancelled() {
                            StudyError::Cancelled { done: self.kept.done, total: folder.total() }
                        } else {
                            StudyError::Plan(format!("group {number} was not answered"))
                        });
                    };
                    let answers = answers?;
                    // The last one is kept by the part, which follows at once.
                    if group != number || part.last() != Some(&number) {
                        journal.write(group, &answers)?;
                    }
                    self.kept.count(&answers.records);
                    let Kept { done, cut, .. } = self.kept;
                    (self.listener)(&Progress { done, total: folder.total(), resumed: self.resumed, cut, fresh: &answers.records });
                    self.kept.groups.insert(group, answers);
                };
                records.extend(answers.records);
                timings.extend(answers.timings);
            }
            folder.write_part(index, &records, &timings)?;
            journal.forget(part)?;
        }
        Ok(())
    }
}
