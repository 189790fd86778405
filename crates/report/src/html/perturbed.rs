//! What changed where something was done to images or words, and what that alone did to the baseline.

use maud::{Markup, html};

use super::curves::{Curve, Curves};
use super::families::heat;
use super::tables::{change_cells, change_heads, control_name, rate, step};
use super::{Shows, points, spec};
use crate::brittle::Brittleness;
use crate::filter::Became;
use crate::number::{p_value, percent};
use crate::outcome::Outcome;
use crate::report::{Perturbed, Report};
use crate::summary::Summary;
use crate::sweep::Amounts;

/// Empty where nothing was done to them.
pub(super) fn section(report: &Report) -> Markup {
    let brittleness = report.brittleness();
    html! {
        @if !report.perturbed().is_empty() {
            section id="perturbed" {
                h2 { "Under perturbation" }
                @if let Some(answer) = report.told_brittleness(&brittleness) { p.answer { (answer) } }
                (map(report))
                (effects(report, &brittleness))
                @for amounts in report.amounts() { (curves(report, &amounts)) }
                p.hint {
                    "The same questions about perturbed images, or in perturbed words, in percent of all questions. First what the perturbation alone did to the baseline's own answers; below it what each acceleration did to answers where all was perturbed alike. The last columns say whether acceleration made the model more brittle: its DR without perturbation, and each model's own accuracy from clean to perturbed, to be compared with the baseline's."
                }
                div.scroll tabindex="0" role="region" aria-label="Rates under perturbation" {
                    table.numbers.perturbed {
                        thead {
                            tr {
                                th scope="col" { "model" }
                                (change_heads(report))
                                th scope="col" { "DR, clean" }
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

/// What each acceleration broke without perturbation, and under each.
fn map(report: &Report) -> Markup {
    let judged = report.judged();
    let share = |summary: &Summary| summary.harmed(judged);
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
fn effects(report: &Report, all: &[Brittleness]) -> Markup {
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
                        @for Brittleness { acceleration, perturbation, effects, .. } in all {
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

/// How it grows with the amount: each model's own accuracy, and what broke.
fn curves(report: &Report, Amounts { spec: name, points }: &Amounts<'_>) -> Markup {
    let judged = report.judged();
    let shares = |summary: &Summary| [summary.accuracy_after.value, summary.harmed(judged).value];
    let baseline = points.iter().map(|(amount, perturbed)| (*amount, shares(&perturbed.baseline))).collect();
    let mut all = vec![Curve { name: "baseline".to_owned(), points: baseline }];
    for (i, summary) in report.summaries().iter().enumerate() {
        let at = |(amount, perturbed): &(f64, &Perturbed)| Some((*amount, shares(perturbed.condition.accelerations.get(i)?)));
        all.push(Curve { name: summary.spec.clone(), points: points.iter().filter_map(at).collect() });
    }
    let range = [points.first(), points.last()].map(|point| point.map_or(0.0, |(amount, _)| *amount));
    let [changed, note] = if judged { ["broken answers", "NDR, % of questions"] } else { ["changed answers", "DR, % of questions"] };
    html! {
        h3 { (spec(name)) }
        p.hint {
            @if judged { "The dashed line is the baseline's accuracy without perturbation. " }
            "Of the baseline the second chart has what the perturbation alone did to its answers, of the others what acceleration did where all was perturbed alike."
        }
        (Curves {
            label: "Accuracy and answers against the amount of a perturbation, a line for each model",
            panels: [judged.then_some(["accuracy", "each model's own right answers, % of questions"]), Some([changed, note])],
            range,
            lines: &all,
            before: report.summaries().first().map(|summary| summary.accuracy_before.value),
        }.draw())
    }
}

fn group(report: &Report, Perturbed { perturbation, baseline, condition }: &Perturbed) -> Markup {
    html! {
        tbody {
            tr.under { th scope="rowgroup" colspan="7" { "under " (spec(perturbation)) } }
            (row(report, &html! { "baseline" small { "against its own answers without perturbation" } }, baseline, None))
            @for (summary, clean) in condition.accelerations.iter().zip(report.summaries()) {
                (row(report, &spec(&summary.spec), summary, Some(clean)))
            }
            @for (summary, clean) in condition.controls.iter().zip(report.control_summaries()) {
                (row(report, &control_name(report, clean), summary, Some(clean)))
            }
        }
    }
}

/// `clean` is the summary of the same answers without perturbation.
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
