//! What is asked of the table: a filter, an order, and which columns it has.

use std::sync::Arc;

use leptos::prelude::*;
use steady_report::{Became, Column, Filter, Order, Outcome};

use super::{Columns, FACTS};
use crate::evidence::Evidence;
use crate::opened::Opened;

/// Leads of the baseline that are offered as "at most", in logits.
const MARGINS: [f32; 4] = [0.25, 0.5, 1.0, 2.0];

#[component]
pub(super) fn Bar(
    opened: Signal<Arc<Opened>>,
    evidence: Evidence,
    specs: StoredValue<Vec<String>>,
    /// The order until somebody chooses.
    natural: Signal<Order>,
    /// Columns that were taken away.
    away: RwSignal<Columns>,
    holding: Memo<Columns>,
) -> impl IntoView {
    let Evidence { filter, order, .. } = evidence;
    let families = Memo::new(move |_| opened.with(|opened| opened.report.families().into_iter().map(str::to_owned).collect::<Vec<_>>()));
    let perturbations = Memo::new(move |_| opened.with(|opened| opened.report.plan().perturbations.clone()));
    // What is chosen must be among the options when they are made anew; so each says by itself whether it is the one.
    let conditions = move || {
        let of = |(i, name): (usize, String)| option(i.to_string(), name, move || filter.with(|filter| filter.condition == Some(i)));
        let all = std::iter::once("clean".to_owned()).chain(perturbations.get());
        all.enumerate().map(of).collect_view()
    };
    let of_families = move || {
        let of = |family: String| {
            let this = family.clone();
            option(family.clone(), family, move || filter.with(|filter| filter.family.as_ref() == Some(&this)))
        };
        families.get().into_iter().map(of).collect_view()
    };
    let accelerations = move || {
        let of = |(i, spec): (usize, String)| option(i.to_string(), spec, move || filter.with(|filter| filter.acceleration == Some(i)));
        specs.get_value().into_iter().enumerate().map(of).collect_view()
    };
    let outcomes = Became::ALL
        .into_iter()
        .map(|became| option(became.name().to_owned(), words(became).to_owned(), move || filter.with(|filter| filter.became == became)));
    let margins = MARGINS
        .into_iter()
        .map(|margin| option(margin.to_string(), format!("at most {margin}"), move || filter.with(|filter| filter.margin == Some(margin))));
    let orders = move || {
        let of = |(place, (by, name)): (usize, (Column, String))| {
            option(place.to_string(), name, move || order.get().unwrap_or(natural.get()).by == by)
        };
        let all = columns(&holding.read(), &specs.read_value());
        all.into_iter().enumerate().map(of).collect_view()
    };
    let set = move |change: Box<dyn FnOnce(&mut Filter)>| filter.update(change);
    view! {
        <form id="filters" on:submit=|event| event.prevent_default()>
            <label>"acceleration"
                <select name="acceleration" on:change=move |event| {
                    let value = event_target_value(&event);
                    set(Box::new(move |filter| filter.acceleration = value.parse().ok()));
                }><option value="" selected=move || filter.with(|filter| filter.acceleration.is_none())>"any"</option>{accelerations}</select>
            </label>
            <label>"outcome"
                <select name="outcome" on:change=move |event| {
                    let value = event_target_value(&event);
                    set(Box::new(move |filter| filter.became = Became::named(&value).unwrap_or_default()));
                }>{outcomes.collect_view()}</select>
            </label>
            <label hidden=move || perturbations.with(Vec::is_empty)>"image"
                <select name="condition" on:change=move |event| {
                    let value = event_target_value(&event);
                    set(Box::new(move |filter| filter.condition = value.parse().ok()));
                }><option value="" selected=move || filter.with(|filter| filter.condition.is_none())>"any"</option>{conditions}</select>
            </label>
            <label>"family"
                <select name="family" on:change=move |event| {
                    let value = event_target_value(&event);
                    set(Box::new(move |filter| filter.family = Some(value).filter(|family| !family.is_empty())));
                }><option value="" selected=move || filter.with(|filter| filter.family.is_none())>"any"</option>{of_families}</select>
            </label>
            <label hidden=move || !holding.with(|holding| holding.has("margin"))>"margin"
                <select name="margin" on:change=move |event| {
                    let value = event_target_value(&event);
                    set(Box::new(move |filter| filter.margin = value.parse().ok()));
                }><option value="" selected=move || filter.with(|filter| filter.margin.is_none())>"any"</option>{margins.collect_view()}</select>
            </label>
            <label class="grow">"text"
                <input
                    type="search"
                    name="text"
                    placeholder="question or answer"
                    autocomplete="off"
                    prop:value=move || filter.with(|filter| filter.text.clone())
                    on:input=move |event| {
                        let value = event_target_value(&event);
                        set(Box::new(move |filter| filter.text = value));
                    }
                />
            </label>
            <label>"order"
                <select name="order" on:change=move |event| {
                    let all = columns(&holding.read_untracked(), &specs.read_value());
                    let by = event_target_value(&event).parse().ok().and_then(|place: usize| all.get(place).map(|(by, _)| *by));
                    order.set(by.map(|by| Order { by, reversed: false }));
                }>{orders}</select>
            </label>
            <button type="button" on:click=move |_| { filter.set(Filter::everything()); order.set(None); }>"Clear"</button>
        </form>
        <details class="columns">
            <summary>"Columns"</summary>
            <div class="chips">
                {FACTS.into_iter().enumerate().map(|(i, fact)| {
                    let holds = move || holding.with(|holding| holding.has(fact));
                    tick(fact.to_owned(), holds, move || !away.with(|away| away.facts[i]), move |wanted| away.update(|away| away.facts[i] = !wanted))
                }).collect_view()}
                {specs.get_value().into_iter().enumerate().map(|(i, spec)| {
                    let take = move |wanted: bool| away.update(|away| away.accelerations[i] = !wanted);
                    tick(spec, || true, move || !away.with(|away| away.accelerations[i]), take)
                }).collect_view()}
            </div>
        </details>
    }
}

