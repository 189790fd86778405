//! The questions whose answer changed, to be filtered and looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use steady_report::{Filter, Outcome};

use crate::opened::Opened;
use crate::pictures::{Picture, Pictures};

/// Questions put on the screen at a time.
const AT_ONCE: usize = 30;

/// Filters and cards.
#[component]
pub(crate) fn Questions(opened: Signal<Arc<Opened>>) -> impl IntoView {
    let filter = RwSignal::new(Filter::default());
    let limit = RwSignal::new(AT_ONCE);
    let pictures = Pictures::new();
    let zoomed = RwSignal::new(None::<String>);
    // a growing report keeps its accelerations, and its filters must not be taken away while somebody chooses
    let specs =
        opened.with_untracked(|opened| opened.report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect());
    let families = Memo::new(move |_| {
        opened.with(|opened| opened.report.questions().iter().map(|question| question.family.clone()).collect::<BTreeSet<_>>())
    });
    let perturbations = Memo::new(move |_| opened.with(|opened| opened.report.plan().perturbations.clone()));
    let hint = move || {
        opened.with(|opened| {
            let total = opened.report.worst_first().len();
            let stayed = opened.report.questions().len() - total;
            let anew = if opened.report.perturbed().is_empty() {
                ""
            } else {
                " A question counts anew under every perturbation; those about clean images come first."
            };
            format!("{total} of them, those that broke under most accelerations first.{anew} {stayed} more kept their answer under every acceleration and are left out.")
        })
    };
    let fitting = Memo::new(move |_| opened.with(|opened| opened.report.questions_for(&filter.get())));
    Effect::new(move |_| {
        filter.track();
        limit.set(AT_ONCE);
    });
    let shown = move || fitting.with(Vec::len).min(limit.get());
    let count = move || format!("Showing {} of {}", shown(), fitting.with(Vec::len));
    let cards = move || {
        let (filter, opened) = (filter.get(), opened.get());
        let card = |i: usize| {
            let question = &opened.report.questions()[i];
            let picture = pictures.of(&opened, &question.picture());
            let content = opened.report.card(i, &filter);
            let closer = opened.fragment_of(question).map(|fragment| {
                view! { <p class="closer"><a href=fragment>"Look closer, ask it here"</a></p> }
            });
            view! { <article><Thumbnail picture zoomed /><div class="contents" inner_html=content></div>{closer}</article> }
        };
        fitting.with(|fitting| fitting.iter().take(limit.get()).map(|&i| card(i)).collect_view())
    };
    view! {
        <section id="questions">
            <h2>"Questions whose answer changed"</h2>
            <p class="hint">{hint}</p>
            <Filters specs perturbations families filter />
            <p id="count" role="status" aria-live="polite">{count}</p>
            {cards}
            <button
                type="button"
                class="more"
                hidden=move || fitting.with(Vec::len) <= limit.get()
                on:click=move |_| limit.update(|limit| *limit += AT_ONCE)
            >"Show more"</button>
            <Zoom zoomed />
        </section>
    }
}

#[component]
fn Filters(
    specs: Vec<String>,
    perturbations: Memo<Vec<String>>,
    families: Memo<BTreeSet<String>>,
    filter: RwSignal<Filter>,
) -> impl IntoView {
    let conditions = move || {
        let of = |(i, perturbation): (usize, String)| view! { <option value=(i + 1).to_string()>{perturbation}</option> };
        perturbations.get().into_iter().enumerate().map(of).collect_view()
    };
    let families = move || {
        let options = families.get().into_iter().map(|family| {
            let value = family.clone();
            view! { <option value=value>{family}</option> }
        });
        options.collect_view()
    };
    let specs = specs.into_iter().enumerate().map(|(i, spec)| view! { <option value=i.to_string()>{spec}</option> }).collect_view();
    let outcomes = Outcome::ALL.into_iter().filter(|outcome| outcome.diverged());
    let outcomes = outcomes.map(|outcome| view! { <option value=outcome.name()>{outcome.name()}</option> }).collect_view();
    let value = |of: fn(&Filter) -> String| move || filter.with(of);
    view! {
        <form id="filters" on:submit=|event| event.prevent_default()>
            <label>"acceleration"
                <select
                    name="acceleration"
                    prop:value=value(|filter| filter.acceleration.map(|i| i.to_string()).unwrap_or_default())
                    on:change=move |event| filter.update(|filter| filter.acceleration = event_target_value(&event).parse().ok())
                ><option value="">"any"</option>{specs}</select>
            </label>
            <label>"outcome"
                <select
                    name="outcome"
                    prop:value=value(|filter| filter.outcome.map(Outcome::name).unwrap_or_default().to_owned())
                    on:change=move |event| {
                        let name = event_target_value(&event);
                        filter.update(|filter| filter.outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name));
                    }
                ><option value="">"any change"</option>{outcomes}</select>
            </label>
            <label hidden=move || perturbations.with(Vec::is_empty)>"image"
                <select
                    name="condition"
                    prop:value=value(|filter| filter.condition.map(|i| i.to_string()).unwrap_or_default())
                    on:change=move |event| filter.update(|filter| filter.condition = event_target_value(&event).parse().ok())
                ><option value="">"any"</option><option value="0">"clean"</option>{conditions}</select>
            </label>
            <label>"family"
                <select
                    name="family"
                    prop:value=value(|filter| filter.family.clone().unwrap_or_default())
                    on:change=move |event| filter.update(|filter| filter.family = Some(event_target_value(&event)).filter(|family| !family.is_empty()))
                ><option value="">"any"</option>{families}</select>
            </label>
            <label class="grow">"text"
                <input
                    type="search"
                    name="text"
                    placeholder="question or answer"
                    autocomplete="off"
                    prop:value=value(|filter| filter.text.clone())
                    on:input=move |event| filter.update(|filter| filter.text = event_target_value(&event))
                />
            </label>
            <button type="button" on:click=move |_| filter.set(Filter::default())>"Clear"</button>
        </form>
    }
}

#[component]
fn Thumbnail(picture: Picture, zoomed: RwSignal<Option<String>>) -> impl IntoView {
    match picture {
        Some((address, alternative)) => {
            let enlarge = {
                let address = address.clone();
                move |_| zoomed.set(Some(address.clone()))
            };
            view! { <button type="button" class="thumb" title="Enlarge" on:click=enlarge><img src=address alt=alternative /></button> }
                .into_any()
        }
        None => view! { <div class="thumb missing">"no image"</div> }.into_any(),
    }
}

/// The picture that was asked for, large, over everything else.
#[component]
fn Zoom(zoomed: RwSignal<Option<String>>) -> impl IntoView {
    let dialog: NodeRef<html::Dialog> = NodeRef::new();
    Effect::new(move |_| {
        if let (Some(_), Some(dialog)) = (zoomed.get(), dialog.get()) {
            // fails only where it is open already
            drop(dialog.show_modal());
        }
    });
    view! {
        <dialog
            node_ref=dialog
            aria-label="The image, enlarged"
            on:click=move |_| { if let Some(dialog) = dialog.get() { dialog.close(); } }
            on:close=move |_| zoomed.set(None)
        >
            {move || zoomed.get().map(|address| view! { <img src=address alt="The image, enlarged" /> })}
        </dialog>
    }
}
