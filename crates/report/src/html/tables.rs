//! All rates, what it bought, what was run, and what the names mean.

use maud::{Markup, html};

use super::{change_ends, named, points, spec, text};
use crate::measurements::{BASELINE, CostRow};
use crate::number::{p_value, percent, scaled, small};
use crate::rates::Rate;
use crate::report::Report;
use crate::summary::{Summary, ends};
use crate::weighted::Weighted;

pub(super) fn rates(report: &Report) -> Markup {
    html! {
        section id="rates" {
            h2 { "All rates" }
            p.hint {
                "In percent of all questions unless a column says otherwise. "
                @if report.summaries().first().is_some_and(Summary::by_image) {
                    "Below a rate its 95 % interval by image, since several questions are about one, and below that Wilson's, which takes questions for independent."
                } @else { "Below a rate its 95 % interval (Wilson)." }
            }
            @for remark in report.remarks() { p.hint { (remark) "." } }
            div.scroll tabindex="0" role="region" aria-label="All rates" {
                table.numbers {
                    thead {
                        tr {
                            th scope="col" { "acceleration" }
                            (change_heads(report))
                            @if report.judged() {
                                th scope="col" { "broken, % of right" }
                                th scope="col" { "broken, % of changed" }
                                th scope="col" { (named("McNemar\u{a0}p", "mcnemar", "could broken and repaired be equally likely?")) small { "adjusted (Holm), by image" } }
                            }
                            @if !report.controls().is_empty() {
                                th scope="col" { (named("above floor, p", "control", "does it change more answers than the noise floor?")) small { "answers more, fewer" } }
                                th scope="col" { (named("ties", "tie", "changed answers that were close to begin with")) small { "margin up to" } }
                            }
                            @if report.tells_divergences() { th scope="col" { (named("KL, nats", "kl", "how far the distribution of the first token moved")) small { "mean, median" } } }
                            @if report.tells_margins() { th scope="col" { (named("baseline margin", "margin", "by how much the first token led")) small { "same, differs" } } }
                        }
                    }
                    tbody {
                        @for (summary, acceleration) in report.summaries().iter().zip(report.accelerations()) {
                            (rates_row(report, &html! { (spec(&summary.spec)) small { (text(&acceleration.what_it_is)) } }, summary))
                        }
                        @for (summary, control) in report.control_summaries().iter().zip(report.controls()) {
                            (rates_row(report, &html! { (control_name(report, summary)) small { (text(&control.what_it_is)) } }, summary))
                        }
                    }
                }
            }
            (by_weight(report))
        }
    }
}

