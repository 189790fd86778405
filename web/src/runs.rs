//! Runs that other tools logged. The first that comes waits for another; then they are compared here, as `steady compare` does it.

use std::sync::Arc;

use leptos::prelude::*;
use steady_logs::{Choices, Comparison, FORMATS, Log, LogError, Runs as Compared, Source, compare, read};

use crate::opened::Opened;
use crate::source;

/// Most runs that are compared: the original, the previous version, the new one, and two more.
const MOST: usize = 5;

/// The runs that were dropped or picked so far.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    logs: RwSignal<Vec<Arc<Log>>>,
    /// What differs between them, and the names by which it is let through.
    differs: RwSignal<Option<(String, Vec<String>)>>,
}

impl Runs {
    pub(crate) fn none() -> Self {
        Self { logs: RwSignal::new(Vec::new()), differs: RwSignal::new(None) }
    }

    /// Takes a run, and compares as soon as there are two; `None` while it waits for another or is not asked the same as the first.
    ///
    /// # Errors
    /// When they have nothing in common, in words.
    pub(crate) fn take(self, log: Log) -> Result<Option<Opened>, String> {
        self.logs.update(|logs| {
            if logs.len() >= MOST {
                logs.clear();
            }
            logs.push(Arc::new(log));
        });
        self.compared(&[])
    }

    /// Compares; what differs by these names is let through.
    fn compared(self, allowed: &[String]) -> Result<Option<Opened>, String> {
        self.differs.set(None);
        let logs = self.logs.get_untracked();
        let [baseline, others @ ..] = logs.as_slice() else { return Ok(None) };
        if others.is_empty() {
            return Ok(None);
        }
        let others: Vec<&Log> = others.iter().map(|log| &**log).collect();
        let names: Vec<String> = logs.iter().map(|log| log.name.clone()).collect();
        let command = format!("steady compare {}", names.join(" "));
        match compare(Compared { baseline, others: &others, controls: &[] }, allowed, &command) {
            Ok(Comparison { report, notes }) => {
                self.forget();
                Ok(Some(Opened::from_runs(report, names, notes)))
            }
            Err(LogError::Incomparable(differences)) => {
                let told = differences.iter().map(|difference| format!("{}: {}", difference.field, difference.what));
                let told = told.collect::<Vec<_>>().join("\n");
                self.differs.set(Some((told, differences.into_iter().map(|difference| difference.field).collect())));
                Ok(None)
            }
            Err(error) => {
                self.forget();
                Err(error.to_string())
            }
        }
    }

    pub(crate) fn forget(self) {
        self.logs.set(Vec::new());
        self.differs.set(None);
    }
}

/// A file as a log of some tool.
///
/// # Errors
/// When it is none, in words.
pub(crate) fn log(name: &str, bytes: Vec<u8>) -> Result<Log, String> {
    let called = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let source = Source { name: name.to_owned(), bytes };
    read(called, &[source], &Choices::default(), FORMATS).map_err(|error| match error {
        LogError::Unknown { found, .. } => {
            format!("{name} is neither a report.json nor a log of a tool that is known here: {found}")
        }
        other => other.to_string(),
    })
}

/// What waits, and how to go on.
#[component]
pub(crate) fn Waiting(
    runs: Runs,
    /// Another file of a run.
    on_files: Callback<Vec<web_sys::File>>,
    /// A comparison that came about.
    on_opened: Callback<Opened>,
) -> impl IntoView {
    let words = move || {
        let read = |log: &Arc<Log>| format!("{}: {} answers, {}", log.name, log.answers.len(), log.format.title);
        runs.logs.with(|logs| logs.iter().map(read).collect::<Vec<_>>())
    };
    let let_through = move |_| {
        if let Some((_, names)) = runs.differs.get_untracked()
            && let Ok(Some(opened)) = runs.compared(&names)
        {
            on_opened.run(opened);
        }
    };
    let pick = move |event| on_files.run(source::picked(&event));
    move || {
        let (differs, waits) = (runs.differs.get(), runs.logs.with(Vec::len) == 1);
        (differs.is_some() || waits).then(|| view! {
            <div role="status" class="left-out runs">
                <p><strong>{if waits { "A run to compare with" } else { "These runs were not asked the same" }}</strong></p>
                <ul>{words().into_iter().map(|line| view! { <li><bdi>{line}</bdi></li> }).collect_view()}</ul>
                {differs.map(|(told, _)| view! { <p class="differs"><bdi>{told}</bdi></p> })}
                {waits.then(|| view! { <p>"Drop the run that is to be compared with it, or pick it. Both are read here; nothing is sent anywhere."</p> })}
                <div class="buttons">
                    {if waits {
                        view! {
                            <label class="button">"Pick the other run" <input type="file" multiple on:change=pick /></label>
                        }.into_any()
                    } else {
                        view! { <button type="button" class="button through" on:click=let_through>"Compare all the same"</button> }.into_any()
                    }}
                    <button type="button" class="button" on:click=move |_| runs.forget()>"Close"</button>
                </div>
            </div>
        })
    }
}
