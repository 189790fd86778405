//! `steady` and `steady run`: the study itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_bench::perturb::PerturbationSpec;
use steady_bench::world::EMBEDDED;
use steady_bench::{BENCHMARKS, Benchmark, Chosen as Bench, Posed, PostPrompts, Question, benchmarks_of};
use steady_logs::comparable::Difference;
use steady_methods::{FIRST5, Preset};
use steady_records::plan::LeftOut;
use steady_records::{Plan, Shard, plan};
use steady_study::controls::{self, Controlled, Opening};
use steady_study::{Folder, Held, Published, Source, StudyError, Subject, TakenOver, Variants, join};
use steady_vlm::{Checkpoint, Extent, OpenDevice, Precision, Work};

use crate::args::{RunArgs, StudyArgs};
use crate::calibration::Calibration;
use crate::commands::report::Printed;
use crate::commands::runs::RUNS;
use crate::commands::{benchmarks, endpoint, report};
use crate::model::{self, Chosen};
use crate::passes::Pass;
use crate::progress::Status;
use crate::{console, embedded, memory};

pub(crate) fn embedded(models: &[String], args: &StudyArgs) -> Result<()> {
    let models = embedded::chosen(models)?;
    for name in &models {
        let folder = args.out.as_ref().map(|out| if models.len() == 1 { out.clone() } else { out.join(name) });
        let accelerations = asked_for(args, FIRST5.specs)?;
        let accelerations = |_: &Checkpoint| Ok(accelerations.clone());
        study(|| model::embedded(name), &accelerations, Beside::default(), &BENCHMARKS.find(EMBEDDED.name)?, folder, args)?;
    }
    Ok(())
}

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let benches = benchmarks_of(&args.bench)?;
    for bench in &benches {
        let name = bench.split(':').next().unwrap_or_default();
        let out = args.study.out.as_ref().map(|out| if benches.len() == 1 { out.clone() } else { out.join(name) });
        let done = one(args, bench, out);
        if benches.len() > 1 { done.with_context(|| format!("{}, {name}", args.bench))? } else { done? }
    }
    match &args.study.out {
        // a shard has no report
        Some(out) if benches.len() > 1 && args.study.shard.is_none() && !args.study.json => benchmarks::of_preset(out),
        _ => Ok(()),
    }
}

/// The study of one benchmark.
fn one(args: &RunArgs, bench: &str, out: Option<PathBuf>) -> Result<()> {
    if let Some(baseline) = &args.servers.endpoint {
        return endpoint::run(baseline, bench, out, args);
    }
    if let Some(server) = args.against.iter().map(|path| path.to_string_lossy()).find(|path| path.contains("://")) {
        bail!("--against {server}: a server stands beside another one; --endpoint names the baseline's");
    }
    // Specs are read before a model is fetched, which may take hours.
    // Whoever compares two checkpoints asks about those alone.
    let whole = args.against.is_empty() && args.baseline.is_none();
    let accelerations = asked_for(&args.study, if whole { FIRST5.specs } else { &[] })?;
    let accelerations = |_: &Checkpoint| Ok(accelerations.clone());
    let beside = Beside { against: &args.against, baseline: args.baseline.as_deref(), allow: &args.allow };
    study(|| model::choose(&args.model), &accelerations, beside, &BENCHMARKS.find(bench)?, out, &args.study).map(drop)
}

/// The accelerations that a command line names, those of `default` if it names none.
pub(super) fn asked_for(args: &StudyArgs, default: &[&str]) -> Result<Vec<Acceleration>> {
    let named = if args.accelerations.is_empty() { model::accelerations(default)? } else { model::accelerations(&args.accelerations)? };
    let several = model::swept(named.clone(), args.sweep.as_ref())?;
    if let Some(sweep) = args.sweep.as_ref().filter(|_| several == named) {
        bail!("--sweep {}: none of the accelerations has that parameter", sweep.parameter);
    }
    Ok(several)
}

