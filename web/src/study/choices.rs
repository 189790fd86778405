//! What a study asks, of which accelerations, and where it computes.

use leptos::prelude::*;
use steady_bench::perturb::{PERTURBATIONS, PerturbationSpec};
use steady_bench::world::TaskFamily;
use steady_methods::{CONTROLS, Spec};

use super::model::ModelChoice;
use super::one_of::OneOf;
use super::settings::{Group, MOST_QUESTIONS, OFFERED, Settings, offers};
use crate::engine;
use crate::folder::Picked;
use crate::own_questions::{OwnQuestions, Reader};
use crate::spec::in_plain_words;

/// The choices, to be changed while nothing runs.
#[component]
pub(crate) fn Choices(settings: RwSignal<Settings>, picked: Picked, reader: Reader, #[prop(into)] locked: Signal<bool>) -> impl IntoView {
    let own = Memo::new(move |_| settings.with(|settings| settings.own));
    view! {
        <fieldset class="choices" disabled=locked>
            <legend class="unseen">"Choices"</legend>
            <div class="column">
                <fieldset class="choice asked-of">
                    <legend>"Questions"</legend>
                    <Source settings own=false name="Ours" words="About images that this page draws, of ten families." />
                    <Source settings own=true name="Your own" words="A table of yours, with its pictures." />
                    {move || own.get().then(|| view! { <OwnQuestions settings reader /> })}
                </fieldset>
                <div class="choice">
                    <label for="how-many">"How many at most"</label>
                    <input
                        id="how-many"
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
                    <small>"Spread evenly over the families. Every question is asked of the baseline, of each acceleration and under each control."</small>
                </div>
                {move || (!own.get()).then(|| view! {
                    <fieldset class="choice">
                        <legend>"Families"</legend>
                        <div class="chips">{TaskFamily::ALL.map(|family| view! { <FamilyBox family settings /> })}</div>
                    </fieldset>
                })}
                <Perturbations settings />
                <Controls settings />
                <EngineChoice settings />
            </div>
            <Accelerations settings />
            <ModelChoice settings picked />
        </fieldset>
    }
}

/// Checkboxes for the offered accelerations, by group, and a field for others. Those of a first study are in sight; all methods are one click away.
#[component]
pub(crate) fn Accelerations(settings: RwSignal<Settings>) -> impl IntoView {
    let tick = move |spec: &'static str| {
        view! {
            <label class="tick">
                <input
                    type="checkbox"
                    prop:checked=move || settings.with(|settings| settings.ticked.iter().any(|ticked| ticked == spec))
                    on:change=move |event| settings.update(|settings| settings.tick(spec, event_target_checked(&event)))
                />
                <span><code>{spec}</code> <small>{in_plain_words(spec)}</small></span>
            </label>
        }
    };
    let of = move |group: Group| OFFERED.iter().filter(|offered| offered.group == group).map(|offered| tick(offered.spec)).collect_view();
    let more = Group::ALL[1..].iter().map(|&group| {
        view! { <fieldset class="choice group"><legend>{group.label()}</legend>{of(group)}</fieldset> }
    });
    let ticked_there = move || {
        let among = |spec: &String| OFFERED.iter().any(|offered| offered.group != Group::First && offered.spec == spec);
        match settings.with(|settings| settings.ticked.iter().filter(|spec| among(spec)).count()) {
            0 => String::new(),
            ticked => format!(", {ticked} chosen"),
        }
    };
    view! {
        <fieldset class="choice">
            <legend>"Accelerations"</legend>
            {of(Group::First)}
            <details class="methods">
                <summary>"All methods" {ticked_there}</summary>
                {more.collect_view()}
            </details>
            <Others
                placeholder="w4:rtn,g=8+divprune:keep=0.5"
                typed=move || settings.with(|settings| settings.typed.clone())
                wrong=no_acceleration
                on_typed=move |text| settings.update(|settings| settings.typed = text)
            />
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
            <small>"Every question is asked once more about each of these perturbed images: does acceleration make the model more brittle?"</small>
            <div class="chips">{boxes.collect_view()}</div>
            <Others
                placeholder="blur=1.5+jpeg=30"
                typed=move || settings.with(|settings| settings.perturbed_typed.clone())
                wrong=no_perturbation
                on_typed=move |text| settings.update(|settings| settings.perturbed_typed = text)
            />
        </fieldset>
    }
}

