//! The Question view: one question of a report or of a benchmark, closely.

use std::sync::Arc;

use image::RgbImage;
use leptos::ev::MouseEvent;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::perturb::{CLEAN, PerturbationSpec};
use steady_bench::{BENCHMARKS, Benchmark, PostPrompts, Question};
use steady_report::{Filter, Order, QuestionRow};

use crate::address::Sought;
use crate::ask::{Asker, Inquiry, Judge};
use crate::evidence::Evidence;
use crate::hand_on;
use crate::opened::{Opened, Sight};
use crate::source;
use crate::study::settings::Settings;

/// Sizes of a benchmark, in questions, in which one is looked for when no report says how large it is.
const SIZES: [usize; 3] = [100, 500, 2_500];

/// A question, and what there is of it.
#[derive(Clone)]
pub(crate) struct Looked {
    /// With its image and what is done to that, where it can be drawn and so asked about.
    drawn: Option<(Question, Sight, PerturbationSpec)>,
    /// Its row in a report.
    recorded: Option<(Arc<Opened>, usize)>,
}

impl Looked {
    /// The question that an address asks for, in the report or else in any benchmark that there is.
    ///
    /// # Errors
    /// When there is none, in words.
    pub(crate) fn at(Sought { id, under }: &Sought, report: Option<&Arc<Opened>>) -> Result<Self, String> {
        let recorded = report.and_then(|opened| {
            let same = |row: &QuestionRow| row.id == *id && row.perturbation.as_deref().unwrap_or(CLEAN) == under;
            let i = opened.report.questions().iter().position(same)?;
            Some((Arc::clone(opened), i))
        });
        let perturbation: Result<PerturbationSpec, _> = under.parse();
        let found = |suite: &dyn Benchmark| {
            let question = suite.questions().iter().find(|question| question.id == *id)?.clone();
            let image = Arc::new(suite.image(&question.image).ok()?);
            Some((question, Sight::Drawn(image)))
        };
        let of_report = report.and_then(|opened| opened.question(id));
        if recorded.is_some() {
            // somebody else's report may name what cannot be done here
            let drawn = of_report.zip(perturbation.ok()).map(|((question, sight), under)| (question, sight, under));
            return Ok(Self { drawn, recorded });
        }
        let perturbation = perturbation.map_err(|error| format!("The image of {id} cannot be perturbed like this: {error}."))?;
        let mut sized = BENCHMARKS.0.iter().flat_map(|row| SIZES.map(|size| (row, size)));
        let anywhere = of_report.or_else(|| sized.find_map(|(row, size)| found(&*row.open(size, &[]).ok()?)));
        let (question, sight) = anywhere.ok_or_else(|| format!("There is no question {id} here."))?;
        Ok(Self { drawn: Some((question, sight, perturbation)), recorded: None })
    }

    fn id(&self) -> String {
        let of_report = self.recorded.as_ref().map(|(opened, i)| opened.report.questions()[*i].id.clone());
        of_report.or_else(|| self.drawn.as_ref().map(|(question, ..)| question.id.clone())).unwrap_or_default()
    }

    /// Family, text, gold answers, image.
    fn words(&self) -> [String; 4] {
        match (&self.recorded, &self.drawn) {
            (Some((opened, i)), _) => {
                let row = &opened.report.questions()[*i];
                // a link does not always hold the words
                let text = if row.text.is_empty() { &row.id } else { &row.text };
                [row.family.clone(), text.clone(), row.gold.join(", "), row.image.clone()]
            }
            (None, Some((question, ..))) => {
                [question.family.clone(), question.text.clone(), question.gold.join(", "), question.image.clone()]
            }
            (None, None) => Default::default(),
        }
    }
}

