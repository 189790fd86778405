//! The report on the screen.

use std::sync::Arc;

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::thumbnails;
use steady_report::Section;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::answers::Answers;
use crate::hand_on;
use crate::opened::{Opened, sentence};
use crate::questions::Questions;

/// A report, which may grow: the sections of report.html, with every answer and with the changed ones to be filtered.
#[component]
pub(crate) fn Viewer(#[prop(into)] opened: Signal<Arc<Opened>>, #[prop(optional)] latest_first: bool) -> impl IntoView {
    // Escaped by steady-report, which has tests to that end.
    let section = |section| view! { <div inner_html=move || opened.with(|opened| opened.report.section(section))></div> };
    let [opening, chart, rates, release, families, together, perturbed, costs, plan, notes] = Section::ALL.map(section);
    view! {
        <HandOn opened />
        <div on:click=jump>
            {opening}
            <p class="origin">{move || opened.with(|opened| opened.note())}</p>
            {chart}
            <Answers opened latest_first />
            {rates}
            {release}
            {families}
            {together}
            {perturbed}
            <Questions opened />
            {costs}
            {plan}
            {notes}
        </div>
    }
}

/// Follows a link within the page without touching its address, which may hold the report.
#[expect(clippy::needless_pass_by_value, reason = "the shape of an event's handler")]
fn jump(event: MouseEvent) {
    let link = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|element| element.closest("nav a[href^='#']").ok().flatten());
    let Some(href) = link.and_then(|link| link.get_attribute("href")) else { return };
    event.prevent_default();
    if let Some(target) =
        document().get_element_by_id(href.trim_start_matches('#')).and_then(|element| element.dyn_into::<HtmlElement>().ok())
    {
        target.scroll_into_view();
        // the keyboard goes on from there
        target.set_tab_index(-1);
        drop(target.focus());
    }
}

/// Copy link, Download report.json, Download report.html.
#[component]
fn HandOn(opened: Signal<Arc<Opened>>) -> impl IntoView {
    let said = RwSignal::new(String::new());
    let by_hand = RwSignal::new(None::<String>);
    let copy = move |_| match opened.get_untracked().link() {
        Ok(link) => {
            let address = hand_on::address(&link.payload);
            let lost = match link.left_out {
                0 => String::new(),
                left_out => format!(" The words of {left_out} changed questions did not fit and are left out."),
            };
            spawn_local(async move {
                let done = hand_on::copy(&address).await;
                let what = if done { "Link copied" } else { "The browser forbids copying; here is the link" };
                said.set(format!("{what}: {} characters.{lost}", address.len()));
                by_hand.set((!done).then_some(address));
            });
        }
        Err(error) => said.set(sentence("No link", error)),
    };
    let keep = move |name: &str, kind: &str, content: Result<String, String>| {
        let kept =
            content.and_then(|content| hand_on::download(name, kind, content.as_bytes()).map_err(|_| "the browser refuses".to_owned()));
        said.set(
            kept.map_or_else(|why| sentence(&format!("{name} could not be made"), why), |()| format!("{name} is among the downloads.")),
        );
    };
    let json = move |_| keep("report.json", "application/json", opened.get_untracked().report.to_json().map_err(|error| error.to_string()));
    let html = move |_| {
        let opened = opened.get_untracked();
        let images = opened.suite.as_ref().map(|suite| thumbnails(&opened.report, &**suite)).transpose();
        keep(
            "report.html",
            "text/html",
            images.map(|images| opened.report.html(&images.unwrap_or_default())).map_err(|error| error.to_string()),
        );
    };
    view! {
        <div class="hand-on">
            <button type="button" on:click=copy>"Copy link"</button>
            <button type="button" on:click=json>"Download report.json"</button>
            <button type="button" on:click=html>"Download report.html"</button>
            <p role="status">{said}</p>
            {move || by_hand.get().map(|address| view! { <input type="text" readonly aria-label="Link to this report" prop:value=address /> })}
        </div>
    }
}
