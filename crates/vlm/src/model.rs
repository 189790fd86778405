//! A loaded vision-language model: images and prompts in, answers out.

use std::{ops::Range, sync::Arc};

use ::image::RgbImage;
use burn::tensor::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

use crate::{
    Cost, Decoding, Dense, Precision, Stage, TokenReducer, VlmError,
    checkpoint::{Checkpoint, GenerationConfig, LlavaConfig, ModelConfig},
    cost,
    decoder::Llama,
    device::max_binding_bytes,
    generate::Greedy,
    image::PixelValues,
    llava::{VisualEncoder, VisualTokens},
    nn::{LinearMap, Loader},
    prefill::{Prefilled, Prefix, Rows, Sequence, ask, inside, prefill, select},
    reduction::{Needs, Observations, PositionPolicy, Reduction, reducer_error},
    text::{ChatTemplate, Prepared, Processor},
};

/// A vision-language model on a device. Cheap to clone: copies share weights.
#[derive(Clone)]
pub struct Vlm {
    config: Arc<LlavaConfig>,
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
    /// Architecture family: `llava-1.5`, `llava-next`.
    pub architecture: String,
    /// Element type of weights and activations.
    pub precision: Precision,
    /// Visual tokens per image before any reduction; where images differ, the most that one becomes.
    pub visual_tokens: usize,
    /// Rows and columns of the patch grid of one view of an image.
    pub grid: (usize, usize),
    /// Side of the image that the vision tower takes, in pixels.
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
    /// `[n, feature layers * vision width]`
    features: Tensor<2>,
    /// `[n, decoder width]`
    projected: Tensor<2>,
    observations: Arc<Observations>,
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

impl EncodedImage {
    /// Number of visual tokens.
    pub fn visual_tokens(&self) -> usize {
        self.projected.dims()[0]
    }

    /// Rows and columns of the patch grid; one row of all tokens where they are no grid.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Hash of the pixels: equal images, equal key.
    pub fn key(&self) -> u64 {
        self.key
    }

