//! `steady ask`: one question about one image, before and after acceleration.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use pollster::FutureExt;
use serde::Serialize;
use steady_accel::Acceleration;
use steady_accel::memory::Run;
use steady_bench::PostPrompts;
use steady_study::record::top;
use steady_verdict::Guard;
use steady_vlm::{Answer, Asked, NotFinite, PixelValues, Precision, Prepared, Vlm, Work, image};

use crate::args::AskArgs;
use crate::calibration::Calibration;
use crate::commands::guard;
use crate::{console, embedded, memory, model};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct AskJson {
    model: String,
    device: String,
    /// What weights are kept as and computed in.
    dtype: String,
    prompt: String,
    /// Most tokens that an answer may have.
    max_new_tokens: usize,
    answers: Vec<AnswerJson>,
    /// Whose answer counts, where there is a guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<GuardJson>,
}

#[derive(Debug, Serialize)]
struct GuardJson {
    answered_by: String,
    text: String,
    /// Of the accelerated model's first token over its second, in logits; nothing where there was no answer.
    lead: Option<f32>,
    /// The least lead that keeps its answer.
    threshold: f32,
}

#[derive(Debug, Serialize)]
struct AnswerJson {
    accel: String,
    /// After expansion of the image placeholder.
    input_ids: Vec<u32>,
    /// New ones only.
    output_ids: Vec<u32>,
    text: String,
    /// Whether the limit cut it.
    cut: bool,
    /// Why there is no answer, if a logit was not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_finite: Option<String>,
    first_token: FirstToken,
    visual_tokens: usize,
    kept: Option<Vec<usize>>,
    pixels: Pixels,
    weight_bytes: usize,
    kv_bytes: usize,
    flops: u64,
    timing: Timing,
}

#[derive(Debug, Serialize)]
struct FirstToken {
    top: Vec<Candidate>,
}

#[derive(Debug, Serialize)]
struct Candidate {
    id: u32,
    token: String,
    logit: f32,
}