/// Who takes part in a study beside the model and its accelerations.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// Other checkpoints of the model.
    against: &'a [PathBuf],
    /// A run whose baseline is taken over, so that the model is an accelerated form of that.
    baseline: Option<&'a Path>,
    /// What may differ from that run.
    allow: &'a [String],
}

/// Studies the model that `choose` gives, once the rest of what was asked for is known to make sense: a model may have to be fetched. What
/// `accelerations` asks for may depend on the model's layers. Gives the report; a shard has none.
pub(super) fn study(
    choose: impl FnOnce() -> Result<Chosen>,
    accelerations: &dyn Fn(&Checkpoint) -> Result<Vec<Acceleration>>,
    beside: Beside<'_>,
    bench: &Bench<'_>,
    out: Option<PathBuf>,
    args: &StudyArgs,
) -> Result<Option<report::Published>> {
    let perturbations = plan::perturbations(&args.perturbations)?;
    let taken_over = beside.baseline.map(TakenOver::open).transpose().context("--baseline")?;
    let Chosen { checkpoint, mut arguments } = choose()?.shown(args.images);
    let accelerations = accelerations(&checkpoint)?;
    let against = beside.against.iter().map(|path| model::other(path, &checkpoint)).collect::<Result<Vec<_>>>()?;
    let (benchmark, questions) = bench.draw(args.questions as usize, &[])?;
    say_what_is_odd(&*benchmark);
    let calibration = Calibration::open(&args.calibration)?.apart_from(&*benchmark)?;
    let precision = model::precision(args.dtype, &checkpoint)?;
    let controls = match args.controls.as_slice() {
        // those of the baseline are taken over with it
        [] if taken_over.is_some() => Vec::new(),
        [] => controls::usual(&checkpoint, precision)?,
        named => controls::named(named)?,
    };
    let decoding = model::decoding(&checkpoint, benchmark.max_new_tokens());
    let sha256 = checkpoint.sha256()?;
    let (post_prompts, said) = args.post_prompt.chosen(embedded::holds(&sha256)?);
    let called = Published::spec_of(arguments.get(1).map_or("", String::as_str));
    arguments.extend(said);
    if let Some(baseline) = beside.baseline {
        arguments.extend(["--baseline".to_owned(), baseline.to_string_lossy().into_owned()]);
        arguments.extend(beside.allow.iter().flat_map(|field| ["--allow".to_owned(), field.clone()]));
    }
    let footprint = checkpoint.footprint()?;
    let others = against.iter().map(|other| Ok((Published::spec_of(&other.named), other.checkpoint.footprint()?.weight_bytes(precision))));
    let others = others.collect::<Result<Vec<(String, u64)>>>()?;
    let together = vec![Pass::of_all(&accelerations, &others, &controls)];
    let apart = Pass::one_at_a_time(&footprint, &accelerations, &others, &controls)?;
    let asked = Asked::new(&checkpoint, &*benchmark, &questions, (&args.perturbations, &post_prompts))?;
    let fits = |device: &OpenDevice, passes: &[Pass]| {
        let runs = |max_pixels: Option<usize>| {
            let Some((image, prompt)) = asked.largest(&checkpoint, precision, max_pixels)? else { return Ok(Vec::new()) };
            // What questions share of a prompt is remembered beside what each adds to it.
            let tokens = 2 * prompt + decoding.max_new_tokens;
            Ok(passes.iter().map(|pass| pass.run(precision, image, prompt, tokens)).collect())
        };
        memory::check(&checkpoint, device, &runs)
    };
    let work = || {
        let forms = 1 + accelerations.len() + against.len() + controls.len();
        let image = asked.largest(&checkpoint, precision, None)?.map_or(Extent::default(), |(image, _)| image);
        let (images, questions) = (asked.images * perturbations.len(), questions.len() * perturbations.len());
        Ok(Work::new(&*checkpoint.footprint()?, image, steady_vlm::Asked { images, questions, forms, text: asked.text }))
    };
    let fits_somehow = |device: &OpenDevice| {
        let together = if args.one_at_a_time { fits(device, &apart) } else { fits(device, &together) };
        together.or_else(|shortage| fits(device, &apart).map_err(|_| shortage))
    };
    let begun = out.as_ref().and_then(|out| begun(out, args.shard));
    let device = model::device(args.device, begun.as_deref(), work, &fits_somehow)?;
    let passes = match fits(&device, &together) {
        Ok(()) if !args.one_at_a_time => together,
        Err(shortage) if !args.one_at_a_time => {
            console::note(&format!(
                "{shortage:#}; one variant at a time does, in {} passes, in each of which the baseline answers",
                apart.len()
            ));
            apart
        }
        _ => apart,
    };
    let opening = Opening { checkpoint: &checkpoint, device: &device };
    let vlm = model::load(&checkpoint, &device, precision)?;
    // What the model does not take is said later.
    let prompts = accelerations.iter().filter_map(|acceleration| acceleration.calibrates_with(&vlm).ok()).max();
    calibration.wanted_for(prompts.unwrap_or_default())?;
    let kept = calibration.kept(&checkpoint, &device, precision);
    let variants = |held: &Held| {
        let with = calibration.with(&post_prompts, kept.as_ref());
        let published = against.iter().map(|other| Published::open(&other.checkpoint, &other.named, &vlm, &device, held));
        let published = published.collect::<Result<_, _>>()?;
        let controlled = controls.iter().map(|control| Controlled::open_held(control, &vlm, opening, held)).collect::<Result<_, _>>()?;
        let variants = Variants::build_fitting(vlm.clone(), &accelerations, decoding, asked.shown_together(), (held, with))
            .block_on()?
            .with_published(published)?
            .with_controls(controlled)
            .stored_as(&footprint)?;
        model::prepare(&device)?;
        anyhow::Ok(variants)
    };
    let first = variants(&passes[0].held)?;
    say_what_is_left_out(&first, args)?;
    let here = first.plan(&arguments, &sha256, &device.identity, &*benchmark, &questions, perturbations)?;
    let plan = match &taken_over {
        Some(taken_over) => beside_baseline(taken_over, &here, &called, beside.allow)?,
        None => here.clone(),
    };
    let path = match out {
        Some(path) => path,
        None => default_folder(&plan)?,
    };
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let folder =
        if shard == Shard::WHOLE { Folder::create(&path, &plan, &questions)? } else { shard_folder(&path, shard, &plan, &questions)? };
    if passes.len() == 1 && taken_over.is_none() {
        answer(&folder, &*benchmark, &first)?;
    } else if !folder.is_complete()? {
        let mut first = Some(first);
        let mut answered = Vec::new();
        for (i, Pass { held, .. }) in passes.iter().enumerate() {
            // what the pass before held is let go of first
            let variants = first.take().map_or_else(|| variants(held), Ok)?;
            let place = Folder::pass_in(folder.path(), i + 1, passes.len());
            let pass = Folder::create_shard(&place, &here.only(|name| held.holds(name)), &questions, shard)?;
            answer(&pass, &*benchmark, &variants)?;
            answered.push(pass);
        }
        let sources: Vec<Source<'_>> = match &taken_over {
            Some(taken_over) => {
                std::iter::once(taken_over.source()).chain(answered.iter().map(|pass| TakenOver::beside(pass, &called))).collect()
            }
            None => answered.iter().map(Source::pass).collect(),
        };
        join(&folder, &sources)?;
    }
    folder.forget_passes()?;
    if shard != Shard::WHOLE {
        return say_shard_is_whole(&path, &folder, args.json).map(|()| None);
    }
    report::publish(&folder, Some(&*benchmark), Printed::of(args.json)).map(Some)
}

