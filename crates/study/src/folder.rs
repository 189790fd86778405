//! The run folder: plan, questions, record parts, timings, and the groups of the part in the making.
//!
//! ```text
//! plan.json                            the plan; a folder belongs to one plan for good
//! questions.json                       the questions asked, with gold answers
//! records/part-00000.parquet           append-only, each written whole or not at all
//! records/part-00000.parquet.sha256    its checksum; `sha256sum -c` reads it
//! timings/part-00000.jsonl             wall times, which no two runs share
//! journal/group-00000                  an answered group whose part is not whole yet
//! shard.json                           which shard of the plan's groups is answered here, where it is not all of them
//! shard-2-of-4/                        a folder of the same kind, which holds a shard until it is merged into this one
//! pass-2-of-3/                         one that holds some of the variants, where not all fit at once, until all are joined into this one
//! ```

mod journal;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steady_bench::Question;
use steady_records::plan::questions_sha256;
use steady_records::{Answers, CLEAN, Pairing, Placed, Plan, Record, Shard, Timing, Work};
use steady_report::Report;
use tempfile::NamedTempFile;

use crate::part::Part;
use crate::{StudyError, part};
pub(crate) use journal::Journal;

/// A folder that holds one study. While it is open for writing no other process can open it so.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    work: Work,
    shard: Shard,
    /// The numbers of the shard's groups, ascending. Parts are cut out of these.
    groups: Vec<usize>,
    /// Held for its lock; the system lets go of it however the process ends.
    _lock: Option<File>,
}

impl Folder {
    /// Opens `path` for running `plan`: creates it with the plan and questions in it, or checks that it holds exactly this plan.
    ///
    /// # Errors
    /// [`StudyError::Io`] if it cannot be written, [`StudyError::OtherPlan`] naming the fields if it belongs to another plan,
    /// [`StudyError::Busy`] if another process runs in it.
    pub fn create(path: &Path, plan: &Plan, questions: &[Question]) -> Result<Self, StudyError> {
        Self::create_shard(path, plan, questions, Shard::WHOLE)
    }

    /// Opens `path` for running a shard of `plan`, as [`Folder::create`] does for running all of it. Plan and questions in it are those of the whole study.
    ///
    /// # Errors
    /// As [`Folder::create`], and [`StudyError::OtherShard`] if the folder holds another shard.
    pub fn create_shard(path: &Path, plan: &Plan, questions: &[Question], shard: Shard) -> Result<Self, StudyError> {
        let work = Work::new(plan.clone(), questions.to_vec())?;
        fs::create_dir_all(path).map_err(StudyError::io(path, "cannot create the run folder"))?;
        let lock = lock(path)?;
        tidy(path)?;
        let plan_file = path.join("plan.json");
        if plan_file.exists() {
            let found = read_plan(&plan_file)?;
            let fields = found.differences(plan);
            if !fields.is_empty() {
                return Err(StudyError::OtherPlan { path: plan_file, fields });
            }
            let found = read_shard(path)?;
            if found != shard {
                return Err(StudyError::OtherShard { path: path.to_path_buf(), found, asked: shard });
            }
        } else if records_in(&path.join("records"))?.is_some() || path.join("journal").exists() {
            return Err(StudyError::broken(&plan_file, "is missing, but there are records that belong to it"));
        }
        for sub in ["records", "timings"] {
            let sub = path.join(sub);
            fs::create_dir_all(&sub).map_err(StudyError::io(&sub, "cannot create the folder"))?;
        }
        write_whole(&path.join("questions.json"), &json(path, &questions)?)?;
        if shard != Shard::WHOLE {
            write_whole(&path.join(SHARD), &json(path, &ShardFile { shard })?)?;
        }
        write_whole(&plan_file, &json(path, &plan.to_json()?)?)?;
        Ok(Self::of(path, work, shard, Some(lock)))
    }