/// Enough to tell whether two programs saw the same pixels.
#[derive(Clone, Debug, Serialize)]
struct Pixels {
    shape: Vec<usize>,
    mean: f64,
    abs_sum: f64,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs into the JSON")]
struct Timing {
    /// Image file to pixels and prompt to ids; the same for all answers.
    prepare_ms: f64,
    /// Packing the weights; nothing where they are as they were, or as the acceleration before left them.
    quantize_ms: f64,
    /// Vision tower to last token.
    answer_ms: f64,
}

pub(crate) fn run(args: &AskArgs) -> Result<()> {
    let guard = args.guard.as_deref().map(guard::read).transpose()?;
    let mut accelerations = vec![Acceleration::none()];
    if let Some(guard) = &guard {
        accelerations.extend(model::accelerations(&[&guard.spec])?);
    }
    accelerations.extend(model::accelerations(&args.accelerations)?.into_iter().filter(|acceleration| !acceleration.is_none()));
    let calibration = Calibration::open(&args.calibration)?;
    // The image before the model: it is the cheaper one to be wrong.
    let picture = image::load(&args.image)?;
    let checkpoint = model::choose(&args.model)?.shown(args.images).checkpoint;
    if let Some(guard) = &guard {
        fits(guard, &checkpoint.sha256()?, checkpoint.name())?;
    }
    let decoding = model::decoding(&checkpoint, args.max_new_tokens);
    let prompt = match (&args.prompt, &args.question) {
        (Some(prompt), _) => prompt.clone(),
        (None, Some(question)) => checkpoint.chat_template()?.prompt(question)?,
        (None, None) => return Err(anyhow!("one of --question and --prompt is needed")),
    };
    let processor = checkpoint.processor()?;
    let precision = model::precision(args.dtype, &checkpoint)?;
    let of_image = || format!("--image {}", args.image.display());
    let text = processor.text_tokens(&prompt)?;
    let runs = |max_pixels: Option<usize>| -> Result<Vec<Run<'_>>> {
        let (width, height) = picture.dimensions();
        let image = processor.extent(width, height, max_pixels).with_context(of_image)?;
        let tokens = text + image.tokens;
        let run =
            Run { precision, accelerations: &[], copies: &[], beside: 0, image, prompt: tokens, tokens: tokens + decoding.max_new_tokens };
        // One is packed after the other, and makes room for the next.
        Ok(accelerations.chunks(1).map(|accelerations| Run { accelerations, ..run }).collect())
    };
    let work = || {
        let (width, height) = picture.dimensions();
        let image = processor.extent(width, height, None).with_context(of_image)?;
        let asked = Asked { images: 1, questions: 1, forms: accelerations.len(), text };
        Ok(Work::new(&*checkpoint.footprint()?, image, asked))
    };
    let begun = guard.as_ref().map(|guard| guard.device.as_str());
    let device = model::device(args.device, begun, work, &|device| memory::check(&checkpoint, device, &runs))?;
    if let Some(guard) = guard.as_ref().filter(|guard| guard.precision != precision.to_string() || guard.device != device.identity) {
        let (chosen, here) = ((&guard.precision, &guard.device), (precision, &device.identity));
        console::note(&format!(
            "the guard was chosen in {} on {}; here it is {} on {}, where leads may differ a little",
            chosen.0, chosen.1, here.0, here.1
        ));
    }
    let start = Instant::now();
    let prepared = processor.prepare(&picture, &prompt).with_context(of_image)?;
    let prepare_ms = milliseconds(start);
    let base = model::load(&checkpoint, &device, precision)?;
    let prompts = accelerations.iter().map(|acceleration| acceleration.calibrates_with(&base)).collect::<Result<Vec<_>, _>>()?;
    let prompts = prompts.into_iter().max().unwrap_or_default();
    calibration.wanted_for(prompts)?;
    // The question is asked as it is written; calibration is that of studies. Whether the model knows their form takes a look at all of its files.
    let post_prompts = PostPrompts::for_model(prompts == 0 || embedded::holds(&checkpoint.sha256()?)?);
    // The quantizer that packed last, as settled, and its model: what has the same one is asked of the same weights.
    let mut packed: Option<(String, Vlm)> = None;
    let kept = calibration.kept(&checkpoint, &device, precision);
    let with = calibration.with(&post_prompts, kept.as_ref());
    let mut ask = |acceleration: &Acceleration| -> Result<AnswerJson> {
        let description = acceleration.describe(&base)?;
        let mut quantize_ms = 0.0;
        let vlm = match description.form() {
            None => &base,
            Some(form) => {
                if packed.as_ref().is_none_or(|(last, _)| *last != form) {
                    drop(packed.take());
                    let start = Instant::now();
                    packed = steady_study::quantize(acceleration, &base, with).block_on()?.map(|model| (form, model));
                    quantize_ms = milliseconds(start);
                }
                packed.as_ref().map_or(&base, |(_, model)| model)
            }
        };
        model::prepare(&device)?;
        let searched = steady_study::search(acceleration, vlm, with).block_on()?;
        let acceleration = searched.as_ref().map_or(acceleration, |(found, _)| found);
        if let Some((_, found)) = &searched {
            console::note(&format!("{acceleration}: {found}"));
        }
        let start = Instant::now();
        let answer = vlm.ask(&prepared, acceleration.reducer(), &decoding).block_on()?;
        let timing = Timing { prepare_ms, quantize_ms, answer_ms: milliseconds(start) };
        Ok(answer_json(acceleration, vlm, &prepared, answer, timing))
    };
    let (answers, guarded) = match (&guard, accelerations.as_slice()) {
        (Some(guard), [baseline, acceleration]) => {
            let first = ask(acceleration)?;
            let lead = first.lead();
            let kept = lead.is_some_and(|lead| guard.keeps(lead));
            let mut answers = vec![first];
            if !kept {
                answers.push(ask(baseline)?);
            }
            let guarded = answers.last().map(|answer| GuardJson {
                answered_by: answer.accel.clone(),
                text: answer.text.clone(),
                lead,
                threshold: guard.threshold,
            });
            (answers, guarded)
        }
        _ => (accelerations.iter().map(&mut ask).collect::<Result<Vec<_>>>()?, None),
    };
    let max_new_tokens = decoding.max_new_tokens;
    let asked = AskJson {
        model: checkpoint.name().to_owned(),
        device: device.identity.clone(),
        dtype: precision.to_string(),
        prompt,
        max_new_tokens,
        answers,
        guard: guarded,
    };
    if args.json {
        console::json(&asked)?;
    } else {
        console::result(&human(&asked))?;
    }
    // where there is a guard, the answer that counts is the last
    let counts = if asked.guard.is_some() { asked.answers.len().saturating_sub(1) } else { 0 };
    match asked.answers[counts..].iter().find_map(|answer| Some((&answer.accel, answer.not_finite.as_ref()?))) {
        Some((accel, reason)) => {
            let instead = if precision == Precision::F16 { "; --dtype bf16 and --dtype f32 have larger numbers than f16" } else { "" };
            Err(anyhow!("acceleration {accel} gives no answer: {reason}{instead}"))
        }
        None => Ok(()),
    }
}

