//! Accelerations on the embedded checkpoint: what is packed, what it saves, and that it is still the same model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use image::{Rgb, RgbImage};
use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, Description};
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Decoding, Precision, Vlm};

fn model() -> Vlm {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

fn parse(spec: &str) -> Acceleration {
    Acceleration::parse(spec).unwrap()
}

/// A picture with something to see in it, and a question about it: the logits of the answer's first token.
fn logits(model: &Vlm) -> Vec<f32> {
    let red_square = |x: u32, y: u32| (40..100).contains(&x) && (30..90).contains(&y);
    let image = RgbImage::from_fn(144, 144, |x, y| if red_square(x, y) { Rgb([220, 30, 30]) } else { Rgb([235, 235, 235]) });
    let prompt = model.prompt("what color is the square?").unwrap();
    let prepared = model.prepare(&image, &prompt).unwrap();
    model.ask(&prepared, None, &Decoding { max_new_tokens: 1, ..Decoding::default() }).block_on().unwrap().first_logits
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let covariance =
        |x: &[f32], mean_x: f32, y: &[f32], mean_y: f32| -> f32 { x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum() };
    covariance(a, mean_a, b, mean_b) / (covariance(a, mean_a, a, mean_a) * covariance(b, mean_b, b, mean_b)).sqrt()
}

/// Bytes that packing saves, from the shapes: f32 weights against `bytes(out, in)`.
fn saved(description: &Description, bytes: impl Fn(usize, usize) -> usize) -> usize {
    let linears = &description.quantized.as_ref().unwrap().linears;
    linears.iter().map(|linear| 4 * linear.out * linear.input - bytes(linear.out, linear.input)).sum()
}

#[test]
fn w4_packs_the_decoder_and_nothing_else() {
    let model = model();
    let acceleration = parse("w4:rtn,g=16");
    let description = acceleration.describe(&model).unwrap();
    let names: Vec<&str> = description.quantized.as_ref().unwrap().linears.iter().map(|linear| linear.name.as_str()).collect();
    assert_eq!(names.len(), 7 * model.info().decoder_layers);
    for projection in ["self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"] {
        assert!(names.contains(&format!("language_model.layers.0.{projection}").as_str()), "{projection} in {names:?}");
    }
    let packed = acceleration.quantize(&model).block_on().unwrap().unwrap();
    // Half a byte a weight, an f16 scale and an f16 zero point per group.
    let saved = saved(&description, |out, input| out * input / 2 + out * input / 16 * 4);
    assert_eq!(packed.weight_bytes(), model.weight_bytes() - saved);
    assert!(packed.shares_encoder(&model));
    let likeness = correlation(&logits(&model), &logits(&packed));
    assert!((0.9..0.999_999).contains(&likeness), "{likeness}");
}

#[test]
fn int8_packs_everything_but_embedding_and_head() {
    let model = model();
    let acceleration = parse("int8");
    let description = acceleration.describe(&model).unwrap();
    let linears = &description.quantized.as_ref().unwrap().linears;
    // Six per vision layer (q, k, v, out, fc1, fc2), two in the projector, seven per decoder layer.
    assert_eq!(linears.len(), 6 * model.info().vision_layers + 2 + 7 * model.info().decoder_layers);
    assert!(linears.iter().all(|linear| linear.name != "lm_head" && !linear.name.contains("embed")));
    let packed = acceleration.quantize(&model).block_on().unwrap().unwrap();
    let saved = saved(&description, |out, input| out * input.next_multiple_of(4) + 4 * out);
    assert_eq!(packed.weight_bytes(), model.weight_bytes() - saved);
    assert!(!packed.shares_encoder(&model));
    let likeness = correlation(&logits(&model), &logits(&packed));
    assert!((0.98..0.999_999_9).contains(&likeness), "{likeness}");
}

#[test]
fn descriptions_settle_what_the_spec_leaves_open() {
    let model = model();
    let describe = |spec: &str| parse(spec).describe(&model).unwrap();
    let description = describe("fastv+w4:rtn");
    let widths: Vec<usize> = description.quantized.as_ref().unwrap().linears.iter().map(|linear| linear.input).collect();
    let group = [128, 64, 32, 16].into_iter().find(|group| widths.iter().all(|width| width % group == 0)).unwrap();
    assert_eq!(description.spec, format!("w4:rtn,g={group}+fastv:k=2,keep=0.5"));
    assert!(description.to_string().starts_with(&format!("{}: ", description.spec)));
    assert!(
        description.to_string().contains("28 linear layers: the decoder's q, k, v, o, gate, up and down projections (not embeddings, head")
    );

    let none = describe("none");
    assert_eq!((none.spec.as_str(), none.to_string().as_str()), ("none", "none"));
    assert!(none.quantized.is_none() && none.reducer.is_none());
    assert!(parse("none").quantize(&model).block_on().unwrap().is_none());
    assert!(parse("divprune").quantize(&model).block_on().unwrap().is_none());
    assert_eq!(describe("divprune").to_string(), "divprune:keep=0.098");
}

#[test]
fn a_group_that_does_not_divide_names_the_layer() {
    let model = model();
    let error = parse("w4:rtn,g=4096").quantize(&model).block_on().err().unwrap();
    let AccelError::Group { linear, input, group } = &error else { panic!("{error}") };
    assert!(linear.starts_with("language_model.layers.0."), "{linear}");
    assert!(*group == 4096 && *input < 4096);
    assert_eq!(
        error.to_string(),
        format!(
            "{linear}: its input width {input} is not a multiple of the group size 4096; valid: auto, or a multiple of 8 that divides every width"
        )
    );
}

#[test]
fn thread_count_does_not_change_a_bit() {
    let model = model();
    for spec in ["w4:rtn", "int8"] {
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let packed = pool.install(|| parse(spec).quantize(&model).block_on().unwrap().unwrap());
            logits(&packed).into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(1), bits(3), "{spec}");
    }
}

#[test]
fn a_packed_model_cannot_be_packed_again() {
    let once = parse("w4:rtn").quantize(&model()).block_on().unwrap().unwrap();
    let error = parse("w4:rtn").quantize(&once).block_on().err().unwrap();
    assert!(matches!(error, AccelError::NothingToQuantize { .. }), "{error}");
}
