//! Where requests are carried out. What was loaded for one is there for the next.

use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use steady_accel::Acceleration;
use steady_bench::perturb::PerturbationSpec;
use steady_protocol::{Answered, AskRequest, Asked, AskedAnswer, EngineChoice, Response, Setting, StudyRequest};
use steady_study::record::likeliest;
use steady_study::{Session, Subject, Variants, plan};
use steady_vlm::{Decoding, Vlm};

use crate::download;
use crate::engine::{Engines, Opened};
use crate::port::send;
use crate::scope::give_way;

/// First-token candidates that an answer is shown with.
const SHOWN: usize = 5;

/// What the worker holds between requests.
#[derive(Default)]
pub(crate) struct Desk {
    engines: Engines,
    model: Option<Rc<Model>>,
    variants: Option<(Vec<String>, Rc<Variants>)>,
}

/// A model on its device.
struct Model {
    engine: EngineChoice,
    address: String,
    opened: Opened,
    vlm: Vlm,
    sha256: String,
    decoding: Decoding,
}

impl Desk {
    /// Answers a study, group by group.
    pub(crate) async fn study(&mut self, request: StudyRequest) -> Result<()> {
        let StudyRequest { setting, families, questions, perturbations, recorded } = request;
        let (suite, questions) = plan::embedded(questions, &families)?;
        let accelerations = parse(&setting.accelerations)?;
        let perturbation = |spec: &String| spec.parse().map_err(|error| anyhow!("perturbation {spec}: {error}"));
        let perturbations = plan::perturbations(&perturbations.iter().map(perturbation).collect::<Result<Vec<PerturbationSpec>>>()?)?;
        let (model, _) = self.model(&setting).await?;
        let variants = self.variants(&model, &setting.accelerations, &accelerations).await?;
        let chosen_by = ["--model".to_owned(), variants.baseline().info().name.clone()];
        let plan = variants.plan(&chosen_by, &model.sha256, &model.opened.device.identity, &suite, &questions, perturbations)?;
        let mut session = Session::new(plan, questions)?;
        send(&Response::Ready(model.opened.engine()));
        for group in &recorded {
            session.take_over(group)?;
        }
        if !recorded.is_empty() {
            send(&state(&session, Vec::new())?);
        }
        while let Some(group) = session.answer_next(&suite, &*variants).await? {
            send(&state(&session, group)?);
            give_way().await;
        }
        send(&Response::Finished);
        Ok(())
    }

    /// Answers one question under every acceleration.
    pub(crate) async fn ask(&mut self, request: AskRequest) -> Result<()> {
        let AskRequest { id, setting, image, question } = request;
        let (width, height, bytes) = (image.width, image.height, image.rgb.len());
        let image = RgbImage::from_raw(width, height, image.rgb)
            .filter(|image| image.as_raw().len() == bytes && bytes > 0)
            .ok_or_else(|| anyhow!("an image of {width}x{height} pixels does not have {bytes} bytes"))?;
        let accelerations = parse(&setting.accelerations)?;
        let (model, fresh) = self.model(&setting).await?;
        let variants = self.variants(&model, &setting.accelerations, &accelerations).await?;
        if fresh {
            send(&Response::Ready(model.opened.engine()));
        }
        let seen = variants.ask(&image, &question).await?;
        let replies = seen.replies.into_iter().filter_map(|mut replies| replies.pop());
        let answer = |(acceleration, reply): (&str, steady_study::Reply)| AskedAnswer {
            acceleration: acceleration.to_owned(),
            first_token: likeliest(&reply.first_logits, SHOWN).into_iter().map(|(token, share)| (variants.token(token), share)).collect(),
            text: reply.text,
            kept: reply.kept,
            wall_ms: reply.wall.as_secs_f64() * 1e3,
        };
        send(&Response::Asked(Asked { id, grid: seen.grid, answers: variants.specs().zip(replies).map(answer).collect() }));
        Ok(())
    }

    /// The model that `setting` names, and whether it came just now.
    async fn model(&mut self, setting: &Setting) -> Result<(Rc<Model>, bool)> {
        if let Some(model) = self.model.as_ref().filter(|model| model.engine == setting.engine && model.address == setting.model) {
            return Ok((Rc::clone(model), false));
        }
        // What is not needed any more makes room first.
        (self.model, self.variants) = (None, None);
        let checkpoint = download::checkpoint(&setting.model).await?;
        let opened = self.engines.open(setting.engine).await?;
        let model = Rc::new(Model {
            engine: setting.engine,
            address: setting.model.clone(),
            vlm: Vlm::load(&checkpoint, &opened.device.device, opened.precision)?,
            sha256: checkpoint.sha256()?,
            decoding: Decoding::of(checkpoint.generation_config()),
            opened,
        });
        self.model = Some(Rc::clone(&model));
        Ok((model, true))
    }

    /// `model` under `accelerations`, whose specs are `specs`.
    async fn variants(&mut self, model: &Model, specs: &[String], accelerations: &[Acceleration]) -> Result<Rc<Variants>> {
        if let Some((_, variants)) = self.variants.as_ref().filter(|(built, _)| built == specs) {
            return Ok(Rc::clone(variants));
        }
        let variants = Rc::new(Variants::build(model.vlm.clone(), accelerations, model.decoding).await?);
        self.variants = Some((specs.to_vec(), Rc::clone(&variants)));
        Ok(variants)
    }
}

fn parse(specs: &[String]) -> Result<Vec<Acceleration>> {
    specs.iter().map(|spec| Acceleration::parse(spec).map_err(|error| anyhow!("acceleration {spec}: {error}"))).collect()
}

/// How far a study is, after one more group.
fn state(session: &Session, group: Vec<u8>) -> Result<Response> {
    let report = session.report()?.context("a study without answers has no report")?.to_json()?;
    Ok(Response::Answered(Answered { group, done: session.done(), total: session.total(), report }))
}
