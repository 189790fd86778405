//! The report as plain text for a terminal.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table, TableComponent};

use crate::measurements::CostRow;
use crate::number::{p_value, percent, points, scaled};
use crate::printable::one_line;
use crate::report::{Perturbed, Report};
use crate::summary::Summary;

impl Report {
    /// Tables of plain text, one row for each acceleration: what changed, what changed under perturbation, where that was asked, and what it bought. No
    /// colour codes; shares in percent.
    pub fn table(&self) -> String {
        let tables = [Some(self.stability_table()), self.perturbed_table(), Some(self.cost_table())];
        tables.into_iter().flatten().map(|table| format!("{table}\n")).collect::<Vec<_>>().join("\n")
    }

    fn stability_table(&self) -> Table {
        let mut table = empty_table(&["acceleration", "accuracy", "change", "DR (95 % interval)", "NDR", "PDR", "McNemar p"], 1);
        for summary in self.summaries() {
            table.add_row(stability_row(&one_line(&summary.spec), summary));
        }
        if let (Some(summary), Some(noise_floor)) = (self.noise_floor(), &self.measurements().noise_floor) {
            table.add_row(stability_row(&format!("noise floor: {}", one_line(&noise_floor.varied)), summary));
        }
        table
    }

    /// `None` where nothing was asked about perturbed images.
    fn perturbed_table(&self) -> Option<Table> {
        let header = ["perturbation", "acceleration", "accuracy", "change", "DR (95 % interval)", "NDR", "PDR", "DR clean", "own change"];
        let mut table = empty_table(&header, 2);
        for Perturbed { perturbation, baseline, condition } in self.perturbed() {
            let mut add = |name: &str, summary: &Summary, clean: Option<&Summary>| {
                let own = clean.map_or(baseline.accuracy_change.value, |clean| summary.own_change(clean));
                let clean = clean.map_or_else(|| "-".to_owned(), |clean| percent(clean.dr.value));
                let mut row = vec![one_line(perturbation), name.to_owned()];
                row.extend(rates(summary));
                row.extend([clean, points(own)]);
                table.add_row(row);
            };
            add("none: from clean images", baseline, None);
            for (summary, clean) in condition.accelerations.iter().zip(self.summaries()) {
                add(&one_line(&summary.spec), summary, Some(clean));
            }
            if let Some(noise_floor) = &condition.noise_floor {
                add("noise floor", noise_floor, self.noise_floor());
            }
        }
        (!self.perturbed().is_empty()).then_some(table)
    }

    /// Files have a column where their bytes are known.
    fn cost_table(&self) -> Table {
        let mut header = vec!["acceleration", "weights MB", "KV kB", "visual tokens", "prompt tokens", "FLOPs", "time s"];
        let files = self.tells_files();
        if files {
            header.insert(1, "files MB");
        }
        let mut table = empty_table(&header, 1);
        let mut add = |name: &str, cost: &CostRow| {
            let mut row = cost_row(name, cost);
            if files {
                row.insert(1, cost.stored_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / 1e6)));
            }
            table.add_row(row);
        };
        add("none", &self.measurements().baseline_cost);
        for acceleration in self.accelerations() {
            add(&one_line(&acceleration.spec), &acceleration.cost);
        }
        table
    }

    /// Whether it is known what the weights take as files.
    pub(crate) fn tells_files(&self) -> bool {
        self.measurements().baseline_cost.stored_bytes.is_some()
    }
}

/// Columns of numbers follow `names` of text.
fn empty_table(header: &[&str], names: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
    for line_between_rows in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line_between_rows);
    }
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn stability_row(name: &str, summary: &Summary) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend(rates(summary));
    row.push(p_value(summary.mcnemar_p));
    row
}

/// Accuracy, its change, DR, NDR, PDR.
fn rates(summary: &Summary) -> [String; 5] {
    [
        format!("{} -> {}", percent(summary.accuracy_before.value), percent(summary.accuracy_after.value)),
        points(summary.accuracy_change.value),
        format!("{:>5} ({:>4}-{:>4})", percent(summary.dr.value), percent(summary.dr.low), percent(summary.dr.high)),
        percent(summary.ndr.value),
        percent(summary.pdr.value),
    ]
}

fn cost_row(name: &str, cost: &CostRow) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{:.2}", cost.weight_bytes as f64 / 1e6),
        format!("{:.1}", cost.kv_bytes / 1e3),
        format!("{:.1}", cost.visual_tokens),
        format!("{:.1}", cost.prompt_tokens),
        scaled(cost.flops),
        cost.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}")),
    ]
}
