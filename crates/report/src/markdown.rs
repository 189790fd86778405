//! The report as Markdown, for a document or an issue: the rates, accelerations beside each other, methods by budget.

use std::fmt::Write;

use crate::measurements::CostRow;
use crate::number::{p_value, percent, points};
use crate::printable::one_line;
use crate::report::Report;
use crate::statistics::Interval;
use crate::summary::Summary;
use crate::together::{Overlap, Together};

impl Report {
    /// Tables in GitHub's Markdown, shares in percent.
    pub fn markdown(&self) -> String {
        let plan = self.plan();
        let mut text = format!("## {} on {}, {} questions\n\n", one_line(&plan.model), one_line(&plan.benchmark), plan.questions);
        self.rates_table(&mut text);
        let remarks = self.remarks();
        text.push_str(if remarks.is_empty() { "" } else { "\n" });
        for remark in remarks {
            let _ = writeln!(text, "- {}", one_line(&remark));
        }
        if let Some(together) = self.together() {
            together.tables(&mut text, self.judged());
        }
        self.sweep_table(&mut text);
        text
    }

    fn rates_table(&self, text: &mut String) {
        let judged = self.judged();
        let by_image = self.summaries().first().is_some_and(Summary::by_image);
        let mut heads = vec!["acceleration"];
        heads.extend(judged.then_some(["accuracy", "change"]).into_iter().flatten());
        heads.push(if by_image { "DR (95 % by image)" } else { "DR (95 % Wilson)" });
        heads.extend(judged.then_some(["NDR", "PDR"]).into_iter().flatten());
        heads.extend(["above floor p", "visual tokens"]);
        let mut rows = Vec::new();
        let mut add = |name: String, summary: &Summary, cost: Option<&CostRow>| {
            let mut row = vec![name];
            let accuracy = format!("{} -> {}", percent(summary.accuracy_before.value), percent(summary.accuracy_after.value));
            row.extend(judged.then(|| [accuracy, points(summary.accuracy_change.value)]).into_iter().flatten());
            let Interval { low, high } = summary.dr.interval.unwrap_or(summary.dr.wilson);
            row.push(format!("{} ({}-{})", percent(summary.dr.value), percent(low), percent(high)));
            row.extend(judged.then(|| [percent(summary.ndr.value), percent(summary.pdr.value)]).into_iter().flatten());
            row.push(summary.excess.map_or_else(String::new, |excess| p_value(excess.p_adjusted)));
            row.push(cost.filter(|cost| cost.visual_tokens > 0.0 || cost.prompt_tokens > 0.0).map_or_else(String::new, tokens));
            rows.push(row);
        };
        for (summary, acceleration) in self.summaries().iter().zip(self.accelerations()) {
            add(code(&summary.spec), summary, Some(&acceleration.cost));
        }
        for summary in self.control_summaries() {
            let floor = self.noise_floor().is_some_and(|floor| std::ptr::eq(floor, summary));
            add(format!("{}, {}", if floor { "noise floor" } else { "control" }, code(&summary.spec)), summary, None);
        }
        table(text, &heads, &rows);
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

fn tokens(cost: &CostRow) -> String {
    format!("{:.0}", cost.visual_tokens)
}

/// Text from outside as code, in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('`', "'").replace('|', "\\|"))
}

fn table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    let _ = write!(text, "| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}