/// The plan of a study whose baseline is taken over, unless something differs that must not.
fn beside_baseline(taken_over: &TakenOver, here: &Plan, called: &str, allow: &[String]) -> Result<Plan> {
    let differing = taken_over.differing(here).context("--baseline")?;
    let (allowed, refused): (Vec<Difference>, Vec<Difference>) =
        differing.into_iter().map(|(field, what)| Difference { field, what }).partition(|difference| difference.is_allowed(allow));
    if !refused.is_empty() {
        let told: Vec<String> = refused.iter().map(|Difference { field, what }| format!("\n  {field}: {what}")).collect();
        bail!("--baseline: what answered there was asked otherwise; --allow NAME lets a difference through:{}", told.concat());
    }
    for Difference { field, what } in allowed {
        console::note(&format!("let through: {field}: {what}"));
    }
    for remark in taken_over.remarks(here) {
        console::note(&remark);
    }
    Ok(taken_over.whole(here, called))
}

/// The device on which a study was begun. Its shards are all answered on one.
fn begun(out: &Path, shard: Option<Shard>) -> Option<String> {
    let own = shard.map_or_else(|| out.to_path_buf(), |shard| Folder::shard_in(out, shard));
    let places = std::iter::once(own).chain(Folder::shards_in(out).unwrap_or_default());
    places.into_iter().find_map(|place| Some(Folder::open(&place).ok()?.plan().device.clone()))
}

