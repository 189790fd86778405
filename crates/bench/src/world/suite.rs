//! The benchmark that needs no download: questions about pictures of the test split.

use super::{
    Level, Picture, SceneKind, Split, TaskFamily,
    draw::SIZE,
    image_id, kind_at,
    phrasing::{Draft, UNANSWERABLE},
    scene::Scene,
    seed::Dice,
    written,
};
use crate::{AnswerKind, BenchError, Benchmark, BenchmarkRow, Origin, Question};
use data_encoding::HEXLOWER;
use image::RgbImage;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Name of the benchmark.
pub(super) const NAME: &str = "steady-world";

/// The embedded suite among the benchmarks.
pub const EMBEDDED: BenchmarkRow = BenchmarkRow {
    name: "embedded",
    title: NAME,
    what: "The drawn world with its ten task families",
    questions: "any number",
    origin: Origin::Drawn(|questions, families| {
        let chosen = families.iter().map(|name| name.parse()).collect::<Result<BTreeSet<TaskFamily>, _>>()?;
        let kinds = if chosen.is_empty() { TaskFamily::ALL.len() } else { chosen.len() };
        Ok(Box::new(EmbeddedSuite::test(questions.div_ceil(kinds))))
    }),
};

/// The embedded suite: the same number of questions from each of the ten families.
///
/// Questions come in rounds of ten, one per family in the order of [`TaskFamily::ALL`], so a smaller suite is the beginning of
/// a larger one. An objects picture serves one question of each of its six families (pairs: two, on every second
/// picture), a sign up to two questions, the other kinds up to four; questions about one picture share
/// [`Question::image`].
pub struct EmbeddedSuite {
    split: Split,
    questions: Vec<Question>,
    /// Image ids with their positions in the split.
    images: BTreeMap<String, u64>,
}

impl EmbeddedSuite {
    /// The test suite with `per_family` questions in each family.
    pub fn test(per_family: usize) -> Self {
        Self::of(Split::Test, per_family)
    }

    /// `count` questions about pictures that no test asks about, drawn in the same way: what quantizers calibrate with.
    pub fn calibration(count: usize) -> Self {
        let mut suite = Self::of(Split::Train, count.div_ceil(TaskFamily::ALL.len()));
        suite.questions.truncate(count);
        suite
    }

    fn of(split: Split, per_family: usize) -> Self {
        let mut gallery = Gallery { split, found: Default::default(), walked: 0 };
        let mut columns = TaskFamily::ALL.map(|family| Column::new(split, family));
        let mut suite = Self { split, questions: Vec::new(), images: BTreeMap::new() };
        for _ in 0..per_family {
            for column in &mut columns {
                let (position, question) = column.next(&mut gallery);
                suite.images.insert(question.image.clone(), position);
                suite.questions.push(question);
            }
        }
        suite
    }

    /// Where in its split the image with this id is.
    fn position(&self, id: &str) -> Result<u64, BenchError> {
        self.images.get(id).copied().ok_or_else(|| BenchError::UnknownImage {
            benchmark: NAME.into(),
            image: id.into(),
            expected: "an image id of one of the suite's questions, like test-00012",
        })
    }

    /// Ids of the images in order of first use, with their positions in the split.
    pub(crate) fn images(&self) -> Vec<(&str, u64)> {
        let mut seen = BTreeSet::new();
        let used = self.questions.iter().map(|q| q.image.as_str()).filter(|id| seen.insert(*id));
        used.map(|id| (id, self.images[id])).collect()
    }
}

/// Positions in a split by kind of scene, found by walking the split.
struct Gallery {
    split: Split,
    found: [Vec<u64>; SceneKind::ALL.len()],
    walked: u64,
}

impl Gallery {
    /// Position of the `n`-th picture of a kind.
    fn position(&mut self, kind: SceneKind, n: usize) -> u64 {
        while self.found[kind as usize].len() <= n {
            let here = kind_at(self.split.index(self.walked), &TaskFamily::ALL);
            self.found[here as usize].push(self.walked);
            self.walked += 1;
        }
        self.found[kind as usize][n]
    }
}

/// The questions of one family, in order.
struct Column {
    split: Split,
    family: TaskFamily,
    /// Number of the next picture among those of the family's kind.
    next_picture: usize,
    /// Position of the current picture, and its questions that are still to be handed out.
    pending: VecDeque<(u64, String, Draft)>,
    /// How often each answer was used; see [`Column::rarer`].
    used: BTreeMap<String, usize>,
}

