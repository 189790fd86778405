//! The Playground: an image and a question of one's own.

use std::sync::Arc;

use image::RgbImage;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::Benchmark;
use steady_bench::world::{EmbeddedSuite, TaskFamily};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CanvasRenderingContext2d, File, HtmlCanvasElement, ImageBitmap};

use crate::ask::{Asker, Inquiry, Judge, neutral};
use crate::pictures::address_of;
use crate::source::{self, reason};
use crate::study::choices::{Accelerations, EngineChoice};
use crate::study::model::ModelChoice;
use crate::study::settings::Settings;

/// Longest side of an image that is asked about. A Qwen2-VL sees it in 1,369 visual tokens at most, which is as much as a browser has patience for.
const LONGEST: f64 = 1_036.0;

/// Families of the embedded world of which a picture is offered to begin with.
const SAMPLED: [TaskFamily; 3] = [TaskFamily::Existence, TaskFamily::Chart, TaskFamily::Scan];

/// What was last chosen and typed in the Playground. It outlives a visit to another view.
#[derive(Clone, Copy)]
pub(crate) struct Own {
    image: RwSignal<Option<Arc<RgbImage>>>,
    question: RwSignal<String>,
    /// A file that could not be read, and why.
    problem: RwSignal<Option<String>>,
}

impl Own {
    pub(crate) fn none() -> Self {
        Self { image: RwSignal::new(None), question: RwSignal::new(String::new()), problem: RwSignal::new(None) }
    }

    /// Takes an image file.
    pub(crate) fn open(self, file: File) {
        spawn_local(async move {
            match decode(&file).await {
                Ok(pixels) => {
                    self.image.set(Some(Arc::new(pixels)));
                    self.problem.set(None);
                }
                Err(error) => self.problem.set(Some(format!(
                    "{} is no image that this browser reads: {}.",
                    file.name(),
                    reason(&error).trim_end_matches('.')
                ))),
            }
        });
    }

    /// Takes a sample, and its question unless somebody typed another.
    fn take(self, sample: &Sample, samples: &[Sample]) {
        self.image.set(Some(Arc::clone(&sample.image)));
        self.problem.set(None);
        let typed = self.question.with_untracked(|now| !now.trim().is_empty() && samples.iter().all(|other| other.question != *now));
        if !typed {
            self.question.set(sample.question.clone());
        }
    }
}

/// A picture to begin with.
#[derive(Clone)]
struct Sample {
    family: TaskFamily,
    image: Arc<RgbImage>,
    question: String,
}

/// The first picture that the embedded world has of each of [`SAMPLED`], with its question.
fn samples() -> Vec<Sample> {
    let suite = EmbeddedSuite::test(1);
    let of = |family: TaskFamily| {
        let question = suite.questions().iter().find(|question| question.family == family.name())?;
        Some(Sample { family, image: Arc::new(suite.image(&question.image).ok()?), question: question.text.clone() })
    };
    SAMPLED.into_iter().filter_map(of).collect()
}

/// The view.
#[component]
pub(crate) fn Playground(asker: Asker, settings: RwSignal<Settings>, own: Own) -> impl IntoView {
    let Own { image, question, problem } = own;
    // Enter asks
    let wishes = RwSignal::new(0);
    let picked = move |event| {
        if let Some(file) = source::picked(&event).pop() {
            own.open(file);
        }
    };
    let samples = StoredValue::new(samples());
    let offered = samples.with_value(|all| {
        let offer = |sample: &Sample| {
            let (taken, address, family) = (sample.clone(), address_of(&sample.image), sample.family.name());
            view! {
                <button type="button" class="sample" on:click=move |_| samples.with_value(|all| own.take(&taken, all))>
                    <img src=address alt="" />
                    {family}
                </button>
            }
        };
        all.iter().map(offer).collect::<Vec<_>>()
    });
    let setting = Memo::new(move |_| settings.with(|settings| settings.setting(settings.accelerations())));
    view! {
        <div class="landing">
            <h1>"Ask about an image of your own"</h1>
            <p class="lead">
                "The models that come with this page know drawn shapes, signs, charts and scans; about photographs they guess, and how their guesses change is the point. "
                "A checkpoint of your own can take their place. Image and checkpoint stay on this machine."
            </p>
        </div>
        <form
            class="own"
            on:submit=move |event: SubmitEvent| {
                event.prevent_default();
                wishes.update(|wishes| *wishes += 1);
            }
        >
            <label class="button">
                {move || if image.with(Option::is_some) { "Take another image" } else { "Choose an image" }}
                <input type="file" accept="image/*" on:change=picked />
            </label>
            <span class="hint">"or drop one anywhere on this page. A LLaVA-1.5 looks at its middle square, as the picture will show; a Qwen2-VL at all of it."</span>
            <div class="samples" role="group" aria-label="Sample images"><span class="hint">"or begin with one of ours:"</span> {offered}</div>
            <label for="own-question">"Question"</label>
            <input
                id="own-question"
                type="text"
                autocomplete="off"
                placeholder="Is there a red circle? Answer yes or no."
                prop:value=question
                on:input=move |event| question.set(event_target_value(&event))
            />
        </form>
        {move || problem.get().map(|problem| view! { <p role="alert" class="failed"><bdi>{problem}</bdi></p> })}
        <details class="choose">
            <summary>"Choose accelerations, engine and model"</summary>
            <div class="choices">
                <Accelerations settings />
                <div class="column"><EngineChoice settings /><ModelChoice settings picked=asker.picked /></div>
            </div>
        </details>
        <Inquiry asker image question judge=Signal::stored(Judge(None)) setting seed="playground".to_owned() under=neutral() wishes />
    }
}

/// An image file, at most [`LONGEST`] wide and high, on white where it is transparent. The browser decodes, so every format it knows will do.
async fn decode(file: &File) -> Result<RgbImage, JsValue> {
    let bitmap: ImageBitmap = JsFuture::from(window().create_image_bitmap_with_blob(file)?).await?.dyn_into()?;
    let (width, height) = (f64::from(bitmap.width()), f64::from(bitmap.height()));
    let scale = (LONGEST / width.max(height)).min(1.0);
    let [width, height] = [width, height].map(|side| (side * scale).round().max(1.0));
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.dyn_into()?;
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or("no canvas")?.dyn_into()?;
    context.set_fill_style_str("white");
    context.fill_rect(0.0, 0.0, width, height);
    context.draw_image_with_image_bitmap_and_dw_and_dh(&bitmap, 0.0, 0.0, width, height)?;
    let rgba = context.get_image_data(0.0, 0.0, width, height)?.data().0;
    let rgb = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    RgbImage::from_raw(width as u32, height as u32, rgb).ok_or_else(|| "an image without pixels".into())
}
