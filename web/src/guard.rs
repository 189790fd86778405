//! A guard: where the accelerated model is unsure the baseline answers instead. Chosen here out of a report, or read from the command line's file.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use leptos::prelude::*;
use steady_verdict::{Guarantee, Guard, Risk, TooFew, Wanted};

use crate::opened::Opened;

/// Limits that are offered.
const LIMITS: [f64; 6] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// Which of [`LIMITS`] stands there first.
const LIMIT: usize = 2;

/// Share of the images that a threshold is chosen on, and which they are: as on the command line.
const CALIBRATE: f64 = 0.5;
const SEED: u64 = 1;

/// A guard for an acceleration of the report.
#[component]
pub(crate) fn Guarding(opened: Signal<Arc<Opened>>) -> impl IntoView {
    let (place, limit, risk) = (RwSignal::new(0_usize), RwSignal::new(LIMIT), RwSignal::new(Risk::Ndr));
    let specs = Memo::new(move |_| {
        opened.with(|opened| opened.report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect::<Vec<_>>())
    });
    let tells = Memo::new(move |_| {
        opened.with(|opened| {
            let accelerations = opened.report.accelerations();
            accelerations.iter().any(|acceleration| acceleration.answers.iter().all(|answer| answer.margin.is_some()))
        })
    });
    let judged = Memo::new(move |_| opened.with(|opened| opened.report.judged()));
    // nothing is drawn for who does not look
    let looked_at = RwSignal::new(false);
    let chosen = move || {
        let spec = specs.with(|specs| specs.get(place.get()).cloned())?;
        let risk = if judged.get() { risk.get() } else { Risk::Dr };
        let guarantee = Guarantee::ConformalRiskControl;
        let wanted = Wanted { spec, risk, limit: LIMITS[limit.get()], guarantee, calibrate: CALIBRATE, seed: SEED };
        Some(opened.with(|opened| Guard::choose(&opened.report, &opened.name(), &wanted)))
    };
    let shown = move || {
        match chosen()? {
        Ok(Ok(guard)) => Some(guarded(&guard).into_any()),
        Ok(Err(TooFew { images, needed })) => Some(
            view! { <p class="facts">{format!("{images} images to choose a threshold on are too few for this limit, whatever they show: it takes {needed} at least.")}</p> }
                .into_any(),
        ),
        Err(error) => Some(view! { <p class="facts"><bdi>{error.to_string()}</bdi></p> }.into_any()),
    }
    };
    let number = |event| event_target_value(&event).parse::<usize>().ok();
    view! {
        <section id="guard" hidden=move || !tells.get()>
            <h2>"A guard"</h2>
            <p class="hint">"Where the accelerated model is unsure, the baseline answers instead. A threshold on the lead of its first token is chosen on half of the images, such that what breaks stays under a limit, and is tried on the others."</p>
            <details on:toggle=move |event| looked_at.set(event_target::<web_sys::Element>(&event).has_attribute("open"))>
                <summary>"Choose one"</summary>
                <div class="guarding">
                    <label>"acceleration"
                        <select name="guarded" on:change=move |event| place.set(number(event).unwrap_or_default())>
                            {move || specs.get().into_iter().enumerate().map(|(i, spec)| view! { <option value=i.to_string()>{spec}</option> }).collect_view()}
                        </select>
                    </label>
                    <label>"what is to stay rare"
                        <select name="risk" on:change=move |event| risk.set(if event_target_value(&event) == "dr" { Risk::Dr } else { Risk::Ndr })>
                            <option value="ndr" hidden=move || !judged.get()>"broken answers (NDR)"</option>
                            <option value="dr">"changed answers (DR)"</option>
                        </select>
                    </label>
                    <label>"at most"
                        <select name="limit" on:change=move |event| limit.set(number(event).unwrap_or(LIMIT))>
                            {LIMITS.into_iter().enumerate().map(|(i, share)| view! { <option value=i.to_string() selected=i == LIMIT>{format!("{} %", 100.0 * share)}</option> }).collect_view()}
                        </select>
                    </label>
                </div>
                {move || looked_at.get().then(shown)}
            </details>
        </section>
    }
}

/// What a guard does, and its risk-coverage curve.
pub(crate) fn guarded(guard: &Guard) -> impl IntoView + use<> {
    let curve = format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(guard.curve_svg()));
    let told = guard.told();
    let lines = told.lines().map(|line| view! { <li><bdi>{line.to_owned()}</bdi></li> }).collect_view();
    view! {
        <figure class="guarded">
            // the list says what it shows
            <img src=curve alt="Risk-coverage curve" width="640" height="400" />
            <figcaption><ul>{lines}</ul></figcaption>
        </figure>
    }
}
