//! Numbers that survive real weights: scores beyond f16, weights kept as bf16, and what is said where numbers end.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the support is shared by several test programs, each of which uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use half::{bf16, f16};
use pollster::FutureExt;
use steady_vlm::files::Dtype;
use steady_vlm::{Answer, Checkpoint, Decoding, Dense, DeviceChoice, HostMatrix, Matrix, Observer, Precision, Vlm, VlmError};
use support::{Stored, changed, distance, prepare, reference};
use tempfile::TempDir;

const QUESTIONS: [(&str, &str); 4] = [
    ("square.png", "what colour is the circle left of the square?"),
    ("larger.png", "how many?"),
    ("tiny.png", "read the word"),
    ("square.png", "is there a cross in the picture? yes or no"),
];

fn load(folder: &Path, precision: Precision) -> Result<Vlm, VlmError> {
    Vlm::load(&Checkpoint::open(folder).unwrap(), &DeviceChoice::Cpu.open().unwrap().device, precision)
}

fn answers(vlm: &Vlm) -> Vec<Answer> {
    let options = Decoding { max_new_tokens: 6, ..Decoding::default() };
    QUESTIONS.iter().map(|(picture, question)| vlm.ask(&prepare(vlm, picture, question), None, &options).block_on().unwrap()).collect()
}

fn values((dtype, _, bytes): &Stored) -> Vec<f32> {
    assert_eq!(*dtype, Dtype::F32);
    bytes.chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect()
}

fn set(stored: &mut Stored, change: impl Fn(f32) -> f32) {
    stored.2 = values(stored).into_iter().map(change).flat_map(f32::to_le_bytes).collect();
}

/// Everything a number that f16 has, so that f16 and f32 begin with the same weights.
fn in_halves(tensors: &mut BTreeMap<String, Stored>) {
    for stored in tensors.values_mut() {
        set(stored, |value| f16::from_f32(value).to_f32());
    }
}

/// The tiny model with queries and keys of its decoder 512 times as large. A power of two changes none of their digits, so what is left
/// to round is the score.
fn loud_decoder() -> TempDir {
    changed(
        |_| (),
        |tensors| {
            in_halves(tensors);
            let projection = |name: &str| name.contains("self_attn.q_proj.") || name.contains("self_attn.k_proj.");
            let of_decoder = tensors.iter_mut().filter(|(name, _)| name.starts_with("language_model") && projection(name));
            let scaled = of_decoder.map(|(_, stored)| set(stored, |value| 512.0 * value)).count();
            assert!(scaled >= 4, "{scaled}");
        },
    )
}

/// The tiny model with a feature in every head of its vision tower that is 512 for every key and about that for every query: it raises
/// all scores of a query by the same, and so changes no probability.
fn loud_tower() -> TempDir {
    const LOUD: f32 = 512.0;
    changed(
        |_| (),
        |tensors| {
            in_halves(tensors);
            let mut raised = 0;
            for (name, stored) in tensors.iter_mut().filter(|(name, _)| name.starts_with("vision_tower")) {
                let (out, mut numbers) = (stored.1[0], values(stored));
                let width = numbers.len() / out;
                let of_key = name.contains("self_attn.k_proj.");
                if !of_key && !name.ends_with("self_attn.q_proj.bias") {
                    continue;
                }
                for row in (0..out).step_by(out / TOWER_HEADS) {
                    // A bias has one number a feature.
                    let feature = &mut numbers[row * width..][..width];
                    feature.fill(if width == 1 { LOUD } else { 0.0 });
                }
                raised += 1;
                stored.2 = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
            }
            assert!(raised >= 6, "weight and bias of keys, bias of queries: {raised}");
        },
    )
}

const DECODER_HEADS: usize = 4;
const TOWER_HEADS: usize = 4;

/// What goes into the query projections, by layer.
#[derive(Debug, Default)]
struct Inputs(Mutex<BTreeMap<String, Vec<Matrix>>>);

impl Observer for Inputs {
    fn inputs(&self, linear: &str, x: &Matrix) {
        self.0.lock().unwrap().entry(linear.to_owned()).or_default().push(x.clone());
    }
}

