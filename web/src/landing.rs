//! What there is to see before a report is open.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use steady_report::share::FRAGMENT;

use crate::source;

/// A report of the embedded study, as `steady share` put it into a link.
const EXAMPLE: &str = include_str!("../example.link");

/// What steady is.
#[component]
pub(crate) fn Introduction() -> impl IntoView {
    view! {
        <div class="landing">
            <h1>"Does an accelerated vision-language model still give the same answers?"</h1>
            <p class="lead">
                "Quantization and token reduction often leave accuracy where it was, while many single answers change: some break, others are repaired, and the sum hides it. "
                "steady asks every question before and after, pairs the answers, and reports which ones changed, how sure that is, and what it bought."
            </p>
            <p class="lead">
                "Run it here: a small model answers questions about drawn images on your own machine. Program and model are fetched when you press Run, and nothing is sent anywhere. "
                <a class="example" href=format!("#{FRAGMENT}{}", EXAMPLE.trim())>"See what comes out, in an example."</a>
            </p>
        </div>
    }
}

/// How to open a report that exists, and how to make one elsewhere.
#[component]
pub(crate) fn OpenReport() -> impl IntoView {
    let typed: NodeRef<html::Input> = NodeRef::new();
    let open = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(input) = typed.get().filter(|input| !input.value().trim().is_empty()) {
            // whoever cannot set the fragment sees that nothing happens; there is no more to say
            drop(location().set_hash(&source::fragment_for(&input.value())));
        }
    };
    view! {
        <div class="landing">
            <h2>"Open a report"</h2>
            <form class="open" on:submit=open>
                <label for="typed">"Link to a report, or https address of a report.json"</label>
                <input id="typed" type="text" inputmode="url" autocomplete="off" spellcheck="false" node_ref=typed />
                <button type="submit">"Open"</button>
            </form>
            <p class="hint">"Or drop a report.json anywhere on this page, or pick one with the button above. Reports are read here, in the browser; nothing is sent anywhere."</p>
            <h2>"Run it natively"</h2>
            <p>"The same study without a browser, with the same model and without any download:"</p>
            <pre tabindex="0"><code>"cargo run --release                 # asks, compares, writes report.json and report.html\ncargo run --release -- share        # prints a link that holds the report"</code></pre>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::EXAMPLE;
    use crate::opened::Opened;

    /// CONTRIBUTING.md says how the example is made anew.
    #[test]
    fn the_example_is_of_the_suite_as_it_is_drawn_now() {
        let opened = Opened::from_link(EXAMPLE.trim()).unwrap_or_else(|error| panic!("web/example.link: {error}; make it anew"));
        let fingerprint = &opened.report.plan().benchmark_fingerprint;
        assert!(opened.suite.is_some(), "web/example.link is of suite {fingerprint}, which is not drawn any more; make it anew");
        assert!(opened.report.questions().len() >= 300 && opened.report.accelerations().len() >= 5);
    }
}
