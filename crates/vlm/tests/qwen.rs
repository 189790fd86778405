//! Qwen2-VL and Qwen2.5-VL against transformers with Pillow's image processor, which made the tiny checkpoints and cases in `tests/reference` (`tiny_qwen.py`):
//! prompts, ids, pixels, positions, logits, answers; and what is said when a checkpoint is broken.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers beside the tests fail the test by panicking, as the tests do")]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the support is shared by several test programs, each of which uses a part of it"
)]

#[path = "files/folder.rs"]
mod folder;
mod support;

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use folder::{Folder, reference};
use image::RgbImage;
use pollster::FutureExt;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use steady_vlm::families::qwen_vl::config::QwenVlConfig;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::nn::Activation;
use steady_vlm::{
    Answer, Checkpoint, Decoding, DeviceChoice, HostMatrix, Needs, PixelValues, PositionPolicy, Precision, Prepared, Site, Vlm, VlmError,
};
use support::{Puppet, distance};

/// Largest difference of a first-token logit, f32 against transformers' f32.
const LOGITS: f32 = 2e-3;
const ALL: [(&str, &str); 4] =
    [("tiny-qwen2-vl", "resaved"), ("tiny-qwen2-vl", "published"), ("tiny-qwen2_5-vl", "resaved"), ("tiny-qwen2_5-vl", "published")];

/// A checkpoint with its cases.
struct Reference {
    folder: PathBuf,
    name: &'static str,
    cases: Vec<Value>,
    tensors: Vec<u8>,
}

impl Reference {
    fn read((family, name): (&str, &'static str)) -> Self {
        let folder = reference().join(family);
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
        let cases = json["cases"].as_array().unwrap().clone();
        assert_eq!(cases.len(), 16);
        Self { tensors: std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap(), folder, name, cases }
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::open(&self.folder.join(self.name))
            .unwrap()
            .with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() })
    }

    fn images(&self, case: &Value) -> Vec<RgbImage> {
        let names = case["images"].as_array().unwrap();
        names.iter().map(|name| steady_vlm::image::load(&self.folder.join("images").join(name.as_str().unwrap())).unwrap()).collect()
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.tensors).unwrap();
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect()
    }

    fn label(&self, case: &Value) -> String {
        format!("{}/{} {}", self.folder.file_name().unwrap().display(), self.name, text(case, "id"))
    }
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn load(checkpoint: &Checkpoint) -> Result<Vlm, VlmError> {
    let device = DeviceChoice::Cpu.open().unwrap().device;
    Vlm::load(checkpoint, &device, Precision::F32)
}

fn sha256(images: &[&PixelValues]) -> String {
    let bytes: Vec<u8> = images.iter().flat_map(|pixels| &pixels.data).flat_map(|value| value.to_le_bytes()).collect();
    HEXLOWER.encode(&Sha256::digest(&bytes))
}

