//! What quantizers calibrate with: questions that no study asks.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use steady_accel::{AccelError, Acceleration, Found, KeptLayers, Reconstruction, Samples, reconstruction};
use steady_bench::{Benchmark, PostPrompts, Question, select, world::EmbeddedSuite};
use steady_vlm::{Prepared, Vlm};

/// What quantizers calibrate with, and reducers are searched for with: questions that the study does not ask, posed as it poses its own.
#[derive(Clone, Copy, Default)]
pub struct CalibrateWith<'a> {
    /// Where they come from.
    pub questions: CalibrationQuestions<'a>,
    /// What is put behind them; nothing where there is none.
    pub post_prompts: Option<&'a PostPrompts>,
    /// Where what quantizers made of them is kept, if it is.
    pub kept: Option<&'a dyn KeptLayers>,
}

/// Where the questions come from.
#[derive(Clone, Copy, Default)]
pub enum CalibrationQuestions<'a> {
    /// The embedded world's training half, which no study asks.
    #[default]
    Embedded,
    /// A benchmark, which the study is not to ask: families take turns, and within one the order is that of the hashes of the questions' ids.
    Benchmark(&'a dyn Benchmark),
}

/// The model under an acceleration, as a study has it: a quantizer that calibrates does so with questions of `with`. `None` when the weights do not change.
///
/// # Errors
/// As [`Acceleration::quantize_seeing`].
pub async fn quantize(acceleration: &Acceleration, model: &Vlm, with: CalibrateWith<'_>) -> Result<Option<Vlm>, AccelError> {
    match acceleration.calibrates_with(model)? {
        0 => acceleration.quantize(model).await,
        count => acceleration.quantize_seeing(model, Some(&CalibrationSet::of(with, count, model))).await,
    }
}

/// The acceleration with the reducer that it searches for, and what the search came to: on `model`, whose weights are what they are to be, with questions of
/// `with`. `None` where nothing is searched for.
///
/// # Errors
/// As [`Acceleration::searched`].
pub async fn search(
    acceleration: &Acceleration,
    model: &Vlm,
    with: CalibrateWith<'_>,
) -> Result<Option<(Acceleration, Found)>, AccelError> {
    match acceleration.searches_with() {
        0 => Ok(None),
        count => acceleration.searched(model, &CalibrationSet::of(with, count, model)).await,
    }
}

/// How far the outputs of the layers of `packed`, which was made of `model`, are from those in float, for `count` questions of `with`.
///
/// # Errors
/// As [`reconstruction`].
pub async fn reconstruct(model: &Vlm, packed: &Vlm, with: CalibrateWith<'_>, count: usize) -> Result<Vec<Reconstruction>, AccelError> {
    reconstruction(model, packed, &CalibrationSet::of(with, count, model)).await
}

/// Questions about pictures, as `model` reads them. Pictures are opened one at a time.
pub(crate) struct CalibrationSet<'a> {
    set: Set<'a>,
    post_prompts: Option<&'a PostPrompts>,
    kept: Option<&'a dyn KeptLayers>,
    model: &'a Vlm,
}

enum Set<'a> {
    Embedded(EmbeddedSuite),
    Benchmark(&'a dyn Benchmark, Vec<Question>),
}

impl<'a> CalibrationSet<'a> {
    /// `count` questions, or as many as there are.
    pub(crate) fn of(with: CalibrateWith<'a>, count: usize, model: &'a Vlm) -> Self {
        let set = match with.questions {
            CalibrationQuestions::Embedded => Set::Embedded(EmbeddedSuite::calibration(count)),
            CalibrationQuestions::Benchmark(benchmark) => {
                // The first of a file are seldom like all of it.
                let mut all: Vec<&Question> = benchmark.questions().iter().collect();
                all.sort_by_cached_key(|question| Sha256::digest(&question.id));
                Set::Benchmark(benchmark, select(all, count))
            }
        };
        Self { set, post_prompts: with.post_prompts, kept: with.kept, model }
    }

    fn benchmark(&self) -> &dyn Benchmark {
        match &self.set {
            Set::Embedded(suite) => suite,
            Set::Benchmark(benchmark, _) => *benchmark,
        }
    }

    fn questions(&self) -> &[Question] {
        match &self.set {
            Set::Embedded(suite) => suite.questions(),
            Set::Benchmark(_, questions) => questions,
        }
    }

    /// What it is, for plans.
    pub(crate) fn describe(&self) -> String {
        let (benchmark, questions) = (self.benchmark(), self.questions().len());
        let half = if matches!(self.set, Set::Embedded(_)) { ", training half" } else { "" };
        let posed = self.questions().iter().any(|question| self.post_prompts.is_some_and(|texts| texts.of(question).is_some()));
        let behind = if posed { ", the study's post-prompts behind them" } else { "" };
        format!("{}{half}, {questions} questions, sha256 {}{behind}", benchmark.name(), benchmark.fingerprint())
    }
}

impl Samples for CalibrationSet<'_> {
    fn kept(&self) -> Option<&dyn KeptLayers> {
        self.kept
    }

    fn count(&self) -> usize {
        self.questions().len()
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let question = &self.questions()[index];
        let failed = |problem: String| AccelError::Calibration { problem: format!("question {}: {problem}", question.id) };
        let images = self.benchmark().images(&question.image).map_err(|error| failed(error.to_string()))?;
        let [(_, image)] = &images[..] else {
            return Err(failed(format!("shows {} images; questions to calibrate with show one", images.len())));
        };
        let text = self.post_prompts.map_or(Cow::Borrowed(question.text.as_str()), |texts| texts.behind(question));
        let prompt = self.model.prompt(&text).map_err(|error| failed(error.to_string()))?;
        self.model.prepare(image, &prompt).map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use steady_vlm::{Checkpoint, Device, Precision};

    use super::*;

    /// A prompt to calibrate with is the question as the study asks it, word for word.
    #[test]
    #[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    fn questions_are_posed_as_those_of_the_study() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava/checkpoint");
        let model = Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap();
        let standard = PostPrompts::standard();
        let set = |post_prompts| CalibrationSet::of(CalibrateWith { post_prompts, ..CalibrateWith::default() }, 8, &model);
        let (plain, posed) = (set(None), set(Some(&standard)));
        let at = plain.questions().iter().position(|question| standard.of(question).is_some()).unwrap();
        let question = &plain.questions()[at];
        let text = format!("{}\nAnswer the question using a single word or phrase.", question.text);
        let images = plain.benchmark().images(&question.image).unwrap();
        let expected = model.prepare(&images[0].1, &model.prompt(&text).unwrap()).unwrap();
        assert_eq!(posed.sample(at).unwrap().input_ids, expected.input_ids);
        assert_ne!(plain.sample(at).unwrap().input_ids, expected.input_ids);
        assert_eq!(posed.describe(), format!("{}, the study's post-prompts behind them", plain.describe()));
        assert_eq!(set(Some(&PostPrompts::default())).describe(), plain.describe());
    }
}
