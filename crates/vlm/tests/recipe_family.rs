//! How to add a family of models.
//!
//! 1. Make reference cases with transformers before the first line of it (`tests/reference/make_cases.py`), so that there is something to
//!    be equal to.
//! 2. Write what is the family's own in a folder of its own, `crates/vlm/src/families/<family>/`: how its `config.json` is read
//!    ([`Architecture`]), what an image becomes in a prompt ([`Expander`]), how it becomes visual tokens ([`VisualEncoder`]), and the
//!    [`Family`] row, which also says how published files call the tensors.
//! 3. Name the folder in `crates/vlm/src/families/mod.rs`, and its row in `FAMILIES` there.
//!
//! Tokenizer, chat template, image processors, decoder, KV cache, reducers and quantizers are shared. They ask the family through these
//! traits alone.
//!
//! This file does so from outside: [`Known`] takes the row, and [`Checkpoint::open_as`] opens what it names. The family has no vision tower:
//! one linear layer makes a visual token of a patch's pixels. The upper and the lower half of an image stand apart in the prompt, with a
//! line break between them, so that its visual tokens are two runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pollster::FutureExt;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use steady_kernels::Element;
use steady_vlm::decoder::{self, LlamaConfig};
use steady_vlm::families::{Architecture, Encoded, Encoding, Expander, Expansion, Family, Largest, Opening, VisualEncoder};
use steady_vlm::files::Source;
use steady_vlm::image::{ClipProcessor, ImageOptions, ImageProcessor, read_settings};
use steady_vlm::nn::{Linear, Loader, Part, Visit, Visitor};
use steady_vlm::text::{Piece, Processor, ProcessorSettings, PromptEncoder, Tokenizer};
use steady_vlm::{
    Answer, Cells, Checkpoint, Decoding, Device, Evidence, Extent, HostMatrix, ImageBytes, Known, Matrix, Needs, Observed, PixelValues,
    PositionPolicy, Precision, Prepared, Reduction, Site, Sizes, Step, TokenReducer, TowerTask, View, Vlm, VlmError,
};
use tempfile::TempDir;

// What would be `crates/vlm/src/families/halves/mod.rs`.

const FAMILY: Family = Family {
    name: "halves",
    model_types: &["halves"],
    architectures: &["HalvesForConditionalGeneration"],
    names: &[("model.picture.", "picture."), decoder::NAMES[0], decoder::NAMES[1], decoder::NAMES[2]],
    open: |opening| Ok(Arc::new(Halves::parse(opening)?)),
};

/// Sizes, as `config.json` says them.
#[derive(Clone, Debug)]
struct Halves {
    /// Side of the image in pixels.
    side: usize,
    /// Side of a patch in pixels.
    patch: usize,
    image_token_id: u32,
    text: LlamaConfig,
}

impl Halves {
    fn parse(opening: &Opening<'_>) -> Result<Self, VlmError> {
        opening.without_tower()?;
        let root = &opening.root;
        let size = |name: &str| root.size(name)?.ok_or_else(|| root.error(name, "is missing"));
        let text = root.object("text_config")?.ok_or_else(|| root.error("text_config", "is missing"))?;
        let (side, patch) = (size("image_size")?, size("patch_size")?);
        if !side.is_multiple_of(2 * patch) {
            return Err(root.error("patch_size", format!("{patch} does not divide half of `image_size` {side}")));
        }
        let id = root.id("image_token_id")?.ok_or_else(|| root.error("image_token_id", "is missing"))?;
        Ok(Self { side, patch, image_token_id: id, text: LlamaConfig::parse(&text)? })
    }

    /// Rows, and columns, of patches.
    fn grid(&self) -> usize {
        self.side / self.patch
    }

    fn images(source: &Source, options: ImageOptions) -> Result<ClipProcessor, VlmError> {
        read_settings(source, |file, fields| ClipProcessor::parse(file, fields, false, options))
    }
}

impl Architecture for Halves {
    fn config(&self) -> &dyn Any {
        self
    }

    fn decoder(&self) -> &LlamaConfig {
        &self.text
    }

    fn tied(&self) -> bool {
        false
    }

    fn vision_layers(&self) -> usize {
        0
    }

