//! Where requests are carried out. What was loaded for one is there for the next.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use image::RgbImage;
use steady_accel::Acceleration;
use steady_accel::memory::{Budget, Run, misfit};
use steady_bench::perturb::PerturbationSpec;
use steady_bench::world::EMBEDDED;
use steady_bench::{Benchmark, FirstLook, PostPrompts, Question, select};
use steady_methods::Control;
use steady_protocol::{
    Answered, AskReply, AskRequest, AskedAnswer, Cell, Frame, Gathered, LeftOut, Model, OwnQuestions, PictureReply, PictureRequest,
    Preparing, Questions, Response, Setting, StudyRequest, TokenStep, View,
};
use steady_records::plan;
use steady_study::controls::{self, Controlled, Opening};
use steady_study::record::likeliest;
use steady_study::{Session, Subject, Variants};
use steady_vlm::{Asked, Checkpoint, Decoding, DeviceMemory, Extent, Left, Site, Vlm, Work};
use web_sys::File;

use crate::engine::{Engines, OpenEngine};
use crate::port::send;
use crate::scope::give_way;
use crate::wanted::Wanted;
use crate::{disk, download, memory, own};

/// First-token candidates that an answer is shown with.
const SHOWN: usize = 5;

/// What the worker holds between requests.
#[derive(Default)]
pub(crate) struct Desk {
    engines: Engines,
    loaded: Option<Rc<Loaded>>,
    variants: Option<Built>,
    /// The visitor's own questions, as they were read last.
    own: Option<Box<dyn Benchmark>>,
}

/// The accelerated forms of a model.
struct Built {
    /// The specs that were asked for, and those of them that were left out.
    specs: Vec<String>,
    left_out: Vec<LeftOut>,
    controls: Vec<&'static str>,
    variants: Rc<Variants>,
}

/// A model on its device.
pub(crate) struct Loaded {
    setting: Setting,
    pub(crate) opened: OpenEngine,
    checkpoint: Checkpoint,
    /// Of the checkpoint; computed for the first study, because it takes reading all of it once more.
    sha256: OnceCell<String>,
    pub(crate) vlm: Vlm,
    pub(crate) decoding: Decoding,
}

/// What somebody wants to ask, for its size: one image, one question, and how many there are of each.
pub(crate) struct Sample<'a> {
    pub(crate) image: &'a RgbImage,
    pub(crate) question: &'a str,
    images: usize,
    questions: usize,
    /// The device that it was begun on.
    begun: Option<&'a str>,
}

impl Desk {
    /// Answers a study, group by group.
    pub(crate) async fn study(&mut self, request: StudyRequest, mut files: Vec<File>) -> Result<()> {
        let StudyRequest { setting, questions, count, perturbations, controls, recorded, begun } = request;
        let behind = files.split_off(setting.model.files().min(files.len()));
        let (benchmark, questions) = chosen(&questions, count, behind)?;
        let perturbation = |spec: &String| spec.parse().map_err(|error| anyhow!("perturbation {spec}: {error}"));
        let perturbations = plan::perturbations(&perturbations.iter().map(perturbation).collect::<Result<Vec<PerturbationSpec>>>()?)?;
        let first = questions.first().context("a study without questions")?;
        let first_asked = post_prompts(&setting).behind(first);
        let controls = controls::named(&controls)?;
        let images = questions.iter().map(|question| &question.image).collect::<BTreeSet<_>>().len();
        let sample = Sample {
            image: &benchmark.image(largest(&*benchmark, &questions)?)?,
            question: &first_asked,
            images: images * perturbations.len(),
            questions: questions.len() * perturbations.len(),
            begun: begun.as_deref(),
        };
        let (model, variants, _) = self.ready(&setting, files, &controls, &sample).await?;
        if variants.specs().count() == 1 {
            let left_out = self.variants.iter().flat_map(|built| &built.left_out);
            let reasons: Vec<String> = left_out.map(|LeftOut { spec, reason }| format!("{spec}: {reason}")).collect();
            bail!("no acceleration that was asked for fits ({})", reasons.join("; "));
        }
        let chosen_by = ["--model".to_owned(), variants.baseline().info().name.clone()];
        let plan = variants.plan(&chosen_by, model.sha256()?, &model.opened.device.identity, &*benchmark, &questions, perturbations)?;
        let mut session = Session::new(plan, questions)?;
        send(&Response::Ready(model.opened.engine()));
        for group in &recorded {
            session.take_over(group)?;
        }
        send(&Response::Planned(session.work().to_bytes()?));
        if !recorded.is_empty() {
            send(&state(&session, Vec::new()));
        }
        while let Some(group) = session.answer_next(&*benchmark, &*variants).await? {
            send(&state(&session, group));
            give_way().await;
        }
        send(&Response::Finished);
        Ok(())
    }