impl Column {
    fn new(split: Split, family: TaskFamily) -> Self {
        Self { split, family, next_picture: 0, pending: VecDeque::new(), used: BTreeMap::new() }
    }

    fn next(&mut self, gallery: &mut Gallery) -> (u64, Question) {
        loop {
            if let Some((position, id, draft)) = self.pending.pop_front() {
                let question = Question {
                    id,
                    benchmark: NAME.into(),
                    family: self.family.name().into(),
                    image: image_id(self.split, position),
                    text: draft.words.text,
                    gold: vec![draft.answer],
                    kind: written::kind(self.family, draft.kind),
                    weight: 1.0,
                };
                return (position, question);
            }
            let position = gallery.position(self.family.scene(), self.next_picture);
            // A pair takes two rounds, so it skips a picture to stay beside the other families.
            self.next_picture += if self.family == TaskFamily::Pairs { 2 } else { 1 };
            let drafts = self.about(position);
            let ids = (0..).map(|k| format!("{}/{position:05}-{k}", self.family.name()));
            self.pending = ids.zip(drafts).map(|(id, draft)| (position, id, draft)).collect();
        }
    }

    /// The suite's questions about one picture.
    fn about(&mut self, position: u64) -> Vec<Draft> {
        let index = self.split.index(position);
        let scene = Scene::arrange(self.family.scene(), Level::Full, &mut Dice::new("arrange", index));
        let mut dice = Dice::new(&format!("suite/{}", self.family.name()), index);
        let wanted = match self.family {
            TaskFamily::Pairs | TaskFamily::Reading => 2,
            TaskFamily::Chart | TaskFamily::Diagram | TaskFamily::Scan => 4,
            _ => 1,
        };
        let mut asked: Vec<Draft> = Vec::new();
        while asked.len() < wanted {
            // Most draws succeed; a scene that gives nothing new in this many is exhausted.
            let mut candidates: Vec<Vec<Draft>> = Vec::new();
            for _ in 0..60 {
                let drafts = scene.ask(self.family, Level::Full, &mut dice);
                let new = |d: &Draft| !asked.iter().any(|a| a.words.key == d.words.key);
                if !drafts.is_empty() && drafts.iter().all(new) {
                    candidates.push(drafts);
                }
                if candidates.len() == 2 {
                    break;
                }
            }
            let Some(drafts) = self.rarer(candidates) else { break };
            for draft in drafts {
                *self.used.entry(bucket(&draft).to_owned()).or_default() += 1;
                asked.push(draft);
            }
        }
        asked
    }

    /// Of two candidates with answers of the same kind, the one whose answer was used less so far; else the first. Free
    /// answers are told apart only as "unanswerable" or not.
    fn rarer(&self, candidates: Vec<Vec<Draft>>) -> Option<Vec<Draft>> {
        let used = |draft: &Draft| self.used.get(bucket(draft)).copied().unwrap_or(0);
        candidates.into_iter().reduce(|first, second| {
            let (a, b) = (&first[0], &second[0]);
            let alike = std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind);
            if alike && used(b) < used(a) { second } else { first }
        })
    }
}

/// Answers that are balanced against each other.
fn bucket(draft: &Draft) -> &str {
    match draft.kind {
        AnswerKind::Short if draft.answer != UNANSWERABLE => "answered",
        _ => &draft.answer,
    }
}

impl Benchmark for EmbeddedSuite {
    fn name(&self) -> &str {
        NAME
    }

    fn questions(&self) -> &[Question] {
        &self.questions
    }

    fn image(&self, id: &str) -> Result<RgbImage, BenchError> {
        Ok(Picture::draw(self.split, self.position(id)?, Level::Full, &TaskFamily::ALL).image)
    }

    /// One size for all.
    fn sizes(&self, id: &str) -> Result<Vec<(u32, u32)>, BenchError> {
        self.position(id).map(|_| vec![(SIZE as u32, SIZE as u32)])
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for question in &self.questions {
            // Lengths before texts, so that no two suites give the same bytes.
            let options: &[String] = match &question.kind {
                AnswerKind::Choice { options } => options,
                _ => &[],
            };
            for text in [&question.id, &question.image, &question.text].into_iter().chain(&question.gold).chain(options) {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        for (id, position) in self.images() {
            hash.update(id);
            hash.update(Picture::draw(self.split, position, Level::Full, &TaskFamily::ALL).image.as_raw());
        }
        HEXLOWER.encode(&hash.finalize())
    }
}