/// The largest score of a token with itself in the first layer of `part`, by its definition. Rotary positions turn a query and a key
/// in one place alike, and their product stays.
fn largest_score(folder: &Path, part: &str, heads: usize) -> f32 {
    let inputs = Arc::new(Inputs::default());
    let vlm = load(folder, Precision::F32).unwrap();
    answers(&vlm.observed(&(Arc::clone(&inputs) as Arc<dyn Observer>)));
    let name = |projection: &str| format!("{part}0.self_attn.{projection}");
    let mut weights: BTreeMap<String, HostMatrix> = BTreeMap::new();
    vlm.map_linears::<VlmError>(&mut |linear: &str, dense: &Dense| {
        weights.insert(linear.to_owned(), dense.to_host().block_on()?);
        Ok(None)
    })
    .unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    // The file's names of the decoder have a `model.` that the canonical ones lack.
    let bias = |projection: &str| {
        let tail = format!("layers.0.self_attn.{projection}.bias");
        let side = part.split('.').next().unwrap();
        let found = tensors.tensors().into_iter().find(|(name, _)| name.starts_with(side) && name.ends_with(&tail));
        found.map(|(_, tensor)| tensor.data().chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect::<Vec<_>>())
    };
    let project = |x: &[f32], projection: &str| -> Vec<f32> {
        let (weight, bias) = (&weights[&name(projection)], bias(projection));
        let row = |(out, row): (usize, &[f32])| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias.as_ref().map_or(0.0, |b| b[out]);
        weight.iter_rows().enumerate().map(row).collect()
    };
    let seen = inputs.0.lock().unwrap();
    let mut largest = 0.0_f32;
    for x in &seen[&name("q_proj")] {
        let x = HostMatrix::from_device(x).block_on().unwrap();
        for row in x.iter_rows() {
            let (q, k) = (project(row, "q_proj"), project(row, "k_proj"));
            let width = q.len() / heads;
            let groups = q.len() / k.len();
            for head in 0..heads {
                let (q, k) = (&q[head * width..][..width], &k[head / groups * width..][..width]);
                let score: f32 = q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() / (width as f32).sqrt();
                largest = largest.max(score.abs());
            }
        }
    }
    largest
}

/// Published models have scores beyond the largest number of f16.
#[test]
fn scores_beyond_f16_answer_as_in_f32() {
    let decoder = (loud_decoder(), "language_model.layers.", DECODER_HEADS);
    let tower = (loud_tower(), "vision_tower.encoder.layers.", TOWER_HEADS);
    for (folder, part, heads) in [decoder, tower] {
        let largest = largest_score(folder.path(), part, heads);
        assert!(largest > 65_504.0, "{part} {largest}");
        let (wide, narrow) = (load(folder.path(), Precision::F32).unwrap(), load(folder.path(), Precision::F16).unwrap());
        for (wide, narrow) in answers(&wide).iter().zip(&answers(&narrow)) {
            assert_eq!(narrow.not_finite, None, "{part}");
            // What f16 leaves of a logit of this model is off by up to 0.02.
            let off = distance(&wide.first_logits, &narrow.first_logits);
            assert!(off < 0.03, "{part} {off}");
            // Of a random model's later tokens some lead by less than that, and then the rounding decides.
            let certain = if part.starts_with("language_model") { wide.output_ids.len() } else { 1 };
            assert_eq!(wide.output_ids[..certain], narrow.output_ids[..certain], "{part}");
        }
    }
}

/// Weights that are rounded to bf16 in the file give what weights give that are rounded as they are read; kept so they take half.
#[test]
fn what_is_kept_as_bf16_is_the_file_rounded_to_bf16() {
    let rounded = changed(
        |_| (),
        |tensors| {
            for stored in tensors.values_mut() {
                // Half to even, on the bits.
                set(stored, |value| {
                    let bits = value.to_bits();
                    f32::from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000)
                });
            }
        },
    );
    let plain = reference().join("checkpoint");
    let kept = load(&plain, Precision::Bf16).unwrap();
    let (wide, whole) = (load(rounded.path(), Precision::F32).unwrap(), load(&plain, Precision::F32).unwrap());
    assert!(kept.weight_bytes() * 10 < whole.weight_bytes() * 6, "{} {}", kept.weight_bytes(), whole.weight_bytes());
    assert_eq!(kept.info().precision, Precision::Bf16);
    let mut moved = 0.0_f32;
    for ((kept, wide), whole) in answers(&kept).iter().zip(&answers(&wide)).zip(&answers(&whole)) {
        assert!(distance(&kept.first_logits, &wide.first_logits) < 1e-4);
        // Keys and values are f32 either way.
        assert_eq!((&kept.output_ids, kept.cost), (&wide.output_ids, wide.cost));
        moved = moved.max(distance(&kept.first_logits, &whole.first_logits));
    }
    assert!(moved > 1e-3, "rounding weights changes something: {moved}");
    // And a quantizer is given the rounded ones.
    let given = |vlm: &Vlm| {
        let mut given = BTreeMap::new();
        vlm.map_linears::<VlmError>(&mut |name: &str, dense: &Dense| {
            given.insert(name.to_owned(), (dense.to_host().block_on()?, [dense.output(), dense.input()]));
            Ok(None)
        })
        .unwrap();
        given
    };
    assert_eq!(given(&kept), given(&wide));
}

