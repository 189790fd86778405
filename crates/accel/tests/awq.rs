//! AWQ against AutoAWQ's own code (`tests/reference/awq_cases.py`), and on a model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use half::f16;
use pollster::FutureExt;
use safetensors::{Dtype, SafeTensors};
use steady_accel::{AccelError, Acceleration, Samples};
use steady_vlm::{Checkpoint, Codes, Decoding, Device, Edits, Precision, Prepared, Vlm};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn model() -> Vlm {
    Vlm::load(&Checkpoint::open(&root().join("models/steady-llava")).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

/// The prompts of the reference.
struct Pictures<'a>(&'a Vlm);

impl Samples for Pictures<'_> {
    fn count(&self) -> usize {
        3
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let picture = ["larger.png", "tiny.png", "square.png"][index];
        let image = steady_vlm::image::load(&root().join("tests/reference/tiny-llava/images").join(picture)).unwrap();
        Ok(self.0.prepare(&image, &self.0.prompt("how many circles?").unwrap()).unwrap())
    }
}

fn packed(model: &Vlm, spec: &str) -> Vlm {
    Acceleration::parse(spec).unwrap().quantize_seeing(model, Some(&Pictures(model))).block_on().unwrap().unwrap()
}

/// A tensor of the reference file as numbers.
fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F16 => data.chunks_exact(2).map(|bytes| f16::from_le_bytes(bytes.try_into().unwrap()).to_f32()).collect(),
        Dtype::F32 => data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
        other => panic!("{other:?}"),
    }
}

/// Behind attention, MLP and single layers the search comes to the same. Losses of neighbouring factors are close and models round differently, so
/// what is taken may be another one that is hardly worse by the authors' own measure.
#[test]
fn the_search_on_a_model_is_that_of_autoawq() {
    let bytes = std::fs::read(root().join("crates/accel/tests/awq.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let packed = packed(&model(), "w4:awq,g=32,n=3");
    for name in ["self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"] {
        let factors = packed.packed(&format!("language_model.layers.0.{name}")).unwrap().factors().unwrap();
        let (tried, losses) = (numbers(&file, &format!("{name}.tried")), numbers(&file, &format!("{name}.losses")));
        assert_eq!(losses.len(), 20);
        let off = |tried: &[f32]| factors.iter().zip(tried).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f32::max);
        let taken = tried.chunks_exact(factors.len()).position(|tried| off(tried) < 2e-3);
        let taken = losses[taken.unwrap_or_else(|| panic!("{name}: factors that AutoAWQ does not try"))];
        let (least, most) = losses.iter().fold((f32::INFINITY, 0.0f32), |(least, most), &loss| (least.min(loss), most.max(loss)));
        assert!(taken <= least * 1.03 && most > least * 1.2, "{name}: {taken} where AutoAWQ has {least} to {most}");
    }
}

/// Factors that stay with their layers are those that files fold into the norms before them, in the tower as in the decoder.
#[test]
fn folded_into_norms_it_answers_alike() {
    let model = model();
    for (spec, part, norms) in
        [("w4:awq,g=32,n=3", "language_model.layers.", 8), ("w4:awq,g=32,n=3,vision", "vision_tower.encoder.layers.", 10)]
    {
        let packed = packed(&model, spec);
        let mut edits = Edits::default();
        for feed in model.norm_feeds().into_iter().filter(|feed| feed.norm.starts_with(part)) {
            for name in feed.linears {
                let linear = packed.packed(&name).unwrap();
                let factors = linear.factors().unwrap();
                edits.linears.insert(name, linear.dividing_by(&vec![1.0; factors.len()]).unwrap());
                edits.norms.insert(feed.norm.clone(), factors);
            }
        }
        assert_eq!(edits.norms.len(), norms, "two norms of each layer of {part}");
        // The other layers keep their factors.
        let folded = packed.edited(edits).unwrap();
        for index in 0..3 {
            let prompt = Pictures(&model).sample(index).unwrap();
            let of = |model: &Vlm| model.ask(&prompt, None, &Decoding::default()).block_on().unwrap();
            let [packed, folded, float] = [of(&packed), of(&folded), of(&model)];
            assert_eq!(packed.text, folded.text);
            let most = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let (moved, by_packing) = (most(&packed.first_logits, &folded.first_logits), most(&packed.first_logits, &float.first_logits));
            assert!(moved < 2e-4 && by_packing > 1e-2, "{part}: {moved} by folding, {by_packing} by packing");
        }
    }
}

/// Layers that are put back are the float ones, whatever their neighbours divide.
#[test]
fn what_is_put_back_is_what_it_was() {
    let model = model();
    let packed = packed(&model, "w4:awq,g=32,n=3,float=layers.0/o_proj");
    let matrix = |model: &Vlm, name: &str| model.matrix(name).block_on().unwrap().unwrap();
    for (name, float) in [("layers.0.mlp.up_proj", true), ("layers.2.self_attn.o_proj", true), ("layers.1.mlp.up_proj", false)] {
        let name = format!("language_model.{name}");
        assert_eq!(packed.packed(&name).is_none(), float, "{name}");
        assert_eq!(matrix(&packed, &name) == matrix(&model, &name), float, "{name}");
    }
}

/// Layers behind norms divide what they are given, by the same where they are given the same, and stand for the float matrices: within half a step,
/// which a column's factor divides as well.
#[test]
fn a_model_is_smoothed() {
    let model = model();
    let smooth = packed(&model, "w8a8:smooth,n=3");
    let linear = |name: &str| smooth.packed(&format!("language_model.layers.1.{name}")).unwrap();
    assert_eq!(linear("self_attn.q_proj").factors(), linear("self_attn.v_proj").factors());
    assert!(linear("self_attn.o_proj").factors().is_none() && linear("mlp.down_proj").factors().is_none());
    for name in ["self_attn.k_proj", "mlp.gate_proj"] {
        let (packed, name) = (linear(name), format!("language_model.layers.1.{name}"));
        let (factors, Codes::Int8(codes)) = (packed.factors().unwrap(), packed.codes()) else { panic!("{name}") };
        assert!(factors.iter().any(|factor| (factor - 1.0).abs() > 0.1), "{name}: {factors:?}");
        let [float, found] = [&model, &smooth].map(|model| model.matrix(&name).block_on().unwrap().unwrap());
        for (row, (float, found)) in float.iter_rows().zip(found.iter_rows()).enumerate() {
            let half = codes.scales[row] * 0.5001;
            let off = float.iter().zip(found).zip(&factors).map(|((a, b), factor)| (a - b).abs() * factor).fold(0.0, f32::max);
            assert!(off <= half, "{name}, row {row}: {off}, where half a step is {half}");
        }
    }
}