    /// Opens a folder for reading what is recorded in it.
    ///
    /// # Errors
    /// [`StudyError::Io`] or [`StudyError::Broken`] naming the file.
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        let plan_file = path.join("plan.json");
        if !plan_file.exists() && !Self::shards_in(path)?.is_empty() {
            return Err(StudyError::broken(path, format!("holds shards that are not merged: `steady merge {}` does that", path.display())));
        }
        let plan = read_plan(&plan_file)?;
        plan.check()?;
        let questions_file = path.join("questions.json");
        let questions: Vec<Question> = read_json(&questions_file)?;
        if questions_sha256(&questions)? != plan.benchmark.questions_sha256 {
            return Err(StudyError::broken(&questions_file, "these are not the questions of the plan.json beside it"));
        }
        Ok(Self::of(path, Work::new(plan, questions)?, read_shard(path)?, None))
    }

    fn of(path: &Path, work: Work, shard: Shard, lock: Option<File>) -> Self {
        Self { path: path.to_path_buf(), groups: work.groups_of(shard), work, shard, _lock: lock }
    }

    /// Where in the folder of a study one of its shards goes.
    pub fn shard_in(study: &Path, shard: Shard) -> PathBuf {
        study.join(format!("{SHARD_FOLDER}{}-of-{}", shard.number(), shard.of()))
    }

    /// Where in the folder of a study one of several passes goes, counted from 1: some of its variants, where not all fit at once.
    pub fn pass_in(study: &Path, number: usize, of: usize) -> PathBuf {
        study.join(format!("{PASS_FOLDER}{number}-of-{of}"))
    }

    /// Removes passes whose answers are here by now.
    ///
    /// # Errors
    /// [`StudyError::Io`] naming the folder.
    pub fn forget_passes(&self) -> Result<(), StudyError> {
        let entries = fs::read_dir(&self.path).map_err(StudyError::io(&self.path, "cannot list the passes"))?;
        for path in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PASS_FOLDER)).map(|entry| entry.path())
        {
            fs::remove_dir_all(&path).map_err(StudyError::io(&path, "cannot remove a pass whose answers are joined"))?;
        }
        Ok(())
    }

    /// Whether everything that belongs here is in record parts.
    ///
    /// # Errors
    /// [`StudyError::Io`] if they cannot be listed.
    pub fn is_complete(&self) -> Result<bool, StudyError> {
        Ok(self.part_indices()?.len() == self.parts().len())
    }

    /// Removes what killed processes left half-written, and says so. What a living one is writing stays.
    ///
    /// # Errors
    /// [`StudyError::Io`] naming the file.
    pub fn tidy(&self) -> Result<(), StudyError> {
        tidy(&self.path)
    }

    /// The folders in `study` that are called as [`Folder::shard_in`] calls them and hold a plan, in the order of their shards; none where there is no
    /// such folder.
    ///
    /// # Errors
    /// [`StudyError::Io`] if it cannot be listed.
    pub fn shards_in(study: &Path) -> Result<Vec<PathBuf>, StudyError> {
        let entries = match fs::read_dir(study) {
            Ok(entries) => entries,
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(Vec::new()),
            Err(error) => return Err(StudyError::io(study, "cannot list the shards")(error)),
        };
        let mut shards = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(StudyError::io(study, "cannot list the shards"))?;
            let name = entry.file_name().to_string_lossy().replace("-of-", "/");
            let shard = name.strip_prefix(SHARD_FOLDER).and_then(|shard| shard.parse::<Shard>().ok());
            if let Some(shard) = shard.filter(|_| entry.path().join("plan.json").exists()) {
                shards.insert(shard, entry.path());
            }
        }
        Ok(shards.into_values().collect())
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan it belongs to.
    pub fn plan(&self) -> &Plan {
        self.work.plan()
    }

    /// The questions asked, in order.
    pub fn questions(&self) -> &[Question] {
        self.work.questions()
    }

    /// Which part of the study it holds.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// The numbers of the groups of each part, in order.
    pub(crate) fn parts(&self) -> impl ExactSizeIterator<Item = &[usize]> {
        self.groups.chunks(self.plan().groups_per_part)
    }

    /// Answers that belong here, recorded or not.
    pub fn total(&self) -> usize {
        self.work.count(&self.groups)
    }

    /// The part that a group belongs into.
    pub(crate) fn part_of(&self, group: usize) -> Result<usize, StudyError> {
        let place = self
            .groups
            .binary_search(&group)
            .map_err(|_| StudyError::broken(&self.journal().file(group), format!("is none of the groups of shard {}", self.shard)))?;
        Ok(place / self.plan().groups_per_part)
    }

    /// All records so far, in order, those of the part in the making included.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part or group.
    pub fn records(&self) -> Result<Vec<Record>, StudyError> {
        let mut records = Vec::new();
        self.each_record(|record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// All wall times so far; they are extra, so parts without any are passed over.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged file.
    pub fn timings(&self) -> Result<Vec<Timing>, StudyError> {
        let mut timings = Vec::new();
        self.each(
            |part| self.read_timings(part),
            |group| group.timings,
            |timing| {
                timings.push(timing);
                Ok(())
            },
        )?;
        Ok(timings)
    }

    /// Hands over the records so far, one by one and in order. Few of them are held at a time.
    fn each_record(&self, taker: impl FnMut(Record) -> Result<(), StudyError>) -> Result<(), StudyError> {
        self.each(|part| self.read_part(part), |group| group.records, taker)
    }

    /// Hands over what there is of something in the order of the groups: out of the parts, and out of the groups that are in none.
    fn each<T: Send>(
        &self,
        of_part: impl Fn(usize) -> Result<Vec<T>, StudyError> + Sync,
        of_group: impl Fn(Answers) -> Vec<T> + Sync,
        mut taker: impl FnMut(T) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let read = |found: Found| match found {
            Found::Part(part) => of_part(part),
            Found::Group(group) => self.journal().read(group).map(&of_group),
        };
        for some in self.found()?.chunks(READ_AT_A_TIME) {
            for of_file in side_by_side(some, read) {
                of_file?.into_iter().try_for_each(&mut taker)?;
            }
        }
        Ok(())
    }

    /// What is recorded, in the order of the groups.
    pub(crate) fn found(&self) -> Result<Vec<Found>, StudyError> {
        // The journal first: whoever writes meanwhile may turn it into a part.
        let (groups, parts) = (self.journal().groups()?, self.part_indices()?);
        let per_part = self.plan().groups_per_part;
        let mut found: BTreeMap<usize, Found> = BTreeMap::new();
        for part in &parts {
            let first = self.groups.get(part * per_part).ok_or_else(|| self.no_such_part(*part))?;
            found.insert(*first, Found::Part(*part));
        }
        for group in groups {
            if parts.binary_search(&self.part_of(group)?).is_err() {
                found.insert(group, Found::Group(group));
            }
        }
        Ok(found.into_values().collect())
    }

    pub(crate) fn no_such_part(&self, part: usize) -> StudyError {
        StudyError::broken(&self.part_path(part), format!("the plan has only {} parts", self.parts().len()))
    }

    /// The report of a finished run. Wall times stay out of it, so that the same plan gives the same report.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part, or [`StudyError::Records`] if answers are missing.
    pub fn report(&self) -> Result<Report, StudyError> {
        Ok(self.pairing()?.report()?)
    }

    /// The answers of a run on their way into a report.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part.
    pub fn pairing(&self) -> Result<Pairing<'_>, StudyError> {
        self.is_whole()?;
        let mut pairing = Pairing::new(self.plan(), self.questions())?;
        for some in self.found()?.chunks(READ_AT_A_TIME) {
            for placed in side_by_side(some, |found| self.placed(found, &pairing)) {
                placed?.into_iter().for_each(|placed| pairing.put(placed));
            }
        }
        Ok(pairing)
    }

    /// The answers in one file, scored.
    fn placed(&self, found: Found, pairing: &Pairing<'_>) -> Result<Vec<Placed>, StudyError> {
        let mut placed = Vec::new();
        match found {
            Found::Part(index) => {
                let (path, checksum) = (self.part_path(index), self.checksum_path(index));
                let part = Part { path: &path, checksum: &checksum, plan_sha256: self.work.sha256() };
                part.each_answered(|answered| placed.extend(pairing.place(answered)))?;
            }
            Found::Group(group) => {
                let answers = self.journal().read(group)?;
                placed.extend(answers.records.iter().filter_map(|record| pairing.place(&record.into())));
            }
        }
        Ok(placed)
    }

    /// Checks that it holds a study and no shard of one, of which there is no report.
    ///
    /// # Errors
    /// [`StudyError::Broken`] saying what to do.
    pub fn is_whole(&self) -> Result<(), StudyError> {
        if self.shard == Shard::WHOLE {
            return Ok(());
        }
        let what = format!("holds shard {} of a study; `steady merge` puts the shards together, and then there is a report", self.shard);
        Err(StudyError::broken(&self.path, what))
    }

    /// Seconds that all answers about clean images took together, by acceleration, for [`Report::timed`].
    ///
    /// # Errors
    /// As [`Folder::timings`].
    pub fn seconds(&self) -> Result<HashMap<String, f64>, StudyError> {
        let mut seconds: HashMap<String, f64> = HashMap::new();
        let clean = |timing: Timing| {
            if timing.perturbation == CLEAN {
                *seconds.entry(timing.acceleration).or_default() += timing.wall_ms / 1e3;
            }
            Ok(())
        };
        self.each(|part| self.read_timings(part), |group| group.timings, clean)?;
        Ok(seconds)
    }

    /// Writes all records as JSON lines.
    ///
    /// # Errors
    /// [`StudyError::Broken`] naming a damaged part, [`StudyError::Io`] if `out` cannot be written.
    pub fn export_jsonl(&self, out: &mut dyn Write) -> Result<(), StudyError> {
        self.each_record(|record| {
            let line = serde_json::to_string(&record).map_err(|e| StudyError::broken(&self.path, e))?;
            writeln!(out, "{line}").map_err(StudyError::io(&self.path, "cannot export the records"))
        })
    }

    /// Writes a file of the run (a report, say) whole or not at all.
    ///
    /// # Errors
    /// [`StudyError::Io`] naming the file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StudyError> {
        self.write_by(name, |out| out.write_all(bytes))
    }

    /// The same of a file that is too large to be held: `writer` is given where to write.
    ///
    /// # Errors
    /// [`StudyError::Io`] naming the file, also of what `writer` says.
    pub fn write_by(&self, name: &str, writer: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<PathBuf, StudyError> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(StudyError::io(folder, "cannot create the folder"))?;
        }
        write_whole_by(&path, writer)?;
        Ok(path)
    }

    /// Indices of the parts there are, ascending. What is being written, or was when its process was killed, is passed over.
    pub(crate) fn part_indices(&self) -> Result<Vec<usize>, StudyError> {
        Ok(records_in(&self.path.join("records"))?.unwrap_or_default())
    }

    pub(crate) fn read_part(&self, index: usize) -> Result<Vec<Record>, StudyError> {
        let (path, checksum) = (self.part_path(index), self.checksum_path(index));
        Part { path: &path, checksum: &checksum, plan_sha256: self.work.sha256() }.records()
    }

    /// A part's records, which are those that the plan puts there.
    pub(crate) fn whole_part(&self, index: usize) -> Result<Vec<Record>, StudyError> {
        let part = self.parts().nth(index).ok_or_else(|| self.no_such_part(index))?;
        let records = self.read_part(index)?;
        if self.work.holds(part, &records) {
            return Ok(records);
        }
        Err(StudyError::broken(&self.part_path(index), "does not hold the questions and accelerations that the plan puts there"))
    }

    /// A part's answers, by the numbers of their groups. Wall times are extra, and left out where there is not one of each answer.
    pub(crate) fn part_by_group(&self, index: usize) -> Result<BTreeMap<usize, Answers>, StudyError> {
        let (records, mut timings) = (self.whole_part(index)?, self.read_timings(index)?);
        if timings.len() != records.len() {
            timings.clear();
        }
        let (mut records, mut timings) = (records.into_iter(), timings.into_iter());
        let part = self.parts().nth(index).unwrap_or_default();
        let of_group = |&group: &usize| {
            let count = self.work.count(&[group]);
            (group, Answers { records: records.by_ref().take(count).collect(), timings: timings.by_ref().take(count).collect() })
        };
        Ok(part.iter().map(of_group).collect())
    }

    fn read_timings(&self, index: usize) -> Result<Vec<Timing>, StudyError> {
        let path = self.timing_path(index);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(Vec::new()) };
        text.lines().map(|line| serde_json::from_str(line).map_err(|e| StudyError::broken(&path, e))).collect()
    }

    /// The groups of the part in the making.
    pub(crate) fn journal(&self) -> Journal<'_> {
        Journal { path: self.path.join("journal"), work: &self.work }
    }

    /// Commits a part. What goes with it is written first, so that a part that exists is complete.
    pub(crate) fn write_part(&self, index: usize, records: &[Record], timings: &[Timing]) -> Result<(), StudyError> {
        let mut lines = Vec::new();
        for timing in timings {
            lines.extend(serde_json::to_vec(timing).map_err(|e| StudyError::broken(&self.timing_path(index), e))?);
            lines.push(b'\n');
        }
        write_whole(&self.timing_path(index), &lines)?;
        let path = self.part_path(index);
        let bytes = part::encode(&path, self.work.sha256(), records)?;
        write_whole(&self.checksum_path(index), part::checksum(&path, &bytes).as_bytes())?;
        write_whole(&path, &bytes)
    }

    pub(crate) fn part_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("records/part-{index:05}.parquet"))
    }

    fn checksum_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("records/part-{index:05}.parquet.sha256"))
    }

    fn timing_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("timings/part-{index:05}.jsonl"))
    }
}

