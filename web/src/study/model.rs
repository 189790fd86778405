//! Which model is asked: the one that comes with the page, or a checkpoint from the visitor's disk.

use leptos::prelude::*;
use steady_protocol::Model;

use super::settings::{MODEL_NAME, Settings};
use crate::folder::{Picked, size};
use crate::source;

/// The choice.
#[component]
pub(crate) fn ModelChoice(settings: RwSignal<Settings>, picked: Picked) -> impl IntoView {
    let folder = Memo::new(move |_| settings.with(|settings| settings.folder.clone()));
    let pick = move |event| {
        if let Some(folder) = picked.take(source::picked(&event)) {
            settings.update(|settings| settings.folder = Some(folder));
        }
    };
    let chosen = move || match folder.get() {
        None => view! { <p><strong>{MODEL_NAME}</strong> ", which comes with this page"</p> }.into_any(),
        Some(folder) => {
            let words = format!(" from this machine, {}", size(&folder));
            view! { <p><strong><bdi>{folder.name}</bdi></strong> {words}</p> }.into_any()
        }
    };
    view! {
        <fieldset class="choice model">
            <legend>"Model"</legend>
            {chosen}
            <div class="buttons">
                <label class="button">
                    "Choose a checkpoint folder"
                    <input type="file" multiple prop:webkitdirectory=true on:change=pick />
                </label>
                <button
                    type="button"
                    class="button"
                    hidden=move || folder.with(Option::is_none)
                    on:click=move |_| settings.update(|settings| settings.folder = None)
                >{format!("Back to {MODEL_NAME}")}</button>
            </div>
            <small>
                "A folder as the Hugging Face hub holds it: config.json, *.safetensors, tokenizer.json and the processor's files. It is read here, a tensor at a time, and sent nowhere."
            </small>
        </fieldset>
    }
}

/// Says that the folder must be chosen again, where it must.
#[component]
pub(crate) fn Again(#[prop(into)] model: Signal<Model>, picked: Picked) -> impl IntoView {
    move || match model.get() {
        Model::Folder(folder) if picked.lacks(&model.get()) => Some(view! {
            <p class="warning">"A browser lets go of a folder when its page is left: choose " <bdi>{folder.name}</bdi> " again to ask it."</p>
        }),
        _ => None,
    }
}