    fn image_token(&self) -> &'static str {
        "<image>"
    }

    fn image_processor(&self, source: &Source, options: ImageOptions) -> Result<Arc<dyn ImageProcessor>, VlmError> {
        Ok(Arc::new(Self::images(source, options)?))
    }

    fn processor(&self, source: &Source, options: ImageOptions) -> Result<Processor, VlmError> {
        let mark = ProcessorSettings::read(source, self.image_token())?.image_token;
        let id = ("image_token_id", self.image_token_id);
        let prompts = PromptEncoder::with_token(source, Tokenizer::read(source)?, mark, id, &self.text)?;
        Ok(Processor::new(prompts, Arc::new(InTwo { images: Self::images(source, options)?, config: self.clone() })))
    }

    fn encoder(&self, loader: &mut Loader<'_>) -> Result<Box<dyn VisualEncoder>, VlmError> {
        let shape = [self.text.hidden_size, 3, self.patch, self.patch];
        let linear = loader.linear_of_shape("picture.patches", &shape, true)?;
        Ok(Box::new(Patches { linear, config: self.clone(), device: loader.device().clone(), element: loader.element() }))
    }

    fn image_bytes(&self, image: &Extent, sizes: Sizes) -> ImageBytes {
        let (pixels, width) = (sizes.wide(1, image.values) + sizes.rows(1, image.values), self.text.hidden_size);
        ImageBytes { peak: pixels + sizes.product(image.tokens, width), kept: pixels + sizes.rows(image.tokens, width) }
    }
}

// What would be `prompt.rs` beside it.

/// The upper half of the image, a line break, the lower half.
#[derive(Debug)]
struct InTwo {
    images: ClipProcessor,
    config: Halves,
}

impl Expander for InTwo {
    fn image_processor(&self) -> &dyn ImageProcessor {
        &self.images
    }

    fn expand(&self, pixels: &PixelValues) -> Result<Expansion, VlmError> {
        let (grid, (height, width)) = (self.config.grid(), pixels.original);
        let view = View { rows: grid, columns: grid, frame: self.images.frame(width as u32, height as u32) };
        let half = Piece::Visual(grid * grid / 2);
        Ok(Expansion { pieces: vec![half.clone(), Piece::Text("\n".to_owned()), half], cells: Cells::of(view) })
    }

    fn extent(&self, _: u32, _: u32, _: Option<usize>) -> Result<Extent, VlmError> {
        let (grid, side) = (self.config.grid(), self.config.side);
        Ok(Extent { views: 1, values: 3 * side * side, tokens: grid * grid })
    }

    fn largest(&self) -> Largest {
        let side = self.config.grid();
        Largest { visual_tokens: side * side, side, pixels: self.config.side }
    }
}

// What would be `encoder.rs` beside it.

/// A linear layer from the pixels of a patch to a visual token.
#[derive(Clone, Debug)]
struct Patches {
    linear: Linear,
    config: Halves,
    device: Device,
    element: Element,
}

impl Patches {
    fn seen(&self, pixels: &PixelValues, task: &TowerTask<'_>) -> Result<Encoded, VlmError> {
        let fail = |what: &str, problem: String| Err(VlmError::Invalid { what: what.to_owned(), problem });
        let Halves { side, patch, .. } = self.config;
        if pixels.shape != [1, 3, side, side] {
            return fail("pixel values", format!("expected [1, 3, {side}, {side}], found {:?}", pixels.shape));
        }
        let Needs { cls_attention, vision_keys, .. } = &task.needs;
        if task.merger.is_some() || !cls_attention.is_empty() || !vision_keys.is_empty() {
            return fail("token reducer", "looks into a vision tower, and this family has none".to_owned());
        }
        let grid = self.config.grid();
        let mut rows = Vec::with_capacity(pixels.data.len());
        for top in (0..side).step_by(patch) {
            for left in (0..side).step_by(patch) {
                for line in (0..3).flat_map(|channel| (top..top + patch).map(move |row| (channel * side + row) * side + left)) {
                    rows.extend_from_slice(&pixels.data[line..line + patch]);
                }
            }
        }
        let (tokens, width) = (grid * grid, 3 * patch * patch);
        let features = Matrix::new(rows, [tokens, width], &self.device, self.element);
        let projected = self.project(&features);
        let flops = 2 * (tokens * width * self.config.text.hidden_size) as u64;
        Ok(Encoded { features, projected, observed: vec![Observed::default()], order: None, flops })
    }
}

impl VisualEncoder for Patches {
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a> {
        Box::pin(std::future::ready(self.seen(pixels, task)))
    }

    fn project(&self, features: &Matrix) -> Matrix {
        self.linear.forward(features)
    }

    fn copy(&self) -> Box<dyn VisualEncoder> {
        Box::new(self.clone())
    }
}

impl Visit for Patches {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Linear(&mut self.linear));
    }
}

// What would be its tests.

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava")
}