/// Checkboxes for the changes that should not matter.
#[component]
fn Controls(settings: RwSignal<Settings>) -> impl IntoView {
    let boxes = CONTROLS.iter().filter(|control| offers(control)).map(|control| {
        view! {
            <label class="tick">
                <input
                    type="checkbox"
                    prop:checked=move || settings.with(|settings| settings.controls.iter().any(|name| name == control.name))
                    on:change=move |event| settings.update(|settings| settings.control(control.name, event_target_checked(&event)))
                />
                <span><code>{control.name}</code> <small>{control.plain}</small></span>
            </label>
        }
    });
    view! {
        <fieldset class="choice" id="controls">
            <legend>"Controls"</legend>
            <small>"Changes that should not matter. The one under which most answers change is the noise floor of the study."</small>
            {boxes.collect_view()}
        </fieldset>
    }
}

fn no_acceleration(spec: &str) -> Option<String> {
    Spec::parse(spec).err().map(|error| error.to_string())
}

fn no_perturbation(spec: &str) -> Option<String> {
    spec.parse::<PerturbationSpec>().err().map(|error| error.to_string())
}

/// A field for specs that no checkbox offers. `wrong` says why a text is none, while it is typed.
#[component]
fn Others(
    placeholder: &'static str,
    typed: impl Fn() -> String + Copy + Send + Sync + 'static,
    wrong: fn(&str) -> Option<String>,
    on_typed: impl Fn(String) + 'static,
) -> impl IntoView {
    let now = RwSignal::new(typed());
    Effect::new(move |_| now.set(typed()));
    let reasons = move || {
        let of = |spec: &str| Some((spec.to_owned(), wrong(spec)?));
        now.with(|now| now.split_whitespace().filter_map(of).collect::<Vec<_>>())
    };
    view! {
        <label class="others">
            "Others, as specs with spaces between them"
            <input
                type="text"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                placeholder=placeholder
                aria-invalid=move || (!reasons().is_empty()).to_string()
                prop:value=typed
                on:input=move |event| now.set(event_target_value(&event))
                on:change=move |event| on_typed(event_target_value(&event))
            />
        </label>
        <div role="status">
            {move || reasons().into_iter().map(|(spec, reason)| {
                let reason = reason.trim_end_matches('.').to_owned();
                view! { <small class="warning wrong"><bdi><code>{spec}</code></bdi> ": " <bdi>{reason}</bdi> "."</small> }
            }).collect_view()}
        </div>
    }
}

/// Where the questions come from, one of two.
#[component]
fn Source(settings: RwSignal<Settings>, own: bool, name: &'static str, words: &'static str) -> impl IntoView {
    let chosen = move || settings.with(|settings| settings.own == own);
    let choose = move || settings.update(|settings| settings.own = own);
    view! { <OneOf group="asked-of" chosen on_choice=choose name words /> }
}

#[component]
fn FamilyBox(family: TaskFamily, settings: RwSignal<Settings>) -> impl IntoView {
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
    let boxes = steady_protocol::EngineChoice::ALL.map(|choice| {
        let chosen = move || settings.with(|settings| settings.engine == choice);
        let choose = move || settings.update(|settings| settings.engine = choice);
        view! { <OneOf group="engine" chosen on_choice=choose name=engine::label(choice) words=engine::meaning(choice) /> }
    });
    view! {
        <fieldset class="choice">
            <legend>"Engine"</legend>
            {boxes}
            {(!offers_webgpu).then(|| view! { <small class="warning">"This browser offers no WebGPU here, so the CPU computes."</small> })}
        </fieldset>
    }
}
