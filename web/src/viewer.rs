//! The report on the screen.

use std::sync::Arc;

use leptos::ev::MouseEvent;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::thumbnails;
use steady_report::{Became, Filter, Report, Section};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::evidence::Evidence;
use crate::hand_on;
use crate::opened::{Opened, sentence};
use crate::questions::Questions;
use crate::source;

/// A report, which may grow: the sections of report.html, with every question and answer in a table.
#[component]
pub(crate) fn Viewer(
    #[prop(into)] opened: Signal<Arc<Opened>>,
    evidence: Evidence,
    #[prop(optional, into)] grows: Signal<bool>,
) -> impl IntoView {
    let section = |section| view! { <Part opened section /> };
    let [opening, chart, rates, release, families, sensitivity, together, perturbed, costs, plan, notes] = Section::ALL.map(section);
    let second = RwSignal::new(None::<Arc<Opened>>);
    let follow = move |event: MouseEvent| {
        let Some(link) = followed(&event) else { return };
        event.prevent_default();
        if let Some(filter) = opened.with_untracked(|opened| shows(&link, &opened.report)) {
            evidence.filter.set(filter);
            evidence.order.set(None);
            opened.with_untracked(|opened| evidence.tell(&opened.report, true));
        }
        jump(&link.get_attribute("href").unwrap_or_default());
    };
    view! {
        <HandOn opened second />
        <div on:click=follow>
            {opening}
            <Second opened second />
            <p class="origin">{move || opened.with(|opened| opened.note())}</p>
            {chart}
            {families}
            {sensitivity}
            {together}
            {perturbed}
            <Questions opened evidence grows />
            {rates}
            {release}
            {costs}
            {plan}
            {notes}
        </div>
    }
}

/// A second report beside this one.
#[component]
fn Second(opened: Signal<Arc<Opened>>, second: RwSignal<Option<Arc<Opened>>>) -> impl IntoView {
    move || {
        second.get().map(|second| {
            let names = opened.with(|opened| [opened.name(), second.name()]);
            // escaped by steady-report
            let both = opened.with(|opened| opened.report.beside_section(&second.report, names.each_ref().map(String::as_str)));
            match both {
                Some(both) => view! { <div inner_html=both></div> }.into_any(),
                None => view! { <p role="alert" class="failed">"The two reports have no question in common."</p> }.into_any(),
            }
        })
    }
}

/// A section of the report. What a reader opened in it stays open when the report grows.
#[component]
fn Part(opened: Signal<Arc<Opened>>, section: Section) -> impl IntoView {
    // escaped by steady-report, which has tests to that end
    let content = Memo::new(move |_| opened.with(|opened| opened.report.section(section)));
    let place: NodeRef<html::Div> = NodeRef::new();
    Effect::new(move |before: Option<()>| {
        let content = content.get();
        if let Some(place) = place.get_untracked().filter(|_| before.is_some()) {
            let all = || {
                let list = place.query_selector_all("details").ok();
                list.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i)?.dyn_into::<Element>().ok()))
            };
            let open: Vec<bool> = all().map(|details| details.has_attribute("open")).collect();
            place.set_inner_html(&content);
            for (details, _) in all().zip(open).filter(|(_, open)| *open) {
                drop(details.set_attribute("open", ""));
            }
        }
    });
    view! { <div node_ref=place inner_html=content.get_untracked()></div> }
}

/// The link that a click follows: one to a section, or one to the questions that a number counts.
fn followed(event: &MouseEvent) -> Option<Element> {
    let target = event.target()?.dyn_into::<Element>().ok()?;
    target.closest("nav a[href^='#'], a.shows, a.named").ok().flatten()
}

/// The questions that a number counts, as its link says.
fn shows(link: &Element, report: &Report) -> Option<Filter> {
    let number = |name: &str| link.get_attribute(name).and_then(|value| value.parse::<usize>().ok());
    let family = number("data-family").and_then(|place| report.families().get(place).map(|&family| family.to_owned()));
    Some(Filter {
        acceleration: Some(number("data-acceleration")?),
        became: Became::named(&link.get_attribute("data-outcome")?)?,
        condition: number("data-condition").filter(|_| !report.perturbed().is_empty()),
        family,
        ..Filter::everything()
    })
}

/// Goes to a place within the page without touching its address, which may hold the report.
fn jump(href: &str) {
    let place = document().get_element_by_id(href.trim_start_matches('#')).and_then(|element| element.dyn_into::<HtmlElement>().ok());
    if let Some(place) = place {
        if let Ok(Some(folded)) = place.closest("details:not([open])") {
            drop(folded.set_attribute("open", ""));
        }
        place.scroll_into_view();
        // the keyboard goes on from there
        place.set_tab_index(-1);
        drop(place.focus());
    }
}