#[test]
fn prompts_ids_and_pixels_are_those_of_transformers() {
    for which in ALL {
        let reference = Reference::read(which);
        let checkpoint = reference.checkpoint();
        let (processor, template) = (checkpoint.processor().unwrap(), checkpoint.chat_template().unwrap());
        for case in &reference.cases {
            let id = reference.label(case);
            let prompt = text(case, "prompt");
            if let Some(question) = case["question"].as_str() {
                assert_eq!(template.prompt(question).unwrap(), prompt, "{id}");
            }
            if text(case, "id") == "two-images" {
                assert_eq!(template.prompt_about("which is taller?", 2).unwrap(), prompt, "{id}");
            }
            if case["messages"].is_array() {
                assert_eq!(template.render(&case["messages"], true).unwrap(), prompt, "{id}");
            }
            let interleaved = processor.interleave(&reference.images(case), prompt).unwrap();
            assert_eq!(json!(interleaved.input_ids), case["input_ids"], "{id}: ids");
            let placeholder = processor.tokenizer().id("<|image_pad|>").unwrap();
            let visual = |at: usize| interleaved.images.iter().any(|(layout, _)| layout.positions().any(|position| position == at));
            for (at, token) in interleaved.input_ids.iter().enumerate() {
                assert_eq!(*token == placeholder, visual(at), "{id}: image positions, {at}");
            }
            let pixels: Vec<&PixelValues> = interleaved.images.iter().map(|(_, pixels)| pixels).collect();
            let grids: Vec<_> = pixels.iter().map(|pixels| pixels.grid.unwrap()).collect();
            assert_eq!(json!(grids), case["grids"], "{id}: grids");
            if pixels.is_empty() {
                continue;
            }
            let expected = &case["pixels"];
            let rows: usize = pixels.iter().map(|pixels| pixels.shape[0]).sum();
            assert_eq!(json!([rows, pixels[0].shape[1]]), expected["shape"], "{id}: pixel shape");
            let data: Vec<f32> = pixels.iter().flat_map(|pixels| pixels.data.iter().copied()).collect();
            let samples = expected["samples"].as_array().unwrap();
            assert_eq!(samples.len(), 8, "{id}");
            for sample in samples {
                let at = usize::try_from(sample[0].as_u64().unwrap()).unwrap();
                let expected = sample[1].as_f64().unwrap() as f32;
                assert_eq!(data[at].to_bits(), expected.to_bits(), "{id}: pixel {at} is {} and not {expected}", data[at]);
            }
            assert_eq!(sha256(&pixels), text(expected, "sha256"), "{id}: pixels");
        }
    }
}

