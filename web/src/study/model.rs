//! Which model is asked: one that comes with the page, or a checkpoint from the visitor's disk.

use leptos::prelude::*;
use steady_protocol::{EMBEDDED, Embedded, Model};

use super::one_of::OneOf;
use super::settings::Settings;
use crate::folder::{Picked, megabytes, size};
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
    let own = move || {
        folder.get().map(|folder| {
            let words = format!("From this machine, {}.", size(&folder));
            view! { <OneOf group="model" chosen=|| true on_choice=|| () name=folder.name words /> }
        })
    };
    view! {
        <fieldset class="choice model">
            <legend>"Model"</legend>
            {EMBEDDED.iter().map(|model| view! { <EmbeddedModel model settings /> }).collect_view()}
            {own}
            <div class="buttons">
                <label class="button">
                    "Choose a checkpoint folder"
                    <input type="file" multiple prop:webkitdirectory=true on:change=pick />
                </label>
            </div>
            <small>
                "A folder as the Hugging Face hub holds it: config.json, *.safetensors, tokenizer.json and the processor's files. It is read here, a tensor at a time, and sent nowhere."
            </small>
        </fieldset>
    }
}

#[component]
fn EmbeddedModel(model: &'static Embedded, settings: RwSignal<Settings>) -> impl IntoView {
    let chosen = move || settings.with(|settings| settings.chose(model));
    let choose = move || settings.update(|settings| settings.choose(model));
    let words = format!("Comes with this page, {}.", megabytes(model.bytes()));
    view! { <OneOf group="model" chosen on_choice=choose name=model.name words /> }
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