    /// Answers one question under every acceleration.
    pub(crate) async fn ask(&mut self, request: AskRequest, files: Vec<File>) -> Result<()> {
        let AskRequest { id, setting, image, question } = request;
        let (width, height, bytes) = (image.width, image.height, image.rgb.len());
        let image = RgbImage::from_raw(width, height, image.rgb)
            .filter(|image| image.as_raw().len() == bytes && bytes > 0)
            .ok_or_else(|| anyhow!("an image of {width}x{height} pixels does not have {bytes} bytes"))?;
        let sample = Sample { image: &image, question: &question, images: 1, questions: 1, begun: None };
        let (model, variants, fresh) = self.ready(&setting, files, &[], &sample).await?;
        if fresh {
            send(&Response::Ready(model.opened.engine()));
        }
        let seen = variants.ask(&image, &question).await?;
        let lost = variants.specs().zip(&seen.replies).find_map(|(spec, replies)| Some((spec, replies.last()?.no_answer.as_ref()?)));
        if let Some((spec, reason)) = lost {
            return Err(anyhow!("{spec} gives no answer: {reason}"));
        }
        let replies = seen.replies.into_iter().filter_map(|mut replies| replies.pop());
        let answer = |(acceleration, reply): (&str, steady_study::Reply)| AskedAnswer {
            acceleration: acceleration.to_owned(),
            kept: reply.kept().map(<[usize]>::to_vec),
            steps: reply.left.iter().map(step).collect(),
            first_token: likeliest(reply.first_token.logits().unwrap_or_default(), SHOWN)
                .into_iter()
                .map(|(token, share)| (variants.token(token), share))
                .collect(),
            text: reply.text,
            wall_ms: reply.wall.as_secs_f64() * 1e3,
        };
        let answers = variants.specs().zip(replies).map(answer).collect();
        let layout = seen.layout.cells();
        let views =
            layout.views().iter().map(|view| View { rows: view.rows, columns: view.columns, frame: view.frame.map(frame) }).collect();
        let cells =
            layout.shown().iter().map(|cell| cell.map(|cell| Cell { view: cell.view, row: cell.row, column: cell.column })).collect();
        send(&Response::Asked(AskReply { id, views, cells, answers }));
        Ok(())
    }

    /// Reads the visitor's own questions, which replace those that were read before.
    pub(crate) fn look(&mut self, questions: &OwnQuestions, files: Vec<File>) -> Result<()> {
        let benchmark = self.own.insert(own::questions(questions, files)?);
        send(&Response::Looked(FirstLook::at(&**benchmark)?));
        Ok(())
    }

    /// Shows one of their pictures.
    pub(crate) fn show(&self, PictureRequest { id, image, form }: &PictureRequest) {
        let benchmark = self.own.as_deref().context("no questions were read");
        let shown = benchmark.and_then(|benchmark| own::picture(benchmark, image, form)).map_err(|error| error.to_string());
        send(&Response::Shown(PictureReply { id: *id, shown }));
    }

