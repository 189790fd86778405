//! The ten task families, the kinds of scene that serve them, and how hard a scene is.

use crate::BenchError;
use std::str::FromStr;

/// A task family, named after the kind of public benchmark that it mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskFamily {
    /// Is it there? (POPE)
    Existence,
    /// Two opposite yes/no questions about one object. (MME)
    Pairs,
    /// Composed short-answer questions. (GQA)
    Compose,
    /// Words and numbers on signs. (TextVQA)
    Reading,
    /// How many? (VQAv2)
    Counting,
    /// Lettered options. (MMBench)
    Choice,
    /// Bar charts. (ChartQA)
    Chart,
    /// Nodes and arrows. (AI2D)
    Diagram,
    /// Questions that may have no answer. (VizWiz)
    Unanswerable,
    /// Findings in a grey-level scan. (VQA-RAD)
    Scan,
}

impl TaskFamily {
    /// All families, in the order of every table.
    pub const ALL: [Self; 10] = [
        Self::Existence,
        Self::Pairs,
        Self::Compose,
        Self::Reading,
        Self::Counting,
        Self::Choice,
        Self::Chart,
        Self::Diagram,
        Self::Unanswerable,
        Self::Scan,
    ];

    /// Identifier, as in question ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Existence => "existence",
            Self::Pairs => "pairs",
            Self::Compose => "compose",
            Self::Reading => "reading",
            Self::Counting => "counting",
            Self::Choice => "choice",
            Self::Chart => "chart",
            Self::Diagram => "diagram",
            Self::Unanswerable => "unanswerable",
            Self::Scan => "scan",
        }
    }

    /// The kind of scene that serves the family.
    pub fn scene(self) -> SceneKind {
        match self {
            Self::Existence | Self::Pairs | Self::Compose | Self::Counting | Self::Choice | Self::Unanswerable => SceneKind::Objects,
            Self::Reading => SceneKind::Sign,
            Self::Chart => SceneKind::Chart,
            Self::Diagram => SceneKind::Diagram,
            Self::Scan => SceneKind::Scan,
        }
    }
}

impl FromStr for TaskFamily {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| BenchError::UnknownName {
            what: "family",
            found: name.into(),
            expected: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// What an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SceneKind {
    /// Coloured shapes on a pale ground.
    Objects,
    /// Plates with a printed word or number.
    Sign,
    /// A bar chart.
    Chart,
    /// Discs joined by arrows.
    Diagram,
    /// A grey-level scan with findings.
    Scan,
}

impl SceneKind {
    /// All kinds, in the order of the `scene` image label.
    pub const ALL: [Self; 5] = [Self::Objects, Self::Sign, Self::Chart, Self::Diagram, Self::Scan];

    /// Identifier.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Sign => "sign",
            Self::Chart => "chart",
            Self::Diagram => "diagram",
            Self::Scan => "scan",
        }
    }

    /// Relative frequency in the stream: six of the ten families live on the objects scene.
    pub(crate) fn weight(self) -> usize {
        match self {
            Self::Objects => 52,
            _ => 12,
        }
    }
}

/// Step of the training curriculum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Few large objects, the plainest questions.
    Easy,
    /// Some small objects, most questions.
    Middle,
    /// The real distribution, the one tests are drawn from.
    Full,
}

impl FromStr for Level {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        match name {
            "0" => Ok(Self::Easy),
            "1" => Ok(Self::Middle),
            "2" => Ok(Self::Full),
            _ => Err(BenchError::UnknownName { what: "level", found: name.into(), expected: "0, 1, 2".into() }),
        }
    }
}
