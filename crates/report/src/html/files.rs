//! Every chart of the page as a picture file of its own, dark on light whoever looks.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::px;
use super::{STYLE, chart, together};
use crate::number::percent;
use crate::printable::one_line;
use crate::report::Report;

/// Width of a cell, of the names beside and above the cells; height of a row, of the names above, of the title.
const CELL: f64 = 108.0;
const NAMES: f64 = 236.0;
const ROW: f64 = 34.0;
const HEADS: f64 = 48.0;
const TITLE: f64 = 30.0;
/// Characters of a name that fit above a cell, and beside one.
const SHORT: usize = 15;
const LONG: usize = 32;

/// Name and content of each.
pub(super) fn all(report: &Report) -> Vec<(&'static str, String)> {
    let heat = |name: &'static str, heat: Option<Heat>| Some((name, standalone(&heat?.draw())?));
    let line = |name: &'static str, drawn: Option<Markup>| Some((name, standalone(&drawn?)?));
    let charts = [
        line("accuracy", chart::plain(report)),
        heat("families", families(report)),
        heat("perturbations", perturbations(report)),
        heat("common-changes", common_changes(report)),
        line("budgets", together::plain(report)),
    ];
    charts.into_iter().flatten().collect()
}

/// A drawing of the page as a file that needs nothing else.
fn standalone(drawn: &Markup) -> Option<String> {
    let (_, drawn) = drawn.0.split_once("<svg ")?;
    let (head, drawn) = drawn.split_once('>')?;
    // what the page's style says of charts, and the colours of its light form, which come first
    let (colours, _) = STYLE.split_once('}')?;
    let rules: String = STYLE.lines().filter(|line| line.starts_with(".chart ") || line.starts_with(".curve")).collect();
    let style = format!(
        "{}}}.chart{{font-family:system-ui,'Segoe UI',Roboto,Arial,sans-serif}}{rules}",
        colours.replace("color-scheme: light dark;", "")
    );
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {head}><style>{style}</style><rect width=\"100%\" height=\"100%\" fill=\"var(--page)\"></rect>{drawn}"
    ))
}

/// A table of shares, the stronger the colour the larger.
struct Heat {
    title: String,
    columns: Vec<String>,
    /// Names with a share for each column, where there is one.
    rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Heat {
    fn draw(&self) -> Markup {
        let highest = self.rows.iter().flat_map(|(_, shares)| shares).flatten().copied().fold(0.0, f64::max);
        let strength = |share: f64| if highest > 0.0 { 0.62 * share / highest } else { 0.0 };
        let (width, height) = (NAMES + CELL * self.columns.len() as f64 + 8.0, TITLE + HEADS + ROW * self.rows.len() as f64 + 8.0);
        let (x, y) = (|column: usize| NAMES + CELL * column as f64, |row: usize| TITLE + HEADS + ROW * row as f64);
        html! {
            svg.chart role="img" aria-label=(self.title) viewBox={ "0 0 " (px(width)) " " (px(height)) } width=(px(width)) height=(px(height)) {
                text.head x="2" y="18" { (self.title) }
                @for (column, name) in self.columns.iter().enumerate() {
                    @for (i, line) in chart::lines(&one_line(name), SHORT).iter().enumerate() {
                        text.tick x=(px(x(column) + CELL / 2.0)) y=(px(TITLE + 14.0 + 14.0 * i as f64)) { (line) }
                    }
                }
                @for (row, (name, shares)) in self.rows.iter().enumerate() {
                    text.label x="2" y=(px(y(row) + 21.0)) { (chart::lines(&one_line(name), LONG).first().cloned().unwrap_or_default()) }
                    @for (column, share) in shares.iter().enumerate() {
                        @if let Some(share) = share {
                            rect x=(px(x(column) + 1.0)) y=(px(y(row) + 1.0)) width=(px(CELL - 2.0)) height=(px(ROW - 2.0)) fill="var(--heat-colour)" fill-opacity=(format!("{:.2}", strength(*share))) {}
                            text.middle x=(px(x(column) + CELL / 2.0)) y=(px(y(row) + 21.0)) { (percent(*share)) }
                        }
                    }
                }
            }
        }
    }
}

fn specs(report: &Report) -> Vec<String> {
    report.summaries().iter().map(|summary| summary.spec.clone()).collect()
}

/// `None` without accelerations.
fn families(report: &Report) -> Option<Heat> {
    let mut rows: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for summary in report.summaries() {
        for (family, of_family) in &summary.per_family {
            rows.entry(family).or_default().push(Some(of_family.dr.value));
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(family, shares)| (family.to_owned(), shares)).collect();
    let title = "Changed answers by family, % of its questions".to_owned();
    (!rows.is_empty()).then(|| Heat { title, columns: specs(report), rows })
}

/// `None` where nothing was done to the images.
fn perturbations(report: &Report) -> Option<Heat> {
    let judged = report.judged();
    let share = |summary: &crate::Summary| Some(summary.harmed(judged).value);
    let rows = report.summaries().iter().enumerate().map(|(i, clean)| {
        let worse = report.perturbed().iter().map(|perturbed| perturbed.condition.accelerations.get(i).and_then(share));
        (clean.spec.clone(), std::iter::once(share(clean)).chain(worse).collect())
    });
    let columns = std::iter::once("clean".to_owned()).chain(report.perturbed().iter().map(|perturbed| perturbed.perturbation.clone()));
    let title = format!("{} answers by perturbation, % of questions", if judged { "Broken" } else { "Changed" });
    (!report.perturbed().is_empty()).then(|| Heat { title, columns: columns.collect(), rows: rows.collect() })
}

/// `None` of fewer than two accelerations.
fn common_changes(report: &Report) -> Option<Heat> {
    let together = report.together()?;
    let of = |(i, row): (usize, &Vec<crate::Overlap>)| {
        row.iter().enumerate().map(|(j, overlap)| if i == j { None } else { overlap.share() }).collect()
    };
    let rows = together.specs.iter().cloned().zip(together.overlaps.iter().enumerate().map(of)).collect();
    let title = "Of the answers that one or the other changed, the share that both did, %".to_owned();
    Some(Heat { title, columns: together.specs, rows })
}