const WIDTH: usize = 40;
const PATCH: usize = 10;
const INPUTS: usize = 3 * PATCH * PATCH;

/// The weight of the linear layer from input `input` to output `output`.
fn weight(output: usize, input: usize) -> f32 {
    ((7 * output + 3 * input) % 11) as f32 / 110.0 - 0.05
}

/// Its bias.
fn bias(output: usize) -> f32 {
    (output % 5) as f32 / 10.0
}

/// A checkpoint of the family: tokenizer, chat template, image processor and decoder of the reference checkpoint, and a linear layer that
/// is made up. `change` is done to its `config.json`.
fn checkpoint(change: impl Fn(&mut serde_json::Value)) -> TempDir {
    let (from, to) = (reference().join("checkpoint"), tempfile::tempdir().unwrap());
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json", "processor_config.json"] {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    let published: serde_json::Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    let mut config = serde_json::json!({
        "architectures": ["HalvesForConditionalGeneration"],
        "model_type": "halves",
        "image_size": 40,
        "patch_size": PATCH,
        "image_token_id": published["image_token_index"],
        "text_config": published["text_config"],
    });
    change(&mut config);
    fs::write(to.path().join("config.json"), config.to_string()).unwrap();

    let shards: Vec<Vec<u8>> = (1..=4).map(|n| fs::read(from.join(format!("model-0000{n}-of-00004.safetensors"))).unwrap()).collect();
    let shards: Vec<SafeTensors<'_>> = shards.iter().map(|bytes| SafeTensors::deserialize(bytes).unwrap()).collect();
    // As a decoder that was published alone would call them: `model.layers.0..`, `lm_head.weight`.
    let decoder = |(name, view): (String, _)| Some((name.strip_prefix("language_model.")?.to_owned(), view));
    let mut tensors: Vec<(String, TensorView<'_>)> = shards.iter().flat_map(SafeTensors::tensors).filter_map(decoder).collect();
    let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let weights = bytes((0..WIDTH * INPUTS).map(|at| weight(at / INPUTS, at % INPUTS)).collect());
    let biases = bytes((0..WIDTH).map(bias).collect());
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
    tensors.push(("model.picture.patches.weight".to_owned(), view(&[WIDTH, 3, PATCH, PATCH], &weights)));
    tensors.push(("model.picture.patches.bias".to_owned(), view(&[WIDTH], &biases)));
    fs::write(to.path().join("model.safetensors"), serialize(tensors, None).unwrap()).unwrap();
    to
}

fn open(folder: &TempDir) -> Result<Checkpoint, VlmError> {
    Checkpoint::open_as(folder.path(), &Known { families: &[FAMILY], ..Known::default() })
}

fn load(checkpoint: &Checkpoint) -> Vlm {
    Vlm::load(checkpoint, &Device::Cpu, Precision::F32).unwrap()
}

fn model() -> Vlm {
    load(&open(&checkpoint(|_| ())).unwrap())
}

fn prepare(model: &Vlm, question: &str) -> Prepared {
    let image = steady_vlm::image::load(&reference().join("images/square.png")).unwrap();
    model.prepare(&image, &model.prompt(question).unwrap()).unwrap()
}

fn ask(model: &Vlm, prepared: &Prepared, reducer: Option<&dyn TokenReducer>) -> Answer {
    model.ask(prepared, reducer, &six()).block_on().unwrap()
}

fn six() -> Decoding {
    Decoding { max_new_tokens: 6, ..Decoding::default() }
}

#[test]
fn a_checkpoint_of_the_family_is_opened_and_weighed() {
    let folder = checkpoint(|_| ());
    let opened = open(&folder).unwrap();
    assert_eq!(opened.family(), "halves");
    assert_eq!(opened.config::<Halves>().unwrap().grid(), 4);
    // Who does not know the family says what he knows.
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`HalvesForConditionalGeneration` is not known; known: LlavaForConditionalGeneration"), "{error}");

    let footprint = opened.footprint().unwrap();
    let vision = footprint.linears().iter().find(|linear| linear.name == "picture.patches").unwrap();
    assert_eq!((vision.out, vision.input), (40, 300));
    let model = load(&opened);
    assert_eq!(footprint.weight_bytes(Precision::F32), model.weight_bytes() as u64);
    let info = model.info();
    assert_eq!((info.architecture.as_str(), info.visual_tokens, info.grid), ("halves", 16, (4, 4)));
}

