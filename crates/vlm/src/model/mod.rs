//! A loaded vision-language model: images and prompts in, answers out.

mod edit;
mod info;
mod not_finite;

use std::{borrow::Cow, ops::Range, sync::Arc};

use ::image::RgbImage;
use steady_kernels::{Chosen, Device, Element, Matrix, together};

use crate::{
    Cost, Decoding, HostMatrix, Precision, Site, Step, TokenReducer, VlmError,
    checkpoint::Checkpoint,
    cost,
    decoder::{Llama, LlamaConfig, PIECE},
    encoded::EncodedImage,
    families::VisualEncoder,
    files::GenerationConfig,
    generate::{Decoded, End, Greedy},
    image::PixelValues,
    layout::VisualLayout,
    nn::Loader,
    prefill::{Course, Left, Looks, Prefilled, Prefix, Rows, Sequence, VisualRow, Waiting, prefill, prefill_in_two, prefill_reducing},
    reduction::{Merger, Needs, TowerTask, changes_the_image, reducer_error, steps},
    text::{ChatTemplate, Interleaved, Prepared, Processor},
};

pub use edit::{Edits, NormFeed};
pub use info::ModelInfo;
pub use not_finite::NotFinite;

/// A vision-language model on a device. Cheap to clone: copies share weights.
#[derive(Clone)]
pub struct Vlm {
    text: Arc<LlamaConfig>,
    generation: Arc<GenerationConfig>,
    processor: Arc<Processor>,
    /// Needed for questions alone, so that a checkpoint without one can still be asked whole prompts.
    template: Result<Arc<ChatTemplate>, Arc<VlmError>>,
    encoder: Arc<dyn VisualEncoder>,
    decoder: Arc<Llama>,
    info: Arc<ModelInfo>,
    /// What activations are kept as.
    element: Element,
    device: Device,
    weight_bytes: usize,
}

/// An answer and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// New tokens, the end token included if it was reached.
    pub output_ids: Vec<u32>,
    /// Their text without special tokens.
    pub text: String,
    /// Whether the limit cut it: as many tokens as it may have, and neither an end token nor a logit that was not finite.
    pub cut: bool,
    /// Why the answer ends where it does, if it does so because a logit was not finite; then it is no answer.
    pub not_finite: Option<NotFinite>,
    /// Logits of the answer's first token over the vocabulary, before any penalty.
    pub first_logits: Vec<f32>,
    /// Visual tokens of the image before any reduction.
    pub visual_tokens: usize,
    /// What each step of a reducer left of the visual tokens; empty without one.
    pub left: Vec<Left>,
    /// Tokens that each decoder layer held after the prompt.
    pub kv_lengths: Vec<usize>,
    /// Deterministic cost.
    pub cost: Cost,
}

impl Answer {
    /// Indices of the visual tokens that the last step of a reducer left; `None` without one.
    pub fn kept(&self) -> Option<&[usize]> {
        self.left.last().map(|left| left.kept.as_slice())
    }
}

impl Vlm {
    /// Reads a checkpoint onto a device, tensor by tensor, as `precision`.
    ///
    /// # Errors
    /// When a file is missing or broken, a tensor is missing, left over, of the wrong shape or holds what is not finite in this
    /// precision.
    #[tracing::instrument(skip_all, name = "load weights", fields(model = checkpoint.name()))]
    pub fn load(checkpoint: &Checkpoint, device: &Device, precision: Precision) -> Result<Self, VlmError> {
        let architecture = checkpoint.architecture();
        let weights = checkpoint.weights()?;
        let tied = weights.tied();
        let mut loader = Loader::new(weights, checkpoint.format(), device, precision);
        let encoder = architecture.encoder(&mut loader)?;
        let decoder = Llama::load(&mut loader, architecture.decoder(), tied)?;
        loader.finish()?;
        let processor = checkpoint.processor()?;
        let info = ModelInfo::of(checkpoint, &processor, precision);
        let mut model = Self {
            generation: Arc::new(checkpoint.generation_config().clone()),
            processor,
            template: checkpoint.chat_template().map(Arc::new).map_err(Arc::new),
            text: Arc::new(architecture.decoder().clone()),
            encoder: Arc::from(encoder),
            decoder: Arc::new(decoder),
            info: Arc::new(info),
            element: device.activations(precision.element()),
            device: device.clone(),
            weight_bytes: 0,
        };
        model.weight_bytes = model.count_bytes();
        Ok(model)
    }

