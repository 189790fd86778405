//! A loaded vision-language model: images and prompts in, answers out.

use std::{ops::Range, sync::Arc};

use ::image::RgbImage;
use burn::tensor::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

use crate::{
    Cost, Decoding, Dense, HostMatrix, Precision, Stage, TokenReducer, VlmError,
    checkpoint::{Checkpoint, GenerationConfig, LlamaConfig, ModelConfig},
    cost,
    decoder::Llama,
    device::max_binding_bytes,
    family::{Encoded, VisualEncoder},
    generate::Greedy,
    image::PixelValues,
    nn::{LinearMap, Loader},
    prefill::{Prefilled, Prefix, Rows, Sequence, ask, inside, prefill, prefill_reducing},
    reduction::{Needs, Observations, reducer_error},
    text::{ChatTemplate, Interleaved, Largest, Prepared, Processor},
};

/// A vision-language model on a device. Cheap to clone: copies share weights.
#[derive(Clone)]
pub struct Vlm {
    text: Arc<LlamaConfig>,
    generation: Arc<GenerationConfig>,
    processor: Arc<Processor>,
    template: Arc<ChatTemplate>,
    encoder: Arc<VisualEncoder>,
    decoder: Arc<Llama>,
    info: Arc<ModelInfo>,
    dtype: DType,
}

/// Facts about a loaded model, for reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The checkpoint's name.
    pub name: String,
    /// Architecture family: `llava-1.5`, `llava-next`, `qwen2-vl`, `qwen2.5-vl`.
    pub architecture: String,
    /// Element type of weights and activations.
    pub precision: Precision,
    /// Visual tokens per image before any reduction; where images differ, the most that one becomes.
    pub visual_tokens: usize,
    /// Rows and columns of the grid of visual tokens; where images differ, of the largest square one, and with LLaVA-NeXT of one view.
    pub grid: (usize, usize),
    /// Side of the image that the vision tower takes at once, in pixels; where images differ, of the largest square one.
    pub image_size: usize,
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Width of the decoder's residual stream.
    pub decoder_width: usize,
    /// Rows of embedding and head.
    pub vocab_size: usize,
    /// Longest prompt and answer together, in tokens.
    pub max_tokens: usize,
}

/// What the vision tower and the projector made of one image.
#[derive(Clone)]
pub struct EncodedImage {
    encoder: Arc<VisualEncoder>,
    /// What is projected: a row per visual token, with LLaVA-NeXT per patch of every view.
    features: Tensor<2>,
    /// `[n, decoder width]`
    projected: Tensor<2>,
    observations: Arc<Observations<HostMatrix>>,
    grid: (usize, usize),
    flops: u64,
    key: u64,
}

/// An answer and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// New tokens, the end token included if it was reached.
    pub output_ids: Vec<u32>,
    /// Their text without special tokens.
    pub text: String,
    /// Logits of the answer's first token over the vocabulary, before any penalty.
    pub first_logits: Vec<f32>,
    /// Visual tokens of the image before any reduction.
    pub visual_tokens: usize,
    /// Indices of the visual tokens that a reducer kept; `None` without one.
    pub kept: Option<Vec<usize>>,
    /// Tokens that each decoder layer held after the prompt.
    pub kv_lengths: Vec<usize>,
    /// Deterministic cost.
    pub cost: Cost,
}

impl ModelInfo {
    fn of(checkpoint: &Checkpoint, processor: &Processor, precision: Precision) -> Self {
        let config = checkpoint.config();
        let text = config.text();
        let Largest { visual_tokens, side, pixels } = processor.largest();
        let vision_layers = match config {
            ModelConfig::Llava(config) => config.vision.num_layers,
            ModelConfig::Qwen2Vl(config) | ModelConfig::Qwen2_5Vl(config) => config.vision.depth,
        };
        let architecture = match config {
            ModelConfig::Llava(config) if config.tiles.is_some() => "llava-next",
            ModelConfig::Llava(_) => "llava-1.5",
            ModelConfig::Qwen2Vl(_) => "qwen2-vl",
            ModelConfig::Qwen2_5Vl(_) => "qwen2.5-vl",
        };
        Self {
            name: checkpoint.name().to_owned(),
            architecture: architecture.to_owned(),
            precision,
            visual_tokens,
            grid: (side, side),
            image_size: pixels,
            vision_layers,
            decoder_layers: text.num_layers,
            decoder_width: text.hidden_size,
            vocab_size: text.vocab_size,
            max_tokens: text.max_position_embeddings,
        }
    }
}

