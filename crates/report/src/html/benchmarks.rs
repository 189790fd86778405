//! Benchmarks by accelerations, on a page of its own or on that of a verdict.

use maud::{Markup, html};

use super::families::heat;
use super::{Shows, frame, spec, text};
use crate::benchmarks::{Benchmarks, Cell, OfBenchmark};
use crate::counted::counted;
use crate::filter::Became;
use crate::number::percent;
use crate::outcome::Outcome;
use crate::printable::printable;
use crate::summary::ends;

impl Benchmarks<'_> {
    /// The map, for a page that has `style.css` itself. All text of the reports is escaped; a cell leads to the questions that it counts where the report's page
    /// is known.
    pub fn map(&self) -> String {
        self.section().into_string()
    }

    /// The map, with what the reports find, as one HTML file that needs nothing else.
    pub fn html(&self) -> String {
        let model = self.all().first().map_or("", |one| one.report.plan().model.as_str());
        let title = format!("Stability of {} over {}", printable(model), counted(self.all().len() as u64, "benchmark"));
        let body = html! {
            header {
                p.kicker { "steady · stability report" }
                h1 { (title) }
            }
            main {
                (self.section())
                section id="findings" {
                    h2 { "What each benchmark shows" }
                    @for one in self.all() {
                        h3 { (led(*one)) }
                        ul { @for finding in one.report.findings() { li { (text(&finding)) } } }
                    }
                }
            }
        };
        frame(&title, None, false, &body).into_string()
    }

    fn section(&self) -> Markup {
        let highest = self.highest();
        html! {
            section id="benchmarks" {
                h2 { "Where answers " @if self.judged() { "broke" } @else { "changed" } }
                p.hint {
                    "Of each benchmark and acceleration in percent of all questions: "
                    @if self.judged() { "what went from right to wrong (NDR), by which it is coloured, and below it what changed (DR). Where nothing is right or wrong, only the latter." }
                    @else { "what changed (DR)." }
                    " With their 95 % intervals."
                }
                div.scroll tabindex="0" role="region" aria-label="Benchmarks by accelerations" {
                    table.heat {
                        thead { tr { th scope="col" { "benchmark" } th scope="col" { "baseline" } @for name in self.specs() { th scope="col" { (spec(name)) } } } }
                        tbody {
                            @for (one, cells) in self.rows() {
                                tr {
                                    th scope="row" { (led(one)) }
                                    td.quiet {
                                        @match one.report.summaries().first().filter(|_| one.report.judged()) {
                                            Some(first) => { (percent(first.accuracy_before.value)) " %" }
                                            None => "–"
                                        }
                                        small { (counted(one.report.plan().questions as u64, "question")) }
                                    }
                                    @for shown in cells { (cell(one, shown, highest)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A benchmark's name, which leads to its report where that is known.
fn led(one: OfBenchmark<'_>) -> Markup {
    let name = text(&one.report.plan().benchmark);
    html! { @match one.page { Some(page) => a href=(page) { (name) } None => (name) } }
}

fn cell(one: OfBenchmark<'_>, cell: Option<Cell<'_>>, highest: f64) -> Markup {
    let Some(cell) = cell else { return html! { td.quiet { "not run" } } };
    let became = if cell.judged { Became::Only(Outcome::Broken) } else { Became::Changed };
    let rate = cell.rate();
    let number = html! { (percent(rate.value)) };
    html! {
        td class=(heat(rate.value, highest)) {
            @match one.page.filter(|_| rate.count > 0) {
                Some(page) => a href=(Shows::clean(cell.acceleration, became).address(page)) { (number) }
                None => (number)
            }
            @if rate.interval.is_some() { small { (ends(rate.interval).replace('-', "–")) } }
            @if cell.judged { small { "DR " (percent(cell.summary.dr.value)) } }
        }
    }
}
