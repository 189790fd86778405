//! Putting shards together: the folder that one process would have left, out of those that several left.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use steady_records::{Answers, Shard, Work};

use crate::reader::{Reader, contradiction};
use crate::{Folder, StudyError};

/// What was put together.
#[derive(Debug)]
pub struct Merged {
    /// The study, whole.
    pub folder: Folder,
    /// Answers in it.
    pub answers: usize,
    /// Answers that came more than once, each time the same.
    pub repeated: usize,
}

/// Writes the study whose shards `sources` hold into the folder `out`. Its records are, byte for byte, those of a run that was never cut. Any folders of
/// one plan will do, in whatever order and however they were cut. A merge that is killed goes on when it is called again.
///
/// # Errors
/// [`StudyError::OtherPlan`] naming the fields in which a source's plan differs from the first one's. [`StudyError::Merge`] listing shards that are missing
/// or unfinished, or if two sources answer one question differently. [`StudyError::Broken`] naming a damaged file.
pub fn merge(sources: &[Folder], out: &Path) -> Result<Merged, StudyError> {
    let [first, others @ ..] = sources else { return Err(StudyError::Merge("there are no shards to merge".to_owned())) };
    for other in others {
        let fields = other.plan().differences(first.plan());
        if !fields.is_empty() {
            return Err(StudyError::OtherPlan { path: other.path().join("plan.json"), fields });
        }
    }
    let mut readers = sources.iter().map(Reader::of).collect::<Result<Vec<_>, _>>()?;
    let lacking: Vec<usize> = (0..first.work().groups().len()).filter(|group| readers.iter().all(|reader| !reader.has(*group))).collect();
    if !lacking.is_empty() {
        return Err(StudyError::Merge(missing(first.work(), sources, &lacking)));
    }
    let folder = Folder::create(out, first.plan(), first.questions())?;
    let recorded = folder.part_indices()?;
    let mut repeated = 0;
    for (index, part) in folder.parts().enumerate() {
        if recorded.binary_search(&index).is_ok() {
            // of a merge that was interrupted
            folder.whole_part(index)?;
            continue;
        }
        let mut whole = Answers::default();
        for &group in part {
            let (answers, again) = agreed(&mut readers, group)?;
            whole.records.extend(answers.records);
            whole.timings.extend(answers.timings);
            repeated += again;
        }
        folder.write_part(index, &whole.records, &whole.timings)?;
        folder.journal().forget(part)?;
    }
    let answers = folder.total();
    Ok(Merged { folder, answers, repeated })
}

/// A group's answers, on which all that have it agree, and how many answers came again.
fn agreed(readers: &mut [Reader<'_>], group: usize) -> Result<(Answers, usize), StudyError> {
    let (mut found, mut repeated): (Option<(&Path, Answers)>, usize) = (None, 0);
    for reader in readers {
        let Some(answers) = reader.take(group)? else { continue };
        match &found {
            None => found = Some((reader.path(), answers)),
            Some((path, first)) => {
                if let Some((one, other)) = first.records.iter().zip(&answers.records).find(|(one, other)| one != other) {
                    return Err(contradiction((path, one), (reader.path(), other)));
                }
                repeated += answers.records.len();
            }
        }
    }
    let (_, answers) = found.ok_or_else(|| StudyError::Merge(format!("group {group} is gone; is something else writing there?")))?;
    Ok((answers, repeated))
}

/// Which shards nobody gave, and which are not done.
fn missing(work: &Work, sources: &[Folder], lacking: &[usize]) -> String {
    let mut said = format!("{} of {} answers are missing:", work.count(lacking), work.total());
    for source in sources {
        let unfinished: Vec<usize> = lacking.iter().copied().filter(|&group| source.shard().holds(&work.groups()[group])).collect();
        if let Some(&group) = unfinished.first() {
            let question = &work.questions()[work.groups()[group].questions[0]].id;
            let (left, all) = (work.count(&unfinished), source.total());
            let _ = write!(
                said,
                "\n  shard {} in {} lacks {left} of {all} answers, from question {question} on; run it again, and it goes on there",
                source.shard(),
                source.path().display()
            );
        }
    }
    let cuts: BTreeSet<u32> = sources.iter().map(|source| source.shard().of()).collect();
    if let [of] = cuts.iter().copied().collect::<Vec<_>>()[..] {
        let given: BTreeSet<Shard> = sources.iter().map(Folder::shard).collect();
        let absent = (1..=of).filter_map(|number| Shard::new(number, of).ok()).filter(|shard| !given.contains(shard));
        for shard in absent.filter(|shard| lacking.iter().any(|&group| shard.holds(&work.groups()[group]))) {
            let _ = write!(said, "\n  shard {shard}: there is no folder of it");
        }
    }
    said
}
