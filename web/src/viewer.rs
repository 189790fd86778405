//! The report on the screen.

use std::sync::Arc;

use leptos::ev::{MouseEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_report::{Became, Filter, Report, Section};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::address::{self, Address, View};
use crate::evidence::Evidence;
use crate::guard::Guarding;
use crate::hand_on;
use crate::opened::{Opened, sentence};
use crate::questions::Questions;
use crate::source;
use crate::worker;

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
        if link.class_list().contains("named") {
            explain(&link);
            return;
        }
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
            {move || opened.with(|opened| {
                let remarks = opened.remarks();
                (!remarks.is_empty()).then(|| view! {
                    <ul class="origin remarks">{remarks.iter().map(|remark| view! { <li><bdi>{remark.clone()}</bdi></li> }).collect_view()}</ul>
                })
            })}
            {chart}
            {families}
            {sensitivity}
            {together}
            {perturbed}
            <Questions opened evidence grows />
            {rates}
            {release}
            <Guarding opened />
            {costs}
            {plan}
            {notes}
        </div>
        // a browser closes it at a tap elsewhere and at Escape
        <div id=EXPLAINED class="explained" role="note" popover="auto"></div>
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

/// Element that explains a name where it stands.
const EXPLAINED: &str = "explained";

/// Says below a name what it means: what the notes at the end of the report say of it. Whoever hovers sees it too; on a phone there is no hovering.
fn explain(name: &Element) {
    let place = name.get_attribute("href").unwrap_or_default();
    let Some(meant) = document().get_element_by_id(place.trim_start_matches('#')) else { return };
    let words = meant.next_element_sibling().and_then(|words| words.text_content()).unwrap_or_default();
    let note = document().get_element_by_id(EXPLAINED).and_then(|note| note.dyn_into::<HtmlElement>().ok());
    let show = note.as_ref().and_then(|note| js_sys::Reflect::get(note, &"showPopover".into()).ok()?.dyn_into::<js_sys::Function>().ok());
    let (Some(note), Some(show)) = (note, show) else {
        jump(&place);
        return;
    };
    note.set_text_content(Some(&format!("{}: {words}", meant.text_content().unwrap_or_default())));
    let at = name.get_bounding_client_rect();
    let wide = window().inner_width().ok().and_then(|width| width.as_f64()).unwrap_or(at.right());
    // beside the edge of a phone there is no room to the right
    let left = at.left().min(wide - EXPLAINED_WIDE).max(EXPLAINED_GAP);
    for (name, value) in [("left", left), ("top", at.bottom() + EXPLAINED_GAP)] {
        drop(note.style().set_property(name, &format!("{value}px")));
    }
    // shown already where somebody taps twice
    drop(show.call0(&note));
}

/// In CSS pixels: how wide an explanation is at most, and how far from what it explains.
const EXPLAINED_WIDE: f64 = 340.0;
const EXPLAINED_GAP: f64 = 8.0;

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
        spawn_local(async move {
            let pictures = opened.pictures().await;
            keep("report.html", "text/html", pictures.map(|pictures| opened.report.html(&pictures).into_bytes()));
        });
    };
    let csv = move |_| keep("answers.csv", "text/csv", Ok(opened.with_untracked(|opened| opened.report.csv()).into_bytes()));
    let parquet = move |_| {
        let opened = opened.get_untracked();
        said.set("Writing answers.parquet …".to_owned());
        spawn_local(async move {
            let file = worker::parquet(&opened.report.answers()).await;
            keep("answers.parquet", "application/vnd.apache.parquet", file);
        });
    };
    let names = Memo::new(move |_| opened.with(|opened| opened.report.charts().into_iter().map(|(name, _)| name).collect::<Vec<_>>()));
    let drawn = move |wanted: &str| {
        let charts = opened.with_untracked(|opened| opened.report.charts());
        charts.into_iter().find(|(name, _)| *name == wanted).map(|(_, svg)| svg).ok_or_else(|| "there is no such chart".to_owned())
    };
    let svg = move |name: &str| keep(&format!("{name}.svg"), "image/svg+xml", drawn(name).map(String::into_bytes));
    let png = move |name: &'static str| match drawn(name) {
        Ok(svg) => spawn_local(async move {
            let picture = hand_on::rasterised(&svg).await.map_err(|_| "the browser does not draw it".to_owned());
            keep(&format!("{name}.png"), "image/png", picture);
        }),
        Err(why) => keep(&format!("{name}.png"), "image/png", Err(why)),
    };
    let charts = move || {
        names
            .get()
            .into_iter()
            .map(|name| {
                view! {
                    <button type="button" on:click=move |_| svg(name)>{format!("{name}.svg")}</button>
                    <button type="button" on:click=move |_| png(name)>{format!("{name}.png")}</button>
                }
            })
            .collect_view()
    };
    let stand_beside = move |other: Result<Opened, String>| match other {
        Ok(other) => {
            said.set(format!("{} stands beside this report.", other.name()));
            second.set(Some(Arc::new(other)));
        }
        Err(why) => said.set(sentence("No second report", why.trim_end_matches('.'))),
    };
    let compare = move |event| {
        let Some(file) = source::picked(&event).pop() else { return };
        spawn_local(async move {
            let read = source::read(&file).await;
            stand_beside(read.and_then(|text| Opened::from_json(file.name(), &text).map_err(|error| error.to_string())));
        });
    };
    let typed: NodeRef<html::Input> = NodeRef::new();
    let compare_link = move |event: SubmitEvent| {
        event.prevent_default();
        let text = typed.get().map(|input| input.value()).filter(|text| !text.trim().is_empty());
        let Some(Address { view, .. }) = text.and_then(|text| Address::parse(&address::typed(&text), source::decoded)) else { return };
        match view {
            View::Link(payload) => stand_beside(Opened::from_link(&payload).map_err(|error| error.to_string())),
            View::Source(from) => spawn_local(async move {
                let read = source::fetch(&from).await;
                stand_beside(read.and_then(|text| Opened::from_json(from, &text).map_err(|error| error.to_string())));
            }),
            _ => {}
        }
    };
    view! {
        <div class="hand-on">
            <button type="button" on:click=copy>"Copy link"</button>
            <button type="button" on:click=markdown>"Copy as Markdown"</button>
            <details class="save">
                <summary>"Download"</summary>
                <div class="buttons">
                    <button type="button" on:click=json>"report.json"</button>
                    <button type="button" on:click=html>"report.html"</button>
                    <button type="button" on:click=csv>"answers.csv"</button>
                    <button type="button" on:click=parquet>"answers.parquet"</button>
                    {charts}
                </div>
            </details>
            <details class="save beside">
                <summary>"Compare with another report"</summary>
                <form class="buttons" on:submit=compare_link>
                    <label class="button compare">
                        "Pick a report.json"
                        <input type="file" accept=".json,application/json" on:change=compare />
                    </label>
                    <input type="text" inputmode="url" autocomplete="off" spellcheck="false" placeholder="or a link to a report" aria-label="Link to another report" node_ref=typed />
                    <button type="submit">"Compare"</button>
                </form>
            </details>
            <p role="status">{said}</p>
            {move || by_hand.get().map(|text| view! { <textarea readonly rows="3" aria-label="To be copied by hand" prop:value=text></textarea> })}
        </div>
    }
}