/// Files of records that are read side by side.
const READ_AT_A_TIME: usize = 64;

fn side_by_side<T: Send>(found: &[Found], read: impl Fn(Found) -> Result<T, StudyError> + Sync) -> Vec<Result<T, StudyError>> {
    found.par_iter().map(|found| read(*found)).collect()
}

/// What is recorded in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// A part, by its index.
    Part(usize),
    /// A group of the journal, by its number.
    Group(usize),
}

/// Where a folder says which shard it holds.
const SHARD: &str = "shard.json";

/// What the name of a shard's folder begins with.
const SHARD_FOLDER: &str = "shard-";

/// What the name of a pass's folder begins with.
const PASS_FOLDER: &str = "pass-";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardFile {
    shard: Shard,
}

fn read_shard(path: &Path) -> Result<Shard, StudyError> {
    let file = path.join(SHARD);
    if file.exists() { Ok(read_json::<ShardFile>(&file)?.shard) } else { Ok(Shard::WHOLE) }
}

/// Part indices in a records folder, `None` if there are none at all.
fn records_in(folder: &Path) -> Result<Option<Vec<usize>>, StudyError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StudyError::io(folder, "cannot list the records")(error)),
    };
    let mut indices = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StudyError::io(folder, "cannot list the records"))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // What is being written, checksums, and what desktops and file servers leave behind.
        if name.ends_with(UNFINISHED) || name.ends_with(".sha256") || name.starts_with('.') {
            continue;
        }
        let index = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet")).and_then(|digits| digits.parse().ok());
        indices
            .push(index.ok_or_else(|| StudyError::broken(&entry.path(), "is not a record part; expected names like part-00000.parquet"))?);
    }
    indices.sort_unstable();
    Ok((!indices.is_empty()).then_some(indices))
}

