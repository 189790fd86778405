//! An opened report, with what this page can add to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use image::RgbImage;
use steady_bench::world::TaskFamily;
use steady_bench::{BENCHMARKS, Benchmark, Question, asked, illustrated, suite_of, thumbnails};
use steady_records::Work;
use steady_report::share::{self, Link, ShareError};
use steady_report::{Picture, Report, ReportError};

use crate::own_questions::Reader;

/// A report, where it came from, and the benchmark whose pictures belong to it.
pub(crate) struct Opened {
    pub(crate) report: Report,
    /// Opened by its name; `None` for one that this program does not have, or has otherwise.
    pub(crate) suite: Option<Arc<dyn Benchmark>>,
    /// The visitor's own questions, where these were asked.
    pub(crate) own: Option<OwnPictures>,
    pub(crate) origin: Origin,
}

/// The visitor's own questions, whose pictures can be shown as long as their files are at hand.
#[derive(Clone)]
pub(crate) struct OwnPictures {
    questions: Arc<[Question]>,
    fingerprint: String,
    pub(crate) reader: Reader,
}

/// What shows the image of a question.
#[derive(Clone)]
pub(crate) enum Sight {
    /// It was drawn.
    Drawn(Arc<RgbImage>),
    /// It is read when it is asked for.
    Read(Reader),
}

/// Where a report came from.
pub(crate) enum Origin {
    /// A link, which leaves out the words of so many questions.
    Link { left_out: usize },
    /// A file or an address.
    Named(String),
    /// A study on this page.
    Study,
    /// Logs of other tools by these names, and what a reader should know of how they were compared.
    Runs { names: Vec<String>, notes: Vec<String> },
}

/// A text that is no report: what it is, and why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Link(#[from] ShareError),
    #[error("{name} is not a report: {reason}")]
    Json { name: String, reason: ReportError },
}

impl Opened {
    /// The report behind `#r=`.
    pub(crate) fn from_link(payload: &str) -> Result<Self, OpenError> {
        let mut suite = None;
        let opened = share::open(payload, |wanted| {
            suite = BENCHMARKS.reopen(&wanted.name, &wanted.fingerprint, wanted.size);
            suite.as_deref().map(asked)
        })?;
        Ok(Self { report: opened.report, suite: suite.map(Arc::from), own: None, origin: Origin::Link { left_out: opened.left_out } })
    }

    /// A `report.json`.
    pub(crate) fn from_json(name: String, text: &str) -> Result<Self, OpenError> {
        let report = Report::from_json(text).map_err(|reason| OpenError::Json { name: name.clone(), reason })?;
        let families: BTreeSet<&str> = report.questions().iter().map(|question| question.family.as_str()).collect();
        let suite = drawn_for(&report, report.plan().questions, families.len());
        Ok(Self { report, suite, own: None, origin: Origin::Named(name) })
    }

    /// The report of a study of this work, which may not be through; `before` is its report a moment ago. `reader` may have the files of what was asked.
    pub(crate) fn from_study(report: Report, before: Option<&Self>, work: &Work, reader: Reader) -> Self {
        let of = &work.plan().benchmark;
        if let Some(same) = before.filter(|before| before.report.plan().plan_sha256 == report.plan().plan_sha256) {
            return Self { report, suite: same.suite.clone(), own: same.own.clone(), origin: Origin::Study };
        }
        let suite = BENCHMARKS.reopen(&of.name, &of.fingerprint, of.size).map(Arc::from);
        let own = || OwnPictures { questions: work.questions().into(), fingerprint: of.fingerprint.clone(), reader };
        let own = of.opened_by.is_some().then(own);
        Self { report, suite, own, origin: Origin::Study }
    }

    /// Whether there is anything to show its pictures.
    pub(crate) fn has_pictures(&self) -> bool {
        self.suite.is_some() || self.own.as_ref().is_some_and(OwnPictures::at_hand)
    }