/// A threshold says nothing about another model's leads.
fn fits(guard: &Guard, sha256: &str, name: &str) -> Result<()> {
    if guard.checkpoint_sha256 != sha256 {
        bail!("--guard: it was chosen for {} (SHA-256 {}), and this is {name} (SHA-256 {sha256})", guard.model, guard.checkpoint_sha256);
    }
    Ok(())
}

impl AnswerJson {
    /// Of the first token over the second, in logits.
    fn lead(&self) -> Option<f32> {
        let [first, second, ..] = self.first_token.top.as_slice() else { return None };
        self.not_finite.is_none().then_some(first.logit - second.logit)
    }
}

fn answer_json(acceleration: &Acceleration, vlm: &Vlm, prepared: &Prepared, answer: Answer, timing: Timing) -> AnswerJson {
    let tokenizer = vlm.processor().tokenizer();
    let candidate = |(id, logit)| Candidate { id, token: tokenizer.token(id).unwrap_or_default(), logit };
    // Of logits that are not finite none is likelier than another.
    let candidates = match answer.not_finite {
        Some(NotFinite { after: 0, .. }) => Vec::new(),
        _ => top(&answer.first_logits),
    };
    AnswerJson {
        accel: acceleration.to_string(),
        input_ids: prepared.input_ids.clone(),
        kept: answer.kept().map(<[usize]>::to_vec),
        output_ids: answer.output_ids,
        text: answer.text.trim().to_owned(),
        cut: answer.cut,
        not_finite: answer.not_finite.map(|not_finite| not_finite.to_string()),
        first_token: FirstToken { top: candidates.into_iter().map(candidate).collect() },
        visual_tokens: answer.visual_tokens,
        pixels: pixels(&prepared.pixels),
        weight_bytes: vlm.weight_bytes(),
        kv_bytes: answer.cost.kv_bytes,
        flops: answer.cost.flops,
        timing,
    }
}

fn pixels(pixels: &PixelValues) -> Pixels {
    let values = || pixels.data.iter().copied().map(f64::from);
    Pixels {
        shape: pixels.shape.clone(),
        mean: values().sum::<f64>() / pixels.data.len().max(1) as f64,
        abs_sum: values().map(f64::abs).sum(),
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn human(asked: &AskJson) -> String {
    let mut table = console::table(&["acceleration", "answer", "first token", "margin", "visual tokens", "weights MB", "ms"]);
    for answer in &asked.answers {
        let candidates = &answer.first_token.top;
        let best = candidates.first().map_or_else(String::new, |best| best.token.clone());
        let margin = candidates
            .first()
            .zip(candidates.get(1))
            .map_or_else(String::new, |(first, second)| format!("{:.2}", first.logit - second.logit));
        let kept = answer
            .kept
            .as_ref()
            .map_or_else(|| answer.visual_tokens.to_string(), |kept| format!("{} of {}", kept.len(), answer.visual_tokens));
        let megabytes = format!("{:.1}", answer.weight_bytes as f64 / 1e6);
        table.add_row([
            answer.accel.clone(),
            one_line(&answer.text) + &cut(answer.cut, asked.max_new_tokens),
            one_line(&best),
            margin,
            kept,
            megabytes,
            format!("{:.0}", answer.timing.answer_ms),
        ]);
    }
    let guarded = asked.guard.as_ref().map_or_else(String::new, |guard| {
        let lead = guard.lead.map_or_else(|| "without a lead".to_owned(), |lead| format!("leads by {lead:.3}"));
        format!("\nguard: {lead}, at least {:.3} needed; answered by {}: {}", guard.threshold, guard.answered_by, one_line(&guard.text))
    });
    format!("{} on {}, {}\n{table}{guarded}", asked.model, asked.device, asked.dtype)
}

/// Behind an answer that did not come to an end.
fn cut(cut: bool, limit: usize) -> String {
    if cut { format!(" [cut at {limit} {}]", if limit == 1 { "token" } else { "tokens" }) } else { String::new() }
}

/// A model may say anything, control characters included, which a terminal shall not obey; and it may not come to an end.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        shown.push_str("...");
    }
    shown
}
