//! Reading a run folder group by group, to put several together.

use std::collections::BTreeMap;
use std::path::Path;

use steady_records::{Answers, Record};

use crate::folder::Found;
use crate::{Folder, StudyError};

/// The groups of one source, a file at a time.
pub(crate) struct Reader<'a> {
    folder: &'a Folder,
    /// Where each group is.
    places: BTreeMap<usize, Found>,
    /// The part that was read last, without the groups that were taken.
    part: Option<(usize, BTreeMap<usize, Answers>)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(folder: &'a Folder) -> Result<Self, StudyError> {
        let parts: Vec<&[usize]> = folder.parts().collect();
        let mut places = BTreeMap::new();
        for found in folder.found()? {
            match found {
                Found::Part(part) => places.extend(parts[part].iter().map(|&group| (group, found))),
                Found::Group(group) => drop(places.insert(group, found)),
            }
        }
        Ok(Self { folder, places, part: None })
    }

    /// Whether it has a group.
    pub(crate) fn has(&self, group: usize) -> bool {
        self.places.contains_key(&group)
    }

    /// Where it reads.
    pub(crate) fn path(&self) -> &'a Path {
        self.folder.path()
    }

    /// A group's answers; groups are asked for in ascending order, and each once.
    pub(crate) fn take(&mut self, group: usize) -> Result<Option<Answers>, StudyError> {
        let index = match self.places.get(&group) {
            None => return Ok(None),
            Some(Found::Group(group)) => return self.folder.journal().read(*group).map(Some),
            Some(Found::Part(part)) => *part,
        };
        let (_, groups) = match &mut self.part {
            Some(read) if read.0 == index => read,
            other => other.insert((index, self.folder.part_by_group(index)?)),
        };
        Ok(groups.remove(&group))
    }
}

/// Two folders that should agree and do not.
pub(crate) fn contradiction((here, one): (&Path, &Record), (there, other): (&Path, &Record)) -> StudyError {
    let Record { question, acceleration, perturbation, .. } = one;
    let said = |record: &Record| {
        if one.answer == other.answer {
            record.margin.map_or_else(|| "no lead".to_owned(), |margin| format!("lead {margin}"))
        } else {
            format!("{:?}", record.answer)
        }
    };
    StudyError::Merge(format!(
        "question {question}, acceleration {acceleration}, perturbation {perturbation} is answered twice, and not alike: {} in {}, {} in {}. One plan on \
         one device gives the same answers; find out which folder is right and leave the other out",
        said(one),
        here.display(),
        said(other),
        there.display()
    ))
}
