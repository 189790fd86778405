//! An acceleration's spec on the screen.

use leptos::prelude::*;

/// The spec, which may break after its separators.
#[component]
pub(crate) fn Spec(#[prop(into)] spec: String) -> impl IntoView {
    let parts = spec.split_inclusive(['+', ',', ':']).map(|part| view! { {part.to_owned()} <wbr /> });
    view! { <bdi><code class="spec">{parts.collect_view()}</code></bdi> }
}