#[test]
fn what_a_configuration_lacks_is_named() {
    let refused = |change: fn(&mut serde_json::Value)| open(&checkpoint(change)).unwrap_err().to_string();
    let error = refused(|config| config["patch_size"] = 12.into());
    assert!(error.ends_with("config.json: `patch_size`: 12 does not divide half of `image_size` 40"), "{error}");
    let error = refused(|config| config["image_token_id"] = serde_json::Value::Null);
    assert!(error.ends_with("config.json: `image_token_id`: is missing"), "{error}");
}

#[test]
fn an_image_is_two_runs_with_text_between_them() {
    let prepared = prepare(&model(), "how many?");
    let [upper, lower] = prepared.layout.runs() else { panic!("{:?}", prepared.layout) };
    assert_eq!((upper.len(), lower.len()), (8, 8));
    for run in [upper, lower] {
        assert_eq!(prepared.input_ids[run.clone()], [400; 8]);
    }
    // What transformers makes of a line break behind an image in the reference cases.
    assert_eq!(prepared.input_ids[upper.end..lower.start], [295, 14]);
    let cells = prepared.layout.cells().shown();
    assert_eq!((cells[7].unwrap().row, cells[8].unwrap().row), (1, 2));
}

/// Keeps everything, and remembers what it saw.
struct Everything {
    site: Site,
    seen: Mutex<Option<HostMatrix>>,
}

impl Everything {
    fn at(site: Site) -> Self {
        Self { site, seen: Mutex::default() }
    }
}

impl TokenReducer for Everything {
    fn name(&self) -> String {
        "everything".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(self.site, PositionPolicy::Keep).seeing(Needs { features: true, ..Needs::default() })]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        *self.seen.lock().unwrap() = evidence.features.cloned();
        Ok(Reduction::keep((0..evidence.visual_tokens).collect()))
    }
}

#[test]
fn visual_tokens_are_what_the_formula_says() {
    let model = model();
    let prepared = prepare(&model, "how many?");
    let reducer = Everything::at(Site::AfterProjector);
    ask(&model, &prepared, Some(&reducer));
    let seen = reducer.seen.into_inner().unwrap().unwrap();
    assert_eq!((seen.rows, seen.cols), (16, 40));
    // One output at a time, pixel by pixel, in twice the precision.
    for (token, output) in [(0, 0), (3, 39), (6, 17), (9, 22), (15, 8)] {
        let (top, left) = (token / 4 * PATCH, token % 4 * PATCH);
        let mut expected = f64::from(bias(output));
        for input in 0..INPUTS {
            let (channel, row, column) = (input / 100, input / 10 % 10, input % 10);
            let pixel = prepared.pixels.data[channel * 1600 + (top + row) * 40 + left + column];
            expected += f64::from(weight(output, input)) * f64::from(pixel);
        }
        let found = f64::from(seen.row(token)[output]);
        assert!((found - expected).abs() < 1e-4, "token {token}, output {output}: {found} instead of {expected}");
    }
}

#[test]
fn keeping_everything_changes_nothing() {
    let model = model();
    let prepared = prepare(&model, "how many?");
    let baseline = ask(&model, &prepared, None);
    for site in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0), Site::BeforeLayer(1)] {
        let answer = ask(&model, &prepared, Some(&Everything::at(site)));
        assert_eq!((&answer.first_logits, &answer.output_ids), (&baseline.first_logits, &baseline.output_ids), "{site}");
        assert_eq!(answer.cost, baseline.cost);
        assert_eq!(answer.kept(), Some(&(0..16).collect::<Vec<_>>()[..]));
    }
    let error = model.ask(&prepared, Some(&Everything::at(Site::TowerBlock(0))), &six()).block_on().unwrap_err().to_string();
    assert!(error.contains("this family has none"), "{error}");
}

#[test]
fn questions_share_what_comes_before_them() {
    let model = model();
    let questions = ["how many?", "is there a cross in the picture? yes or no"].map(|question| prepare(&model, question));
    let image = model.encode(&questions[0].pixels).block_on().unwrap();
    let layout = &questions[0].layout;
    let prefix = model.prefix(&questions[0].input_ids, layout, &image, None).block_on().unwrap();
    for prepared in &questions {
        let alone = ask(&model, prepared, None);
        let shared = model.answer(&prefix, &prepared.input_ids[layout.end()..], &six()).block_on().unwrap();
        let off = alone.first_logits.iter().zip(&shared.first_logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Products over other row counts round otherwise; nothing else may differ.
        assert!(off <= 1e-4, "{off}");
        assert_eq!((&shared.output_ids, shared.cost), (&alone.output_ids, alone.cost));
    }
}