/// Empty where all questions weigh the same.
fn by_weight(report: &Report) -> Markup {
    let judged = report.judged();
    let weighted: Vec<_> = report.summaries().iter().filter_map(|summary| Some((summary, summary.weighted?))).collect();
    html! {
        @if let Some((_, first)) = weighted.first() {
            h3 id="weighted" { "By weight" }
            p.hint { (first.hint(report.plan().questions)) }
            div.scroll tabindex="0" role="region" aria-label="Rates by weight" {
                table.numbers {
                    thead { tr { th scope="col" { "acceleration" } @for head in Weighted::heads(judged) { th scope="col" { (head) } } } }
                    tbody {
                        @for (summary, weighted) in &weighted {
                            tr {
                                th scope="row" { (spec(&summary.spec)) }
                                @for cell in weighted.cells(judged) { td { (cell.replace(" -> ", " → ")) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a control is called: the noise floor if it is that.
pub(super) fn control_name(report: &Report, summary: &Summary) -> Markup {
    let floor = report.noise_floor().is_some_and(|floor| floor.spec == summary.spec);
    html! {
        @if floor { "noise floor: " } @else { "control: " }
        @if summary.spec == BASELINE { "the baseline again" } @else { code { (text(&summary.spec)) } }
    }
}

/// Heads of [`change_cells`].
pub(super) fn change_heads(report: &Report) -> Markup {
    let judged = report.judged();
    html! {
        @if judged { th scope="col" { "accuracy" small { "change, points" } } }
        th scope="col" { (named("DR", "dr", "divergence ratio: changed")) }
        @if judged {
            th scope="col" { (named("NDR", "ndr", "negative divergence ratio: broken")) }
            th scope="col" { (named("PDR", "ndr", "positive divergence ratio: repaired")) }
        }
    }
}

/// What changed: accuracy and the three rates, with their intervals.
pub(super) fn change_cells(report: &Report, summary: &Summary) -> Markup {
    let (change, judged) = (summary.accuracy_change, report.judged());
    html! {
        @if judged {
            td {
                (step(summary.accuracy_before, summary.accuracy_after))
                small { (points(change.value)) } small { (change_ends(change)) }
            }
        }
        td { (rate(summary, summary.dr)) }
        @if judged {
            td { (rate(summary, summary.ndr)) }
            td { (rate(summary, summary.pdr)) }
        }
    }
}

/// From one rate to another.
pub(super) fn step(from: Rate, to: Rate) -> Markup {
    html! { (percent(from.value)) " → " (percent(to.value)) }
}

fn rates_row(report: &Report, name: &Markup, summary: &Summary) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            (change_cells(report, summary))
            @if report.judged() {
                td { (optional_rate(summary, summary.ndr_given_correct)) }
                td { (optional_rate(summary, summary.ndr_given_change)) }
                td { (p_value(summary.mcnemar.p_by_question)) small { (p_value(summary.mcnemar.p_adjusted)) ", " (p_value(summary.mcnemar.p_by_image)) } }
            }
            @if !report.controls().is_empty() {
                td { @match summary.excess { Some(excess) => { (p_value(excess.p_adjusted)) small { (excess.up) ", " (excess.down) } } None => "–" } }
                td { @match summary.ties { Some(ties) => { (percent(summary.share(ties.count))) small { (small(ties.margin)) } } None => "–" } }
            }
            @if report.tells_divergences() { td { (optional(summary.kl_mean)) small { (optional(summary.kl_median)) } } }
            @if report.tells_margins() { td { (optional(summary.margin_same)) small { (optional(summary.margin_diverged)) } } }
        }
    }
}

/// A rate with its interval, and below it Wilson's where that is another one.
pub(super) fn rate(summary: &Summary, rate: Rate) -> Markup {
    html! { b { (percent(rate.value)) } (intervals(summary, rate)) }
}

fn intervals(summary: &Summary, rate: Rate) -> Markup {
    html! {
        small { (ends(rate.interval).replace('-', "–")) }
        @if summary.by_image() { small.quiet { (ends(Some(rate.wilson)).replace('-', "–")) } }
    }
}

fn optional_rate(summary: &Summary, of: Option<Rate>) -> Markup {
    html! { @match of { Some(of) => { (percent(of.value)) (intervals(summary, of)) } None => "–" } }
}

fn optional(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), small)
}

pub(super) fn costs(report: &Report) -> Markup {
    let baseline = &report.measurements().baseline_cost;
    let (files, known) = (report.tells_files(), report.known_costs());
    if !known.contains(&true) {
        return html! {};
    }
    let heads = ["files, MB", "weights, MB", "KV cache, kB", "visual tokens", "prompt tokens", "FLOPs", "time, s"];
    html! {
        section id="costs" {
            h2 { "What it bought" }
            p.hint {
                "Mean per question, weights and time in total; below each number its ratio to the baseline. All but the time follow from shapes and formats."
                @if files {
                    " Files are the weights as somebody would publish them: what is packed as packed, all else as the checkpoint has it. Weights are what this study held in memory, in "
                    (text(&report.plan().precision)) "."
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Costs" {
                table.numbers {
                    thead {
                        tr {
                            th scope="col" { "acceleration" }
                            @for (head, known) in heads.into_iter().zip(known) {
                                @if known { th scope="col" { (head) @if head == "visual tokens" { small { "mean over layers" } } } }
                            }
                        }
                    }
                    tbody {
                        (cost_row(&html! { "baseline" }, baseline, None, known))
                        @for acceleration in report.accelerations() {
                            (cost_row(&spec(&acceleration.spec), &acceleration.cost, Some(baseline), known))
                        }
                    }
                }
            }
        }
    }
}

fn cost_row(name: &Markup, cost: &CostRow, baseline: Option<&CostRow>, known: [bool; 7]) -> Markup {
    let cell = |shown: String, of: &dyn Fn(&CostRow) -> Option<f64>| {
        let ratio = baseline.and_then(of).filter(|base| *base > 0.0).zip(of(cost)).map(|(base, ours)| ours / base);
        html! { td { (shown) @if let Some(ratio) = ratio { small { "× " (format!("{ratio:.2}")) } } } }
    };
    let cells = [
        cell(megabytes(cost.stored_bytes), &|cost| cost.stored_bytes.map(|bytes| bytes as f64)),
        cell(format!("{:.2}", cost.weight_bytes as f64 / 1e6), &|cost| Some(cost.weight_bytes as f64)),
        cell(format!("{:.1}", cost.kv_bytes / 1e3), &|cost| Some(cost.kv_bytes)),
        cell(format!("{:.1}", cost.visual_tokens), &|cost| Some(cost.visual_tokens)),
        cell(format!("{:.1}", cost.prompt_tokens), &|cost| Some(cost.prompt_tokens)),
        cell(scaled(cost.flops), &|cost| Some(cost.flops)),
        cell(cost.seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1}")), &|cost| cost.seconds),
    ];
    html! {
        tr {
            th scope="row" { (name) }
            @for (cell, known) in cells.iter().zip(known) { @if known { (cell) } }
        }
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.2}", bytes as f64 / 1e6))
}

pub(super) fn plan(report: &Report) -> Markup {
    let plan = report.plan();
    // a log of another tool does not know everything
    let one = |name: &str, value: &str| html! { @if !value.is_empty() { dt { (name) } dd { (text(value)) } } };
    let named = |what: &str, values: &mut dyn Iterator<Item = (&String, String)>| {
        html! { @for (name, value) in values { dt { (what) " " (text(name)) } dd { (text(&value)) } } }
    };
    html! {
        section id="plan" {
            h2 { "What was run" }
            details {
                summary { "Everything needed to run it again" }
                dl.plan {
                    (one("command", &plan.command_line))
                    (one("model", &plan.model))
                    (one("checkpoint SHA-256", &plan.checkpoint_sha256))
                    (one("benchmark", &plan.benchmark))
                    (one("benchmark fingerprint", &plan.benchmark_fingerprint))
                    @if !plan.plan_sha256.is_empty() { (one("plan SHA-256", &plan.plan_sha256)) }
                    (one("questions", &plan.questions.to_string()))
                    (one("accelerations", &plan.specs.join("   ")))
                    @if !plan.perturbations.is_empty() { (one("perturbations", &plan.perturbations.join("   "))) }
                    (one("prompt", &plan.prompt_template))
                    (named("behind a question:", &mut plan.post_prompts.iter().map(|(form, text)| (form, text.clone()))))
                    (named("processor", &mut plan.processor.iter().map(|(name, value)| (name, value.clone()))))
                    (named("decoding", &mut plan.decoding.iter().map(|(name, value)| (name, value.clone()))))
                    (one("precision", &plan.precision))
                    (one("device", &plan.device))
                    (named("version", &mut plan.versions.iter().map(|(name, value)| (name, value.clone()))))
                    (named("seed", &mut plan.seeds.iter().map(|(name, value)| (name, value.to_string()))))
                }
            }
        }
    }
}

pub(super) fn notes(report: &Report) -> Markup {
    html! {
        section id="notes" {
            h2 { "What the names mean" }
            details {
                summary { "Outcomes, rates, intervals and tests" }
                dl.plan {
                    dt { "same" } dd { "The accelerated model gave the baseline's answer: the same choice, number or word where the benchmark's parser reads both, else the same normalised text." }
                    dt { "broken, repaired" } dd { "The answer went from right to wrong, or from wrong to right." }
                    dt { "changed" } dd { "Another answer that is as right or wrong as the baseline's." }
                    dt id="name-dr" { "DR" } dd { "Divergence ratio: the share of all questions whose answer changed." }
                    dt id="name-ndr" { "NDR, PDR" } dd { "Negative and positive divergence ratio: the shares of all questions that broke and that were repaired. Accuracy before minus accuracy after is NDR − PDR, exactly: large NDR and PDR can leave accuracy where it was." }
                    dt { "broken, % of right" } dd { "Of the questions that the baseline answered correctly, how many broke: what someone who relies on the baseline stands to lose." }
                    dt { "broken, % of changed" } dd { "Of the answers that changed, how many went from right to wrong." }
                    dt id="name-control" { "control, noise floor" } dd { "A control is a change that should not matter, such as another order of the questions or another number format. The one under which most answers change is the noise floor. Whether an acceleration changes more answers than that is a paired test on the same questions: answers that it alone changed against those that the control alone changed, by image, adjusted for the number of tests." }
                    dt id="name-tie" { "tie" } dd { "A changed answer for which the baseline's first token led by no more than the most by which any control moved the lead of any baseline's first token. Where another token leads under the control, both leads count together. Ties at later tokens are not seen." }
                    dt { "interval" } dd { "Of a share, where several questions are about one image: the 95 % percentile interval from 2,000 bootstrap samples of whole images, since questions about one image are not independent. Not available where all samples come out alike, as where nothing changed. Else, and beside it: the 95 % Wilson interval." }
                    dt id="name-mcnemar" { "McNemar p" } dd { "Exact two-sided McNemar test: could broken and repaired answers be equally likely? A p near 1 beside a high DR is the hidden case. By image: the difference of each image is as likely to point the other way. Adjusted: that one, by Holm, for all accelerations under all conditions." }
                    dt { "at most" } dd { "One-sided bounds at 95 %. Of the drop in accuracy: Tango's score interval for paired proportions, so that the acceleration is not inferior by any margin above it. Of NDR and DR: exact, after Clopper and Pearson, so that 0 of 300 means at most 1 %. Where several questions are about one image, counts are divided by their design effect first." }
                    dt { "drop seen from" } dd { "The least drop in accuracy that McNemar's one-sided test at 5 % would have found among so many questions with a chance of 80 %." }
                    dt { "unread" } dd { "Answers that the benchmark's parser could not read. They count as wrong; beside them what would have come out had they been right." }
                    dt { "agreement" } dd { "Of the yes/no questions that the baseline answers with yes, or with no, how many the accelerated model answers the same: positive and negative percent agreement. Sensitivity and specificity are against the gold answers." }
                    dt { "ECE" } dd { "Expected calibration error, in 15 bins, of the confidence in the first answer token against the second. Overconfidence is mean confidence minus accuracy." }
                    dt id="name-margin" { "margin" } dd { "Highest minus second-highest logit of the first answer token: how firmly the model chose." }
                    dt id="name-kl" { "KL" } dd { "Kullback-Leibler divergence of the accelerated from the baseline's distribution over the first answer token, in nats." }
                    dt id="name-tokens" { "visual tokens" } dd { "Image tokens that the language model saw, averaged over its layers: a method that drops half of 144 tokens behind the second of eight layers counts as 2/8 of 144 and 6/8 of 72, which is 90." }
                    @if !report.perturbed().is_empty() {
                        dt { "under perturbation" } dd { "The same questions, with something done to their images or words, the same for the baseline and all accelerations. Rates compare answers where all was perturbed alike, but for the rows of the baseline, which compare its answers with its own without perturbation." }
                    }
                }
            }
        }
    }
}
