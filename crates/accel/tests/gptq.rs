//! GPTQ against AutoGPTQ's own code (`tests/reference/gptq_cases.py`), and on a model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use half::f16;
use pollster::FutureExt;
use safetensors::{Dtype, SafeTensors};
use steady_accel::{AccelError, Acceleration, FittedGptq, Gptq, Group, Inputs, Samples};
use steady_kernels::Shift;
use steady_vlm::{Checkpoint, Codes, Decoding, Device, HostMatrix, Matrix, Observer, Precision, Prepared, Vlm};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava")
}

/// A tensor of the reference file as numbers, with its width.
fn numbers(file: &SafeTensors<'_>, name: &str) -> (Vec<f32>, usize) {
    let tensor = file.tensor(name).unwrap();
    let data = tensor.data();
    let values = match tensor.dtype() {
        Dtype::F16 => data.chunks_exact(2).map(|bytes| f16::from_le_bytes(bytes.try_into().unwrap()).to_f32()).collect(),
        Dtype::F32 => data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
        Dtype::U8 => data.iter().map(|&byte| f32::from(byte)).collect(),
        other => panic!("{other:?}"),
    };
    (values, tensor.shape()[1])
}

#[test]
fn codes_are_those_of_autogptq() {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gptq.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ((data, cols), (inputs, _)) = (numbers(&file, "weight"), numbers(&file, "inputs"));
    let weight = HostMatrix { rows: data.len() / cols, cols, data };
    let mut seen = Inputs::new(cols);
    // Prompt by prompt, as they come.
    inputs.chunks(40 * cols).for_each(|prompt| seen.add(prompt));
    for (case, bits, group, asymmetric, ordered) in [
        ("symmetric", 4, 32, false, false),
        ("asymmetric", 4, 16, true, false),
        ("channel", 4, 160, false, false),
        ("ordered", 4, 16, false, true),
        ("three", 3, 32, false, false),
        ("three-asymmetric", 3, 16, true, true),
    ] {
        let asked = Gptq { bits, group: Group::Size(group), asymmetric, ordered, damp: 0.01, samples: 6 };
        let found = FittedGptq { group, asked }.codes(&weight, &seen).unwrap();
        assert_eq!(found.scales, numbers(&file, &format!("{case}.scales")).0, "{case}");
        assert_eq!(found.shift, Shift::Zeros(numbers(&file, &format!("{case}.zeros")).0), "{case}");
        let codes: Vec<f32> = found.codes.iter().map(|&code| f32::from(code)).collect();
        assert_eq!(codes, numbers(&file, &format!("{case}.codes")).0, "{case}");
    }
}

fn tiny() -> Vlm {
    Vlm::load(&Checkpoint::open(&reference().join("checkpoint")).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

/// Questions about the reference pictures.
struct Pictures<'a>(&'a Vlm, usize);

impl Samples for Pictures<'_> {
    fn count(&self) -> usize {
        self.1
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let picture = ["larger.png", "tiny.png"][index % 2];
        let image = steady_vlm::image::load(&reference().join("images").join(picture)).unwrap();
        let question = ["how many circles?", "read the word", "what is left of the star?"][index % 3];
        Ok(self.0.prepare(&image, &self.0.prompt(question).unwrap()).unwrap())
    }
}

#[test]
fn a_model_is_calibrated_layer_by_layer() {
    let vlm = tiny();
    for bits in [4, 3] {
        calibrated(&vlm, bits);
    }
}

fn calibrated(vlm: &Vlm, bits: u32) {
    let gptq = Acceleration::parse(&format!("w{bits}:gptq,g=8,n=6")).unwrap();
    let packed = gptq.quantize_seeing(vlm, Some(&Pictures(vlm, 6))).block_on().unwrap().unwrap();
    let rtn = Acceleration::parse(&format!("w{bits}:rtn,g=8,sym")).unwrap().quantize(vlm).block_on().unwrap().unwrap();
    assert_eq!(packed.weight_bytes(), rtn.weight_bytes());
    // The logits of the prompts that it was calibrated with move less than under rounding to nearest.
    let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let logits = |vlm: &Vlm, index| {
        let prepared = Pictures(vlm, 6).sample(index).unwrap();
        vlm.ask(&prepared, None, &options).block_on().unwrap().first_logits
    };
    let moved = |other: &Vlm| -> f32 {
        let of = |index| logits(vlm, index).iter().zip(logits(other, index)).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        (0..6).map(of).sum()
    };
    let (by_gptq, by_rtn) = (moved(&packed), moved(&rtn));
    assert!(by_gptq < by_rtn, "{bits} bits: {by_gptq} by GPTQ, {by_rtn} by rounding");
    // Twice the same is the same.
    let again = gptq.quantize_seeing(vlm, Some(&Pictures(vlm, 7))).block_on().unwrap().unwrap();
    assert_eq!(logits(&packed, 0), logits(&again, 0));
}

