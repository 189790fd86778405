//! The Question view: one question of a benchmark, closely.

use std::sync::Arc;

use image::RgbImage;
use leptos::html;
use leptos::prelude::*;
use steady_bench::perturb::{CLEAN, PerturbationSpec};
use steady_bench::{BENCHMARKS, Benchmark, PostPrompts, Question};
use steady_report::{Filter, QuestionRow};

use crate::ask::{Asker, Inquiry, Judge};
use crate::opened::Opened;
use crate::source::UNDER;
use crate::study::settings::Settings;

/// Sizes of a benchmark, in questions, in which one is looked for when no report says how large it is.
const SIZES: [usize; 3] = [100, 500, 2_500];

/// A question with its image, what is done to that, and what a report says about both.
#[derive(Clone)]
pub(crate) struct Looked {
    question: Question,
    image: Arc<RgbImage>,
    under: PerturbationSpec,
    recorded: Option<(Arc<Opened>, usize)>,
}

impl Looked {
    /// The question that a fragment asks for, in the report's benchmark or else in any that there is.
    ///
    /// # Errors
    /// When there is none, in words.
    pub(crate) fn at(sought: &str, report: Option<Arc<Opened>>) -> Result<Self, String> {
        let (id, under) = sought.split_once(UNDER).unwrap_or((sought, CLEAN));
        let under: PerturbationSpec =
            under.parse().map_err(|error| format!("The image of {id} cannot be perturbed like this: {error}."))?;
        let found = |suite: &dyn Benchmark| {
            let question = suite.questions().iter().find(|question| question.id == id)?.clone();
            let image = Arc::new(suite.image(&question.image).ok()?);
            Some((question, image))
        };
        if let Some((question, image)) = report.as_ref().and_then(|opened| found(opened.suite.as_deref()?)) {
            let recorded = report.and_then(|opened| {
                let rows = opened.report.questions();
                let same = |row: &QuestionRow| row.id == question.id && row.perturbation.as_deref().unwrap_or(CLEAN) == under.to_string();
                let i = rows.iter().position(same)?;
                Some((opened, i))
            });
            return Ok(Self { question, image, under, recorded });
        }
        let mut sized = BENCHMARKS.0.iter().flat_map(|row| SIZES.map(|size| (row, size)));
        let anywhere = sized.find_map(|(row, size)| found(&*row.open(size, &[]).ok()?));
        let (question, image) = anywhere.ok_or_else(|| format!("The embedded suite has no question {id}."))?;
        Ok(Self { question, image, under, recorded: None })
    }
}

/// The view; `back` is where it was opened.
#[component]
pub(crate) fn QuestionView(looked: Looked, asker: Asker, settings: RwSignal<Settings>, back: String) -> impl IntoView {
    let Looked { question, image, under, recorded } = looked;
    // the accelerations of the report, so that both can be compared
    let of_report = recorded
        .as_ref()
        .map(|(opened, _)| opened.report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect::<Vec<_>>());
    let title = if under == PerturbationSpec::clean() { String::new() } else { format!(" under {under}") };
    let recorded = recorded.map(|(opened, i)| {
        // escaped by steady-report
        let card = opened.report.card(i, &Filter::default());
        view! {
            <section>
                <h2>"What the report says" {title}</h2>
                <article class="recorded" inner_html=card></article>
            </section>
        }
    });
    let setting =
        Memo::new(move |_| settings.with(|settings| settings.setting(of_report.clone().unwrap_or_else(|| settings.accelerations()))));
    let seed = question.image.clone();
    // as a study of this model asks it
    let post_prompts = Memo::new(move |_| setting.with(|setting| PostPrompts::for_model(setting.model.knows_the_suite())));
    let asked = question.clone();
    let behind = move || {
        post_prompts
            .with(|post_prompts| post_prompts.of(&asked).map(|behind| view! { <p class="facts">"asked with: " {behind.to_owned()}</p> }))
    };
    let asked = question.clone();
    let text = Signal::derive(move || post_prompts.with(|post_prompts| post_prompts.behind(&asked).into_owned()));
    let judge = Judge(Some(question.clone()));
    let heading: NodeRef<html::H1> = NodeRef::new();
    Effect::new(move |_| {
        // the keyboard, and who hears the page, go on from here
        if let Some(heading) = heading.get() {
            drop(heading.focus());
        }
    });
    view! {
        <a class="back" href=back>"← Back"</a>
        <header class="asked">
            <p class="kicker">{format!("question {} of family {}", question.id, question.family)}</p>
            <h1 class="question" tabindex="-1" node_ref=heading>{question.text.clone()}</h1>
            <p class="facts">"gold: " {question.gold.join(", ")} " · image " {question.image.clone()}</p>
            {behind}
        </header>
        <Inquiry
            asker
            image=Signal::stored(Some(image))
            question=text
            judge=Signal::stored(judge)
            setting
            seed
            under=under.amounts().to_vec()
        />
        {recorded}
    }
}
