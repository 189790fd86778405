//! What changed where something was done to the images, and what that alone did to the baseline.

use maud::{Markup, html};

use super::families::heat;
use super::tables::{change_cells, change_heads, control_name, rate, step};
use super::{Shows, points, spec};
use crate::brittle::Brittleness;
use crate::filter::Became;
use crate::number::{p_value, percent};
use crate::outcome::Outcome;
use crate::report::{Perturbed, Report};
use crate::summary::Summary;

/// Empty where nothing was done to the images.
pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.perturbed().is_empty() {
            section id="perturbed" {
                h2 { "Under perturbation" }
                @if let Some(answer) = report.brittleness_in_words() { p.answer { (answer) } }
                (map(report))
                (effects(report))
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

/// What each acceleration broke on clean images, and under each perturbation.
fn map(report: &Report) -> Markup {
    let judged = report.judged();
    let share = |summary: &Summary| if judged { summary.ndr } else { summary.dr };
    let conditions: Vec<&[Summary]> = std::iter::once(report.summaries())
        .chain(report.perturbed().iter().map(|perturbed| perturbed.condition.accelerations.as_slice()))
        .collect();
    let highest = conditions.iter().flat_map(|summaries| summaries.iter()).map(|summary| share(summary).value).fold(0.0, f64::max);
    let became = if judged { Became::Only(Outcome::Broken) } else { Became::Changed };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Broken answers by perturbation" {
            table.heat {
                thead {
                    tr {
                        th scope="col" { @if judged { "broken, %" } @else { "changed, %" } }
                        th scope="col" { "clean" }
                        @for perturbed in report.perturbed() { th scope="col" { (spec(&perturbed.perturbation)) } }
                    }
                }
                tbody {
                    @for (acceleration, clean) in report.summaries().iter().enumerate() {
                        tr {
                            th scope="row" { (spec(&clean.spec)) }
                            @for (condition, summary) in conditions.iter().enumerate().filter_map(|(i, summaries)| Some((i, summaries.get(acceleration)?))) {
                                @let share = share(summary);
                                @let number = html! { (percent(share.value)) };
                                td class=(heat(share.value, highest)) {
                                    @if share.count == 0 { (number) } @else { (Shows { condition, ..Shows::clean(acceleration, became) }.link(&number)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What acceleration and perturbation did to accuracy, each alone and both together.
fn effects(report: &Report) -> Markup {
    let all = report.brittleness();
    html! {
        @if !all.is_empty() {
            p.hint {
                "Accuracy by what was done to it, in points. Amplification is what an acceleration costs on perturbed input beyond its cost on clean input, question by question; p by image, adjusted for all rows."
            }
            div.scroll tabindex="0" role="region" aria-label="Accuracy under acceleration, perturbation and both" {
                table.numbers.effects {
                    thead {
                        tr {
                            th scope="col" { "model" }
                            th scope="col" { "perturbation" }
                            th scope="col" { "acceleration alone" }
                            th scope="col" { "perturbation alone" }
                            th scope="col" { "both" }
                            th scope="col" { "amplification" }
                            th scope="col" { "p" }
                        }
                    }
                    tbody {
                        @for Brittleness { acceleration, perturbation, effects, .. } in &all {
                            tr {
                                th scope="row" { (spec(&report.accelerations()[*acceleration].spec)) }
                                td { (spec(&report.perturbed()[*perturbation].perturbation)) }
                                td { (points(effects.acceleration)) }
                                td { (points(effects.perturbation)) }
                                td { (points(effects.together)) }
                                td { (points(effects.amplification())) }
                                td { (p_value(effects.test.p_adjusted)) }
                            }
                        }
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