/// Keeps what goes into one layer.
#[derive(Debug)]
struct Eye(&'static str, Mutex<Vec<Matrix>>);

impl Observer for Eye {
    fn inputs(&self, linear: &str, x: &Matrix) {
        if linear == self.0 {
            self.1.lock().unwrap().push(x.clone());
        }
    }
}

/// Nothing packed stands before the first layer of the tower: its codes are those for what the pictures show there.
#[test]
fn a_tower_is_calibrated_with_what_it_sees() {
    let name = "vision_tower.encoder.layers.0.self_attn.v_proj";
    let vlm = tiny();
    let gptq = Acceleration::parse("w4:gptq,g=8,n=6,vision,projector").unwrap();
    let packed = gptq.quantize_seeing(&vlm, Some(&Pictures(&vlm, 6))).block_on().unwrap().unwrap();
    let eye = Arc::new(Eye(name, Mutex::default()));
    let observer: Arc<dyn Observer> = eye.clone();
    let watched = vlm.observed(&observer);
    let weight = vlm.matrix(name).block_on().unwrap().unwrap();
    let mut seen = Inputs::new(weight.cols);
    for index in 0..6 {
        watched.encode(&Pictures(&vlm, 6).sample(index).unwrap().pixels).block_on().unwrap();
    }
    for x in eye.1.lock().unwrap().iter() {
        seen.add(&x.read().block_on().unwrap());
    }
    let asked = Gptq { bits: 4, group: Group::Size(8), asymmetric: false, ordered: false, damp: 0.01, samples: 6 };
    let expected = FittedGptq { group: 8, asked }.codes(&weight, &seen).unwrap();
    let rounded = Acceleration::parse("w4:rtn,g=8,sym,vision").unwrap().quantize(&vlm).block_on().unwrap().unwrap();
    let [found, rounded] = [&packed, &rounded].map(|model| {
        let Codes::Grouped(codes) = model.packed(name).unwrap().codes() else { panic!("{name}") };
        codes.codes
    });
    assert_eq!(found, expected.codes);
    assert_ne!(found, rounded);
}

/// Nothing passes the last layer of LLaVA's tower, so nothing says how errors make up for each other: each weight is at the nearest of its codes.
#[test]
fn what_no_prompt_passes_is_rounded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    let vlm = Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let gptq = Acceleration::parse("w4:gptq,g=32,n=2,vision,float=language_model").unwrap();
    let packed = gptq.quantize_seeing(&vlm, Some(&Pictures(&vlm, 2))).block_on().unwrap().unwrap();
    let beside_nearest = |name: &str| {
        let float = vlm.matrix(name).block_on().unwrap().unwrap();
        let Codes::Grouped(codes) = packed.packed(name).unwrap().codes() else { panic!("{name}") };
        let off = |(at, (&code, &value)): (usize, (&u8, &f32))| {
            let nearest = (value / codes.scales[at / 32]).round_ties_even().clamp(-8.0, 7.0);
            i32::from(code) - 8 != nearest as i32
        };
        codes.codes.iter().zip(&float.data).enumerate().filter(|&code| off(code)).count()
    };
    assert_eq!(beside_nearest("vision_tower.encoder.layers.4.mlp.fc1"), 0);
    assert!(beside_nearest("vision_tower.encoder.layers.3.mlp.fc1") > 1000);
}

#[test]
fn what_it_cannot_be_calibrated_with_is_said() {
    let vlm = tiny();
    let gptq = Acceleration::parse("w4:gptq,g=8,n=6").unwrap();
    assert_eq!(gptq.calibrates_with(&vlm).unwrap(), 6);
    let error = gptq.quantize(&vlm).block_on().err().unwrap().to_string();
    assert!(error.contains("w4:gptq,g=8") && error.contains("6 prompts"), "{error}");
    let error = gptq.quantize_seeing(&vlm, Some(&Pictures(&vlm, 5))).block_on().err().unwrap();
    assert!(matches!(&error, AccelError::TooFew { samples: 6, found: 5, .. }), "{error}");
    // A single row of inputs leaves nearly everything open, and no damping nothing to go by.
    let lone = HostMatrix { rows: 1, cols: 8, data: vec![1.0; 8] };
    let mut seen = Inputs::new(8);
    seen.add(&[1.0; 8]);
    let fitted =
        |damp| FittedGptq { group: 8, asked: Gptq { bits: 4, group: Group::Size(8), asymmetric: false, ordered: false, damp, samples: 1 } };
    assert!(fitted(0.0).codes(&lone, &seen).is_none());
    assert!(fitted(0.01).codes(&lone, &seen).is_some());
}