/// The folder of a shard in `study`. Another shard there that belongs to another plan is refused now, before anything is asked in vain.
fn shard_folder(study: &Path, shard: Shard, plan: &Plan, questions: &[Question]) -> Result<Folder> {
    for other in Folder::shards_in(study)? {
        let fields = Folder::open(&other)?.plan().differences(plan);
        if !fields.is_empty() {
            return Err(StudyError::OtherPlan { path: other.join("plan.json"), fields }.into());
        }
    }
    Ok(Folder::create_shard(&Folder::shard_in(study, shard), plan, questions, shard)?)
}

fn say_shard_is_whole(study: &Path, folder: &Folder, json: bool) -> Result<()> {
    let (shard, answers, path) = (folder.shard(), folder.total(), folder.path().display().to_string());
    if json {
        return console::json(
            &serde_json::json!({ "shard": shard, "folder": path, "answers": answers, "plan_sha256": folder.plan().sha256()? }),
        );
    }
    console::result(&format!("Shard {shard} is whole: {answers} answers in {path}\nWhen all are: steady merge {}", study.display()))
}

/// Says what is odd about a benchmark's files.
pub(crate) fn say_what_is_odd(benchmark: &dyn Benchmark) {
    for odd in benchmark.understood().map_or(&[][..], |understood| &understood.odd) {
        console::note(&format!("{}: {odd}", benchmark.name()));
    }
}

/// Says what a preset stands for and the model does not take; what was typed by itself is an error.
fn say_what_is_left_out(variants: &Variants, args: &StudyArgs) -> Result<()> {
    let by_themselves: Vec<&String> = args.accelerations.iter().filter(|spec| Preset::named(spec).is_none()).collect();
    let typed = model::swept(model::accelerations(&by_themselves)?, args.sweep.as_ref())?;
    for LeftOut { spec, reason } in variants.left_out() {
        if typed.iter().any(|acceleration| acceleration.to_string() == *spec) {
            bail!("--accel {spec}: {reason}");
        }
        console::note(&format!("{spec} is not run: {reason}"));
    }
    Ok(())
}

/// What a study asks, for its size.
struct Asked {
    /// Tokens of the longest question's prompt beside an image's: one as long is taken to be about each image.
    text: usize,
    /// Images asked about.
    images: usize,
    /// Widths and heights of the images asked about, of those together that are shown together.
    sizes: BTreeSet<Vec<(u32, u32)>>,
}

impl Asked {
    fn new(
        checkpoint: &Checkpoint,
        benchmark: &dyn Benchmark,
        questions: &[Question],
        (perturbations, post_prompts): (&[PerturbationSpec], &PostPrompts),
    ) -> Result<Self> {
        let clean = PerturbationSpec::clean();
        let specs = perturbations.iter().chain([&clean]);
        let texts = specs.flat_map(|spec| questions.iter().map(move |question| Posed::of(question, spec, post_prompts).text().to_owned()));
        let longest = texts.max_by_key(String::len);
        let images: BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
        Ok(Self {
            text: checkpoint.processor()?.text_tokens(&checkpoint.chat_template()?.prompt(&longest.unwrap_or_default())?)?,
            images: images.len(),
            sizes: images.into_iter().map(|image| benchmark.sizes(image)).collect::<Result<_, _>>()?,
        })
    }

