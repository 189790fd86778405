//! The report as plain text for a terminal.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table, TableComponent};

use crate::assurance::Assurance;
use crate::measurements::{BASELINE, CostRow};
use crate::number::{p_value, percent, points, scaled};
use crate::printable::one_line;
use crate::report::{Perturbed, Report};
use crate::sensitivity::Sensitivity;
use crate::statistics::Interval;
use crate::summary::Summary;
use crate::weighted::Weighted;

impl Report {
    /// Tables of plain text, one row for each acceleration: what changed, how bad it can be, what beats chance, what
    /// changed under perturbation, where that was asked, and what it bought. Those
    /// whose layers were put back into float to see what matters have a table of their own. No colour codes; shares in percent.
    pub fn table(&self) -> String {
        let tables = [
            Some(self.stability_table()),
            self.weighted_table(),
            Some(self.release_table()),
            self.chance_table(),
            self.perturbed_table(),
            self.cost_table(),
        ];
        let tables = tables.into_iter().flatten().chain(self.sensitivity_tables()).map(|table| format!("{table}\n"));
        let brittle = self.brittleness_in_words().map(|answer| format!("{answer}\n"));
        let remarks = Some(self.remarks().join("\n")).filter(|remarks| !remarks.is_empty()).map(|remarks| format!("{remarks}\n"));
        tables.chain(brittle).chain(remarks).collect::<Vec<_>>().join("\n")
    }

    /// Whether intervals are by image, and how the columns of the DR are called then: its interval, and Wilson's beside it.
    fn interval_heads(&self) -> (bool, Vec<&'static str>) {
        let by_image = self.summaries().first().is_some_and(Summary::by_image);
        (by_image, if by_image { vec!["DR (95 % by image)", "Wilson"] } else { vec!["DR (95 % Wilson)"] })
    }

    fn stability_table(&self) -> Table {
        let (by_image, dr) = self.interval_heads();
        let controlled = !self.controls().is_empty();
        let judged = self.judged();
        let mut header = vec!["acceleration"];
        header.extend(judged.then_some(["accuracy", "change"]).into_iter().flatten());
        header.extend(dr);
        header.extend(judged.then_some(["NDR", "PDR"]).into_iter().flatten());
        header.extend(controlled.then_some("ties"));
        header.extend(judged.then_some("McNemar p"));
        header.extend(controlled.then_some("above floor p"));
        let mut table = empty_table(&header, 1);
        // the tests of a control are of no family, and it is compared with none
        let mut add = |name: String, summary: &Summary, tested: bool| {
            let mut row = vec![name];
            row.extend(if judged { rates(summary, by_image) } else { changes(summary, by_image) });
            row.extend(controlled.then(|| summary.ties.map_or_else(|| "-".to_owned(), |ties| percent(summary.share(ties.count)))));
            row.extend(judged.then(|| if tested { p_value(summary.mcnemar.p_adjusted) } else { "-".to_owned() }));
            row.extend(controlled.then(|| summary.excess.map_or_else(|| "-".to_owned(), |excess| p_value(excess.p_adjusted))));
            table.add_row(row);
        };
        for summary in self.whole_summaries() {
            add(one_line(&summary.spec), summary, true);
        }
        for (summary, control) in self.control_summaries().iter().zip(self.controls()) {
            add(format!("{}: {}", self.control_name(summary), one_line(&control.what_it_is)), summary, false);
        }
        table
    }

    /// `None` where all questions weigh the same.
    fn weighted_table(&self) -> Option<Table> {
        let mut header = vec!["by weight"];
        header.extend(Weighted::heads(self.judged()));
        let mut table = empty_table(&header, 1);
        for summary in self.whole_summaries() {
            table.add_row(std::iter::once(one_line(&summary.spec)).chain(summary.weighted?.cells(self.judged())));
        }
        (!table.is_empty()).then_some(table)
    }

