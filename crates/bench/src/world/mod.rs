//! A procedurally drawn world: seeded images, questions about them, and what every patch shows.
//!
//! An image is a [`Picture`]: one scene of 144x144 pixels, drawn from its split, its position in it, and a [`Level`].
//! Training reads pictures as a [`stream`]; the embedded benchmark is [`EmbeddedSuite`], drawn from the test split, whose
//! seeds no training image can have ([`Split`]). Everything is integer arithmetic on a ChaCha8 stream, so one position
//! gives the same bytes on every machine.

mod draw;
mod family;
mod glyphs;
mod labels;
mod palette;
mod phrasing;
mod scene;
mod seed;
pub mod stream;
mod suite;
mod written;

pub use draw::SIZE;
pub use family::{Level, SceneKind, TaskFamily};
pub use labels::{GRID, Labels, PATCH, PLANES, classes};
pub use seed::Split;
pub use suite::{EMBEDDED, EmbeddedSuite};
pub(crate) use written::{read, written};

use image::RgbImage;
use phrasing::Draft;
use scene::Scene;
use seed::Dice;
use suite::NAME;

/// Labels of the whole image, with their numbers of classes: the kind of scene, and how many objects, bars, arrows and
/// nodules there are (0 in scenes of another kind).
pub const IMAGE_LABELS: [(&str, usize); 5] = [("scene", 5), ("objects", 7), ("bars", 5), ("arrows", 6), ("nodules", 5)];

/// One image of the world with everything known about it.
pub struct Picture {
    /// `train-00012`: split and position.
    pub id: String,
    /// What it shows.
    pub kind: SceneKind,
    /// 144x144 pixels.
    pub image: RgbImage,
    /// What every patch shows.
    pub labels: Labels,
    /// Values of [`IMAGE_LABELS`].
    pub image_labels: [u8; IMAGE_LABELS.len()],
    scene: Scene,
    level: Level,
    index: u64,
}

impl Picture {
    /// The `position`-th picture of a split. Its kind is drawn among those that serve one of the families; an image is
    /// the same whenever split, position, level and the set of kinds are.
    pub fn draw(split: Split, position: u64, level: Level, families: &[TaskFamily]) -> Self {
        let index = split.index(position);
        let kind = kind_at(index, families);
        let scene = Scene::arrange(kind, level, &mut Dice::new("arrange", index));
        let canvas = scene.paint(&mut Dice::new("paint", index));
        let mut image_labels = [kind as u8, 0, 0, 0, 0];
        for (label, count) in image_labels[1..].iter_mut().zip(scene.counts()) {
            *label = count as u8;
        }
        Self { id: image_id(split, position), kind, image: canvas.image(), labels: Labels::of(&canvas), image_labels, scene, level, index }
    }

    /// Up to `count` different questions of the given families, with their answers.
    pub fn ask(&self, families: &[TaskFamily], count: usize) -> Vec<(TaskFamily, String, String)> {
        let drafts = self.questions(families, count);
        drafts.into_iter().map(|d| (d.family, d.words.text, d.answer)).collect()
    }

    /// Up to `count` different questions of the given families, the families in turn.
    pub(crate) fn questions(&self, families: &[TaskFamily], count: usize) -> Vec<Draft> {
        let mut dice = Dice::new("questions", self.index);
        let served: Vec<TaskFamily> = families.iter().copied().filter(|f| f.scene() == self.kind).collect();
        let order = dice.shuffled(&served);
        let mut asked: Vec<Draft> = Vec::new();
        // Few scenes have nothing more to ask; those give up after some draws without anything new.
        let mut tries = 12 * count;
        for &family in order.iter().cycle() {
            if asked.len() >= count || tries == 0 {
                break;
            }
            for _ in 0..4 {
                tries = tries.saturating_sub(1);
                let drafts = self.scene.ask(family, self.level, &mut dice);
                let new = |d: &Draft| !asked.iter().any(|a| a.family == d.family && a.words.key == d.words.key);
                if !drafts.is_empty() && drafts.iter().all(new) {
                    asked.extend(drafts);
                    break;
                }
            }
        }
        asked.truncate(count);
        asked
    }
}

/// Name of an image; [`EmbeddedSuite`] and the stream use the same.
fn image_id(split: Split, position: u64) -> String {
    format!("{}-{position:05}", split.name())
}

/// The kind of scene at a seed index, among those that serve one of the families.
fn kind_at(index: u64, families: &[TaskFamily]) -> SceneKind {
    let weights = SceneKind::ALL.map(|kind| {
        let served = families.iter().any(|f| f.scene() == kind);
        if served { kind.weight() } else { 0 }
    });
    SceneKind::ALL[Dice::new("kind", index).weighted(&weights)]
}
