//! One question about one image.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{OfficialScorer, world};

/// The form of the expected answer: all that a scorer goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// "yes" or "no".
    YesNo,
    /// A letter for one of the options.
    Choice {
        /// Texts of options A, B, C, ...
        options: Vec<String>,
    },
    /// A word or short phrase.
    Short,
    /// The same, or that the question has no answer, however that is said (VizWiz).
    ShortOrUnanswerable,
    /// A number in digits or as a word.
    Number,
    /// The same, off by no more than a share of the gold number, e.g. 0.05 (ChartQA's relaxed accuracy).
    NumberWithin {
        /// The share.
        tolerance: f64,
    },
    /// Whatever a published benchmark's own scorer takes.
    Official(OfficialScorer),
}

impl AnswerKind {
    /// What it is called in plans: the name it has in files of questions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::YesNo => "yes_no",
            Self::Choice { .. } => "choice",
            Self::Short => "short",
            Self::ShortOrUnanswerable => "short_or_unanswerable",
            Self::Number => "number",
            Self::NumberWithin { .. } => "number_within",
            Self::Official(scorer) => scorer.name(),
        }
    }
}

/// One question about one image, with its accepted answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Question {
    /// Unique and stable within the benchmark, e.g. `existence/00012-0`.
    pub id: String,
    /// Name of the benchmark.
    pub benchmark: String,
    /// Task family within the benchmark, e.g. `existence`.
    pub family: String,
    /// Image id; questions with the same one form a cluster for the statistics.
    pub image: String,
    /// What goes into the user turn, options included. What a model that does not know the form of the answers is told about it stands
    /// behind that ([`crate::PostPrompts`]).
    pub text: String,
    /// Accepted answers; the first is the one a model is trained to give. For [`AnswerKind::Choice`]: the letter.
    pub gold: Vec<String>,
    /// Form of the answer.
    pub kind: AnswerKind,
    /// How much it counts beside others, above 0; 1 where nobody said.
    #[serde(default = "steady_report::usual_weight", skip_serializing_if = "steady_report::is_usual_weight")]
    pub weight: f64,
}

// The fields as they are, but for what the embedded world's files have always left to its families.
impl Serialize for Question {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(&world::written(self.clone()), serializer)
    }
}

impl<'de> Deserialize<'de> for Question {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer).map(world::read)
    }
}