fn lock(path: &Path) -> Result<File, StudyError> {
    let file = path.join(".lock");
    let handle = File::create(&file).map_err(StudyError::io(&file, "cannot write into the run folder"))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => Err(StudyError::Busy { path: path.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StudyError::io(&file, "cannot lock the run folder")(error)),
    }
}

/// Ending of a file that is still being written, or whose writer was killed.
const UNFINISHED: &str = ".unfinished";

/// Writes beside the target, waits for the disk, then renames: readers see the whole file or none of it. Each writer has a file of its own, so that of
/// two that write at once the later one wins, whole.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    write_whole_by(path, |out| out.write_all(bytes))
}

fn write_whole_by(path: &Path, writer: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), StudyError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let mut file = claimed(&name, folder).map_err(StudyError::io(path, "cannot create the file"))?;
    let mut buffered = BufWriter::new(&mut file);
    let written = writer(&mut buffered).and_then(|()| buffered.flush());
    drop(buffered);
    written.and_then(|()| file.as_file().sync_all()).map_err(StudyError::io(file.path(), "cannot write the file"))?;
    file.persist(path).map_err(|refused| StudyError::io(path, "cannot put the finished file in place")(refused.error))?;
    // The rename itself is on disk only once the folder is; not every system can open one, and then there is nothing to wait for.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().map_err(StudyError::io(path, "cannot put the finished file in place"))?;
    }
    Ok(())
}

