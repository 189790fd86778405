//! A study out of several that asked the same questions of different variants: their answers side by side in one folder.
//!
//! Where not all variants of a model fit its device, it is asked in passes, of which each holds the baseline and some of the variants in a folder of its own.
//! And where a baseline fits nowhere near its accelerated form, its answers come from a run elsewhere.

use std::collections::BTreeMap;

use steady_records::{Answers, Record, Timing};

use crate::reader::{Reader, contradiction};
use crate::{Folder, StudyError};

/// Where answers of a joined study are.
#[derive(Debug)]
pub struct Source<'a> {
    folder: &'a Folder,
    /// Names of variants there, by what they are called in the joined study.
    names: BTreeMap<String, String>,
    /// Whether they were compared there with the baseline of the joined study.
    same_baseline: bool,
}

impl<'a> Source<'a> {
    /// A pass of the study: all that it asked, called as there.
    pub fn pass(folder: &'a Folder) -> Self {
        let names = folder.plan().variants().into_iter().map(|name| (name.to_owned(), name.to_owned())).collect();
        Self { folder, names, same_baseline: true }
    }

    /// A run of another study, whose baseline is that of the joined one: of its variants those that `names` has, by what they are to be called.
    pub fn of_baseline(folder: &'a Folder, names: BTreeMap<String, String>) -> Self {
        Self { folder, names, same_baseline: true }
    }

    /// A run of another study with a baseline of its own. What was measured against that (KL) says nothing about another one, and is left out.
    pub fn beside(folder: &'a Folder, names: BTreeMap<String, String>) -> Self {
        Self { folder, names, same_baseline: false }
    }
}

/// Writes into `study`, whose folder was created for its plan, what `sources` answered. All hold the groups of the study's shard. What several have, such as
/// the baseline of each pass, must be alike. Records are, byte for byte, those of a run that held everything at once. A join that is killed goes on when it
/// is called again.
///
/// # Errors
/// [`StudyError::Merge`] where a source lacks answers, or where two differ; [`StudyError::Broken`] naming a damaged file.
pub fn join(study: &Folder, sources: &[Source<'_>]) -> Result<(), StudyError> {
    let mut readers = sources.iter().map(|source| Reader::of(source.folder)).collect::<Result<Vec<_>, _>>()?;
    let variants: Vec<String> = study.plan().variants().into_iter().map(str::to_owned).collect();
    let recorded = study.part_indices()?;
    for (index, part) in study.parts().enumerate() {
        if recorded.binary_search(&index).is_err() {
            let mut whole = Answers::default();
            for &group in part {
                let side_by_side = beside(study, sources, &mut readers, (&variants, group))?;
                whole.records.extend(side_by_side.records);
                whole.timings.extend(side_by_side.timings);
            }
            study.write_part(index, &whole.records, &whole.timings)?;
        }
        study.journal().forget(part)?;
    }
    Ok(())
}

/// A group's answers by all variants, question by question.
fn beside(
    study: &Folder,
    sources: &[Source<'_>],
    readers: &mut [Reader<'_>],
    (variants, group): (&[String], usize),
) -> Result<Answers, StudyError> {
    let mut given: Vec<(&Source<'_>, Answers)> = Vec::new();
    for (source, reader) in sources.iter().zip(readers) {
        let lacks = || {
            let image = &study.work().groups()[group].image;
            StudyError::Merge(format!(
                "{} lacks the answers about image {image}; run it again, and it goes on there",
                source.folder.path().display()
            ))
        };
        given.push((source, reader.take(group)?.ok_or_else(lacks)?));
    }
    let mut answers = Answers::default();
    for question in 0..study.work().groups()[group].questions.len() {
        for variant in variants {
            let mut found: Option<(&Source<'_>, Record)> = None;
            for (source, theirs) in &given {
                let Some((record, timing)) = answer(source, theirs, question, variant) else { continue };
                match &found {
                    None => {
                        answers.timings.extend(timing);
                        found = Some((source, record));
                    }
                    Some((first, one)) if *one != record => {
                        return Err(contradiction((first.folder.path(), one), (source.folder.path(), &record)));
                    }
                    Some(_) => {}
                }
            }
            let (_, record) = found.ok_or_else(|| StudyError::Merge(format!("nobody answered under {variant}")))?;
            answers.records.push(record);
        }
    }
    if answers.timings.len() != answers.records.len() {
        answers.timings.clear();
    }
    Ok(answers)
}

/// The answer of one variant to one question of a group, called as in the joined study.
fn answer(source: &Source<'_>, theirs: &Answers, question: usize, variant: &str) -> Option<(Record, Option<Timing>)> {
    let name = source.names.get(variant)?;
    let there = source.folder.plan().variants();
    let place = question * there.len() + there.iter().position(|other| other == name)?;
    let mut record = theirs.records.get(place)?.clone();
    variant.clone_into(&mut record.acceleration);
    if !source.same_baseline {
        record.kl = None;
    }
    let timing = theirs.timings.get(place).map(|timing| Timing { acceleration: variant.to_owned(), ..timing.clone() });
    Some((record, timing))
}
