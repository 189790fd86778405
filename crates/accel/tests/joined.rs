//! Layers that are one product on a GPU stay layers of their own to whoever packs or watches one: answers are the CPU's.
#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_kernels::{Codebook, GroupedCodes, GroupedWeight, Matrix, PackedLinear, Shift};
use steady_vlm::{Answer, Checkpoint, Decoding, Dense, Device, DeviceChoice, Observer, Precision, Vlm};

fn devices() -> [Device; 2] {
    [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| choice.open().unwrap().device)
}

fn load(name: &str, device: &Device, precision: Precision) -> Vlm {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name);
    Vlm::load(&Checkpoint::open(&folder).unwrap(), device, precision).unwrap()
}

fn ask(model: &Vlm) -> Answer {
    let image = image::RgbImage::from_fn(144, 144, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, (x ^ y) as u8]));
    let prepared = model.prepare(&image, &model.prompt("What color is the star?").unwrap()).unwrap();
    model.ask(&prepared, None, &Decoding { max_new_tokens: 4, ignore_eos: true, ..Decoding::default() }).block_on().unwrap()
}

#[track_caller]
fn assert_alike(a: &Answer, b: &Answer, tolerance: f32, what: &str) {
    assert_eq!(a.output_ids, b.output_ids, "{what}");
    for (a, b) in a.first_logits.iter().zip(&b.first_logits) {
        assert!((a - b).abs() < tolerance, "{what}: {a} and {b}");
    }
}

/// Four bits a weight, the largest of a group of eight at the end of its range.
fn packed(dense: &Dense) -> PackedLinear {
    let host = dense.to_host().block_on().unwrap();
    let values: Vec<f32> = host.iter_rows().flatten().copied().collect();
    let scales: Vec<f32> = values.chunks(8).map(|group| group.iter().fold(1e-3f32, |most, value| most.max(value.abs())) / 7.0).collect();
    let codes = values.iter().enumerate().map(|(at, value)| (value / scales[at / 8] + 8.0).round().clamp(0.0, 15.0) as u8).collect();
    let zeros = vec![8.0; scales.len()];
    GroupedWeight::new(&GroupedCodes {
        out: dense.output(),
        input: dense.input(),
        group: 8,
        codes,
        scales,
        shift: Shift::Zeros(zeros),
        book: Codebook::Int4,
    })
    .unwrap()
    .into()
}

/// One layer after the other of those that are joined, and all of them.
#[test]
fn a_layer_is_packed_by_itself() {
    for name in ["steady-llava", "steady-qwen2.5-vl"] {
        let models = devices().map(|device| load(name, &device, Precision::F32));
        let plain = models.each_ref().map(ask);
        assert_alike(&plain[0], &plain[1], 2e-3, name);
        for parts in [
            &["1.self_attn.q_proj"][..],
            &["0.self_attn.k_proj", "1.mlp.up_proj"],
            &["v_proj"],
            &["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"],
        ] {
            let takes = |layer: &str| layer.starts_with("language_model.") && parts.iter().any(|part| layer.ends_with(part));
            let mut names = Vec::new();
            let packed = models.each_ref().map(|model| {
                let mapped = model.map_linears(&mut |layer, dense| {
                    if !takes(layer) {
                        return Ok::<_, std::convert::Infallible>(None);
                    }
                    names.push(layer.to_owned());
                    Ok(Some(packed(dense)))
                });
                mapped.unwrap()
            });
            let (on_cpu, on_gpu) = names.split_at(names.len() / 2);
            assert!(on_cpu == on_gpu && on_cpu.len() >= parts.len(), "{names:?}");
            let answers = packed.each_ref().map(ask);
            assert_alike(&answers[0], &answers[1], 2e-3, &format!("{name}, {parts:?}"));
            assert_ne!(answers[1].first_logits, plain[1].first_logits, "{parts:?}");
            let saved = [0, 1].map(|at| models[at].weight_bytes() - packed[at].weight_bytes());
            assert_eq!(saved[0], saved[1], "{name}, {parts:?}");
        }
        // The model that they were made from is what it was.
        assert_eq!(ask(&models[1]).first_logits, plain[1].first_logits);
    }
}

/// Names of layers in the order in which they are asked, and how many rows they saw.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(String, [usize; 2])>>);

impl Observer for Seen {
    fn inputs(&self, linear: &str, x: &Matrix) {
        self.0.lock().unwrap().push((linear.to_owned(), x.dims()));
    }
}

#[test]
fn every_layer_is_watched() {
    for name in ["steady-llava", "steady-qwen2.5-vl"] {
        let [on_cpu, on_gpu] = devices().map(|device| {
            let seen = Arc::new(Seen::default());
            let observer: Arc<dyn Observer> = Arc::clone(&seen) as _;
            ask(&load(name, &device, Precision::F32).observed(&observer));
            let mut seen = std::mem::take(&mut *seen.0.lock().unwrap());
            seen.sort();
            seen
        });
        assert!(on_gpu.len() > 60 && on_gpu == on_cpu, "{name}: {} and {}", on_cpu.len(), on_gpu.len());
    }
}

#[test]
fn a_quantizer_packs_what_is_joined_anew() {
    // An activation that lies between two codes of eight bits is rounded by what devices differ in, and another code is a hundredth of it or more.
    for (spec, tolerance) in [("w4:rtn", 2e-3), ("int8", 0.1)] {
        let answers = devices().map(|device| {
            let model = load("steady-llava", &device, Precision::F32);
            ask(&Acceleration::parse(spec).unwrap().quantize(&model).block_on().unwrap().unwrap())
        });
        assert_alike(&answers[0], &answers[1], tolerance, spec);
    }
}
