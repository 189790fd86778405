//! What there is to see before a report is open.

use std::sync::Arc;
use std::time::Duration;

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use steady_report::Section;
use steady_report::share::FRAGMENT;

use crate::address;
use crate::opened::Opened;

/// A report of the embedded study, as `steady share` put it into a link.
const EXAMPLE: &str = include_str!("../example.link");

/// What steady is, and beside it what comes out.
#[component]
pub(crate) fn Introduction() -> impl IntoView {
    // a page that can be used comes before its picture
    let example = RwSignal::new(None::<Arc<Opened>>);
    set_timeout(move || example.set(Opened::from_link(EXAMPLE.trim()).ok().map(Arc::new)), Duration::ZERO);
    let picture = move || example.get().map(|opened| opened.report.section(Section::Chart)).unwrap_or_default();
    let link = || format!("#{FRAGMENT}{}", EXAMPLE.trim());
    view! {
        <div class="landing intro">
            <div>
                <h1>"Does an accelerated vision-language model still give the same answers?"</h1>
                <p class="lead">
                    "Quantization and token reduction often leave accuracy where it was, while many single answers change: some break, others are repaired, and the sum hides it. "
                    "steady asks every question before and after, pairs the answers, and reports which ones changed, how sure that is, and what it bought."
                </p>
                <p class="lead">
                    "Run it here: a small model answers questions about drawn images on your own machine. Nothing is sent anywhere."
                </p>
            </div>
            <a class="example" href=link>
                <span class="specimen" aria-hidden="true" inert inner_html=picture></span>
                <span class="caption">"A study of 300 questions and five accelerations. Open it"</span>
            </a>
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
            drop(location().set_hash(&address::typed(&input.value())));
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
            <h2>"Compare runs of another tool"</h2>
            <p class="hint">"Drop the logs of two runs, the one before and the one after: lm-evaluation-harness, lmms-eval, VLMEvalKit, NeMo Evaluator, Inspect, OpenVINO's who-what benchmark, LLaVA, or any CSV and JSON lines. Spreadsheets and archives are for the command line. Which answers changed is worked out here; no model is asked."</p>
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
