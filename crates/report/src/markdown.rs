//! The report in Markdown: a table for a pull request, an issue or a chat, and more of it for a document.

use std::fmt::Write;

use crate::against_random::AgainstRandom;
use crate::benchmarks::Benchmarks;
use crate::measurements::AccelerationReport;
use crate::number::{percent, points};
use crate::printable::one_line;
use crate::rates::Rate;
use crate::report::{Perturbed, Report};
use crate::summary::{Summary, ends};
use crate::together::{Overlap, Together};
use crate::weighted::Weighted;

/// Questions that a document names.
const NAMED: usize = 10;

impl Report {
    /// What was run in a line, and below it a table with a row for each acceleration, as GitHub and its like show it. Text of the report stays text.
    pub fn markdown(&self) -> String {
        let (plan, judged) = (self.plan(), self.judged());
        let known = [&plan.device, &plan.precision].into_iter().filter(|known| !known.is_empty());
        let run: Vec<String> = [&plan.model, &plan.benchmark].into_iter().chain(known).map(|text| escaped(text)).collect();
        let by = if self.summaries().first().is_some_and(Summary::by_image) { "95 % by image" } else { "95 %" };
        let mut heads = vec!["acceleration".to_owned()];
        heads.extend(judged.then(|| ["accuracy", "points"].map(str::to_owned)).into_iter().flatten());
        heads.push(format!("changed ({by})"));
        heads.extend(judged.then(|| ["broken", "repaired"].map(str::to_owned)).into_iter().flatten());
        heads.extend(["weights, tokens", "verdict"].map(str::to_owned));
        let mut text = format!("**steady**: {}, {} questions\n\n", run.join(", "), plan.questions);
        let mut line = |cells: &[String]| text.extend(["| ", &cells.join(" | "), " |\n"]);
        line(&heads);
        line(&vec!["---".to_owned(); heads.len()]);
        for (i, summary) in self.summaries().iter().enumerate() {
            let saved = self.saved(i).join(", ");
            let mut cells = rates(&code(&summary.spec), summary, judged);
            cells.extend([saved, self.reading(summary).words().to_owned()]);
            line(&cells);
        }
        if let Some(floor) = self.noise_floor() {
            let mut cells = rates(&format!("noise floor, {}", code(&floor.spec)), floor, judged);
            cells.extend([String::new(), String::new()]);
            line(&cells);
        }
        text
    }

    /// [`Self::markdown`] with what stands out, where it happened, the questions that broke most, what perturbations did, the accelerations beside each other, and
    /// methods by budget.
    pub fn markdown_document(&self) -> String {
        let mut text = self.markdown();
        let remarks = self.remarks();
        text.push_str(if remarks.is_empty() { "" } else { "\n" });
        for remark in remarks {
            let _ = writeln!(text, "- {}", escaped(&remark));
        }
        self.push_weighted(&mut text);
        self.push_families(&mut text);
        self.push_perturbed(&mut text);
        self.push_worst(&mut text);
        if let Some(together) = self.together() {
            together.tables(&mut text, self.judged());
            self.push_chance(&mut text, &together);
        }
        self.sweep_table(&mut text);
        text
    }

    fn push_weighted(&self, text: &mut String) {
        let rows: Vec<Vec<String>> = self
            .summaries()
            .iter()
            .filter_map(|summary| Some(std::iter::once(code(&summary.spec)).chain(summary.weighted?.cells(self.judged())).collect()))
            .collect();
        let Some(weighted) = self.summaries().iter().find_map(|summary| summary.weighted) else { return };
        let _ = write!(text, "\n### By weight\n\n{}\n\n", weighted.hint(self.plan().questions));
        table(text, &[&["acceleration"], Weighted::heads(self.judged()).as_slice()].concat(), &rows);
    }

