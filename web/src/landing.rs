//! What there is to see before a report is open.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use crate::source;

/// What steady is, and how to open a report.
#[component]
pub(crate) fn Landing() -> impl IntoView {
    let typed: NodeRef<html::Input> = NodeRef::new();
    let open = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(input) = typed.get().filter(|input| !input.value().trim().is_empty()) {
            // whoever cannot set the fragment sees that nothing happens; there is no more to say
            drop(location().set_hash(&source::fragment_for(&input.value())));
        }
    };
    view! {
        <main class="landing">
            <h1>"Does an accelerated vision-language model still give the same answers?"</h1>
            <p class="lead">
                "Quantization and token reduction often leave accuracy where it was, while many single answers change: some break, others are repaired, and the sum hides it. "
                "steady asks every question before and after, pairs the answers, and reports which ones changed, how sure that is, and what it bought."
            </p>
            <h2>"Open a report"</h2>
            <form class="open" on:submit=open>
                <label for="typed">"Link to a report, or https address of a report.json"</label>
                <input id="typed" type="text" inputmode="url" autocomplete="off" spellcheck="false" node_ref=typed />
                <button type="submit">"Open"</button>
            </form>
            <p class="hint">"Or drop a report.json anywhere on this page, or pick one with the button above. Reports are read here, in the browser; nothing is sent anywhere."</p>
            <h2>"Make one"</h2>
            <p>"The study runs natively, with a small model of its own and without any download:"</p>
            <pre tabindex="0"><code>"cargo run --release                 # asks, compares, writes report.json and report.html\ncargo run --release -- share        # prints a link that holds the report"</code></pre>
        </main>
    }
}
