//! One of several things to choose, of which one is chosen.

use leptos::prelude::*;

/// A radio button of `group`, with what it is called and a few words about it.
#[component]
pub(super) fn OneOf(
    group: &'static str,
    chosen: impl Fn() -> bool + Send + 'static,
    on_choice: impl Fn() + 'static,
    #[prop(into)] name: String,
    #[prop(into)] words: String,
) -> impl IntoView {
    view! {
        <label class="tick">
            <input type="radio" name=group prop:checked=chosen on:change=move |_| on_choice() />
            <span><bdi>{name}</bdi> <small>{words}</small></span>
        </label>
    }
}
