//! What a study asks, of which accelerations, and where it computes.

use leptos::prelude::*;
use steady_bench::perturb::PERTURBATIONS;
use steady_bench::world::Family;

use super::settings::{Engine, MOST_QUESTIONS, OFFERED, Settings};

/// The choices, to be changed while nothing runs.
#[component]
pub(crate) fn Choices(settings: RwSignal<Settings>, #[prop(into)] locked: Signal<bool>) -> impl IntoView {
    view! {
        <fieldset class="choices" disabled=locked>
            <legend class="unseen">"Choices"</legend>
            <div class="column">
                <div class="choice">
                    <label for="questions">"Questions"</label>
                    <input
                        id="questions"
                        type="number"
                        min="1"
                        max=MOST_QUESTIONS.to_string()
                        step="1"
                        prop:value=move || settings.with(|settings| settings.questions.to_string())
                        on:change=move |event| {
                            let wanted = event_target_value(&event).parse::<usize>();
                            settings.update(|settings| settings.questions = wanted.unwrap_or(settings.questions).clamp(1, MOST_QUESTIONS));
                        }
                    />
                    <small>"Spread evenly over the families. Every question is asked once of the baseline and once of each acceleration."</small>
                </div>
                <fieldset class="choice">
                    <legend>"Families"</legend>
                    <div class="chips">{Family::ALL.map(|family| view! { <FamilyBox family settings /> })}</div>
                </fieldset>
                <Perturbations settings />
                <EngineChoice settings />
            </div>
            <Accelerations settings />
        </fieldset>
    }
}

/// Checkboxes for the offered accelerations, and a field for others.
#[component]
pub(crate) fn Accelerations(settings: RwSignal<Settings>) -> impl IntoView {
    let boxes = OFFERED.map(|offered| {
        let spec = offered.spec;
        view! {
            <label class="tick">
                <input
                    type="checkbox"
                    prop:checked=move || settings.with(|settings| settings.ticked.iter().any(|ticked| ticked == spec))
                    on:change=move |event| settings.update(|settings| settings.tick(spec, event_target_checked(&event)))
                />
                <span><code>{spec}</code> <small>{offered.summary}</small></span>
            </label>
        }
    });
    view! {
        <fieldset class="choice">
            <legend>"Accelerations"</legend>
            {boxes}
            <label class="others">
                "Others, as specs with spaces between them"
                <input
                    type="text"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder="w4:rtn,g=8+divprune:keep=0.5"
                    prop:value=move || settings.with(|settings| settings.typed.clone())
                    on:change=move |event| settings.update(|settings| settings.typed = event_target_value(&event))
                />
            </label>
        </fieldset>
    }
}

/// Checkboxes for what may be done to the images, and a field for more.
#[component]
fn Perturbations(settings: RwSignal<Settings>) -> impl IntoView {
    let boxes = PERTURBATIONS.iter().map(|perturbation| {
        let spec = perturbation.example();
        let (ticked, shown) = (spec.clone(), spec.clone());
        view! {
            <label class="tick" title=perturbation.label>
                <input
                    type="checkbox"
                    prop:checked=move || settings.with(|settings| settings.perturbed.contains(&ticked))
                    on:change=move |event| settings.update(|settings| settings.perturb(&spec, event_target_checked(&event)))
                />
                <code>{shown}</code>
            </label>
        }
    });
    view! {
        <fieldset class="choice" id="perturbations">
            <legend>"Perturbations"</legend>
            <small>"Every question is asked once more about each of these worse images: does acceleration make the model more brittle?"</small>
            <div class="chips">{boxes.collect_view()}</div>
            <label class="others">
                "Others, as specs with spaces between them"
                <input
                    type="text"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder="blur=1.5+jpeg=30"
                    prop:value=move || settings.with(|settings| settings.perturbed_typed.clone())
                    on:change=move |event| settings.update(|settings| settings.perturbed_typed = event_target_value(&event))
                />
            </label>
        </fieldset>
    }
}

#[component]
fn FamilyBox(family: Family, settings: RwSignal<Settings>) -> impl IntoView {
    view! {
        <label class="tick">
            <input
                type="checkbox"
                prop:checked=move || settings.with(|settings| settings.asks(family))
                on:change=move |event| settings.update(|settings| settings.ask(family, event_target_checked(&event)))
            />
            {family.name()}
        </label>
    }
}

/// Where answers are computed.
#[component]
pub(crate) fn EngineChoice(settings: RwSignal<Settings>) -> impl IntoView {
    let offers_webgpu = js_sys::Reflect::get(&window().navigator(), &"gpu".into()).is_ok_and(|gpu| !gpu.is_undefined());
    let boxes = Engine::ALL.map(|engine| {
        view! {
            <label class="tick">
                <input
                    type="radio"
                    name="engine"
                    prop:checked=move || settings.with(|settings| settings.engine == engine)
                    on:change=move |_| settings.update(|settings| settings.engine = engine)
                />
                <span>{engine.label()} <small>{engine.meaning()}</small></span>
            </label>
        }
    });
    view! {
        <fieldset class="choice">
            <legend>"Engine"</legend>
            {boxes}
            {(!offers_webgpu).then(|| view! { <small class="warning">"This browser offers no WebGPU here, so the CPU computes."</small> })}
        </fieldset>
    }
}