    /// The model that `setting` names, its accelerated forms, and whether either came just now. What would not fit is refused before
    /// anything is loaded; an acceleration that does not fit the model is left out and said.
    async fn ready(
        &mut self,
        setting: &Setting,
        files: Vec<File>,
        controls: &[&'static Control],
        sample: &Sample<'_>,
    ) -> Result<(Rc<Loaded>, Rc<Variants>, bool)> {
        let same = |loaded: &&Rc<Loaded>| {
            let elsewhere = sample.begun.is_some_and(|begun| begun != loaded.opened.device.identity);
            (loaded.setting.engine, &loaded.setting.model) == (setting.engine, &setting.model) && !elsewhere
        };
        let known = self.loaded.as_ref().filter(same).map(Rc::clone);
        let fresh = known.is_none();
        let mut wanted = Wanted::of(&setting.accelerations);
        let model = match known {
            Some(model) => model,
            None => self.load(setting, files, &mut wanted, controls, sample).await?,
        };
        let names: Vec<&str> = controls.iter().map(|control| control.name).collect();
        if let Some(built) = self.variants.as_ref().filter(|built| (&built.specs, &built.controls) == (&setting.accelerations, &names)) {
            if !built.left_out.is_empty() {
                send(&Response::LeftOut(built.left_out.clone()));
            }
            return Ok((model, Rc::clone(&built.variants), fresh));
        }
        // What is not needed any more makes room first.
        self.variants = None;
        if !fresh {
            wanted.leave_out_misfits(&*model.checkpoint.footprint()?);
            check(&model.checkpoint, &model.opened, model.decoding, &wanted.accelerations(), controls, sample)?;
        }
        let preparing = |ready, of| send(&Response::Preparing(Preparing { ready, of }));
        model.opened.device.device.prepare(&preparing).await;
        wanted.try_on(&model).await;
        let Wanted { fitting, left_out } = wanted;
        let accelerations: Vec<Acceleration> = fitting.into_iter().map(|(_, acceleration)| acceleration).collect();
        let opening = Opening { checkpoint: &model.checkpoint, device: &model.opened.device };
        let controlled = controls.iter().map(|control| Controlled::open(control, &model.vlm, opening)).collect::<Result<_, _>>()?;
        let variants = Variants::build_asking(model.vlm.clone(), &accelerations, model.decoding, &post_prompts(setting))
            .await?
            .with_controls(controlled)
            .stored_as(&*model.checkpoint.footprint()?)?;
        model.opened.device.device.prepare(&preparing).await;
        if !left_out.is_empty() {
            send(&Response::LeftOut(left_out.clone()));
        }
        let variants = Rc::new(variants);
        self.variants = Some(Built { specs: setting.accelerations.clone(), left_out, controls: names, variants: Rc::clone(&variants) });
        Ok((model, variants, true))
    }

    async fn load(
        &mut self,
        setting: &Setting,
        files: Vec<File>,
        wanted: &mut Wanted,
        controls: &[&'static Control],
        sample: &Sample<'_>,
    ) -> Result<Rc<Loaded>> {
        (self.loaded, self.variants) = (None, None);
        let checkpoint = match &setting.model {
            Model::Address(address) => download::checkpoint(address).await?,
            Model::Folder(folder) => disk::checkpoint(folder, files)?,
        };
        wanted.leave_out_misfits(&*checkpoint.footprint()?);
        let accelerations = wanted.accelerations();
        let forms = 1 + accelerations.len() + controls.len();
        let opened = self.engines.open(setting.engine, sample.begun, &sample.work(&checkpoint, forms)?).await?;
        let decoding = Decoding::of(checkpoint.generation_config());
        check(&checkpoint, &opened, decoding, &accelerations, controls, sample)?;
        let vlm = Vlm::load(&checkpoint, &opened.device.device, opened.precision)?;
        let loaded = Rc::new(Loaded { setting: setting.clone(), opened, checkpoint, sha256: OnceCell::new(), vlm, decoding });
        self.loaded = Some(Rc::clone(&loaded));
        Ok(loaded)
    }
}

impl Sample<'_> {
    /// The image as the model takes it, and tokens of the question with what stands around it.
    fn extent(&self, checkpoint: &Checkpoint) -> Result<(Extent, usize)> {
        let processor = checkpoint.processor()?;
        let text = processor.text_tokens(&checkpoint.chat_template()?.prompt(self.question)?)?;
        Ok((processor.extent(self.image.width(), self.image.height(), None)?, text))
    }

    /// All there is to ask of `forms` of the model.
    fn work(&self, checkpoint: &Checkpoint, forms: usize) -> Result<Work> {
        let (image, text) = self.extent(checkpoint)?;
        let asked = Asked { images: self.images, questions: self.questions, forms, text };
        Ok(Work::new(&*checkpoint.footprint()?, image, asked))
    }
}

impl Loaded {
    fn sha256(&self) -> Result<&str> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let hash = self.checkpoint.sha256()?;
        Ok(self.sha256.get_or_init(|| hash))
    }
}