/// What a report is handed on as.
#[component]
fn HandOn(opened: Signal<Arc<Opened>>, second: RwSignal<Option<Arc<Opened>>>) -> impl IntoView {
    let said = RwSignal::new(String::new());
    let by_hand = RwSignal::new(None::<String>);
    let put = move |what: &'static str, text: String, then: String| {
        spawn_local(async move {
            let done = hand_on::copy(&text).await;
            let told = if done { format!("{what} copied") } else { "The browser forbids copying; here it is".to_owned() };
            said.set(format!("{told}: {} characters.{then}", text.chars().count()));
            by_hand.set((!done).then_some(text));
        });
    };
    let copy = move |_| match opened.get_untracked().link() {
        Ok(link) => {
            let lost = match link.left_out {
                0 => String::new(),
                left_out => format!(" The words of {left_out} changed questions did not fit and are left out."),
            };
            put("Link", hand_on::address(&link.payload), lost);
        }
        Err(error) => said.set(sentence("No link", error)),
    };
    let markdown = move |_| put("Markdown table", opened.with_untracked(|opened| opened.report.markdown()), String::new());
    let keep = move |name: &str, kind: &str, content: Result<Vec<u8>, String>| {
        let kept = content.and_then(|content| hand_on::download(name, kind, &content).map_err(|_| "the browser refuses".to_owned()));
        said.set(
            kept.map_or_else(|why| sentence(&format!("{name} could not be made"), why), |()| format!("{name} is among the downloads.")),
        );
    };
    let json = move |_| {
        let text = opened.with_untracked(|opened| opened.report.to_json());
        keep("report.json", "application/json", text.map(String::into_bytes).map_err(|error| error.to_string()));
    };
    let html = move |_| {
        let opened = opened.get_untracked();
        let images = opened.suite.as_ref().map(|suite| thumbnails(&opened.report, &**suite)).transpose();
        let page = images.map(|images| opened.report.html(&images.unwrap_or_default()).into_bytes());
        keep("report.html", "text/html", page.map_err(|error| error.to_string()));
    };
    let csv = move |_| keep("answers.csv", "text/csv", Ok(opened.with_untracked(|opened| opened.report.csv()).into_bytes()));
    let drawn = move || opened.with_untracked(|opened| opened.report.chart_svg()).ok_or_else(|| "there is no chart".to_owned());
    let svg = move |_| keep("chart.svg", "image/svg+xml", drawn().map(String::into_bytes));
    let png = move |_| match drawn() {
        Ok(svg) => spawn_local(async move {
            let picture = hand_on::rasterised(&svg).await.map_err(|_| "the browser does not draw it".to_owned());
            keep("chart.png", "image/png", picture);
        }),
        Err(why) => keep("chart.png", "image/png", Err(why)),
    };
    let judged = Memo::new(move |_| opened.with(|opened| opened.report.judged()));
    let compare = move |event| {
        let Some(file) = source::picked(&event).pop() else { return };
        spawn_local(async move {
            let read = source::read(&file).await;
            match read.and_then(|text| Opened::from_json(file.name(), &text).map_err(|error| error.to_string())) {
                Ok(other) => {
                    second.set(Some(Arc::new(other)));
                    said.set(format!("{} stands beside this report.", file.name()));
                }
                Err(why) => said.set(sentence("No second report", why)),
            }
        });
    };
    view! {
        <div class="hand-on">
            <button type="button" on:click=copy>"Copy link"</button>
            <button type="button" on:click=markdown>"Copy as Markdown"</button>
            <label class="button compare">
                "Compare with a report.json"
                <input type="file" accept=".json,application/json" on:change=compare />
            </label>
            <details class="save">
                <summary>"Download"</summary>
                <div class="buttons">
                    <button type="button" on:click=json>"report.json"</button>
                    <button type="button" on:click=html>"report.html"</button>
                    <button type="button" on:click=csv>"answers.csv"</button>
                    <button type="button" hidden=move || !judged.get() on:click=svg>"chart.svg"</button>
                    <button type="button" hidden=move || !judged.get() on:click=png>"chart.png"</button>
                </div>
            </details>
            <p role="status">{said}</p>
            {move || by_hand.get().map(|text| view! { <textarea readonly rows="3" aria-label="To be copied by hand" prop:value=text></textarea> })}
        </div>
    }
}
