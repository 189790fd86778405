//! The study that was finished last, kept in the browser as its link until another one is.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use steady_report::share::FRAGMENT;

use crate::opened::Opened;

/// Where it is kept.
const LAST: &str = "steady.last";

/// A finished study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Last {
    /// What it was, in a line.
    words: String,
    /// What its link holds.
    payload: String,
}

impl Last {
    /// What an earlier visit left behind.
    pub(crate) fn kept() -> Option<Self> {
        let text = window().local_storage().ok()??.get_item(LAST).ok()??;
        serde_json::from_str(&text).ok()
    }

    /// Keeps a report; `None` where it fits into no link.
    pub(crate) fn keep(opened: &Opened) -> Option<Self> {
        let report = &opened.report;
        let words = words(&report.plan().model, report.plan().questions, report.accelerations().len());
        let last = Self { words, payload: opened.link().ok()?.payload };
        if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(&last)) {
            // a browser without room offers it as long as the page is open
            drop(storage.set_item(LAST, &text));
        }
        Some(last)
    }

    fn forget() {
        if let Ok(Some(storage)) = window().local_storage() {
            drop(storage.remove_item(LAST));
        }
    }
}

fn words(model: &str, questions: usize, accelerations: usize) -> String {
    let several = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    format!("{model}, {}, {}", several(questions, "question"), several(accelerations, "acceleration"))
}

/// Offers it.
#[component]
pub(crate) fn LastStudy(last: RwSignal<Option<Last>>) -> impl IntoView {
    let forget = move |_| {
        Last::forget();
        last.set(None);
    };
    move || {
        last.get().map(|Last { words, payload }| {
            view! {
                <p class="last">
                    <span>"Your last study: " <bdi>{words}</bdi></span>
                    <a class="button" href=format!("#{FRAGMENT}{payload}")>"Open"</a>
                    <button type="button" class="button" on:click=forget>"Forget"</button>
                </p>
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_study_in_a_line() {
        assert_eq!(words("steady-llava", 20, 3), "steady-llava, 20 questions, 3 accelerations");
        assert_eq!(words("mine", 1, 1), "mine, 1 question, 1 acceleration");
    }
}
