//! The study that was finished last: the browser keeps it whole until another one is.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use steady_records::RecordsError;

use super::gathered::{Gathered, step_by_step};
use super::kept::{Begun, Kept};
use super::run::StudyRun;
use crate::address::LAST as FRAGMENT;
use crate::opened::Opened;
use crate::own_questions::Reader;

/// Where it is remembered.
const LAST: &str = "steady.last";

/// A finished study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Last {
    /// What it was, in a line.
    words: String,
    /// What names it among the studies that are kept.
    pub(crate) key: String,
}

impl Last {
    /// What an earlier visit left behind.
    pub(crate) fn kept() -> Option<Self> {
        let text = window().local_storage().ok()??.get_item(LAST).ok()??;
        serde_json::from_str(&text).ok()
    }

    /// Remembers the study of this report.
    pub(crate) fn keep(opened: &Opened, key: String) -> Self {
        let report = &opened.report;
        let last = Self { words: words(&report.plan().model, report.plan().questions, report.accelerations().len()), key };
        if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(&last)) {
            // a browser without room offers it as long as the page is open
            drop(storage.set_item(LAST, &text));
        }
        last
    }

    /// Remembers none.
    pub(crate) fn forget() {
        if let Ok(Some(storage)) = window().local_storage() {
            drop(storage.remove_item(LAST));
        }
    }
}

/// The report of the study that was finished last, with all that its answers hold. `reader` may have the files of what was asked.
///
/// # Errors
/// When it is not kept any more, in words.
pub(crate) async fn open(reader: Reader) -> Result<Opened, String> {
    let gone = "this browser keeps no finished study any more; run it again";
    let last = Last::kept().ok_or(gone)?;
    let kept = Kept::open().await.map_err(|_| gone)?;
    let Begun { work, groups, latest } = kept.find(&last.key).await.ok().flatten().ok_or(gone)?;
    let run = StudyRun::left(work, groups, latest);
    let mut gathered = Gathered::default();
    let told = |error: RecordsError| error.to_string();
    let deriving = gathered.begin(&run).map_err(told)?.ok_or(gone)?;
    let derived = step_by_step(deriving, || true).await.map_err(told)?.ok_or(gone)?;
    gathered.whole(derived, None, reader).map_err(told)?.ok_or_else(|| gone.to_owned())
}

fn words(model: &str, questions: usize, accelerations: usize) -> String {
    let several = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    format!("{model}, {}, {}", several(questions, "question"), several(accelerations, "acceleration"))
}

/// Offers it.
#[component]
pub(crate) fn LastStudy(last: RwSignal<Option<Last>>, on_forget: Callback<String>) -> impl IntoView {
    move || {
        last.get().map(|Last { words, key }| {
            view! {
                <p class="last">
                    <span>"Your last study: " <bdi>{words}</bdi></span>
                    <a class="button" href=format!("#{FRAGMENT}")>"Open"</a>
                    <button type="button" class="button" on:click=move |_| on_forget.run(key.clone())>"Forget"</button>
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
