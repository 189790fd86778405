//! What an image shows, and what can be asked about it.

mod chart;
mod diagram;
mod objects;
mod scan;
mod sign;

use super::{
    draw::Canvas,
    family::{Level, SceneKind, TaskFamily},
    phrasing::Draft,
    seed::Dice,
};

/// A scene of one of the five kinds.
#[derive(Clone, Debug)]
pub(crate) enum Scene {
    Objects(objects::Objects),
    Sign(sign::Sign),
    Chart(chart::Chart),
    Diagram(diagram::Diagram),
    Scan(scan::Scan),
}

impl Scene {
    /// Draws what there is and where.
    pub(crate) fn arrange(kind: SceneKind, level: Level, dice: &mut Dice) -> Self {
        match kind {
            SceneKind::Objects => Self::Objects(objects::Objects::arrange(level, dice)),
            SceneKind::Sign => Self::Sign(sign::Sign::arrange(level, dice)),
            SceneKind::Chart => Self::Chart(chart::Chart::arrange(level, dice)),
            SceneKind::Diagram => Self::Diagram(diagram::Diagram::arrange(level, dice)),
            SceneKind::Scan => Self::Scan(scan::Scan::arrange(level, dice)),
        }
    }

    /// Paints it; the dice decide shades and noise only.
    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        match self {
            Self::Objects(scene) => scene.paint(dice),
            Self::Sign(scene) => scene.paint(dice),
            Self::Chart(scene) => scene.paint(dice),
            Self::Diagram(scene) => scene.paint(dice),
            Self::Scan(scene) => scene.paint(dice),
        }
    }

    /// One question of a family (a pair of them for [`TaskFamily::Pairs`]); none if this draw led nowhere, then draw again.
    pub(crate) fn ask(&self, family: TaskFamily, level: Level, dice: &mut Dice) -> Vec<Draft> {
        let draft = match (self, family) {
            (Self::Objects(scene), _) => return scene.ask(family, level, dice),
            (Self::Sign(scene), TaskFamily::Reading) => scene.ask(level, dice),
            (Self::Chart(scene), TaskFamily::Chart) => scene.ask(level, dice),
            (Self::Diagram(scene), TaskFamily::Diagram) => scene.ask(level, dice),
            (Self::Scan(scene), TaskFamily::Scan) => scene.ask(level, dice),
            _ => None,
        };
        draft.into_iter().collect()
    }

    /// Counts worth knowing about the whole image, in the order of [`super::IMAGE_LABELS`] after the scene kind.
    pub(crate) fn counts(&self) -> [usize; 4] {
        match self {
            Self::Objects(scene) => [scene.items.len(), 0, 0, 0],
            Self::Sign(_) => [0; 4],
            Self::Chart(scene) => [0, scene.bars.len(), 0, 0],
            Self::Diagram(scene) => [0, 0, scene.arrows(), 0],
            Self::Scan(scene) => [0, 0, 0, scene.nodules.len()],
        }
    }
}
