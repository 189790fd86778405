//! One image, one question: asked of the baseline and of accelerations, under sliders.

use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use steady_bench::perturb::perturb;
use steady_protocol::{AskReply, AskedAnswer, Preparing, Setting};

use super::answers::{AnswersInShort, AskedAnswers, Judge};
use super::distribution::distribution;
use super::flips::{Tried, neutral};
use super::sliders::Sliders;
use super::tokens::{TokenImage, Tokens};
use super::{Asker, Asking, Progress};
use crate::loading;
use crate::pictures::address_of;
use crate::study::model::Again;
use crate::study::progress::left_out;

/// How long a slider must rest before its image is asked about.
const REST: Duration = Duration::from_millis(180);

/// Where one question takes longer than this, in milliseconds, nobody is made to wait for some ninety unasked.
const QUICK: f64 = 1_500.0;

/// The image with its tokens, the answers, the distributions, the sliders.
#[component]
pub(crate) fn Inquiry(
    asker: Asker,
    #[prop(into)] image: Signal<Option<Arc<RgbImage>>>,
    #[prop(into)] question: Signal<String>,
    #[prop(into)] judge: Signal<Judge>,
    #[prop(into)] setting: Signal<Setting>,
    /// What seeds the noise: the image's id, as in a study.
    seed: String,
    /// What is done to the image at first: an amount for each perturbation.
    under: Vec<f64>,
    /// How often somebody wished to ask otherwise than by the button.
    #[prop(optional, into)]
    wishes: Signal<u32>,
    /// What stands beside the image before anything is asked.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let inquiry = asker.inquiry();
    asker.turn_away();
    on_cleanup(move || asker.turn_away());
    let amounts = RwSignal::new(under);
    let tried = RwSignal::new(Tried::default());
    let live = RwSignal::new(false);
    // whether flips are looked for; `None` until somebody asked
    let sweeping = RwSignal::new(None::<bool>);
    let seed = StoredValue::new(seed);
    let under = move |image: &RgbImage, amounts: &[f64]| Arc::new(seed.with_value(|seed| perturb(image, amounts, seed)));
    let changed = Memo::new(move |_| image.get().map(|image| under(&image, &amounts.get())));
    let address =
        Memo::new(move |_| changed.with(|changed| changed.as_ref().map(|image| (address_of(image), image.width(), image.height()))));

    // what was tried belongs to one image, one question and one setting
    Effect::new(move |before: Option<()>| {
        drop((image.get(), question.get(), setting.get()));
        if before.is_some() {
            asker.turn_away();
            tried.set(Tried::default());
            live.set(false);
            sweeping.set(None);
        }
    });
    let ask = move |image: Option<Arc<RgbImage>>, amounts: Vec<f64>| {
        if let Some(image) = image {
            asker.ask(Asking { inquiry, setting: setting.get_untracked(), image, question: question.get_untracked(), amounts });
        }
    };
    // how the image is answered as it is must be known before anything can flip
    let ask_now = move || {
        live.set(true);
        let wanted = amounts.get_untracked();
        if tried.with_untracked(|tried| tried.at(&neutral()).is_none()) && wanted != neutral() {
            ask(image.get_untracked(), neutral());
        }
        ask(changed.get_untracked(), wanted);
    };
    let resting = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |before: Option<()>| {
        amounts.track();
        if before.is_some() && live.get_untracked() {
            if let Some(resting) = resting.try_update_value(Option::take).flatten() {
                resting.clear();
            }
            resting.set_value(set_timeout_with_handle(ask_now, REST).ok());
        }
    });
    on_cleanup(move || {
        if let Some(resting) = resting.try_update_value(Option::take).flatten() {
            resting.clear();
        }
    });
    // another inquiry may be in front of this one
    let heard = Memo::new(move |_| asker.heard.with(|heard| heard.clone().filter(|(asking, _)| asking.inquiry == inquiry)));
    Effect::new(move |_| {
        heard.with(|heard| {
            if let Some((asking, asked)) = heard {
                tried.update(|tried| tried.add(asking.amounts.clone(), asked.answers.iter().map(|answer| answer.text.clone()).collect()));
                if sweeping.get_untracked().is_none() {
                    sweeping.set(Some(asked.answers.iter().map(|answer| answer.wall_ms).sum::<f64>() <= QUICK));
                }
            }
        });
    });
    // what is on the screen is about the image on the screen, whatever else is tried meanwhile
    let shown = RwSignal::new(None::<AskReply>);
    Effect::new(move |_| {
        let now = heard.with(|heard| {
            heard.as_ref().filter(|(asking, _)| amounts.with(|amounts| *amounts == asking.amounts)).map(|(_, asked)| asked.clone())
        });
        match now {
            Some(asked) => shown.set(Some(asked)),
            None if tried.with(|tried| *tried == Tried::default()) => shown.set(None),
            None => {}
        }
    });
    // where answers flip is looked for whenever nothing else is asked
    Effect::new(move |_| {
        let idle = asker.progress.get() == Progress::Idle && heard.with(Option::is_some);
        if !idle || sweeping.get() != Some(true) {
            return;
        }
        let judge = judge.get_untracked();
        let models = heard.with_untracked(|heard| heard.as_ref().map_or(0, |(_, asked)| asked.answers.len()));
        let next = tried.with(|tried| tried.next(models, |a, b| judge.became(a, b)));
        match (next, image.get_untracked()) {
            (Some(amounts), Some(image)) => {
                let changed = under(&image, &amounts);
                ask(Some(changed), amounts);
            }
            _ => sweeping.set(Some(false)),
        }
    });

    let asked = move || shown.get();
    let chosen = RwSignal::new(0);
    // the first that drops tokens, until somebody chooses
    Effect::new(move |before: Option<bool>| {
        let Some(asked) = asked() else { return before.unwrap_or(false) };
        if before != Some(true) {
            let drops = asked.answers.iter().position(|answer| answer.kept.is_some());
            chosen.set(drops.unwrap_or(usize::from(asked.answers.len() > 1)));
        }
        true
    });
    let tokens = Signal::derive(move || asked().and_then(|asked| asked.answers.get(chosen.get()).map(|answer| Tokens::of(&asked, answer))));
    let models = Signal::derive(move || {
        let name = |(i, answer): (usize, AskedAnswer)| if i == 0 { "baseline".to_owned() } else { answer.acceleration };
        asked().map(|asked| asked.answers.into_iter().enumerate().map(name).collect::<Vec<_>>()).unwrap_or_default()
    });
    let likely = move || {
        asked().map(|AskReply { answers, .. }| {
            let chosen = chosen.get();
            let before = answers.first().map(|answer| answer.first_token.as_slice()).unwrap_or_default();
            let after = answers.get(chosen).filter(|_| chosen > 0);
            distribution(before, after.map(|answer| (answer.acceleration.as_str(), answer.first_token.as_slice())))
        })
    };
    // what is still missing; a folder that must be chosen again is told elsewhere
    let missing = move || match (image.with(Option::is_some), question.with(|question| question.trim().is_empty())) {
        (false, _) => Some("Choose an image first."),
        (true, true) => Some("Type a question first."),
        (true, false) => None,
    };
    let can_ask = move || missing().is_none() && !setting.with(|setting| asker.picked.lacks(&setting.model));
    Effect::new(move |before: Option<u32>| {
        let wishes = wishes.get();
        if before.is_some_and(|before| before != wishes) && can_ask() {
            ask_now();
        }
        wishes
    });
    view! {
        <div class="inquiry">
            <div class="sight">
                <TokenImage image=address tokens />
                {move || asked().map(|asked| view! { <AnswersInShort asked judge /> })}
            </div>
            <div class="said">
                {children.map(|children| children())}
                <div class="run">
                    <button type="button" class="primary" disabled=move || !can_ask() on:click=move |_| ask_now()>
                        {move || if live.get() { "Ask again" } else { "Ask here" }}
                    </button>
                    {move || missing().map(|missing| view! { <p class="summary">{missing}</p> })}
                    <Doing asker />
                </div>
                {move || asker.left_out.with(|those| left_out(those))}
                <Again model=Signal::derive(move || setting.with(|setting| setting.model.clone())) picked=asker.picked />
                {move || asked().map(|asked| view! { <AskedAnswers asked judge chosen /> })}
                {likely}
            </div>
            <section class="perturb" aria-label="Perturbations">
                <h2>"What if the image were worse?"</h2>
                <p class="hint">{move || if live.get() {
                    "Every slider is tried by itself, to the step at which an answer flips from the one to the image as it is. Move one, or several: everybody is asked again."
                } else {
                    "Move a slider to change the image. Once you have asked, every slider is tried, and where an answer flips is marked."
                }}</p>
                {move || match (live.get(), sweeping.get()) {
                    (true, Some(true)) => {
                        let (done, of) = tried.with(Tried::progress);
                        Some(view! {
                            <p class="sweep"><progress aria-label="Sliders tried" max=of.to_string() value=done.to_string()></progress>
                                <button type="button" class="button" on:click=move |_| sweeping.set(Some(false))>"Stop looking for flips"</button></p>
                        }.into_any())
                    }
                    (true, Some(false)) if tried.with(Tried::progress).0 < tried.with(Tried::progress).1 => Some(view! {
                        <p class="sweep"><button type="button" class="button" on:click=move |_| sweeping.set(Some(true))>"Look for flips along every slider"</button></p>
                    }.into_any()),
                    _ => None,
                }}
                <Sliders amounts tried models judge />
            </section>
        </div>
    }
}

/// What the worker does.
#[component]
fn Doing(asker: Asker) -> impl IntoView {
    let words = move || match asker.progress.get() {
        Progress::Idle => {
            asker.engine.get().map(|engine| format!("Computed on {} in {}.", engine.device, engine.dtype)).unwrap_or_default()
        }
        Progress::Starting => "Fetching the program that computes …".to_owned(),
        Progress::Loading(loading) => format!("Loading the model: {}", loading::words(&loading)),
        Progress::Preparing(Preparing { ready, of }) => format!("Preparing the GPU: {ready} of {of} kernels"),
        Progress::Asking => "Asking …".to_owned(),
        Progress::Failed(reason) => format!("This could not be asked: {reason}."),
    };
    let failed = move || matches!(asker.progress.get(), Progress::Failed(_));
    view! { <p class="summary" class:warning=failed role="status">{words}</p> }
}