    fn push_chance(&self, text: &mut String, Together { specs, against_random, .. }: &Together) {
        if against_random.is_empty() {
            return;
        }
        let what = if self.judged() { "break" } else { "change" };
        let _ = write!(
            text,
            "\n### Better than chance?\n\nQuestions that {what} under a method alone and under random visual tokens of the same budget alone; p by image, adjusted for {} comparisons.\n\n",
            against_random.len()
        );
        let row = |pair: &AgainstRandom| {
            let ([method, random], test) = self.told(pair);
            let [name, beside] = [pair.method, pair.random].map(|place| vec![code(&specs[place])]);
            [&name, method.as_slice(), &beside, &random, &test].concat()
        };
        let heads = ["method", "visual tokens", what, "beside", "visual tokens", what, "it alone", "random alone", "p", ""];
        table(text, &heads, &against_random.iter().map(row).collect::<Vec<_>>());
    }

    /// Families by accelerations.
    fn push_families(&self, text: &mut String) {
        let Some(first) = self.summaries().first().filter(|first| first.per_family.len() > 1) else { return };
        let rows: Vec<Vec<String>> = first
            .per_family
            .iter()
            .map(|(family, of)| {
                let cells = self
                    .summaries()
                    .iter()
                    .map(|summary| summary.per_family.get(family).map_or_else(String::new, |of| self.cell(of.ndr, of.dr)));
                [escaped(family), of.dr.of.to_string()].into_iter().chain(cells).collect()
            })
            .collect();
        let _ = write!(text, "\n### By family\n\n{}\n\n", self.what_cells_say());
        let specs: Vec<String> = self.summaries().iter().map(|summary| code(&summary.spec)).collect();
        let heads: Vec<&str> = ["family", "questions"].into_iter().chain(specs.iter().map(String::as_str)).collect();
        table(text, &heads, &rows);
    }

    /// Perturbations by accelerations, and whether acceleration makes the model more brittle.
    fn push_perturbed(&self, text: &mut String) {
        if self.perturbed().is_empty() {
            return;
        }
        let _ = write!(
            text,
            "\n### Under perturbation\n\n{} Of the baseline, what the perturbation alone did to its answers.\n\n",
            self.what_cells_say()
        );
        let specs: Vec<String> = self.summaries().iter().map(|summary| code(&summary.spec)).collect();
        let heads: Vec<&str> = ["perturbation", "baseline"].into_iter().chain(specs.iter().map(String::as_str)).collect();
        let row = |name: String, baseline: String, of: &[Summary]| {
            let cells = of.iter().map(|summary| self.cell(summary.ndr, summary.dr));
            [name, baseline].into_iter().chain(cells).collect()
        };
        let mut rows: Vec<Vec<String>> = vec![row("none".to_owned(), String::new(), self.summaries())];
        for Perturbed { perturbation, baseline, condition } in self.perturbed() {
            rows.push(row(code(perturbation), self.cell(baseline.ndr, baseline.dr), &condition.accelerations));
        }
        table(text, &heads, &rows);
        if let Some(answer) = self.brittleness_in_words() {
            let _ = write!(text, "\n{}\n", escaped(&answer));
        }
    }

    /// The questions that changed most.
    fn push_worst(&self, text: &mut String) {
        let worst = self.worst_first();
        if worst.is_empty() {
            return;
        }
        let _ = write!(text, "\n### Questions that changed most\n\n");
        let rows: Vec<Vec<String>> = worst
            .iter()
            .take(NAMED)
            .map(|&i| {
                let question = &self.questions()[i];
                let became = |acceleration: &AccelerationReport| {
                    let answer = &acceleration.answers[i];
                    let outcome = answer.outcome.filter(|outcome| outcome.diverged())?;
                    Some(format!("{} {}: {}", code(&acceleration.spec), outcome.name(), escaped(&answer.text)))
                };
                let under =
                    question.perturbation.as_ref().map(|perturbation| format!(", under {}", code(perturbation))).unwrap_or_default();
                let changed: Vec<String> = self.accelerations().iter().filter_map(became).collect();
                let gold = question.gold.iter().map(|gold| escaped(gold)).collect::<Vec<_>>().join("; ");
                vec![format!("{}{under}", escaped(&question.text)), gold, escaped(&question.baseline.text), changed.join("<br>")]
            })
            .collect();
        table(text, &["question", "gold", "baseline", "changed"], &rows);
        if worst.len() > NAMED {
            let _ = write!(text, "\nand {} more\n", worst.len() - NAMED);
        }
    }