    /// Whether it is computed on the CPU.
    pub fn on_cpu(&self) -> bool {
        self.device == Device::Cpu
    }

    /// Facts about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Tokenizer and image processor.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// This model, with prompts and images made by `processor`. Weights are shared.
    #[must_use]
    pub fn with_processor(&self, processor: Arc<Processor>) -> Self {
        Self { processor, ..self.clone() }
    }

    /// Decoding settings of the checkpoint.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// The chat template's prompt for one image and `question`.
    ///
    /// # Errors
    /// When the checkpoint has no template, or the template fails.
    pub fn prompt(&self, question: &str) -> Result<String, VlmError> {
        self.prompt_about(question, 1)
    }

    /// The same about so many images, which all stand before the question.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub fn prompt_about(&self, question: &str, images: usize) -> Result<String, VlmError> {
        match &self.template {
            Ok(template) => template.prompt_about(question, images),
            Err(error) => Err(VlmError::Earlier(Arc::clone(error))),
        }
    }

    /// Pixels and token ids, the image placeholder expanded.
    ///
    /// # Errors
    /// When the prompt does not hold exactly one placeholder.
    pub fn prepare(&self, image: &RgbImage, prompt: &str) -> Result<Prepared, VlmError> {
        self.processor.prepare(image, prompt)
    }

    /// Runs vision tower and projector; once per image.
    ///
    /// # Errors
    /// When the pixels are not of the size the tower takes, or not as many views as the image's size asks for.
    pub async fn encode(&self, pixels: &PixelValues) -> Result<EncodedImage, VlmError> {
        self.encode_for(pixels, &Needs::default()).await
    }

    /// As [`Self::encode`], also recording what reducers need to see of the vision tower ([`Needs::of`]). A reducer that acts inside the
    /// tower needs an image of its own: [`Self::encode_with`].
    ///
    /// # Errors
    /// As [`Self::encode`], or when a layer asked for does not exist.
    pub async fn encode_for(&self, pixels: &PixelValues, needs: &Needs) -> Result<EncodedImage, VlmError> {
        EncodedImage::new(&self.encoder, pixels, &TowerTask { needs: needs.clone(), merger: None }, None).await
    }

    /// As [`Self::encode`] with what `reducer` needs to see of the tower and does in it. If it does anything there, the image is of use to
    /// no other ([`Self::takes`]).
    ///
    /// # Errors
    /// As [`Self::encode_for`], or when the reducer acts where this tower cannot, fails or breaks its contract.
    pub async fn encode_with(&self, pixels: &PixelValues, reducer: &dyn TokenReducer) -> Result<EncodedImage, VlmError> {
        let steps = steps(reducer, self.decoder.depth())?;
        let task = TowerTask { needs: Needs::of([reducer]), merger: Merger::of(reducer) };
        let (pixels, changed_by) = (redrawn(self.encoder.as_ref(), pixels, reducer, &steps)?, changed_by(Some(reducer)));
        EncodedImage::new(&self.encoder, &pixels, &task, changed_by).await
    }

    /// Whether images encoded by `other` are valid here: both have the same vision tower and projector.
    pub fn shares_encoder(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.encoder, &other.encoder)
    }

    /// Whether `image` is one that [`Self::prefix`] takes with `reducer`: encoded by the same vision tower and projector, with the same done
    /// inside the tower.
    pub fn takes(&self, image: &EncodedImage, reducer: Option<&dyn TokenReducer>) -> bool {
        Arc::ptr_eq(&self.encoder, image.encoder()) && image.changed_by() == changed_by(reducer).as_deref()
    }

    /// Prefills the prompt up to the end of the image; once per image and acceleration. `ids` may be the whole prompt: what
    /// follows the image is not looked at.
    ///
    /// # Errors
    /// When the layout does not fit the image, or the reducer fails or breaks its contract.
    #[tracing::instrument(skip_all, name = "prompt up to the image's end")]
    pub async fn prefix<'r>(
        &self,
        ids: &[u32],
        layout: &VisualLayout,
        image: &EncodedImage,
        reducer: Option<&'r dyn TokenReducer>,
    ) -> Result<Prefix<'r>, VlmError> {
        self.check(ids, layout, image)?;
        let ids = &ids[..layout.end()];
        let prefilled = Box::pin(self.prefilled(ids, layout, image, reducer, true)).await?;
        Ok(Prefix {
            ids: ids.to_vec(),
            visual_tokens: layout.tokens(),
            vision_flops: image.flops(),
            left: prefilled.left,
            sequence: prefilled.sequence,
            waiting: prefilled.waiting,
            decoder: Arc::clone(&self.decoder),
        })
    }

    /// Answers the question `suffix_ids`, which follows `prefix`. The prefix stays as it is.
    ///
    /// # Errors
    /// When the suffix is empty, or a reducer inside the decoder fails or breaks its contract.
    pub async fn answer(&self, prefix: &Prefix<'_>, suffix_ids: &[u32], options: &Decoding) -> Result<Answer, VlmError> {
        Ok(Box::pin(self.answers(prefix, &[suffix_ids], options)).await?.remove(0))
    }

    /// Answers several questions that follow `prefix`, each to the bit as [`Self::answer`] does. On a CPU they are read and answered side by side, so that the weights
    /// are read once for many, as far as that changes no bit ([`together`]).
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn answers(&self, prefix: &Prefix<'_>, suffixes: &[&[u32]], options: &Decoding) -> Result<Vec<Answer>, VlmError> {
        if !Arc::ptr_eq(&self.decoder, &prefix.decoder) {
            return Err(invalid("prefix", "was made by a model with other decoder weights"));
        }
        for suffix in suffixes {
            if suffix.is_empty() {
                let problem = "must continue after the image when its prefix is shared";
                return Err(VlmError::Prompt(problem.to_owned()));
            }
            self.check_length(prefix.ids.len() + suffix.len())?;
        }
        let mut answers = Vec::with_capacity(suffixes.len());
        for range in together(&vec![1; suffixes.len()], &self.device, self.element) {
            let suffixes = &suffixes[range];
            let prefilled = match &prefix.waiting {
                Some(waiting) => {
                    let mut prefilled = Vec::with_capacity(suffixes.len());
                    for suffix in suffixes {
                        prefilled.push(Box::pin(self.resumed(prefix, waiting, suffix, options)).await?);
                    }
                    prefilled
                }
                None => self.followed(prefix, suffixes, options)?,
            };
            let asked = suffixes.iter().zip(prefilled).map(|(suffix, prefilled)| ([prefix.ids.as_slice(), suffix].concat(), prefilled));
            answers.extend(self.decode(asked.collect(), (prefix.visual_tokens, prefix.vision_flops), options).await?);
        }
        Ok(answers)
    }

    /// `prefix` with each of `suffixes` behind it.
    #[tracing::instrument(skip_all, name = "questions", fields(questions = suffixes.len()))]
    fn followed<'r>(&self, prefix: &Prefix<'_>, suffixes: &[&[u32]], options: &Decoding) -> Result<Vec<Prefilled<'r>>, VlmError> {
        let lengths: Vec<usize> = suffixes.iter().map(|suffix| suffix.len()).collect();
        let mut prefilled = Vec::with_capacity(suffixes.len());
        let in_one_piece = lengths.iter().all(|&length| length <= PIECE);
        let each = || (0..lengths.len()).map(|at| at..at + 1).collect();
        let runs = if in_one_piece { together(&lengths, &self.device, self.element) } else { each() };
        for range in runs {
            let lengths = &lengths[range.clone()];
            let hidden = self.decoder.embed(&suffixes[range].concat())?;
            let mut sequences: Vec<Sequence> = lengths.iter().map(|length| prefix.sequence.branch(length + room(options))).collect();
            let hidden = Sequence::extend_together(&mut sequences.iter_mut().collect::<Vec<_>>(), &self.decoder, hidden, lengths);
            prefilled.extend(sequences.into_iter().enumerate().map(|(row, sequence)| {
                let hidden = if lengths.len() == 1 { hidden.clone() } else { hidden.slice(row..row + 1) };
                Prefilled { sequence, hidden: Some(hidden), left: prefix.left.clone(), waiting: None }
            }));
        }
        Ok(prefilled)
    }

    /// `prefix` with `suffix` behind it, for which `waiting` waited.
    #[tracing::instrument(skip_all, name = "question", fields(tokens = suffix.len()))]
    async fn resumed<'r>(
        &self,
        prefix: &Prefix<'_>,
        waiting: &Waiting<'r>,
        suffix: &[u32],
        options: &Decoding,
    ) -> Result<Prefilled<'r>, VlmError> {
        let hidden = self.decoder.embed(suffix)?;
        if let Some((rows, mut course)) = waiting.before_decoder(suffix, &hidden) {
            let rows = Box::pin(self.reduced_before(rows, &mut course)).await?;
            return Box::pin(prefill_reducing(&self.decoder, rows, course, false)).await;
        }
        let sequence = prefix.sequence.branch(suffix.len() + room(options));
        Box::pin(waiting.resume(&self.decoder, sequence, suffix, hidden)).await
    }

    /// Answers one prompt about one image in a single pass, sharing nothing with other questions.
    ///
    /// # Errors
    /// As [`Self::encode_with`], [`Self::prefix`] and [`Self::answer`].
    pub async fn ask(&self, prepared: &Prepared, reducer: Option<&dyn TokenReducer>, options: &Decoding) -> Result<Answer, VlmError> {
        let image = match reducer {
            Some(reducer) => self.encode_with(&prepared.pixels, reducer).await?,
            None => self.encode(&prepared.pixels).await?,
        };
        let (ids, layout) = (&prepared.input_ids, &prepared.layout);
        self.check(ids, layout, &image)?;
        let prefilled = Box::pin(self.prefilled(ids, layout, &image, reducer, false)).await?;
        self.decode_one(ids, (layout.tokens(), image.flops()), prefilled, options).await
    }

    /// As [`Self::ask_about`], and the prompt goes through the decoder in two pieces: what serving calls chunked prefill. The answer differs by
    /// rounding alone.
    ///
    /// # Errors
    /// As [`Self::ask_about`].
    pub async fn ask_in_two(&self, interleaved: &Interleaved, images: &[EncodedImage], options: &Decoding) -> Result<Answer, VlmError> {
        let prefilled = prefill_in_two(&self.decoder, self.placed(interleaved, images)?);
        self.decode_one(&interleaved.input_ids, cost_of(images), prefilled, options).await
    }

    /// Answers one prompt about any number of images, none included, in a single pass.
    ///
    /// # Errors
    /// As [`Self::encode`], or when the layouts overlap, do not fit their images, or the prompt is empty or too long.
    pub async fn ask_interleaved(&self, interleaved: &Interleaved, options: &Decoding) -> Result<Answer, VlmError> {
        let mut images = Vec::with_capacity(interleaved.images.len());
        for (_, pixels) in &interleaved.images {
            images.push(self.encode(pixels).await?);
        }
        self.ask_about(interleaved, &images, options).await
    }

    /// As [`Self::ask_interleaved`], about images that are encoded already.
    ///
    /// # Errors
    /// As [`Self::ask_interleaved`].
    pub async fn ask_about(&self, interleaved: &Interleaved, images: &[EncodedImage], options: &Decoding) -> Result<Answer, VlmError> {
        let prefilled = prefill(&self.decoder, &self.placed(interleaved, images)?);
        self.decode_one(&interleaved.input_ids, cost_of(images), prefilled, options).await
    }

    /// A prompt with its images in their places.
    fn placed(&self, interleaved: &Interleaved, images: &[EncodedImage]) -> Result<Rows, VlmError> {
        let ids = &interleaved.input_ids;
        if images.len() != interleaved.images.len() {
            return Err(invalid("images", &format!("the prompt has room for {}, found {}", interleaved.images.len(), images.len())));
        }
        let placed: Vec<(&VisualLayout, &EncodedImage)> = interleaved.images.iter().map(|(layout, _)| layout).zip(images).collect();
        for &(layout, image) in &placed {
            self.check(ids, layout, image)?;
        }
        if let Some(pair) = placed.windows(2).find(|pair| pair[0].0.end() > pair[1].0.start()) {
            return Err(invalid(
                "images",
                &format!("the one at {:?} begins before the one at {:?} ends", pair[1].0.runs(), pair[0].0.runs()),
            ));
        }
        self.check_length(ids.len())?;
        self.rows(ids, &placed)
    }

    /// A prompt about one image, its visual tokens reduced where `reducer` acts, in the decoder.
    async fn prefilled<'r>(
        &self,
        ids: &[u32],
        layout: &VisualLayout,
        image: &EncodedImage,
        reducer: Option<&'r dyn TokenReducer>,
        question_follows: bool,
    ) -> Result<Prefilled<'r>, VlmError> {
        let expected = changed_by(reducer);
        if image.changed_by() != expected.as_deref() {
            let names = [expected.as_deref(), image.changed_by()].map(|name| name.unwrap_or("nobody"));
            let problem = format!("one changed before or inside the tower by {} is expected, found by {}", names[0], names[1]);
            return Err(invalid("image", &problem));
        }
        let rows = self.rows(ids, &[(layout, image)])?;
        let Some(reducer) = reducer else {
            return Ok(prefill(&self.decoder, &rows));
        };
        let steps: Vec<_> = steps(reducer, self.decoder.depth())?.into_iter().enumerate().collect();
        let in_tower = steps.iter().take_while(|(_, step)| step.site < Site::AfterTower).count();
        let (image, layout, decoder) = (image.clone(), layout.clone(), Arc::clone(&self.decoder));
        let mut course = Course { reducer, steps, image, layout, ids: ids.to_vec(), decoder, left: Vec::new() };
        // What happened inside the tower shows when it is over.
        course.left.extend(course.steps.drain(..in_tower).map(|(_, step)| rows.left(step.site)));
        if question_follows && course.waits_before_decoder() {
            let (sequence, left) = (Sequence::empty(&self.decoder), course.left.clone());
            return Ok(Prefilled { sequence, hidden: None, left, waiting: Some(Waiting::new(course, rows)) });
        }
        let rows = self.reduced_before(rows, &mut course).await?;
        prefill_reducing(&self.decoder, rows, course, question_follows).await
    }

    /// The decoder's input: token embeddings with the visual tokens of `images` in place.
    fn rows(&self, ids: &[u32], images: &[(&VisualLayout, &EncodedImage)]) -> Result<Rows, VlmError> {
        if ids.is_empty() {
            return Err(VlmError::Prompt("is empty".to_owned()));
        }
        let mut parts = Vec::new();
        let text = |range: Range<usize>| {
            if range.is_empty() { Ok(None) } else { self.decoder.embed(&ids[range]).map(Some) }
        };
        let (mut visual, mut rows, mut end) = (Vec::new(), 0, 0);
        for (index, (layout, image)) in images.iter().enumerate() {
            let projected = image.projected();
            let mut token = 0;
            for run in layout.runs() {
                rows += run.start - end;
                parts.extend(text(end..run.start)?);
                // Of an image whose tokens were merged, as many as there are.
                let held = if image.merged().is_some() { projected.dims()[0] } else { run.len() };
                if index == 0 {
                    visual.extend((0..held).map(|at| VisualRow::of(image, token + at, rows + at)));
                }
                let whole = held == projected.dims()[0];
                parts.push(if whole { projected.clone() } else { projected.slice(token..token + held) });
                (rows, token, end) = (rows + held, token + held, run.end);
            }
        }
        rows += ids.len() - end;
        parts.extend(text(end..ids.len())?);
        let layouts: Vec<&VisualLayout> = images.iter().map(|(layout, _)| *layout).collect();
        let (mut positions, mut next_position) = self.encoder.positions(ids.len(), &layouts);
        if rows < ids.len() {
            (positions, next_position) = (crate::nn::in_line(0..rows).collect(), rows);
        }
        Ok(Rows { hidden: Matrix::stack(&parts), positions, next_position, visual })
    }

    /// `rows` after the steps of `course` before the decoder.
    async fn reduced_before(&self, mut rows: Rows, course: &mut Course<'_>) -> Result<Rows, VlmError> {
        while let Some((_, step)) = course.steps.first() {
            let site = step.site;
            let image = course.image.clone();
            let acted_on = match site {
                Site::AfterTower => image.features(),
                Site::AfterProjector => image.projected(),
                _ => break,
            };
            let before = course.left.iter().any(|left| left.site >= Site::AfterTower);
            if before {
                let problem = format!("acts {site} on what another step left; expected one step between the tower and the decoder");
                return Err(reducer_error(&course.reducer.name(), problem));
            }
            if let Some(joined) = image.joined().filter(|_| site == Site::AfterTower) {
                let (_, features, tokens) = Box::pin(course.ask_each_view(joined)).await?;
                rows = rows.with_visual(self.encoder.project(&features), tokens);
                course.left.push(rows.left(site));
                continue;
            }
            if image.joined().is_some() && step.needs.looks_at_the_tower() {
                let problem = "looks at the vision tower's attention or keys, but this image's visual tokens come from several views with \
                               newlines between their rows; expected a method that acts after the vision tower, view by view";
                return Err(reducer_error(&course.reducer.name(), problem.to_owned()));
            }
            let (_, reduction, positions) = course.ask(&rows, || acted_on.clone(), Looks::default()).await?;
            // The projector works row by row, so projecting what was kept is keeping what was projected.
            let states = |new: &HostMatrix| {
                let new = new.on(&rows.hidden.device(), self.element);
                if site == Site::AfterTower { self.encoder.project(&new) } else { new }
            };
            let (rewritten, merged) = (reduction.rewritten.as_ref().map(states), reduction.merged.as_ref().map(states));
            rows = rows.reduced(&reduction, positions, rewritten, merged);
            if rows.positions.is_empty() {
                return Err(VlmError::Prompt(
                    "nothing is left of it: it holds an image only, and every visual token was dropped".to_owned(),
                ));
            }
            course.left.push(rows.left(site));
        }
        Ok(rows)
    }

    /// As [`Self::decode`] for one prompt.
    async fn decode_one(&self, ids: &[u32], seen: (usize, u64), prefilled: Prefilled<'_>, options: &Decoding) -> Result<Answer, VlmError> {
        Ok(Box::pin(self.decode(vec![(ids.to_vec(), prefilled)], seen, options)).await?.remove(0))
    }

    /// First logits, greedy answer and cost of each of `asked`, prompts about the same images. All go on side by side.
    #[tracing::instrument(skip_all, name = "answers", fields(answers = asked.len()))]
    async fn decode(
        &self,
        asked: Vec<(Vec<u32>, Prefilled<'_>)>,
        (visual_tokens, vision_flops): (usize, u64),
        options: &Decoding,
    ) -> Result<Vec<Answer>, VlmError> {
        let (mut prompts, mut sequences, mut last, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (ids, prefilled) in asked {
            let hidden = prefilled.hidden.ok_or_else(|| invalid("prompt", "has no question yet"))?;
            let [rows, _] = hidden.dims();
            last.push(hidden.slice(rows - 1..rows));
            prompts.push(ids);
            sequences.push(prefilled.sequence);
            left.push(prefilled.left);
        }
        let logits = self.decoder.logits(&Matrix::stack(&last));
        let vocabulary = logits.dims()[1];
        let first_logits: Vec<Vec<f32>> = logits.read().await?.chunks(vocabulary).map(<[f32]>::to_vec).collect();
        let kv_lengths: Vec<Vec<usize>> = sequences.iter().map(Sequence::kv_lengths).collect();
        let greedy = Greedy {
            max_new_tokens: options.max_new_tokens,
            repetition_penalty: options.repetition_penalty.unwrap_or(self.generation.repetition_penalty),
            eos: if options.ignore_eos { &[] } else { &self.generation.eos_token_ids },
        };
        let step = |going: &[usize], chosen: &[Chosen]| {
            let hidden: Vec<Matrix> = chosen.iter().map(|chosen| self.decoder.embed_chosen(chosen)).collect();
            let going = sequences.iter_mut().enumerate().filter(|(index, _)| going.contains(index)).map(|(_, sequence)| sequence);
            let tokens = vec![1; hidden.len()];
            Ok(self.decoder.logits(&Sequence::extend_together(
                &mut going.collect::<Vec<_>>(),
                &self.decoder,
                Matrix::stack(&hidden),
                &tokens,
            )))
        };
        let of_prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let decoded = greedy.decode(&of_prompts, &first_logits, step).await?;
        let mut answers = Vec::with_capacity(decoded.len());
        let each = prompts.iter().zip(&sequences).zip(left).zip(first_logits).zip(kv_lengths).zip(decoded);
        for (((((ids, sequence), left), first_logits), kv_lengths), Decoded { output_ids, end }) in each {
            let not_finite = if end == End::NotFinite {
                // A token may have been computed that is no part of the answer.
                let beyond = sequence.kv_lengths()[0] - kv_lengths[0] - output_ids.len();
                Some(NotFinite { after: output_ids.len(), layer: sequence.first_not_finite(beyond).await? })
            } else {
                None
            };
            answers.push(Answer {
                text: self.processor.tokenizer().decode(&output_ids)?,
                cut: end == End::Limit,
                output_ids,
                not_finite,
                first_logits,
                visual_tokens,
                left,
                cost: self.cost(ids.len(), visual_tokens, vision_flops, &kv_lengths),
                kv_lengths,
            });
        }
        Ok(answers)
    }

    fn cost(&self, prompt_tokens: usize, visual_tokens: usize, vision_flops: u64, kv_lengths: &[usize]) -> Cost {
        let text = &self.text;
        let others = prompt_tokens - visual_tokens;
        let seen: usize = kv_lengths.iter().map(|len| len - others).sum();
        Cost {
            prompt_tokens,
            visual_tokens: seen as f32 / kv_lengths.len() as f32,
            kv_bytes: cost::kv_bytes(text, kv_lengths, self.element.size(), self.decoder.cache_bits()),
            flops: vision_flops + cost::decoder_flops(text, kv_lengths),
        }
    }

    fn check(&self, ids: &[u32], layout: &VisualLayout, image: &EncodedImage) -> Result<(), VlmError> {
        if !Arc::ptr_eq(&self.encoder, image.encoder()) {
            return Err(invalid("image", "was encoded by a model with other vision weights"));
        }
        let tokens = image.merged().map_or(image.visual_tokens(), |merged| merged.of);
        if layout.end() > ids.len() || layout.tokens() != tokens {
            let problem = format!(
                "the layout {:?} of a prompt of {} tokens does not fit the image's {tokens} visual tokens",
                layout.runs(),
                ids.len(),
            );
            return Err(invalid("image", &problem));
        }
        if image.merged().is_some() && layout.runs().len() != 1 {
            return Err(invalid(
                "image",
                "its tokens were merged inside the tower, which is known for images that fill one run of a prompt",
            ));
        }
        self.check_length(ids.len())
    }

    fn check_length(&self, tokens: usize) -> Result<(), VlmError> {
        let limit = self.info.max_tokens;
        if tokens > limit {
            let problem = format!("has {tokens} tokens with the image, the model takes at most {limit}");
            return Err(VlmError::Prompt(problem));
        }
        Ok(())
    }
}

/// Tokens of an answer for which a branch has room at once; longer ones make it grow.
const ROOM: usize = 64;

/// Tokens of an answer that a branch has room for at once.
fn room(options: &Decoding) -> usize {
    options.max_new_tokens.min(ROOM)
}

/// Visual tokens of images before any reduction, and what it took to see them.
fn cost_of(images: &[EncodedImage]) -> (usize, u64) {
    (images.iter().map(EncodedImage::visual_tokens).sum(), images.iter().map(EncodedImage::flops).sum())
}

/// The name of `reducer`, if it acts before or inside the tower.
fn changed_by(reducer: Option<&dyn TokenReducer>) -> Option<String> {
    reducer.filter(|reducer| changes_the_image(*reducer)).map(TokenReducer::name)
}

/// `pixels` after the step of `reducer` before the tower, if there is one.
fn redrawn<'p>(
    encoder: &dyn VisualEncoder,
    pixels: &'p PixelValues,
    reducer: &dyn TokenReducer,
    steps: &[Step],
) -> Result<Cow<'p, PixelValues>, VlmError> {
    let Some(step) = steps.iter().position(|step| step.site == Site::BeforeTower) else { return Ok(Cow::Borrowed(pixels)) };
    let redraw = |plane: HostMatrix| {
        let (rows, cols) = (plane.rows, plane.cols);
        let drawn = reducer.redraw(step, plane)?;
        if (drawn.rows, drawn.cols) == (rows, cols) {
            return Ok(drawn);
        }
        let problem = format!("made {}x{} of a picture of {rows}x{cols}; expected the same size", drawn.rows, drawn.cols);
        Err(reducer_error(&reducer.name(), problem))
    };
    encoder.redrawn(pixels, &redraw).map(Cow::Owned)
}

fn invalid(what: &str, problem: &str) -> VlmError {
    VlmError::Invalid { what: what.to_owned(), problem: problem.to_owned() }
}