    /// The most images that a question shows.
    fn shown_together(&self) -> usize {
        self.sizes.iter().map(Vec::len).max().unwrap_or(1)
    }

    /// Of the images the one that takes most memory when they are scaled to at most so many pixels, or as the checkpoint says, and the tokens
    /// of the longest prompt with it; `None` without images.
    fn largest(&self, checkpoint: &Checkpoint, precision: Precision, max_pixels: Option<usize>) -> Result<Option<(Extent, usize)>> {
        let (processor, footprint) = (checkpoint.processor()?, checkpoint.footprint()?);
        let mut largest: Option<(u64, Extent, usize)> = None;
        for shown in &self.sizes {
            let extents =
                shown.iter().map(|&(width, height)| processor.extent(width, height, max_pixels)).collect::<Result<Vec<_>, _>>()?;
            let tokens = self.text + extents.iter().map(|image| image.tokens).sum::<usize>();
            // Images are looked at one after the other.
            let Some(image) = extents.into_iter().max_by_key(|image| image.tokens) else { continue };
            let bytes = footprint.activation_bytes(precision, &image, tokens, 1) + footprint.cache_bytes(precision, tokens);
            if largest.is_none_or(|(most, ..)| bytes > most) {
                largest = Some((bytes, image, tokens));
            }
        }
        Ok(largest.map(|(_, image, tokens)| (image, tokens)))
    }
}

/// Answers what is missing in a run folder, and says how far it is.
pub(super) fn answer(folder: &Folder, benchmark: &dyn Benchmark, subject: &(impl Subject + Sync)) -> Result<()> {
    let plan = folder.plan();
    let perturbations = match plan.perturbations.len() - 1 {
        0 => String::new(),
        1 => ", as they are and under 1 perturbation".to_owned(),
        several => format!(", as they are and under {several} perturbations"),
    };
    let shard = if folder.shard() == Shard::WHOLE { String::new() } else { format!("; of it shard {}", folder.shard()) };
    console::note(&format!(
        "{} on {}, {}: {} questions of {}, baseline, {} accelerations and {} controls{perturbations}{shard}",
        plan.model.name,
        plan.device,
        plan.precision,
        plan.benchmark.questions,
        plan.benchmark.name,
        plan.accelerations.len() - 1,
        plan.controls.len()
    ));
    let mut status = Status::start(plan.decoding.get("max_new_tokens").map_or("?", String::as_str))?;
    let (mut lost, mut first_lost) = (0, None);
    steady_study::run(folder, benchmark, subject, &AtomicBool::new(false), &mut |progress| {
        if progress.fresh.is_empty() && progress.resumed > 0 {
            let folder = folder.path().display();
            status.note(&format!("{} of {} answers are recorded already in {folder}", progress.resumed, progress.total));
        }
        for record in progress.fresh {
            if let Some(reason) = &record.no_answer {
                lost += 1;
                first_lost.get_or_insert_with(|| format!("question {} under {}: {reason}", record.question, record.acceleration));
            }
        }
        status.tell(progress);
    })
    .block_on()?;
    status.finish();
    if let Some(first) = first_lost {
        console::note(&format!("{lost} of the answers given now are none and count as unparsed and wrong; the first of them: {first}"));
    }
    Ok(())
}

/// The same plan gets the same folder, so that running it again continues it.
pub(super) fn default_folder(plan: &Plan) -> Result<PathBuf> {
    let hash = plan.sha256()?;
    let model = plan.model.name.replace('/', "--");
    Ok(Path::new(RUNS).join(format!("{model}-{}-{}", plan.benchmark.name, &hash[..8])))
}