    pub(crate) fn observations(&self) -> &Observations {
        &self.observations
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
        let ModelConfig::Llava(config) = checkpoint.config();
        let mut loader =
            Loader { weights: checkpoint.weights()?, device, dtype: precision.dtype(), max_binding: max_binding_bytes(device) };
        let encoder = VisualEncoder::load(&mut loader, config)?;
        let decoder = Llama::load(&mut loader, &config.text, config.tie_word_embeddings)?;
        loader.weights.finish()?;
        let side = config.vision.grid();
        let info = ModelInfo {
            name: checkpoint.name().to_owned(),
            architecture: if config.tiles.is_some() { "llava-next" } else { "llava-1.5" }.to_owned(),
            precision,
            visual_tokens: config.visual_tokens(),
            grid: (side, side),
            image_size: config.vision.image_size,
            vision_layers: config.vision.num_layers,
            decoder_layers: config.text.num_layers,
            decoder_width: config.text.hidden_size,
            vocab_size: config.text.vocab_size,
            max_tokens: config.text.max_position_embeddings,
        };
        Ok(Self {
            generation: Arc::new(checkpoint.generation_config().clone()),
            processor: Arc::new(checkpoint.processor()?),
            template: Arc::new(checkpoint.chat_template()?),
            config: Arc::new(config.clone()),
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
    pub fn encode(&self, pixels: &PixelValues) -> Result<EncodedImage, VlmError> {
        self.encode_for(pixels, &Needs::default())
    }

    /// As [`Self::encode`], also recording what reducers need to see of the vision tower ([`Needs::of`]).
    ///
    /// # Errors
    /// As [`Self::encode`], or when a layer asked for does not exist.
    pub fn encode_for(&self, pixels: &PixelValues, needs: &Needs) -> Result<EncodedImage, VlmError> {
        let VisualTokens { features, projected, observations } = self.encoder.encode(pixels, needs)?;
        Ok(EncodedImage {
            encoder: Arc::clone(&self.encoder),
            observations: Arc::new(observations),
            grid: if self.config.tiles.is_some() { (1, projected.dims()[0]) } else { self.info.grid },
            flops: cost::vision_flops(&self.config, pixels.shape[0]),
            features,
            projected,
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
    pub fn prefix<'r>(
        &self,
        ids: &[u32],
        image_span: Range<usize>,
        image: &EncodedImage,
        reducer: Option<&'r dyn TokenReducer>,
    ) -> Result<Prefix<'r>, VlmError> {
        self.check(ids, &image_span, image)?;
        let ids = &ids[..image_span.end];
        let inside = inside(reducer, self.decoder.depth())?;
        let (rows, kept) = self.rows(ids, &image_span, image, reducer)?;
        let prefilled = prefill(&self.decoder, rows, inside, image, true)?;
        Ok(Prefix {
            ids: ids.to_vec(),
            visual: image_span,
            vision_flops: image.flops,
            kept: kept.or(prefilled.kept),
            sequence: prefilled.sequence,
            waiting: prefilled.waiting,
            decoder: Arc::clone(&self.decoder),
        })
    }

    /// Answers the question `suffix_ids`, which follows `prefix`. The prefix stays as it is.
    ///
    /// # Errors
    /// When the suffix is empty, or a reducer inside the decoder fails or breaks its contract.
    pub fn answer(&self, prefix: &Prefix<'_>, suffix_ids: &[u32], options: &Decoding) -> Result<Answer, VlmError> {
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
            Some(waiting) => waiting.resume(&self.decoder, sequence, hidden)?,
            None => Prefilled { hidden: Some(sequence.extend(&self.decoder, hidden)), sequence, kept: prefix.kept.clone(), waiting: None },
        };
        self.decode(&ids, (prefix.visual.len(), prefix.vision_flops), prefilled, options)
    }

    /// Answers one prompt about one image in a single pass, sharing nothing with other questions.
    ///
    /// # Errors
    /// As [`Self::encode_for`], [`Self::prefix`] and [`Self::answer`].
    pub fn ask(&self, prepared: &Prepared, reducer: Option<&dyn TokenReducer>, options: &Decoding) -> Result<Answer, VlmError> {
        let needs = reducer.map(TokenReducer::needs).unwrap_or_default();
        let image = self.encode_for(&prepared.pixels, &needs)?;
        let (ids, span) = (&prepared.input_ids, &prepared.image_span);
        self.check(ids, span, &image)?;
        let inside = inside(reducer, self.decoder.depth())?;
        let (rows, kept) = self.rows(ids, span, &image, reducer)?;
        let mut prefilled = prefill(&self.decoder, rows, inside, &image, false)?;
        prefilled.kept = kept.or(prefilled.kept);
        self.decode(ids, (span.len(), image.flops), prefilled, options)
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

    /// The decoder's input: token embeddings with the visual tokens in place, reduced if `reducer` acts before the decoder.
    fn rows(
        &self,
        ids: &[u32],
        span: &Range<usize>,
        image: &EncodedImage,
        reducer: Option<&dyn TokenReducer>,
    ) -> Result<(Rows, Option<Vec<usize>>), VlmError> {
        let (visual, reduction) = self.visual_rows(image, reducer)?;
        let mut parts = Vec::new();
        if span.start > 0 {
            parts.push(self.decoder.embed(&ids[..span.start])?);
        }
        let visual_rows = visual.dims()[0];
        if visual_rows > 0 {
            parts.push(visual);
        }
        if span.end < ids.len() {
            parts.push(self.decoder.embed(&ids[span.end..])?);
        }
        if parts.is_empty() {
            return Err(VlmError::Prompt("nothing is left of it: it holds an image only, and every visual token was dropped".to_owned()));
        }
        let hidden = Tensor::cat(parts, 0);
        let count = hidden.dims()[0];
        let (positions, next_position) = match &reduction {
            Some(reduction) if reduction.positions == PositionPolicy::Keep => {
                let kept = reduction.kept.iter().map(|index| span.start + index);
                let positions = (0..span.start).chain(kept).chain(span.end..ids.len());
                (positions.collect(), ids.len())
            }
            _ => ((0..count).collect(), count),
        };
        let rows = Rows { hidden, positions, next_position, visual: span.start..span.start + visual_rows };
        Ok((rows, reduction.map(|reduction| reduction.kept)))
    }

    /// Projected visual tokens after a reduction before the decoder, if `reducer` is one.
    fn visual_rows(&self, image: &EncodedImage, reducer: Option<&dyn TokenReducer>) -> Result<(Tensor<2>, Option<Reduction>), VlmError> {
        let full = || image.projected.clone();
        let Some(reducer) = reducer else {
            return Ok((full(), None));
        };
        if reducer.stage() == Stage::AfterVision && self.config.tiles.is_some() {
            let problem = "acts on the vision tower's features, but LLaVA-NeXT's visual tokens come from several views with newlines \
                           between their rows; expected a method that acts after the projector";
            return Err(reducer_error(&reducer.name(), problem.to_owned()));
        }
        let acted_on = match reducer.stage() {
            Stage::AfterVision => &image.features,
            Stage::AfterProjector => &image.projected,
            Stage::BeforeLayer(_) => return Ok((full(), None)),
        };
        let reduction = ask(reducer, image, || acted_on.clone(), None)?;
        let device = image.projected.device();
        // The projector works row by row, so projecting what was kept is keeping what was projected.
        let mut rows = select(&image.projected, &reduction.kept, &device);
        if let Some(merged) = &reduction.merged {
            let merged = Tensor::from_data(merged.to_data(), (&device, self.dtype));
            let merged = match reducer.stage() {
                Stage::AfterVision => self.encoder.project(merged),
                _ => merged,
            };
            rows = if reduction.kept.is_empty() { merged } else { Tensor::cat(vec![rows, merged], 0) };
        }
        Ok((rows, Some(reduction)))
    }

    /// First logits, greedy answer, cost.
    fn decode(
        &self,
        ids: &[u32],
        (visual_tokens, vision_flops): (usize, u64),
        prefilled: Prefilled<'_>,
        options: &Decoding,
    ) -> Result<Answer, VlmError> {
        let Prefilled { mut sequence, hidden, kept, .. } = prefilled;
        let hidden = hidden.ok_or_else(|| invalid("prompt", "has no question yet"))?;
        let first_logits = self.decoder.logits(hidden);
        let kv_lengths = sequence.kv_lengths();
        let cost = self.cost(ids.len(), visual_tokens, vision_flops, &kv_lengths);
        let greedy = Greedy {
            max_new_tokens: options.max_new_tokens,
            repetition_penalty: options.repetition_penalty.unwrap_or(self.generation.repetition_penalty),
            eos: if options.ignore_eos { &[] } else { &self.generation.eos_token_ids },
        };
        let step = |token| self.step(&mut sequence, token);
        let output_ids = greedy.decode(ids, &first_logits, step)?;
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
    fn step(&self, sequence: &mut Sequence, token: u32) -> Result<Vec<f32>, VlmError> {
        let hidden = self.decoder.embed(&[token])?;
        Ok(self.decoder.logits(sequence.extend(&self.decoder, hidden)))
    }

    fn cost(&self, prompt_tokens: usize, visual_tokens: usize, vision_flops: u64, kv_lengths: &[usize]) -> Cost {
        let text = &self.config.text;
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