impl EncodedImage {
    /// Number of visual tokens.
    pub fn visual_tokens(&self) -> usize {
        self.projected.dims()[0]
    }

    /// Rows and columns of the grid that the visual tokens come from; one row of all tokens where they are no grid.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Hash of the pixels: equal images, equal key.
    pub fn key(&self) -> u64 {
        self.key
    }

    pub(crate) fn observations(&self) -> &Observations<HostMatrix> {
        &self.observations
    }

    /// Whether a visual token's position says where in the image it is.
    pub(crate) fn places_tokens(&self) -> bool {
        self.encoder.places_tokens()
    }
}

impl Vlm {
    /// Reads a checkpoint onto a device, tensor by tensor, as `precision`.
    ///
    /// # Errors
    /// When a file is missing or broken, a tensor is missing, left over or of the wrong shape, or the device does not compute
    /// in this precision.
    pub fn load(checkpoint: &Checkpoint, device: &Device, precision: Precision) -> Result<Self, VlmError> {
        precision.check(device)?;
        let config = checkpoint.config();
        let mut loader =
            Loader { weights: checkpoint.weights()?, device, dtype: precision.dtype(), max_binding: max_binding_bytes(device) };
        let encoder = VisualEncoder::load(&mut loader, config)?;
        let decoder = Llama::load(&mut loader, config.text(), config.tie_word_embeddings())?;
        loader.weights.finish()?;
        let processor = checkpoint.processor()?;
        let info = ModelInfo::of(checkpoint, &processor, precision);
        Ok(Self {
            generation: Arc::new(checkpoint.generation_config().clone()),
            processor,
            template: Arc::new(checkpoint.chat_template()?),
            text: Arc::new(config.text().clone()),
            encoder: Arc::new(encoder),
            decoder: Arc::new(decoder),
            info: Arc::new(info),
            dtype: precision.dtype(),
        })
    }

    /// Facts about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Tokenizer and image processor.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// Decoding settings of the checkpoint.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// The chat template's prompt for one image and `question`.
    ///
    /// # Errors
    /// When the template fails.
    pub fn prompt(&self, question: &str) -> Result<String, VlmError> {
        self.template.prompt(question)
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

    /// As [`Self::encode`], also recording what reducers need to see of the vision tower ([`Needs::of`]).
    ///
    /// # Errors
    /// As [`Self::encode`], or when a layer asked for does not exist.
    pub async fn encode_for(&self, pixels: &PixelValues, needs: &Needs) -> Result<EncodedImage, VlmError> {
        let Encoded { features, projected, observations, grid, flops } = self.encoder.encode(pixels, needs)?;
        Ok(EncodedImage {
            encoder: Arc::clone(&self.encoder),
            features,
            projected,
            observations: Arc::new(observations.read().await?),
            grid,
            flops,
            key: pixel_key(pixels),
        })
    }

    /// Whether images encoded by `other` are valid here: both have the same vision tower and projector.
    pub fn shares_encoder(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.encoder, &other.encoder)
    }