    /// One-sided bounds, and whether answers turned into others of a kind; columns that no answer fills are left out.
    fn release_table(&self) -> Table {
        let judged = self.judged();
        let unread = judged && self.summaries().iter().any(|summary| summary.assurance.unparsed.is_some());
        let calibrated = judged && self.summaries().iter().any(|summary| summary.assurance.calibration.is_some());
        let mut header = vec!["95 % sure, at most"];
        header.extend(judged.then_some(["drop", "NDR"]).into_iter().flatten());
        header.push("DR");
        header.extend(judged.then_some("drop seen from"));
        header.extend(unread.then_some("unread"));
        header.extend(calibrated.then_some("ECE"));
        let mut table = empty_table(&header, 1);
        for summary in self.whole_summaries() {
            let Assurance { drop_at_most, ndr_at_most, dr_at_most, least_drop, unparsed, calibration, .. } = &summary.assurance;
            let mut row = vec![one_line(&summary.spec)];
            row.extend(judged.then(|| [points(*drop_at_most), percent(*ndr_at_most)]).into_iter().flatten());
            row.push(percent(*dr_at_most));
            row.extend(judged.then(|| or_dash(least_drop.map(percent))));
            row.extend(unread.then(|| or_dash(unparsed.map(|unparsed| format!("{} -> {}", unparsed.before, unparsed.after)))));
            let errors = calibration.map(|shift| format!("{} -> {}", percent(shift.before.ece), percent(shift.after.ece)));
            row.extend(calibrated.then(|| or_dash(errors)));
            table.add_row(row);
        }
        table
    }

    /// `None` where no method stands beside random visual tokens of its budget.
    fn chance_table(&self) -> Option<Table> {
        let what = if self.judged() { "break" } else { "change" };
        let heads = ["beside random tokens", "at random", "tokens", what, "tokens", what, "it alone", "random alone", "p", ""];
        let mut table = empty_table(&heads, 2);
        let pairs = self.against_random();
        for pair in &pairs {
            let ([method, random], test) = self.told(pair);
            let names = [pair.method, pair.random].map(|place| one_line(&self.accelerations()[place].spec));
            table.add_row(names.into_iter().chain(method).chain(random).chain(test));
        }
        (!pairs.is_empty()).then_some(table)
    }

    /// What a control is called: the noise floor if it is that.
    fn control_name(&self, summary: &Summary) -> String {
        let floor = self.noise_floor().is_some_and(|floor| std::ptr::eq(floor, summary));
        let spec = one_line(&summary.spec);
        match (floor, summary.spec.as_str()) {
            (true, BASELINE) => "noise floor".to_owned(),
            (true, _) => format!("noise floor, {spec}"),
            (false, _) => format!("control {spec}"),
        }
    }

    /// `None` where nothing was perturbed.
    fn perturbed_table(&self) -> Option<Table> {
        let (by_image, dr) = self.interval_heads();
        let mut header = vec!["perturbation", "acceleration", "accuracy", "change"];
        header.extend(dr);
        header.extend(["NDR", "PDR", "DR clean", "own change"]);
        let mut table = empty_table(&header, 2);
        for Perturbed { perturbation, baseline, condition } in self.perturbed() {
            let mut add = |name: &str, summary: &Summary, clean: Option<&Summary>| {
                let own = clean.map_or(baseline.accuracy_change.value, |clean| summary.own_change(clean));
                let clean = clean.map_or_else(|| "-".to_owned(), |clean| percent(clean.dr.value));
                let mut row = vec![one_line(perturbation), name.to_owned()];
                row.extend(rates(summary, by_image));
                row.extend([clean, points(own)]);
                table.add_row(row);
            };
            add("none: from clean", baseline, None);
            for (summary, clean) in condition.accelerations.iter().zip(self.summaries()) {
                add(&one_line(&summary.spec), summary, Some(clean));
            }
            for (summary, clean) in condition.controls.iter().zip(self.control_summaries()) {
                let name = if clean.spec == BASELINE { "none again".to_owned() } else { format!("control {}", one_line(&clean.spec)) };
                add(&name, summary, Some(clean));
            }
        }
        (!self.perturbed().is_empty()).then_some(table)
    }

    /// A quantity has a column where it is known of anyone; `None` where none is.
    fn cost_table(&self) -> Option<Table> {
        let known = self.known_costs();
        let heads = ["files MB", "weights MB", "KV kB", "visual tokens", "prompt tokens", "FLOPs", "time s"];
        let mut header = vec!["acceleration"];
        header.extend(heads.into_iter().zip(known).filter(|(_, known)| *known).map(|(head, _)| head));
        if header.len() == 1 {
            return None;
        }
        let mut table = empty_table(&header, 1);
        let mut add = |name: &str, cost: &CostRow| {
            let cells = cost_cells(cost).into_iter().zip(known).filter(|(_, known)| *known).map(|(cell, _)| cell);
            table.add_row(std::iter::once(name.to_owned()).chain(cells));
        };
        add("none", &self.measurements().baseline_cost);
        let restored = self.restored();
        for acceleration in self.accelerations().iter().filter(|acceleration| !restored.contains(acceleration.spec.as_str())) {
            add(&one_line(&acceleration.spec), &acceleration.cost);
        }
        Some(table)
    }

