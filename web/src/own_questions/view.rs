//! Choosing the visitor's own questions.

use leptos::prelude::*;

use super::first_look::FirstLookView;
use super::{OwnFiles, Reader};
use crate::source;
use crate::study::settings::Settings;

/// What is picked, how it is read, and what was understood.
#[component]
pub(crate) fn OwnQuestions(settings: RwSignal<Settings>, reader: Reader) -> impl IntoView {
    let pick = move |event| reader.take(settings, source::picked(&event));
    let files = Memo::new(move |_| settings.with(|settings| settings.files.clone()));
    let read_so = move |change: &dyn Fn(&mut OwnFiles)| {
        let Some(mut own) = files.get_untracked() else { return };
        change(&mut own);
        settings.update(|settings| settings.files = Some(own.clone()));
        if !reader.lacks(&own) {
            reader.read(&own);
        }
    };
    let several = move || {
        files.get().filter(|own| own.tables.len() > 1).map(|OwnFiles { tables, table, .. }| {
            let options = tables.into_iter().map(|path| {
                let chosen = path == table;
                view! { <option value=path.clone() selected=chosen>{path.clone()}</option> }
            });
            view! {
                <label class="others">
                    "Which file holds the questions"
                    <select id="table" on:change=move |event| {
                        let table = event_target_value(&event);
                        read_so(&|own| own.table.clone_from(&table));
                    }>{options.collect_view()}</select>
                </label>
            }
        })
    };
    let how = move || {
        files.get().map(|own| {
            view! {
                <label class="others">
                    "How it is read, where its columns do not say so"
                    <input
                        id="read-so"
                        type="text"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        placeholder="question=prompt,gold=label,broken=skip"
                        prop:value=own.options
                        on:change=move |event| {
                            let options = event_target_value(&event);
                            read_so(&|own| own.options.clone_from(&options));
                        }
                    />
                </label>
            }
        })
    };
    view! {
        <div class="own-questions">
            <small>
                "A table with a picture and a question in each row (.csv, .tsv, .jsonl or .json), and the pictures that it names. Choose the folder that holds both, or choose or drop all files together. They are read here and sent nowhere."
            </small>
            <div class="buttons">
                <label class="button">"Choose a folder" <input type="file" multiple prop:webkitdirectory=true on:change=pick /></label>
                <label class="button">"Choose files" <input type="file" multiple on:change=pick /></label>
            </div>
            {several}
            {how}
            <FirstLookView reader />
        </div>
    }
}

/// Says that the files must be chosen again, where they must.
#[component]
pub(crate) fn FilesAgain(settings: RwSignal<Settings>, reader: Reader) -> impl IntoView {
    move || {
        let own = settings.with(|settings| settings.own_files().cloned());
        own.filter(|own| reader.lacks(own)).map(|OwnFiles { folder, .. }| view! {
            <p class="warning">
                "A browser lets go of files when its page is left: choose " <bdi>{folder}</bdi> " again to ask its questions. Answers that are kept stay."
            </p>
        })
    }
}