    /// Prefills the prompt up to the end of the image; once per image and acceleration. `ids` may be the whole prompt: what
    /// follows the image is not looked at.
    ///
    /// # Errors
    /// When the span does not fit the image, or the reducer fails or breaks its contract.
    pub async fn prefix<'r>(
        &self,
        ids: &[u32],
        image_span: Range<usize>,
        image: &EncodedImage,
        reducer: Option<&'r dyn TokenReducer>,
    ) -> Result<Prefix<'r>, VlmError> {
        self.check(ids, &image_span, image)?;
        let ids = &ids[..image_span.end];
        let prefilled = Box::pin(self.prefilled(ids, &image_span, image, reducer, true)).await?;
        Ok(Prefix {
            ids: ids.to_vec(),
            visual: image_span,
            vision_flops: image.flops,
            kept: prefilled.kept,
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
        if !Arc::ptr_eq(&self.decoder, &prefix.decoder) {
            return Err(invalid("prefix", "was made by a model with other decoder weights"));
        }
        if suffix_ids.is_empty() {
            let problem = "must continue after the image when its prefix is shared";
            return Err(VlmError::Prompt(problem.to_owned()));
        }
        let ids: Vec<u32> = prefix.ids.iter().chain(suffix_ids).copied().collect();
        self.check_length(ids.len())?;
        let hidden = self.decoder.embed(suffix_ids)?;
        let room = suffix_ids.len() + options.max_new_tokens.min(ROOM);
        let mut sequence = prefix.sequence.branch(room);
        let prefilled = match &prefix.waiting {
            Some(waiting) => Box::pin(waiting.resume(&self.decoder, sequence, hidden)).await?,
            None => Prefilled { hidden: Some(sequence.extend(&self.decoder, hidden)), sequence, kept: prefix.kept.clone(), waiting: None },
        };
        self.decode(&ids, (prefix.visual.len(), prefix.vision_flops), prefilled, options).await
    }

    /// Answers one prompt about one image in a single pass, sharing nothing with other questions.
    ///
    /// # Errors
    /// As [`Self::encode_for`], [`Self::prefix`] and [`Self::answer`].
    pub async fn ask(&self, prepared: &Prepared, reducer: Option<&dyn TokenReducer>, options: &Decoding) -> Result<Answer, VlmError> {
        let needs = reducer.map(TokenReducer::needs).unwrap_or_default();
        let image = self.encode_for(&prepared.pixels, &needs).await?;
        let (ids, span) = (&prepared.input_ids, &prepared.image_span);
        self.check(ids, span, &image)?;
        let prefilled = Box::pin(self.prefilled(ids, span, &image, reducer, false)).await?;
        self.decode(ids, (span.len(), image.flops), prefilled, options).await
    }

    /// Answers one prompt about any number of images, none included, in a single pass.
    ///
    /// # Errors
    /// As [`Self::encode`], or when the spans overlap, do not fit their images, or the prompt is empty or too long.
    pub async fn ask_interleaved(&self, interleaved: &Interleaved, options: &Decoding) -> Result<Answer, VlmError> {
        let ids = &interleaved.input_ids;
        let mut images = Vec::with_capacity(interleaved.images.len());
        for (_, pixels) in &interleaved.images {
            images.push(self.encode(pixels).await?);
        }
        let placed: Vec<(&Range<usize>, &EncodedImage)> = interleaved.images.iter().map(|(span, _)| span).zip(&images).collect();
        for &(span, image) in &placed {
            self.check(ids, span, image)?;
        }
        if let Some(pair) = placed.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            return Err(invalid("images", &format!("span {:?} begins before {:?} ends", pair[1].0, pair[0].0)));
        }
        self.check_length(ids.len())?;
        let prefilled = prefill(&self.decoder, &self.rows(ids, &placed)?);
        let visual_tokens = images.iter().map(EncodedImage::visual_tokens).sum();
        let vision_flops = images.iter().map(|image| image.flops).sum();
        self.decode(ids, (visual_tokens, vision_flops), prefilled, options).await
    }

    /// A model in which linear layers are replaced by what `f` returns for them (`None`: left as they are), called with the
    /// canonical name without `.weight`, e.g. `language_model.layers.0.mlp.up_proj`. Everything else is shared; embedding and
    /// head are not linear layers in this sense.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn map_linears<E>(&self, f: &mut LinearMap<'_, E>) -> Result<Self, E> {
        // An untouched half stays the same object, so that images encoded or prefixes made by the original remain valid.
        let mut touched = false;
        let mut noting = |name: &str, dense: &Dense| {
            let packed = f(name, dense)?;
            touched |= packed.is_some();
            Ok(packed)
        };
        let encoder = self.encoder.map_linears(&mut noting)?;
        let encoder_touched = std::mem::take(&mut touched);
        let mut noting = |name: &str, dense: &Dense| {
            let packed = f(name, dense)?;
            touched |= packed.is_some();
            Ok(packed)
        };
        let decoder = self.decoder.map_linears(&mut noting)?;
        let mut mapped = self.clone();
        if encoder_touched {
            mapped.encoder = Arc::new(encoder);
        }
        if touched {
            mapped.decoder = Arc::new(decoder);
        }
        Ok(mapped)
    }

    /// Bytes of all weights on the device, packed ones as packed.
    pub fn weight_bytes(&self) -> usize {
        self.encoder.bytes() + self.decoder.bytes()
    }

    /// A prompt about one image, its placeholders reduced where `reducer` acts, in the decoder.
    async fn prefilled<'r>(
        &self,
        ids: &[u32],
        span: &Range<usize>,
        image: &EncodedImage,
        reducer: Option<&'r dyn TokenReducer>,
        question_follows: bool,
    ) -> Result<Prefilled<'r>, VlmError> {
        let inside = inside(reducer, self.decoder.depth())?;
        let rows = self.rows(ids, &[(span, image)])?;
        let (rows, kept) = self.reduced_before(rows, image, reducer).await?;
        let prefilled = match inside {
            Some(inside) => prefill_reducing(&self.decoder, rows, inside, image, question_follows).await?,
            None => prefill(&self.decoder, &rows),
        };
        Ok(Prefilled { kept: kept.or(prefilled.kept), ..prefilled })
    }

    /// The decoder's input: token embeddings with the visual tokens of `images` in place.
    fn rows(&self, ids: &[u32], images: &[(&Range<usize>, &EncodedImage)]) -> Result<Rows, VlmError> {
        if ids.is_empty() {
            return Err(VlmError::Prompt("is empty".to_owned()));
        }
        let mut parts = Vec::new();
        let text = |range: Range<usize>| {
            if range.is_empty() { Ok(None) } else { self.decoder.embed(&ids[range]).map(Some) }
        };
        let mut end = 0;
        for (span, image) in images {
            parts.extend(text(end..span.start)?);
            parts.push(image.projected.clone());
            end = span.end;
        }
        parts.extend(text(end..ids.len())?);
        let grids: Vec<_> = images.iter().map(|(span, image)| ((*span).clone(), image.grid)).collect();
        let (positions, next_position) = self.encoder.positions(ids.len(), &grids);
        let visual = images.first().map_or(0..0, |(span, _)| (*span).clone());
        Ok(Rows { hidden: Tensor::cat(parts, 0), positions, next_position, visual })
    }

    /// `rows` after a reduction before the decoder, if `reducer` is one, and which visual tokens it kept.
    async fn reduced_before(
        &self,
        rows: Rows,
        image: &EncodedImage,
        reducer: Option<&dyn TokenReducer>,
    ) -> Result<(Rows, Option<Vec<usize>>), VlmError> {
        let Some(reducer) = reducer else {
            return Ok((rows, None));
        };
        if reducer.stage() == Stage::AfterVision && self.encoder.joins_views() {
            let problem = "acts on the vision tower's features, but LLaVA-NeXT's visual tokens come from several views with newlines \
                           between their rows; expected a method that acts after the projector";
            return Err(reducer_error(&reducer.name(), problem.to_owned()));
        }
        let acted_on = match reducer.stage() {
            Stage::AfterVision => &image.features,
            Stage::AfterProjector => &image.projected,
            Stage::BeforeLayer(_) => return Ok((rows, None)),
        };
        let reduction = ask(reducer, image, || acted_on.clone(), None).await?;
        // The projector works row by row, so projecting what was kept is keeping what was projected.
        let merged = reduction.merged.as_ref().map(|merged| {
            let merged = Tensor::from_data(merged.to_data(), (&rows.hidden.device(), self.dtype));
            if reducer.stage() == Stage::AfterVision { self.encoder.project(merged) } else { merged }
        });
        let rows = rows.reduced(&reduction, merged);
        if rows.positions.is_empty() {
            return Err(VlmError::Prompt("nothing is left of it: it holds an image only, and every visual token was dropped".to_owned()));
        }
        Ok((rows, Some(reduction.kept)))
    }

    /// First logits, greedy answer, cost.
    async fn decode(
        &self,
        ids: &[u32],
        (visual_tokens, vision_flops): (usize, u64),
        prefilled: Prefilled<'_>,
        options: &Decoding,
    ) -> Result<Answer, VlmError> {
        let Prefilled { mut sequence, hidden, kept, .. } = prefilled;
        let hidden = hidden.ok_or_else(|| invalid("prompt", "has no question yet"))?;
        let first_logits = self.decoder.logits(hidden).await?;
        let kv_lengths = sequence.kv_lengths();
        let cost = self.cost(ids.len(), visual_tokens, vision_flops, &kv_lengths);
        let greedy = Greedy {
            max_new_tokens: options.max_new_tokens,
            repetition_penalty: options.repetition_penalty.unwrap_or(self.generation.repetition_penalty),
            eos: if options.ignore_eos { &[] } else { &self.generation.eos_token_ids },
        };
        let step = async |token| self.step(&mut sequence, token).await;
        let output_ids = greedy.decode(ids, &first_logits, step).await?;
        Ok(Answer {
            text: self.processor.tokenizer().decode(&output_ids)?,
            output_ids,
            first_logits,
            visual_tokens,
            kept,
            kv_lengths,
            cost,
        })
    }

    /// Feeds one token and returns the logits after it.
    async fn step(&self, sequence: &mut Sequence, token: u32) -> Result<Vec<f32>, VlmError> {
        let hidden = self.decoder.embed(&[token])?;
        self.decoder.logits(sequence.extend(&self.decoder, hidden)).await
    }

    fn cost(&self, prompt_tokens: usize, visual_tokens: usize, vision_flops: u64, kv_lengths: &[usize]) -> Cost {
        let text = &self.text;
        let others = prompt_tokens - visual_tokens;
        let seen: usize = kv_lengths.iter().map(|len| len - others).sum();
        Cost {
            prompt_tokens,
            visual_tokens: seen as f32 / kv_lengths.len() as f32,
            kv_bytes: cost::kv_bytes(text, kv_lengths, self.dtype.size()),
            flops: vision_flops + cost::decoder_flops(text, kv_lengths),
        }
    }

    fn check(&self, ids: &[u32], span: &Range<usize>, image: &EncodedImage) -> Result<(), VlmError> {
        if !Arc::ptr_eq(&self.encoder, &image.encoder) {
            return Err(invalid("image", "was encoded by a model with other vision weights"));
        }
        if span.end > ids.len() || span.len() != image.visual_tokens() {
            let problem = format!(
                "span {span:?} of a prompt of {} tokens does not fit the image's {} visual tokens",
                ids.len(),
                image.visual_tokens()
            );
            return Err(invalid("image", &problem));
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

fn invalid(what: &str, problem: &str) -> VlmError {
    VlmError::Invalid { what: what.to_owned(), problem: problem.to_owned() }
}

/// The first 8 bytes of the SHA-256 of the pixels, so that seeds derived from it are the same on every platform.
fn pixel_key(pixels: &PixelValues) -> u64 {
    let mut hash = Sha256::new();
    for value in &pixels.data {
        hash.update(value.to_le_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}
