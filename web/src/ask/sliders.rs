//! What is done to the image, by sliders, and where along them answers flip.

use leptos::prelude::*;
use steady_bench::perturb::{PERTURBATIONS, Perturbation};
use steady_report::Outcome;

use super::answers::Judge;
use super::flips::{Flip, Mark, Tried, first_flip, neutral};

/// One slider for each perturbation; `models` are the names of those who answer, the baseline first.
#[component]
pub(crate) fn Sliders(
    amounts: RwSignal<Vec<f64>>,
    #[prop(into)] tried: Signal<Tried>,
    #[prop(into)] models: Signal<Vec<String>>,
    #[prop(into)] judge: Signal<Judge>,
) -> impl IntoView {
    let rows = PERTURBATIONS.iter().enumerate().map(|(slider, perturbation)| {
        let amount = move || amounts.with(|amounts| amounts[slider]);
        let id = format!("slider-{}", perturbation.name);
        let marks = move || {
            tried.with(|tried| {
                let judge = judge.get();
                let of = |(model, name): (usize, String)| (name, tried.along(slider, model, |a, b| judge.became(a, b)));
                models.get().into_iter().enumerate().map(of).filter(|(_, marks)| marks.len() > 1).collect::<Vec<_>>()
            })
        };
        view! {
            <div class="slider">
                <label for=id.clone()>{perturbation.label}</label>
                <output for=id.clone()>{move || shown(perturbation, amount())}</output>
                <input
                    id=id
                    type="range"
                    min=perturbation.low.to_string()
                    max=perturbation.high.to_string()
                    step=perturbation.step.to_string()
                    prop:value=move || amount().to_string()
                    on:input=move |event| {
                        if let Ok(wanted) = event_target_value(&event).parse::<f64>() {
                            amounts.update(|amounts| amounts[slider] = wanted);
                        }
                    }
                />
                {move || marks().into_iter().map(|(name, marks)| view! { <Strip perturbation name marks /> }).collect_view()}
            </div>
        }
    });
    view! {
        <div class="sliders">{rows.collect_view()}</div>
        <button type="button" class="button" disabled=move || amounts.with(|amounts| *amounts == neutral()) on:click=move |_| amounts.set(neutral())>
            "Reset the image"
        </button>
    }
}

/// What one model said along a slider: a mark for each answer, and in words where it first flipped.
#[component]
fn Strip(perturbation: &'static Perturbation, name: String, marks: Vec<Mark>) -> impl IntoView {
    let flip = first_flip(&marks, perturbation.neutral);
    let words = match flip {
        Some(Flip { stayed, flipped, became }) => {
            let (from, to) = (shown(perturbation, stayed), shown(perturbation, flipped));
            let what = match became {
                Outcome::Broken => "breaks",
                Outcome::Repaired => "is repaired",
                Outcome::Changed | Outcome::Same => "flips",
            };
            format!("{name} {what} between {from} and {to}")
        }
        None => format!("{name} does not flip"),
    };
    let class = flip.map_or("stayed", |flip| flip.became.name());
    let x = |amount: f64| 100.0 * (amount - perturbation.low) / (perturbation.high - perturbation.low);
    let ticks = marks.into_iter().map(|mark| {
        view! { <rect class=mark.became.name() x=x(mark.amount) - 0.6 y="0" width="1.2" height="8" /> }
    });
    view! {
        <p class=format!("strip {class}")>
            <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{ticks.collect_view()}</svg>
            <span>{words}</span>
        </p>
    }
}

/// An amount with its unit; nothing where nothing is done.
fn shown(perturbation: &Perturbation, amount: f64) -> String {
    if (amount - perturbation.neutral).abs() < 1e-9 {
        return "off".to_owned();
    }
    // as many as tell two neighbouring places of the slider apart
    let digits = usize::from(perturbation.step < 1.0) + usize::from(perturbation.step < 0.1);
    format!("{amount:.digits$} {}", perturbation.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_their_slider_moves() {
        let said: Vec<String> = PERTURBATIONS.iter().map(|perturbation| shown(perturbation, perturbation.low)).collect();
        assert_eq!(said, ["-45 °", "0.50 of each side", "-0.60 of full", "0.00 times", "off", "off", "1 %"]);
    }
}
