//! The Study view: what steady is, one button, and the report as it grows.

use std::sync::Arc;

use leptos::prelude::*;
use web_sys::Element;

use super::Study;
use super::choices::Choices;
use super::last::LastStudy;
use super::model::Again;
use super::progress::Progress;
use super::run::{Phase, StudyRun};
use super::settings::Settings;
use crate::evidence::Evidence;
use crate::landing::{Introduction, OpenReport};
use crate::own_questions::FilesAgain;
use crate::viewer::Viewer;

/// What the page is until a report is opened.
#[component]
pub(crate) fn StudyView(study: Study, evidence: Evidence) -> impl IntoView {
    let grows = Memo::new(move |_| study.run.with(StudyRun::at_work));
    let on_forget = Callback::new(move |key| study.forget_last(key));
    let has_report = Memo::new(move |_| study.opened.with(Option::is_some));
    view! {
        {move || (!has_report.get()).then(|| view! { <Introduction /> })}
        <Controls study />
        {move || {
            if !has_report.get() {
                return view! { <LastStudy last=study.last on_forget /><OpenReport /> }.into_any();
            }
            // forgetting a report takes this view away; until then it has what it had
            let Some(first) = study.opened.get_untracked() else { return ().into_any() };
            let opened = Signal::derive(move || study.opened.get().unwrap_or_else(|| Arc::clone(&first)));
            view! { <Viewer opened evidence grows /> }.into_any()
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
    let may_forget =
        Memo::new(move |_| run.with(|run| matches!(run.phase(), Phase::Stopped(_) | Phase::Finished) && run.progress().is_some()));
    let gone = move || study.settings.with(|settings| study.picked.lacks(&settings.model()));
    // the questions of the suite are always there
    let nothing_to_ask =
        move || study.settings.with(|settings| settings.own && settings.own_files().is_none_or(|own| !study.reader.is_ready(own)));
    let none_chosen = move || study.settings.with(|settings| settings.accelerations().is_empty());
    let settings = study.settings;
    // once it runs the report is what people look at
    let choosing = RwSignal::new(false);
    Effect::new(move |_| {
        if at_work.get() {
            choosing.set(false);
        }
    });
    let beside_report = move || study.opened.with(Option::is_some);
    view! {
        <section class="controls" class:compact=beside_report aria-label="Run a study">
            <div class="run">
                <button type="button" class="primary" hidden=at_work disabled=move || none_chosen() || gone() || nothing_to_ask() on:click=move |_| study.start()>{label}</button>
                <button type="button" class="button" hidden=move || !at_work.get() on:click=move |_| study.cancel()>"Cancel"</button>
                <button type="button" class="button" hidden=move || !may_forget.get() on:click=move |_| study.forget()>"Start over"</button>
                <p class="summary">
                    {move || settings.with(Settings::summary)}
                    {move || none_chosen().then_some(". Choose at least one acceleration.")}
                    {move || settings.with(|settings| settings.own && settings.files.is_none()).then_some(". Choose the folder of your questions first.")}
                </p>
            </div>
            <Again model=Signal::derive(move || settings.with(Settings::model)) picked=study.picked />
            <FilesAgain settings reader=study.reader />
            <Progress study />
            <details
                class="choose"
                prop:open=choosing
                on:toggle=move |event| choosing.set(event_target::<Element>(&event).has_attribute("open"))
            >
                <summary>"Choose questions, accelerations, engine and model"</summary>
                <Choices settings picked=study.picked reader=study.reader locked=at_work />
            </details>
        </section>
    }
}
