//! Accelerations on the embedded checkpoint: what is packed, what it saves, and that it is still the same model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use image::{Rgb, RgbImage};
use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, Description, Grain};
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Decoding, Dense, Precision, Vlm};

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

/// Every layer but those in float is packed, each as without them: put together by hand from the model and the one that is packed whole.
#[test]
fn layers_in_float_are_those_of_the_model() {
    let model = model();
    let described = |spec: &str| parse(spec).describe(&model).unwrap().quantized.unwrap();
    let dense: std::cell::RefCell<Vec<String>> = std::cell::RefCell::default();
    for (spec, whole, mine) in [
        ("w4:rtn,float=down_proj", "w4:rtn", "down_proj"),
        ("w4:rtn,float=language_model.layers.1", "w4:rtn", "language_model.layers.1."),
        ("int8,float=fc2", "int8", "fc2"),
    ] {
        let packed = parse(spec).quantize(&model).block_on().unwrap().unwrap();
        dense.take();
        let note = &mut |name: &str, _: &Dense| {
            dense.borrow_mut().push(name.to_owned());
            Ok::<_, AccelError>(None)
        };
        packed.map_linears(note).unwrap();
        let names: Vec<String> = described(whole).linears.into_iter().map(|linear| linear.name).collect();
        let (float, left): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| format!("{name}.").contains(mine));
        assert!(!float.is_empty() && float.iter().all(|name| dense.borrow().contains(name)), "{spec}: {float:?}");
        assert!(left.iter().all(|name| !dense.borrow().contains(name)), "{spec}: {left:?}");
        let quantized = described(spec);
        assert_eq!(quantized.linears.into_iter().map(|linear| linear.name).collect::<Vec<_>>(), left, "{spec}");
        assert_eq!(quantized.codes, described(whole).codes, "{spec}");
        assert_ne!(quantized.method, quantized.codes, "{spec}");

        let all = parse(whole).quantize(&model).block_on().unwrap().unwrap();
        assert_ne!(logits(&packed), logits(&all), "{spec}");
        let back = packed.with_linears_of(&all, &|name| float.iter().any(|float| float == name));
        assert_eq!(logits(&back), logits(&all), "{spec}");
        assert_eq!(back.weight_bytes(), all.weight_bytes(), "{spec}");
    }
}

#[test]
fn what_cannot_stay_in_float_is_refused() {
    let model = model();
    let refused = |spec: &str| parse(spec).quantize(&model).block_on().err().unwrap().to_string();
    assert_eq!(
        refused("w4:rtn,g=16,float=down"),
        "w4:rtn,g=16: float=down: none of the layers that it packs is called so; one of them is language_model.layers.0.self_attn.q_proj"
    );
    assert_eq!(
        refused("w4:rtn,g=16,float=mlp/self_attn"),
        "w4:rtn,g=16: float=mlp/self_attn: these are all layers that it packs, and nothing would be left to it"
    );
}

/// Layers in 8 bits are those of `w8:rtn,sym`, what is in float stays there, and all else is as without: put together by hand from three models.
#[test]
fn layers_in_eight_bits_are_rounded_to_those() {
    let model = model();
    let quantized = |spec: &str| parse(spec).quantize(&model).block_on().unwrap().unwrap();
    let (four, eight) = (quantized("w4:hqq"), quantized("w8:rtn,sym"));
    let mixed = quantized("w4:hqq,w8=down_proj/layers.1,float=layers.1.mlp");
    let by_hand = four
        .with_linears_of(&eight, &|name| name.ends_with("down_proj") || name.contains("layers.1."))
        .with_linears_of(&model, &|name| name.contains("language_model.layers.1.mlp"));
    assert_eq!(logits(&mixed), logits(&by_hand));
    assert_eq!(mixed.weight_bytes(), by_hand.weight_bytes());
    assert!(logits(&mixed) != logits(&four) && mixed.weight_bytes() > four.weight_bytes());
    let description = parse("w4:hqq,w8=down_proj").describe(&model).unwrap().quantized.unwrap();
    assert_eq!((description.method.as_str(), description.linears.len()), ("w4:hqq,g=64,w8=down_proj", 28));
    let refused = |spec: &str| parse(spec).quantize(&model).block_on().err().unwrap().to_string();
    let said = refused("w4:rtn,w8=fc1");
    assert!(said.contains("w8=fc1: none of the layers that it packs is called so"), "{said}");
    let said = refused("w4:rtn,w8=mlp,float=self_attn");
    assert!(said.contains("w8=mlp,float=self_attn: these are all layers"), "{said}");
    assert!(Acceleration::parse("w8:rtn,w8=mlp").is_err() && Acceleration::parse("int8:w8=mlp").is_err());
}

#[test]
fn each_grain_is_put_back_once() {
    let checkpoint = Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava")).unwrap();
    let footprint = checkpoint.footprint().unwrap();
    let specs = |spec: &str, grain| -> Vec<String> {
        parse(spec).with_each_in_float(&footprint, grain).unwrap().iter().map(ToString::to_string).collect()
    };
    let kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let of_kind = |kind: &str| format!("w4:rtn,g=auto,float={kind}+divprune:keep=0.098");
    let mut expected: Vec<String> = kinds.iter().map(|kind| of_kind(kind)).collect();
    expected.insert(0, "w4:rtn,g=auto+divprune:keep=0.098".to_owned());
    assert_eq!(specs("w4:rtn+divprune", Grain::Kind), expected);
    assert_eq!(specs("w4:rtn", Grain::Block).len(), 1 + 4);
    assert_eq!(specs("w4:rtn", Grain::Layer).len(), 1 + 28);
    // what is in float already stays there
    assert_eq!(
        specs("w4:rtn,float=mlp", Grain::Kind)[1..],
        kinds[..4].iter().map(|kind| format!("w4:rtn,g=auto,float=mlp/{kind}")).collect::<Vec<_>>()
    );
    let eight = parse("w4:rtn,float=mlp").with_each_in_eight_bits(&footprint, Grain::Kind).unwrap();
    let expected: Vec<String> = kinds[..4].iter().map(|kind| format!("w4:rtn,g=auto,w8={kind},float=mlp")).collect();
    assert_eq!(eight.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert!(parse("int8").with_each_in_eight_bits(&footprint, Grain::Kind).unwrap().is_empty());
    assert_eq!(parse("w4:rtn").mixed(&["mlp"], &["q_proj", "k_proj"]).unwrap(), parse("w4:rtn,w8=q_proj/k_proj,float=mlp"));
    let error = parse("divprune").with_each_in_float(&footprint, Grain::Block).unwrap_err().to_string();
    assert!(error.contains("divprune:keep=0.098: packs no layers"), "{error}");
}
