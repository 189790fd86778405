//! What changed where something was done to the images, and what that alone did to the baseline.

use maud::{Markup, html};

use super::tables::{change_cells, change_heads, control_name, rate, step};
use super::{points, spec};
use crate::report::{Perturbed, Report};
use crate::summary::Summary;

/// Empty where nothing was done to the images.
pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.perturbed().is_empty() {
            section id="perturbed" {
                h2 { "Under perturbation" }
                p.hint {
                    "The same questions about worse images, in percent of all questions. First what the perturbation alone did to the baseline's own answers; below it what each acceleration did to answers about the same perturbed images. The last columns say whether acceleration made the model more brittle: its DR on clean images, and each model's own accuracy from clean to perturbed images, to be compared with the baseline's."
                }
                div.scroll tabindex="0" role="region" aria-label="Rates under perturbation" {
                    table.numbers.perturbed {
                        thead {
                            tr {
                                th scope="col" { "model" }
                                (change_heads(report))
                                th scope="col" { "DR, clean images" }
                                th scope="col" { "own accuracy, clean to perturbed" small { "change, points" } }
                            }
                        }
                        @for perturbed in report.perturbed() { (group(report, perturbed)) }
                    }
                }
            }
        }
    }
}

fn group(report: &Report, Perturbed { perturbation, baseline, condition }: &Perturbed) -> Markup {
    html! {
        tbody {
            tr.under { th scope="rowgroup" colspan="7" { "under " (spec(perturbation)) } }
            (row(report, &html! { "baseline" small { "against its own answers about the clean images" } }, baseline, None))
            @for (summary, clean) in condition.accelerations.iter().zip(report.summaries()) {
                (row(report, &spec(&summary.spec), summary, Some(clean)))
            }
            @for (summary, clean) in condition.controls.iter().zip(report.control_summaries()) {
                (row(report, &control_name(report, clean), summary, Some(clean)))
            }
        }
    }
}

/// `clean` is the summary of the same answers about clean images.
fn row(report: &Report, name: &Markup, summary: &Summary, clean: Option<&Summary>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            (change_cells(report, summary))
            @match clean {
                Some(clean) => {
                    td { (rate(clean, clean.dr)) }
                    td { (step(clean.accuracy_after, summary.accuracy_after)) small { (points(summary.own_change(clean))) } }
                }
                None => {
                    td { "–" }
                    td { (step(summary.accuracy_before, summary.accuracy_after)) small { (points(summary.accuracy_change.value)) } }
                }
            }
        }
    }
}
