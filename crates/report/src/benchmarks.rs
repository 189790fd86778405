//! Several reports of one model, a benchmark each: where to look first.

use crate::csv;
use crate::error::ReportError;
use crate::number::percent;
use crate::rates::Rate;
use crate::report::Report;
use crate::summary::Summary;

/// A report among others.
#[derive(Clone, Copy, Debug)]
pub struct OfBenchmark<'a> {
    /// What to call it in messages: where it was read from.
    pub name: &'a str,
    /// The report.
    pub report: &'a Report,
    /// Address of its `report.html`, seen from the page that leads there; `None` where there is none.
    pub page: Option<&'a str>,
}

/// Reports of one model, each of another benchmark.
#[derive(Clone, Debug)]
pub struct Benchmarks<'a> {
    all: Vec<OfBenchmark<'a>>,
    specs: Vec<&'a str>,
}

impl<'a> Benchmarks<'a> {
    /// Puts reports side by side. Accelerations stand in the order in which they come up first; not every report needs to have each.
    ///
    /// # Errors
    /// [`ReportError::Apart`] where there is none, where two are of different models, or of the same benchmark.
    pub fn of(all: Vec<OfBenchmark<'a>>) -> Result<Self, ReportError> {
        let Some(first) = all.first() else { return Err(ReportError::Apart("no run to judge".to_owned())) };
        for (i, one) in all.iter().enumerate() {
            let (plan, of) = (one.report.plan(), first.report.plan());
            if plan.checkpoint_sha256 != of.checkpoint_sha256 {
                let (a, b) = (first.name, one.name);
                return Err(ReportError::Apart(format!(
                    "{a} is of {} and {b} of {}: runs that are judged together are of one model",
                    of.model, plan.model
                )));
            }
            if let Some(before) = all[..i].iter().find(|before| before.report.plan().benchmark == plan.benchmark) {
                return Err(ReportError::Apart(format!("{} and {} are both of benchmark {}", before.name, one.name, plan.benchmark)));
            }
        }
        let mut specs: Vec<&str> = Vec::new();
        for summary in all.iter().flat_map(|one| one.report.summaries()) {
            if !specs.contains(&summary.spec.as_str()) {
                specs.push(&summary.spec);
            }
        }
        Ok(Self { all, specs })
    }

    /// The same, of these accelerations alone.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.specs.retain(|spec| wanted(spec));
        self
    }

    /// The reports.
    pub fn all(&self) -> &[OfBenchmark<'a>] {
        &self.all
    }

    /// The accelerations that any of them has.
    pub fn specs(&self) -> &[&'a str] {
        &self.specs
    }

    /// Whether answers of any are right or wrong.
    pub fn judged(&self) -> bool {
        self.all.iter().any(|one| one.report.judged())
    }

    /// A row for each benchmark with what each acceleration did there, as CSV by RFC 4180. What is not known is empty; shares are fractions of 1.
    pub fn csv(&self) -> String {
        const HEAD: [&str; 16] = [
            "benchmark",
            "acceleration",
            "questions",
            "images",
            "accuracy_before",
            "accuracy_after",
            "dr",
            "dr_low",
            "dr_high",
            "ndr",
            "ndr_low",
            "ndr_high",
            "pdr",
            "noise_floor_dr",
            "mcnemar_p_adjusted",
            "plan_sha256",
        ];
        let mut text = csv::line(&HEAD.map(Into::into));
        for one in &self.all {
            let judged = one.report.judged();
            let number = |share: f64| share.to_string();
            let known = |share: f64| if judged { number(share) } else { String::new() };
            let ends = |rate: Rate| rate.interval.map_or_else(Default::default, |ends| [number(ends.low), number(ends.high)]);
            for summary in one.report.summaries().iter().filter(|summary| self.specs.contains(&summary.spec.as_str())) {
                let ([dr_low, dr_high], ndr) = (ends(summary.dr), if judged { ends(summary.ndr) } else { Default::default() });
                let [ndr_low, ndr_high] = ndr;
                let cells: [String; 16] = [
                    one.report.plan().benchmark.clone(),
                    summary.spec.clone(),
                    summary.dr.of.to_string(),
                    summary.images.to_string(),
                    known(summary.accuracy_before.value),
                    known(summary.accuracy_after.value),
                    number(summary.dr.value),
                    dr_low,
                    dr_high,
                    known(summary.ndr.value),
                    ndr_low,
                    ndr_high,
                    known(summary.pdr.value),
                    summary.noise_floor.map(|floor| number(floor.value)).unwrap_or_default(),
                    known(summary.mcnemar.p_adjusted),
                    one.report.plan().plan_sha256.clone(),
                ];
                text.push_str(&csv::line(&cells.map(Into::into)));
            }
        }
        text
    }

    /// Head and rows of the map: benchmarks by accelerations, in each cell what broke, what changed, and of how many.
    pub(crate) fn rows(&self) -> Vec<(OfBenchmark<'a>, Vec<Option<Cell<'a>>>)> {
        let cell = |one: OfBenchmark<'a>, spec: &str| {
            let (acceleration, summary) = one.report.summaries().iter().enumerate().find(|(_, summary)| summary.spec == spec)?;
            Some(Cell { acceleration, summary, judged: one.report.judged() })
        };
        self.all.iter().map(|&one| (one, self.specs.iter().map(|spec| cell(one, spec)).collect())).collect()
    }

    /// The largest share by which a cell is coloured.
    pub(crate) fn highest(&self) -> f64 {
        let shares = self.rows().into_iter().flat_map(|(_, cells)| cells).flatten().map(|cell| cell.rate().value);
        shares.fold(0.0, f64::max)
    }

    /// The map as cells of plain text, with what the columns are called: a terminal's table, and Markdown's.
    pub fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let heads = ["benchmark", "questions"].into_iter().chain(self.specs.iter().copied()).map(str::to_owned).collect();
        let row = |(one, cells): (OfBenchmark<'_>, Vec<Option<Cell<'_>>>)| {
            let first = [one.report.plan().benchmark.clone(), one.report.plan().questions.to_string()];
            first.into_iter().chain(cells.into_iter().map(|cell| cell.map_or_else(|| "-".to_owned(), Cell::text))).collect()
        };
        (heads, self.rows().into_iter().map(row).collect())
    }
}

/// One acceleration in one benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    /// Index of the acceleration in that report.
    pub(crate) acceleration: usize,
    pub(crate) summary: &'a Summary,
    /// Whether anything is right or wrong there.
    pub(crate) judged: bool,
}

impl Cell<'_> {
    /// What counts: what broke, or where nothing is judged, what changed.
    pub(crate) fn rate(self) -> Rate {
        self.summary.harmed(self.judged)
    }

    fn text(self) -> String {
        let dr = percent(self.summary.dr.value);
        if self.judged { format!("{} / {dr}", percent(self.summary.ndr.value)) } else { format!("- / {dr}") }
    }
}