    /// A table for each acceleration whose layers were put back into float: what that brings back.
    fn sensitivity_tables(&self) -> Vec<Table> {
        let judged = self.judged();
        let of = |sensitivity: &Sensitivity<'_>| {
            let sized = sensitivity.parts.iter().any(|part| part.more_bytes.is_some());
            let put_back = if sensitivity.has_eight() { "in float, or as said" } else { "in float" };
            let mut header = vec![put_back, "KL gone", "KL nats", "DR"];
            header.extend(judged.then_some(["NDR", "accuracy"]).into_iter().flatten());
            header.extend(sized.then_some("files MB more"));
            let mut table = empty_table(&header, 1);
            let mut add = |name: String, summary: &Summary, gone: Option<f64>, more_bytes: Option<u64>| {
                let mut row = vec![name, or_dash(gone.map(|gone| format!("{:.0} %", 100.0 * gone)))];
                row.extend([or_dash(summary.kl_mean.map(|kl| format!("{kl:.4}"))), percent(summary.dr.value)]);
                row.extend(judged.then(|| [percent(summary.ndr.value), percent(summary.accuracy_after.value)]).into_iter().flatten());
                row.extend(sized.then(|| or_dash(more_bytes.map(|bytes| format!("{:.2}", bytes as f64 / 1e6)))));
                table.add_row(row);
            };
            add(one_line(&sensitivity.whole.spec), sensitivity.whole, None, None);
            for part in &sensitivity.parts {
                add(format!("  {}", one_line(&part.name())), part.summary, sensitivity.gone(part), part.more_bytes);
            }
            table
        };
        self.sensitivities().iter().map(of).collect()
    }

    /// Which costs are known of anyone: files, weights, KV cache, visual tokens, prompt tokens, FLOPs, time. A log of another tool knows none, and one that
    /// is known is never 0.
    pub(crate) fn known_costs(&self) -> [bool; 7] {
        let all = || std::iter::once(&self.measurements().baseline_cost).chain(self.accelerations().iter().map(|a| &a.cost));
        let any = |known: &dyn Fn(&CostRow) -> bool| all().any(known);
        [
            self.tells_files(),
            any(&|cost| cost.weight_bytes > 0),
            any(&|cost| cost.kv_bytes > 0.0),
            any(&|cost| cost.visual_tokens > 0.0),
            any(&|cost| cost.prompt_tokens > 0.0),
            any(&|cost| cost.flops > 0.0),
            any(&|cost| cost.seconds.is_some()),
        ]
    }

    /// Whether it is known what the weights take as files.
    pub(crate) fn tells_files(&self) -> bool {
        self.measurements().baseline_cost.stored_bytes.is_some()
    }
}

fn or_dash(shown: Option<String>) -> String {
    shown.unwrap_or_else(|| "-".to_owned())
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

/// Accuracy, its change, what [`changes`] says, NDR, PDR.
fn rates(summary: &Summary, by_image: bool) -> Vec<String> {
    let mut row = vec![
        format!("{} -> {}", percent(summary.accuracy_before.value), percent(summary.accuracy_after.value)),
        points(summary.accuracy_change.value),
    ];
    row.extend(changes(summary, by_image));
    row.extend([percent(summary.ndr.value), percent(summary.pdr.value)]);
    row
}

/// DR with its interval, and where that is by image also Wilson's.
fn changes(summary: &Summary, by_image: bool) -> Vec<String> {
    let shown = |interval: Option<Interval>| match interval {
        Some(Interval { low, high }) => format!("({:>4}-{:>4})", percent(low), percent(high)),
        None => "(not avail.)".to_owned(),
    };
    let mut row = vec![format!("{:>5} {}", percent(summary.dr.value), shown(summary.dr.interval))];
    row.extend(by_image.then(|| shown(Some(summary.dr.wilson))));
    row
}

/// In the order of [`Report::known_costs`].
fn cost_cells(cost: &CostRow) -> [String; 7] {
    [
        cost.stored_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / 1e6)),
        format!("{:.2}", cost.weight_bytes as f64 / 1e6),
        format!("{:.1}", cost.kv_bytes / 1e3),
        format!("{:.1}", cost.visual_tokens),
        format!("{:.1}", cost.prompt_tokens),
        scaled(cost.flops),
        cost.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}")),
    ]
}
