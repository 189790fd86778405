//! Two reports side by side.

use maud::{Markup, html};

use super::{spec, text};
use crate::beside::{Beside, Pair};
use crate::counted::counted;
use crate::measurements::BASELINE;
use crate::number::{p_value, percent};

/// `names` are what a reader calls the two reports.
pub(super) fn section(beside: &Beside, names: [&str; 2]) -> Markup {
    let [ours, theirs] = names;
    html! {
        section id="beside" {
            h2 { "Two reports, side by side" }
            p.hint {
                (counted(beside.questions as u64, "question")) " of " (text(ours)) " and " (text(theirs)) ", aligned by their names. "
                @if beside.alone != [0, 0] { (beside.alone[0]) " more are in the first alone and " (beside.alone[1]) " in the second. " }
                @if beside.unlike > 0 { (beside.unlike) " have other words or gold answers under the same name and are left out. " }
                "Answers are compared with each other, not each with its own baseline. McNemar's test, by image and adjusted for all rows, says whether one is right more often."
            }
            div.scroll tabindex="0" role="region" aria-label="Two reports, side by side" {
                table.numbers {
                    thead {
                        tr {
                            th scope="col" { "first" small { (text(ours)) } }
                            th scope="col" { "second" small { (text(theirs)) } }
                            th scope="col" { "other answers" }
                            th scope="col" { "both right" }
                            th scope="col" { "first alone" }
                            th scope="col" { "second alone" }
                            th scope="col" { "neither" }
                            th scope="col" { "McNemar\u{a0}p" }
                        }
                    }
                    tbody { @for pair in &beside.pairs { (row(pair)) } }
                }
            }
        }
    }
}

fn row(Pair { specs, differ, right, test }: &Pair) -> Markup {
    let name = |name: &str| html! { @if name == BASELINE { "baseline" } @else { (spec(name)) } };
    html! {
        tr {
            th scope="row" { (name(&specs[0])) }
            td.name { (name(&specs[1])) }
            td { b { (differ.value().map_or_else(|| "–".to_owned(), percent)) "\u{a0}%" } small { (differ.count) " of " (differ.of) } }
            @for count in right { td { (count) } }
            td { (p_value(test.p_adjusted)) }
        }
    }
}