    fn cell(&self, ndr: Rate, dr: Rate) -> String {
        if self.judged() { format!("{} / {}", percent(ndr.value), percent(dr.value)) } else { percent(dr.value) }
    }

    fn what_cells_say(&self) -> &'static str {
        if self.judged() { "Broken / changed, % of questions." } else { "Changed, % of questions." }
    }

    fn sweep_table(&self, text: &mut String) {
        let sweeps = self.sweeps();
        if sweeps.is_empty() {
            return;
        }
        let judged = self.judged();
        let mut heads = vec!["method", "keep", "visual tokens"];
        heads.extend(judged.then_some("accuracy"));
        heads.push("DR");
        let rows: Vec<Vec<String>> = sweeps
            .iter()
            .flat_map(|sweep| {
                sweep.points.iter().map(move |point| {
                    let mut row = vec![code(&sweep.spec), point.keep.to_string(), format!("{:.1}", point.visual_tokens)];
                    row.extend(judged.then(|| percent(point.summary.accuracy_after.value)));
                    row.push(percent(point.summary.dr.value));
                    row
                })
            })
            .collect();
        text.push_str("\n### By budget\n\n");
        table(text, &heads, &rows);
    }
}

impl Benchmarks<'_> {
    /// The map as a table, and below it what each benchmark shows.
    pub fn markdown(&self) -> String {
        let mut text = "### Broken / changed by benchmark, % of questions\n\n".to_owned();
        let (heads, rows) = self.cells();
        let heads: Vec<String> = heads.iter().enumerate().map(|(i, head)| if i < 2 { head.clone() } else { code(head) }).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
        table(&mut text, &heads.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
        for one in self.all() {
            let _ = write!(text, "\n{}\n\n", escaped(&one.report.plan().benchmark));
            for finding in one.report.findings() {
                let _ = writeln!(text, "- {}", escaped(&finding));
            }
        }
        text
    }
}

impl Together {
    fn tables(&self, text: &mut String, judged: bool) {
        text.push_str("\n### Changed by both, of what either changed\n\nIn brackets what independent changes would come to.\n\n");
        let names: Vec<String> = self.specs.iter().map(|spec| code(spec)).collect();
        let heads: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
        let cell = |overlap: &Overlap| match (overlap.share(), overlap.by_chance) {
            (Some(share), Some(by_chance)) => format!("{} ({})", percent(share), percent(by_chance)),
            _ => "-".to_owned(),
        };
        let row = |(i, overlaps): (usize, &Vec<Overlap>)| {
            let cells = overlaps.iter().enumerate().map(|(j, overlap)| if i == j { String::new() } else { cell(overlap) });
            std::iter::once(names[i].clone()).chain(cells).collect()
        };
        table(text, &heads, &self.overlaps.iter().enumerate().map(row).collect::<Vec<_>>());
        let what = if judged { "break" } else { "change" };
        let _ = write!(text, "\n### Questions that {what} under so many accelerations\n\n");
        let counts: Vec<String> = (0..self.questions_by_count.len()).map(|count| count.to_string()).collect();
        let heads: Vec<&str> = counts.iter().map(String::as_str).collect();
        table(text, &heads, &[self.questions_by_count.iter().map(ToString::to_string).collect()]);
    }
}

fn rates(name: &str, summary: &Summary, judged: bool) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    let (before, after) = (percent(summary.accuracy_before.value), percent(summary.accuracy_after.value));
    cells.extend(judged.then(|| [format!("{before} → {after}"), points(summary.accuracy_change.value)]).into_iter().flatten());
    cells.push(format!("**{} %** ({})", percent(summary.dr.value), ends(summary.dr.interval)));
    cells.extend(judged.then(|| [summary.ndr, summary.pdr].map(|rate| format!("{} %", percent(rate.value)))).into_iter().flatten());
    cells
}

/// A spec as code; one that would end the code or the cell is text.
fn code(spec: &str) -> String {
    if spec.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '`' | '|' | '\\')) { format!("`{spec}`") } else { escaped(spec) }
}

/// Text without a meaning in Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '@' | '#' | '&' | '!') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

fn table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    let _ = write!(text, "| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}