/// The view. What the report says stands first, beside the image; then the question is asked here.
#[component]
pub(crate) fn QuestionView(
    looked: Looked,
    asker: Asker,
    settings: RwSignal<Settings>,
    evidence: Evidence,
    on_back: Callback<()>,
) -> impl IntoView {
    let [family, text, gold, image] = looked.words();
    let id = looked.id();
    let Looked { drawn, recorded } = looked;
    // the accelerations of the report, so that both can be compared
    let of_report = recorded
        .as_ref()
        .map(|(opened, _)| opened.report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect::<Vec<_>>());
    let beside = recorded.as_ref().map(|(opened, i)| neighbours(opened, *i, evidence));
    let under = recorded.as_ref().and_then(|(opened, i)| opened.report.questions()[*i].perturbation.clone());
    let recorded = recorded.map(|(opened, i)| {
        // escaped by steady-report
        let card = opened.report.card(i, &Filter::default());
        let title = under.map(|under| format!(" under {under}"));
        view! {
            <section class="recorded" aria-labelledby="recorded">
                <h2 id="recorded">"What the report says" {title}</h2>
                <article class="recorded" inner_html=card></article>
            </section>
        }
    });
    let setting =
        Memo::new(move |_| settings.with(|settings| settings.setting(of_report.clone().unwrap_or_else(|| settings.accelerations()))));
    // as a study of this model asks it
    let post_prompts = Memo::new(move |_| setting.with(|setting| PostPrompts::for_model(setting.model.knows_the_suite())));
    let behind = drawn.as_ref().map(|(question, ..)| {
        let asked = question.clone();
        move || {
            post_prompts.with(|post_prompts| {
                post_prompts.of(&asked).map(|behind| view! { <p class="facts">"asked with: " {behind.to_owned()}</p> })
            })
        }
    });
    let heading: NodeRef<html::H1> = NodeRef::new();
    Effect::new(move |_| {
        // the keyboard, and who hears the page, go on from here
        if let Some(heading) = heading.get() {
            drop(heading.focus());
        }
    });
    let inquiry = match drawn {
        Some((question, sight, under)) => {
            let seed = question.image.clone();
            let image = seen(sight, &question);
            let judge = Judge(Some(question.clone()));
            let asked = Signal::derive(move || post_prompts.with(|post_prompts| post_prompts.behind(&question).into_owned()));
            let under = under.amounts().to_vec();
            view! {
                <Inquiry asker image question=asked judge=Signal::stored(judge) setting seed under>
                    {recorded}
                </Inquiry>
            }
            .into_any()
        }
        None => view! {
            <p class="hint">"Its picture is not at hand here, so it can only be read, not asked again."</p>
            {recorded}
        }
        .into_any(),
    };
    let back = move || format!("#{}", evidence.address.with(|address| address.behind().fragment(source::encoded)));
    let to_back = move |event: MouseEvent| {
        event.prevent_default();
        on_back.run(());
    };
    view! {
        <nav class="close" aria-label="This question">
            <a class="back" href=back on:click=to_back>"← Back"</a>
            {beside}
            <CopyLink />
        </nav>
        <header class="asked">
            <p class="kicker">{format!("question {id} of family {family}")}</p>
            <h1 class="question" tabindex="-1" node_ref=heading>{text}</h1>
            <p class="facts">{(!gold.is_empty()).then(|| format!("gold: {gold} · "))} "image " <bdi>{image}</bdi></p>
            {behind}
        </header>
        {inquiry}
    }
}

/// The image of a question, as soon as it is there.
fn seen(sight: Sight, question: &Question) -> RwSignal<Option<Arc<RgbImage>>> {
    let seen = RwSignal::new(None);
    match sight {
        Sight::Drawn(image) => seen.set(Some(image)),
        Sight::Read(reader) => {
            let image = question.image.clone();
            spawn_local(async move {
                let image = reader.image(image).await.map(Arc::new);
                // another question may be in front by then
                let _ = seen.try_set(image);
            });
        }
    }
    seen
}

/// The questions before and after this one among those that the report shows.
fn neighbours(opened: &Arc<Opened>, i: usize, evidence: Evidence) -> impl IntoView + use<> {
    let opened = Arc::clone(opened);
    let shown = Memo::new(move |_| opened_questions(&opened, evidence, i));
    let step = move |name: &'static str, of: fn(&Neighbours) -> Option<&String>| {
        move || match shown.with(|shown| of(shown).cloned()) {
            Some(href) => {
                let there = href.clone();
                let go = move |event: MouseEvent| {
                    event.prevent_default();
                    // however many are looked at, Back leads to where the first was opened
                    drop(location().replace(&there));
                };
                view! { <a class="step" href=href on:click=go>{name}</a> }.into_any()
            }
            None => view! { <span class="step none" aria-disabled="true">{name}</span> }.into_any(),
        }
    };
    view! {
        {step("‹ Previous", |shown| shown.before.as_ref())}
        <span class="place">{move || shown.with(|shown| shown.place.clone())}</span>
        {step("Next ›", |shown| shown.after.as_ref())}
    }
}

/// Where a question stands among those that the report shows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Neighbours {
    before: Option<String>,
    after: Option<String>,
    place: String,
}

fn opened_questions(opened: &Opened, evidence: Evidence, i: usize) -> Neighbours {
    let order = evidence.order(Order::default());
    let shown = evidence.filter.with(|filter| opened.report.questions_for(filter, order));
    let href = |i: &usize| evidence.address_of(&opened.report.questions()[*i]);
    let Some(place) = shown.iter().position(|other| *other == i) else { return Neighbours::default() };
    Neighbours {
        before: place.checked_sub(1).and_then(|before| shown.get(before)).map(href),
        after: shown.get(place + 1).map(href),
        place: format!("{} of {}", place + 1, shown.len()),
    }
}

/// Copies the page's address, which leads to this question.
#[component]
fn CopyLink() -> impl IntoView {
    let said = RwSignal::new("");
    let copy = move |_| {
        spawn_local(async move {
            let done = hand_on::copy(&location().href().unwrap_or_default()).await;
            said.set(if done { "Link copied." } else { "The browser forbids copying; the address above is the link." });
        });
    };
    view! {
        <button type="button" class="button" on:click=copy>"Copy link to this question"</button>
        <span class="said-of-link" role="status">{said}</span>
    }
}