    /// The question of this id, and what shows its image.
    pub(crate) fn question(&self, id: &str) -> Option<(Question, Sight)> {
        let of = |questions: &[Question]| questions.iter().find(|question| question.id == id).cloned();
        if let Some(suite) = &self.suite {
            let question = of(suite.questions())?;
            let image = suite.image(&question.image).ok()?;
            return Some((question, Sight::Drawn(Arc::new(image))));
        }
        let own = self.own.as_ref().filter(|own| own.at_hand())?;
        Some((of(&own.questions)?, Sight::Read(own.reader)))
    }

    /// Files of the pictures that `report.html` shows; none where they are not at hand.
    ///
    /// # Errors
    /// When one cannot be drawn, in words.
    pub(crate) async fn pictures(&self) -> Result<BTreeMap<Picture, Vec<u8>>, String> {
        if let Some(suite) = &self.suite {
            return thumbnails(&self.report, &**suite).map_err(|error| error.to_string());
        }
        let mut files = BTreeMap::new();
        if let Some(own) = self.own.as_ref().filter(|own| own.at_hand()) {
            for picture in illustrated(&self.report) {
                if let Some(file) = own.reader.thumbnail(picture.clone()).await {
                    files.insert(picture, file);
                }
            }
        }
        Ok(files)
    }

    /// The report of runs of these names, compared here.
    pub(crate) fn from_runs(report: Report, names: Vec<String>, notes: Vec<String>) -> Self {
        let plan = report.plan();
        let suite = BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, plan.questions).map(Arc::from);
        Self { report, suite, own: None, origin: Origin::Runs { names, notes } }
    }

    /// The report as a link.
    pub(crate) fn link(&self) -> Result<Link, ShareError> {
        let drawn = self.suite.as_ref().map(|suite| (suite_of(&**suite), asked(&**suite)));
        self.report.share(drawn.as_ref().map(|(suite, asked)| (suite, asked.as_slice())))
    }

    /// What to call it beside another one.
    pub(crate) fn name(&self) -> String {
        match &self.origin {
            Origin::Named(name) => name.clone(),
            Origin::Link { .. } => format!("the link ({})", self.report.plan().model),
            Origin::Study => "this study".to_owned(),
            Origin::Runs { names, .. } => names.join(" and "),
        }
    }

    /// What someone who reads the report should know about how it came here.
    pub(crate) fn note(&self) -> String {
        let pictures = match &self.own {
            _ if self.has_pictures() => "",
            Some(_) => " Its pictures are not at hand here until their files are chosen again.",
            None => " Its pictures are not at hand here.",
        };
        match &self.origin {
            Origin::Link { left_out } => {
                let words = match left_out {
                    0 => String::new(),
                    left_out => format!(" The words of {left_out} changed questions did not fit into the link."),
                };
                format!(
                    "From a link, which holds the whole report but the margins, divergences and candidates of single answers; its numbers were computed here.{words}{pictures}"
                )
            }
            Origin::Named(name) => format!("From {name}.{pictures}"),
            Origin::Study => format!("Computed here, in this browser.{pictures}"),
            Origin::Runs { names, .. } => {
                format!("Of the runs {}, which were compared here, in this browser.{pictures}", names.join(" and "))
            }
        }
    }

    /// What else a reader should know, a line each.
    pub(crate) fn remarks(&self) -> &[String] {
        match &self.origin {
            Origin::Runs { notes, .. } => notes,
            _ => &[],
        }
    }
}

impl OwnPictures {
    /// Whether their files are still the ones that are read.
    pub(crate) fn at_hand(&self) -> bool {
        self.reader.holds(&self.fingerprint)
    }
}

/// The suite that `questions` questions from so many families are the beginning of, if it is the report's.
fn drawn_for(report: &Report, questions: usize, families: usize) -> Option<Arc<dyn Benchmark>> {
    let plan = report.plan();
    // as large as it must be if all families were meant, or those alone that were asked
    let sizes = [questions, TaskFamily::ALL.len() * questions.div_ceil(families.max(1))];
    sizes.into_iter().find_map(|size| BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, size)).map(Arc::from)
}

/// `what` failed for the reason `why`, as one sentence for a reader.
pub(crate) fn sentence(what: &str, why: impl Display) -> String {
    format!("{what}: {why}.")
}