/// The benchmark that a study is about, and those of its questions that are asked.
fn chosen(questions: &Questions, count: usize, files: Vec<File>) -> Result<(Box<dyn Benchmark>, Vec<Question>)> {
    match questions {
        Questions::Suite { families } => Ok(EMBEDDED.draw(count, families)?),
        Questions::Own(own) => {
            let benchmark = own::questions(own, files)?;
            let asked = select(benchmark.questions(), count);
            Ok((benchmark, asked))
        }
    }
}

/// The image that takes the most memory.
fn largest<'q>(benchmark: &dyn Benchmark, questions: &'q [Question]) -> Result<&'q str> {
    let (mut image, mut most) = ("", 0);
    for question in questions {
        let pixels: u64 = benchmark.sizes(&question.image)?.iter().map(|(width, height)| u64::from(*width) * u64::from(*height)).sum();
        if pixels > most {
            (image, most) = (question.image.as_str(), pixels);
        }
    }
    Ok(image)
}

/// What stands behind the questions of a study of this model.
fn post_prompts(setting: &Setting) -> PostPrompts {
    PostPrompts::for_model(setting.model.knows_the_suite())
}

fn step(left: &Left) -> TokenStep {
    let layer = if let Site::BeforeLayer(layer) = left.site { Some(layer) } else { None };
    let gathered = left.gathered.iter().map(|gathered| Gathered { token: gathered.token, from: gathered.from.clone() }).collect();
    TokenStep { place: left.site.to_string(), layer, kept: left.kept.clone(), gathered }
}

fn frame(frame: steady_vlm::Frame) -> Frame {
    Frame { left: frame.left, top: frame.top, width: frame.width, height: frame.height }
}

/// Refuses a model that has no room with `accelerations` beside it, with the numbers.
fn check(
    checkpoint: &Checkpoint,
    opened: &OpenEngine,
    decoding: Decoding,
    accelerations: &[Acceleration],
    controls: &[&'static Control],
    sample: &Sample<'_>,
) -> Result<()> {
    let (image, text) = sample.extent(checkpoint)?;
    let prompt = text + image.tokens;
    // What questions share of a prompt is remembered beside what each adds to it.
    let tokens = 2 * prompt + decoding.max_new_tokens;
    let device = &opened.device;
    let shared = device.memory == DeviceMemory::Shared;
    let budget = Budget { free: shared.then(memory::room), host: (!shared).then(memory::room) };
    let copies = controls::copies(controls);
    let run = Run { precision: opened.precision, accelerations, copies: &copies, beside: 0, image, prompt, tokens };
    match misfit(&checkpoint.footprint()?.on(&device.device), run, budget)? {
        Some(misfit) => bail!("model {} does not fit: {misfit}", checkpoint.name()),
        None => Ok(()),
    }
}

/// How far a study is, after one more group.
fn state(session: &Session, group: Vec<u8>) -> Response {
    Response::Answered(Answered { group, done: session.done(), total: session.total() })
}
