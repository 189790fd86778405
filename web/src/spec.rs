//! An acceleration's spec on the screen.

use leptos::prelude::*;
use steady_methods::Spec;

/// After these a spec may break.
const SEPARATORS: [char; 3] = ['+', ',', ':'];

/// The spec, which may break after its separators.
pub(crate) fn shown(spec: &str) -> impl IntoView + use<> {
    let parts = spec.split_inclusive(SEPARATORS).map(|part| view! { {part.to_owned()} <wbr /> });
    view! { <bdi><code class="spec">{parts.collect_view()}</code></bdi> }
}

/// The spec as a text for where there are no elements: it may break at the same places, by spaces of no width.
pub(crate) fn breakable(spec: &str) -> String {
    spec.split_inclusive(SEPARATORS).collect::<Vec<_>>().join("\u{200b}")
}

/// What the spec's methods do, a sentence each; nothing for a text that is no spec.
pub(crate) fn in_plain_words(spec: &str) -> String {
    let sentences = |spec: Spec| spec.parts().iter().map(|part| part.method().plain).collect::<Vec<_>>().join(" ");
    Spec::parse(spec).map(sentences).unwrap_or_default()
}