/// What the questions can be ordered by, with its names.
fn columns(holding: &Columns, specs: &[String]) -> Vec<(Column, String)> {
    let fixed = [
        (Column::Worst, "worst first", true),
        (Column::Asked, "as asked", true),
        (Column::Family, "family", holding.has("family")),
        (Column::Margin, "margin", holding.has("margin")),
        (Column::Baseline, "baseline", true),
    ];
    let fixed = fixed.into_iter().filter(|(.., holds)| *holds).map(|(by, name, _)| (by, name.to_owned()));
    fixed.chain(specs.iter().enumerate().map(|(i, spec)| (Column::Acceleration(i), spec.clone()))).collect()
}

fn option(value: String, name: String, chosen: impl Fn() -> bool + Send + Sync + 'static) -> impl IntoView {
    view! { <option value=value prop:selected=chosen>{name}</option> }
}

fn tick(
    name: String,
    holds: impl Fn() -> bool + Send + Sync + 'static,
    ticked: impl Fn() -> bool + Send + Sync + 'static,
    on_tick: impl Fn(bool) + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <label class="tick" hidden=move || !holds()>
            <input type="checkbox" prop:checked=ticked on:change=move |event| on_tick(event_target_checked(&event)) />
            <bdi>{name}</bdi>
        </label>
    }
}

fn words(became: Became) -> &'static str {
    match became {
        Became::Anything => "any",
        Became::Changed => "any change",
        Became::Only(Outcome::Broken) => "✕ broken",
        Became::Only(Outcome::Repaired) => "✓ repaired",
        Became::Only(Outcome::Changed) => "≠ changed",
        Became::Only(Outcome::Same) => "= same",
    }
}