/// A new file that is locked as long as its writer lives, by which [`tidy`] knows that it is being written.
fn claimed(name: &OsStr, folder: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let file = unfinished(name).tempfile_in(folder)?;
        file.as_file().lock()?;
        // Somebody may have tidied before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes the half-written files of dead processes from a run folder. A file that can be locked has no living writer.
fn tidy(path: &Path) -> Result<(), StudyError> {
    for folder in ["", "records", "timings", "journal", steady_report::PICTURES].map(|inside| path.join(inside)) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(UNFINISHED)).map(|entry| entry.path()) {
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                tracing::warn!("{}: left half-written by an interrupted run; what is lost is made again", path.display());
                fs::remove_file(&path).map_err(StudyError::io(&path, "cannot remove a half-written file"))?;
            }
        }
    }
    Ok(())
}

/// A file of any name between this one and [`UNFINISHED`], readable by whoever may read new files.
fn unfinished(name: &OsStr) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).suffix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, StudyError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| StudyError::broken(path, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StudyError> {
    let bytes = fs::read(path).map_err(StudyError::io(path, "cannot read the file of the run"))?;
    serde_json::from_slice(&bytes).map_err(|e| StudyError::broken(path, e))
}

fn read_plan(path: &Path) -> Result<Plan, StudyError> {
    let bytes = fs::read(path).map_err(StudyError::io(path, "cannot read the file of the run"))?;
    Plan::from_json(&bytes).map_err(|e| StudyError::broken(path, e))
}
