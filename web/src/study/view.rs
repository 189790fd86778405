//! The Study view: what steady is, one button, and the report as it grows.

use std::sync::Arc;

use leptos::prelude::*;

use super::Study;
use super::choices::Choices;
use super::last::LastStudy;
use super::model::Again;
use super::progress::Progress;
use super::run::{Phase, StudyRun};
use super::settings::Settings;
use crate::landing::{Introduction, OpenReport};
use crate::viewer::Viewer;

/// What the page is until a report is opened.
#[component]
pub(crate) fn StudyView(study: Study) -> impl IntoView {
    let has_report = Memo::new(move |_| study.opened.with(Option::is_some));
    view! {
        {move || (!has_report.get()).then(|| view! { <Introduction /> })}
        <Controls study />
        {move || {
            if !has_report.get() {
                return view! { <LastStudy last=study.last /><OpenReport /> }.into_any();
            }
            // forgetting a report takes this view away; until then it has what it had
            let Some(first) = study.opened.get_untracked() else { return ().into_any() };
            let opened = Signal::derive(move || study.opened.get().unwrap_or_else(|| Arc::clone(&first)));
            view! { <Viewer opened latest_first=true /> }.into_any()
        }}
    }
}

/// Run, Resume, Cancel, the choices, and how far it is.
#[component]
fn Controls(study: Study) -> impl IntoView {
    let run = study.run;
    let at_work = Memo::new(move |_| run.with(StudyRun::at_work));
    let label = Memo::new(move |_| {
        run.with(|run| match run.phase() {
            Phase::Stopped(_) if run.progress().is_some() => "Resume",
            Phase::Stopped(_) => "Try again",
            Phase::Finished => "Run again",
            _ => "Run",
        })
    });
    let may_forget = Memo::new(move |_| run.with(|run| matches!(run.phase(), Phase::Stopped(_)) && run.progress().is_some()));
    let gone = move || study.settings.with(|settings| study.picked.lacks(&settings.model()));
    let none_chosen = move || study.settings.with(|settings| settings.accelerations().is_empty());
    let settings = study.settings;
    view! {
        <section class="controls" aria-label="Run a study">
            <div class="run">
                <button type="button" class="primary" hidden=at_work disabled=move || none_chosen() || gone() on:click=move |_| study.start()>{label}</button>
                <button type="button" class="button" hidden=move || !at_work.get() on:click=move |_| study.cancel()>"Cancel"</button>
                <button type="button" class="button" hidden=move || !may_forget.get() on:click=move |_| study.forget()>"Start over"</button>
                <p class="summary">
                    {move || settings.with(Settings::summary)}
                    {move || none_chosen().then_some(". Choose at least one acceleration.")}
                </p>
            </div>
            <Again model=Signal::derive(move || settings.with(Settings::model)) picked=study.picked />
            <Progress study />
            <details class="choose">
                <summary>"Choose questions, accelerations, engine and model"</summary>
                <Choices settings picked=study.picked locked=at_work />
            </details>
        </section>
    }
}