fn answers(which: (&str, &'static str), precision: Precision) {
    let reference = Reference::read(which);
    let device = DeviceChoice::Cpu.open().unwrap().device;
    let vlm = Vlm::load(&reference.checkpoint(), &device, precision).unwrap();
    for case in &reference.cases {
        let id = reference.label(case);
        let images = reference.images(case);
        let options = Decoding { max_new_tokens: 12, ..Decoding::default() };
        let interleaved = vlm.processor().interleave(&images, text(case, "prompt")).unwrap();
        let answer = vlm.ask_interleaved(&interleaved, &options).block_on().unwrap();
        let off = distance(&answer.first_logits, &reference.tensor(&format!("{}.logits", text(case, "id"))));
        assert!(off <= LOGITS, "{id}: a first-token logit differs by {off}");
        assert_eq!(json!(answer.output_ids), case["output_ids"], "{id}: greedy tokens");
        assert_eq!(answer.text, text(case, "text"), "{id}");

        if let [image] = images.as_slice() {
            // The ways in which a study asks.
            let prepared = vlm.prepare(image, text(case, "prompt")).unwrap();
            same(&vlm.ask(&prepared, None, &options).block_on().unwrap(), &answer, &id);
            let layout = prepared.layout.clone();
            let encoded = vlm.encode(&prepared.pixels).block_on().unwrap();
            let prefix = vlm.prefix(&prepared.input_ids, &layout, &encoded, None).block_on().unwrap();
            same(&vlm.answer(&prefix, &prepared.input_ids[layout.end()..], &options).block_on().unwrap(), &answer, &id);
            let view = layout.cells().views()[0];
            assert_eq!(view.rows * view.columns, encoded.visual_tokens());
        }
    }
}

fn same(one: &Answer, other: &Answer, id: &str) {
    assert!(distance(&one.first_logits, &other.first_logits) < 1e-4, "{id}");
    assert_eq!((&one.output_ids, &one.cost), (&other.output_ids, &other.cost), "{id}");
}

#[test]
fn qwen2_vl_answers_as_in_transformers() {
    answers(ALL[0], Precision::F32);
    answers(ALL[1], Precision::F32);
}

#[test]
fn qwen2_5_vl_answers_as_in_transformers() {
    answers(ALL[2], Precision::F32);
    answers(ALL[3], Precision::F32);
}

/// The published files are bf16, and transformers computed the cases from what they hold in f32: kept as they are they answer alike.
#[test]
fn what_was_published_in_bf16_is_kept_so_and_answers_as_in_transformers() {
    for published in [ALL[1], ALL[3]] {
        assert_eq!(Reference::read(published).checkpoint().published().unwrap(), Precision::Bf16);
        answers(published, Precision::Bf16);
    }
}

/// In `f16` a logit of these models is off by up to 0.02, so a token that leads by more than twice that leads there too.
#[test]
fn halves_answer_as_singles() {
    const MARGIN: f64 = 0.06;
    let device = DeviceChoice::Cpu.open().unwrap().device;
    for which in ALL {
        let reference = Reference::read(which);
        let vlm = Vlm::load(&reference.checkpoint(), &device, Precision::F16).unwrap();
        let mut compared = 0;
        for case in &reference.cases {
            let id = reference.label(case);
            let interleaved = vlm.processor().interleave(&reference.images(case), text(case, "prompt")).unwrap();
            let answer = vlm.ask_interleaved(&interleaved, &Decoding { max_new_tokens: 12, ..Decoding::default() }).block_on().unwrap();
            let off = distance(&answer.first_logits, &reference.tensor(&format!("{}.logits", text(case, "id"))));
            assert!(off > 0.0 && off <= MARGIN as f32 / 2.0, "{id}: a first-token logit differs by {off}");
            if case["least_margin"].as_f64().unwrap() > MARGIN {
                assert_eq!(json!(answer.output_ids), case["output_ids"], "{id}");
                compared += 1;
            }
        }
        assert!(compared >= 4, "{compared}");
    }
}

/// Wherever tokens are dropped before the first layer, the rest keep their rows and columns, whatever the method says.
#[test]
fn reduced_prompts_keep_their_positions_as_in_transformers() {
    for which in ALL {
        let reference = Reference::read(which);
        let vlm = load(&reference.checkpoint()).unwrap();
        let mut compared = 0;
        for case in reference.cases.iter().filter(|case| case["kept"].is_array()) {
            let kept: Vec<usize> = serde_json::from_value(case["kept"].clone()).unwrap();
            let prepared = vlm.prepare(&reference.images(case)[0], text(case, "prompt")).unwrap();
            let expected = reference.tensor(&format!("{}.kept", text(case, "id")));
            for stage in [Site::AfterTower, Site::AfterProjector, Site::BeforeLayer(0)] {
                for positions in [PositionPolicy::Keep, PositionPolicy::Renumber] {
                    let puppet = Puppet::new(stage, &kept, positions);
                    let answer = vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
                    let off = distance(&answer.first_logits, &expected);
                    assert!(off <= LOGITS, "{} {stage:?}: {off}", reference.label(case));
                    assert_eq!(answer.kept(), Some(kept.as_slice()));
                }
            }
            compared += 1;
        }
        assert_eq!(compared, 4);
    }
}

/// Without a class token: what visual tokens receive of the attention over the whole image, and their keys (`reduced/make_qwen.py`).
#[test]
fn a_tower_without_a_class_token_shows_what_its_patches_receive() {
    let expected: Value = serde_json::from_str(include_str!("reduced/qwen.json")).unwrap();
    let floats = |value: &Value| -> Vec<f32> { value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect() };
    for (name, file) in [("tiny-qwen2-vl", "published"), ("tiny-qwen2_5-vl", "published")] {
        let reference = Reference::read((name, file));
        let vlm = load(&reference.checkpoint()).unwrap();
        let case = reference.cases.iter().find(|case| case["id"] == "wide-question").unwrap();
        let prepared = vlm.prepare(&reference.images(case)[0], text(case, "prompt")).unwrap();
        let needs = Needs { features: true, class_token: true, cls_attention: [-2].into(), vision_keys: [-2].into(), ..Needs::default() };
        let puppet = Puppet::new(Site::AfterTower, &[1, 5], PositionPolicy::Renumber).looking_at(needs);
        vlm.ask(&prepared, Some(&puppet), &Decoding::default()).block_on().unwrap();
        let shown = puppet.shown.into_inner().unwrap().remove(0);
        let expected = &expected[name];
        let (attention, keys) = (&shown.cls_attention[0].1, &shown.vision_keys[0].1);
        assert_eq!((attention.rows, attention.cols, keys.rows, keys.cols), (1, 36, 36, 24));
        let off = distance(&attention.data, &floats(&expected["received"]));
        assert!(off < 1e-5, "{name}: {off}");
        let rows: Vec<f32> = expected["keys"].as_array().unwrap().iter().flat_map(floats).collect();
        assert!(distance(&keys.data, &rows) < 1e-4);
        assert_eq!((shown.vision_heads as u64, shown.class_token), (expected["heads"].as_u64().unwrap(), None));
        // The tower ends with its merger.
        assert_eq!(shown.features.unwrap().cols, 48);
    }
}

fn tiny() -> (Vlm, Prepared) {
    let reference = Reference::read(ALL[2]);
    let vlm = load(&reference.checkpoint()).unwrap();
    let image = steady_vlm::image::load(&reference.folder.join("images/tall.png")).unwrap();
    let prepared = vlm.prepare(&image, &vlm.prompt("how many?").unwrap()).unwrap();
    (vlm, prepared)
}

#[test]
fn reducers_inside_the_decoder_share_a_prefix() {
    let (vlm, prepared) = tiny();
    let options = Decoding { max_new_tokens: 6, ..Decoding::default() };
    let looking = Needs { features: true, last_row_attention: true, ..Needs::default() };
    for puppet in [
        Puppet::new(Site::BeforeLayer(1), &[0, 9, 25], PositionPolicy::Keep),
        Puppet::new(Site::BeforeLayer(1), &[0, 9, 25], PositionPolicy::Renumber).looking_at(looking),
    ] {
        let alone = vlm.ask(&prepared, Some(&puppet), &options).block_on().unwrap();
        let encoded = vlm.encode(&prepared.pixels).block_on().unwrap();
        let layout = prepared.layout.clone();
        let prefix = vlm.prefix(&prepared.input_ids, &layout, &encoded, Some(&puppet)).block_on().unwrap();
        let shared = vlm.answer(&prefix, &prepared.input_ids[layout.end()..], &options).block_on().unwrap();
        same(&shared, &alone, "inside");
        assert_eq!(shared.kv_lengths, alone.kv_lengths);
    }
}

#[test]
fn what_a_reducer_cannot_have_here_is_said() {
    let (vlm, prepared) = tiny();
    let mut merging = Puppet::new(Site::AfterProjector, &[1], PositionPolicy::Renumber);
    merging.reduction.merged = Some(HostMatrix::new(1, 48, vec![0.0; 48]));
    let error = vlm.ask(&prepared, Some(&merging), &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("no original position"), "{error}");
    let looking = Puppet::new(Site::AfterProjector, &[1], PositionPolicy::Keep)
        .looking_at(Needs { class_projections: [-2].into(), ..Needs::default() });
    let error = vlm.ask(&prepared, Some(&looking), &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("no class token"), "{error}");
    let beyond =
        Puppet::new(Site::AfterTower, &[1], PositionPolicy::Keep).looking_at(Needs { vision_keys: [-4].into(), ..Needs::default() });
    let error = vlm.ask(&prepared, Some(&beyond), &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("vision layer -4") && error.contains("3 layers"), "{error}");
}

/// 4096 visual tokens of 16384 patches: all scores of a block at once would be 2 GB, those of the prompt's in one layer 200 MB.
#[test]
fn thousands_of_visual_tokens_are_answered() {
    let folder = Folder::copy_of("tiny-qwen2_5-vl/resaved");
    folder.set("processor_config.json", "/image_processor/size/longest_edge", json!(12 * 12 * 4096));
    folder.set("config.json", "/text_config/max_position_embeddings", json!(8192));
    let vlm = load(&folder.open()).unwrap();
    let image = RgbImage::from_fn(768, 768, |x, y| image::Rgb([x as u8, y as u8, (x * y / 99) as u8]));
    let prepared = vlm.prepare(&image, &vlm.prompt("how many?").unwrap()).unwrap();
    let options = Decoding { max_new_tokens: 2, ..Decoding::default() };
    let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();
    assert_eq!((answer.visual_tokens, vlm.info().visual_tokens, vlm.info().grid), (4096, 4096, (64, 64)));
    assert!(answer.first_logits.iter().all(|logit| logit.is_finite()));
}

#[test]
fn every_linear_layer_can_be_replaced() {
    for (which, tower) in [(ALL[0], 1 + 3 * 4 + 2), (ALL[2], 1 + 3 * 5 + 2)] {
        let vlm = load(&Reference::read(which).checkpoint()).unwrap();
        let mut names = Vec::new();
        vlm.map_linears::<()>(&mut |name: &str, _: &steady_vlm::Dense| {
            names.push(name.to_owned());
            Ok(None)
        })
        .unwrap();
        assert_eq!(names.len(), tower + 2 * 7, "{names:?}");
        assert!(names.contains(&"visual.blocks.2.attn.qkv".to_owned()) && names.contains(&"visual.merger.mlp.2".to_owned()));
    }
}

/// File, JSON pointer, value, and what the message must name.
#[test]
fn broken_checkpoints_are_refused_by_name() {
    let mut wrong = Vec::new();
    for (checkpoint, file, pointer, value, names) in [
        ("tiny-qwen2-vl/resaved", "config.json", "/text_config/rope_parameters/rope_type", json!("yarn"), ["rope_type", "yarn", "mrope"]),
        ("tiny-qwen2-vl/published", "config.json", "/rope_scaling/type", json!("su"), ["rope_scaling.type", "su", "mrope"]),
        ("tiny-qwen2-vl/published", "config.json", "/rope_scaling/mrope_section", json!([1, 1, 1]), ["rope_scaling", "3", "8"]),
        ("tiny-qwen2-vl/published", "config.json", "/rope_scaling/mrope_section", json!([8]), ["mrope_section", "a list of 3", "[8]"]),
        (
            "tiny-qwen2-vl/resaved",
            "config.json",
            "/vision_config/rope_parameters/rope_type",
            json!("default"),
            ["rope_type", "default", "axial"],
        ),
        ("tiny-qwen2-vl/resaved", "config.json", "/vision_config/hidden_size", json!(64), ["vision_config.hidden_size", "64", "48"]),
        (
            "tiny-qwen2_5-vl/resaved",
            "config.json",
            "/vision_config/out_hidden_size",
            json!(64),
            ["vision_config.out_hidden_size", "64", "48"],
        ),
        ("tiny-qwen2_5-vl/resaved", "config.json", "/vision_config/window_size", json!(11), ["vision_config.window_size", "11", "12"]),
        ("tiny-qwen2_5-vl/resaved", "config.json", "/vision_config/num_heads", json!(5), ["vision_config.num_heads", "5", "24"]),
        ("tiny-qwen2-vl/resaved", "config.json", "/vision_config/depth", json!(4), ["visual.blocks.3.norm1.weight", "missing", ""]),
        ("tiny-qwen2-vl/resaved", "config.json", "/vision_config/depth", json!(2), ["not part of the model", "visual.blocks.2", ""]),
        ("tiny-qwen2-vl/resaved", "config.json", "/vision_config/mlp_ratio", json!(3), ["mlp.fc1.weight", "[72, 24]", "[48, 24]"]),
        ("tiny-qwen2_5-vl/published", "config.json", "/num_hidden_layers", json!(1), ["not part of the model", "model.layers.1", ""]),
        ("tiny-qwen2-vl/published", "config.json", "/tie_word_embeddings", json!(false), ["lm_head.weight", "missing", ""]),
        ("tiny-qwen2-vl/published", "config.json", "/vision_config", json!(null), ["`vision_config`", "missing", ""]),
        (
            "tiny-qwen2-vl/resaved",
            "config.json",
            "/text_config/model_type",
            json!("qwen3"),
            ["text_config.model_type", "qwen3", "qwen2_vl_text"],
        ),
        ("tiny-qwen2-vl/published", "config.json", "/image_token_id", json!(3), ["image_token_id", "3", "<|image_pad|>"]),
        ("tiny-qwen2-vl/published", "config.json", "/image_token_id", json!(9000), ["image_token_id", "9000", "outside"]),
        ("tiny-qwen2-vl/published", "preprocessor_config.json", "/patch_size", json!(16), ["patch_size", "16", "14"]),
        ("tiny-qwen2-vl/published", "preprocessor_config.json", "/min_pixels", json!(9_999_999), ["max_pixels", "9999999", "37632"]),
        ("tiny-qwen2-vl/published", "preprocessor_config.json", "/frames", json!(3), ["`frames`", "not a known setting", "min_pixels"]),
        (
            "tiny-qwen2-vl/published",
            "preprocessor_config.json",
            "/image_processor_type",
            json!("CLIPImageProcessor"),
            ["preprocessor_config.json", "", ""],
        ),
    ] {
        let folder = Folder::copy_of(checkpoint);
        folder.set(file, pointer, value);
        let error = Checkpoint::open(folder.path()).and_then(|checkpoint| load(&checkpoint)).err();
        let error = error.map_or_else(|| "it was accepted".to_owned(), |error| error.to_string());
        if !names.iter().all(|name| error.contains(name)) {
            wrong.push(format!("{pointer}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The settings of a file that says so are what transformers was compared with.
#[test]
fn a_limit_of_pixels_is_the_one_that_a_file_would_state() {
    let photo = RgbImage::from_fn(400, 300, |x, y| image::Rgb([x as u8, y as u8, (x + y) as u8]));
    for limit in [3136, 20_000, 37_632, 90_000] {
        let folder = Folder::copy_of("tiny-qwen2-vl/published");
        let asked = folder.open().with_images(ImageOptions { max_pixels: Some(limit), ..ImageOptions::default() });
        let processor = folder.open().processor().unwrap();
        let extent = processor.extent(400, 300, Some(limit)).unwrap();
        folder.set("preprocessor_config.json", "/max_pixels", json!(limit));
        let (asked, stated) = (asked.processor().unwrap(), folder.open().processor().unwrap());
        assert_eq!(asked.image_processor().settings(), stated.image_processor().settings());
        let pixels = stated.pixels(&photo).unwrap();
        assert_eq!(asked.pixels(&photo).unwrap(), pixels);
        // The extent is known without them.
        let [_, rows, columns] = pixels.grid.unwrap();
        assert_eq!((extent.tokens, extent.values), (rows * columns / 4, pixels.data.len()));
        assert_eq!(stated.extent(400, 300, None).unwrap(), extent);
        assert!(extent.tokens * 784 <= limit, "{limit}: {extent:?}");
    }
}

#[test]
fn files_that_are_missing_are_named() {
    let folder = Folder::copy_of("tiny-qwen2-vl/published");
    folder.remove("preprocessor_config.json");
    let error = load(&folder.open()).err().unwrap().to_string();
    assert!(error.contains("preprocessor_config.json"), "{error}");

    let folder = Folder::copy_of("tiny-qwen2-vl/published");
    let tokenizer = String::from_utf8(folder.read("tokenizer.json")).unwrap().replace("<|image_pad|>", "<|picture|>");
    folder.write("tokenizer.json", tokenizer);
    let error = load(&folder.open()).err().unwrap().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("no image token `<|image_pad|>`"), "{error}");
}

#[test]
fn placeholders_and_images_must_match() {
    let (vlm, prepared) = tiny();
    let image = RgbImage::new(30, 30);
    let mark = "<|vision_start|><|image_pad|><|vision_end|>";
    for (images, prompt, says) in [
        (1, "no picture".to_owned(), "expected 1 `<|image_pad|>`, for the one image, found 0"),
        (1, format!("{mark}{mark}?"), "expected 1 `<|image_pad|>`, for the one image, found 2"),
        (2, format!("{mark}?"), "expected 2 `<|image_pad|>`, one for each image, found 1"),
        (0, format!("{mark}?"), "expected 0 `<|image_pad|>`, one for each image, found 1"),
    ] {
        let error = vlm.processor().interleave(&vec![image.clone(); images], &prompt).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    // As many tokens as another image would have.
    let pixels = vlm.processor().pixels(&image).unwrap();
    let other = Prepared { pixels, ..prepared.clone() };
    let error = vlm.ask(&other, None, &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("does not fit the image's"), "{error}");
    let mut torn = prepared.pixels.clone();
    torn.grid = Some([1, 3, 4]);
    let error = vlm.encode(&torn).block_on().err().unwrap().to_string();
    assert!(error.contains("3x4 patches"), "{error}");
    torn.grid = None;
    assert!(vlm.encode(&torn).block_on().is_err());
    let error = vlm.processor().pixels(&RgbImage::new(1, 300)).unwrap_err().to_string();
    assert!(error.contains("1x300") && error.contains("200 times"), "{error}");

    let llava = support::tiny();
    let error = llava.processor().interleave(&[image.clone(), image], "<image><image>").unwrap_err().to_string();
    assert!(error.contains("at most one image, found 2"), "{error}");
    let alone = llava.processor().interleave(&[], "how many?").unwrap();
    assert_eq!(llava.ask_interleaved(&alone, &Decoding::default()).block_on().unwrap().visual_tokens, 0);
}

/// The fields that Qwen/Qwen2-VL-2B-Instruct states; the rest are the classes' defaults.
#[test]
fn a_published_flat_config_is_filled_in() {
    let folder = Folder::copy_of("tiny-qwen2-vl/published");
    folder.write(
        "config.json",
        json!({
            "architectures": ["Qwen2VLForConditionalGeneration"], "attention_dropout": 0.0, "bos_token_id": 151_643,
            "eos_token_id": 151_645, "vision_start_token_id": 151_652, "vision_end_token_id": 151_653, "vision_token_id": 151_654,
            "image_token_id": 151_655, "video_token_id": 151_656, "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02,
            "intermediate_size": 8960, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2_vl",
            "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
            "transformers_version": "4.41.2", "use_cache": true, "use_sliding_window": false,
            "vision_config": {
                "depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3, "hidden_size": 1536, "patch_size": 14,
                "spatial_merge_size": 2, "spatial_patch_size": 14, "temporal_patch_size": 2
            },
            "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 151_936
        })
        .to_string(),
    );
    let checkpoint = folder.open();
    assert_eq!(checkpoint.family(), "qwen2-vl");
    let config: &QwenVlConfig = checkpoint.config().unwrap();
    let (vision, text) = (&config.vision, &config.text);
    assert_eq!((vision.depth, vision.hidden_size, vision.intermediate_size, vision.num_heads), (32, 1280, 5120, 16));
    assert_eq!((vision.act, vision.out_hidden_size, vision.patch_values(), &vision.windows), (Activation::QuickGelu, 1536, 1176, &None));
    assert_eq!((text.head_dim, text.num_kv_heads, text.rope.sections), (128, 2, Some([16, 24, 24])));
    assert!((text.rope.theta - 1e6).abs() < f64::EPSILON && (text.rms_norm_eps - 1e-6).abs() < f64::EPSILON);
    assert!(text.attention_bias && !text.output_bias && !text.mlp_bias && config.tie_word_embeddings);

    // As little as a file can say.
    folder.write(
        "config.json",
        json!({"model_type": "qwen2_5_vl", "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "vision_config": {}})
            .to_string(),
    );
    let checkpoint = folder.open();
    assert_eq!(checkpoint.family(), "qwen2.5-vl");
    let config: &QwenVlConfig = checkpoint.config().unwrap();
    let (vision, text) = (&config.vision, &config.text);
    let windows = vision.windows.as_ref().unwrap();
    assert_eq!((windows.size, windows.full_attention_blocks.as_slice()), (112, [7, 15, 23, 31].as_slice()));
    assert_eq!((vision.hidden_size, vision.intermediate_size, vision.out_hidden_size, vision.act), (3584, 3420, 3584, Activation::Silu));
    assert_eq!((text.vocab_size, text.num_layers, text.num_kv_heads, text.max_position_embeddings), (152_064, 80, 4, 32_768));
}