#[test]
fn published_is_what_most_of_a_checkpoint_is_in() {
    let published = |folder: &str| Checkpoint::open(&reference().with_file_name(folder)).unwrap().published().unwrap();
    assert_eq!(published("tiny-llava/checkpoint"), Precision::F32);
    assert_eq!(published("tiny-llava-published/checkpoint"), Precision::F16);
    assert_eq!(published("tiny-qwen2-vl/published"), Precision::Bf16);
    // A tower in f16 in front of a decoder in bf16.
    assert_eq!(published("tiny-llava-med/checkpoint"), Precision::Bf16);
}

const NORM: &str = "language_model.model.norm.weight";

fn with_norm(value: f32) -> TempDir {
    changed(
        |_| (),
        |tensors| {
            let mut values = values(&tensors[NORM]);
            values[3] = value;
            tensors.get_mut(NORM).unwrap().2 = values.into_iter().flat_map(f32::to_le_bytes).collect();
        },
    )
}

/// What f16 or bf16 does not hold is refused by name, however finite it is in the file.
#[test]
fn weights_are_checked_after_they_are_rounded() {
    let refused = |value: f32, precision: Precision| load(with_norm(value).path(), precision).err().unwrap().to_string();
    for (value, precision) in [(1e6, Precision::F16), (-65_520.0, Precision::F16), (f32::MAX, Precision::Bf16)] {
        let message = refused(value, precision);
        let expected = format!("tensor `{NORM}`: element 3 is {value}, which is finite in f32 and not in {precision}");
        assert!(message.ends_with(&expected), "{message}");
        load(with_norm(value).path(), Precision::F32).unwrap();
    }
    load(with_norm(65_504.0).path(), Precision::F16).unwrap();
    load(with_norm(bf16::MAX.to_f32()).path(), Precision::Bf16).unwrap();
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        let message = refused(f32::INFINITY, precision);
        assert!(message.ends_with("element 3 is inf; weights must be finite"), "{message}");
    }
}

/// Weights that f16 holds may still carry activations beyond it: then there is no answer, and it is said where that begins.
#[test]
fn where_numbers_end_there_is_no_answer() {
    let in_f16 = |folder: &TempDir| answers(&load(folder.path(), Precision::F16).unwrap());
    // What the last norm gives has a mean square of 1, so some of it is above 1.008.
    let last = changed(|_| (), |tensors| set(tensors.get_mut(NORM).unwrap(), |_| 65_000.0));
    for answer in in_f16(&last) {
        let reason = answer.not_finite.unwrap();
        assert_eq!((answer.output_ids.as_slice(), answer.text.as_str(), reason.after, reason.layer), (&[][..], "", 0, None));
        assert!(reason.to_string().contains("the norm behind it or the head"), "{reason}");
        assert!(answer.first_logits.iter().any(|logit| !logit.is_finite()));
    }
    let inside = changed(
        |_| (),
        |tensors| {
            let mut loud = |part: &str, change: &dyn Fn(f32) -> f32| {
                set(tensors.get_mut(&format!("language_model.model.layers.0.mlp.{part}.weight")).unwrap(), change);
            };
            loud("gate_proj", &|value| 300.0 * value);
            loud("up_proj", &|value| 300.0 * value);
            loud("down_proj", &|value| 60_000.0 * value.signum());
        },
    );
    for answer in in_f16(&inside) {
        let reason = answer.not_finite.unwrap();
        assert_eq!(reason.layer, Some(1));
        assert!(reason.to_string().ends_with("so it begins in layer 0 or in that one"), "{reason}");
    }
    for folder in [last, inside] {
        for precision in [Precision::F32, Precision::Bf16] {
            assert!(answers(&load(folder.path(), precision).unwrap()).iter().all(|answer| answer.not_finite.is_none()));
        }
    }
}
