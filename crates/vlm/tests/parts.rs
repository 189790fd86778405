//! What a model is made of, from outside: layers that are packed in their files, layers that are watched, norms that are rescaled.

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

use pollster::FutureExt;
use serde_json::json;
use steady_kernels::{Codebook, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_vlm::files::{Dtype, FormatRow, LayerTensors, Stored, WeightFormat};
use steady_vlm::{Checkpoint, Decoding, Dense, DeviceChoice, Edits, HostMatrix, Known, Matrix, Observer, Precision, Vlm, VlmError};
use support::{prepare, tiny};
use tempfile::TempDir;

const GROUP: usize = 8;

fn decoder_layer(name: &str) -> bool {
    name.starts_with("language_model.layers.")
}

/// Sixteen steps over each group's range, which need not be a good choice, only the same one.
fn codes(weight: &HostMatrix) -> GroupedCodes {
    let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for group in weight.data.chunks_exact(GROUP) {
        let largest = group.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        // A power of two, so that f16 holds it and products with it are exact.
        let scale = (largest / 7.0).log2().ceil().exp2();
        scales.push(scale);
        zeros.push(8.0);
        codes.extend(group.iter().map(|value| ((value / scale).round() + 8.0).clamp(0.0, 15.0) as u8));
    }
    GroupedCodes { out: weight.rows, input: weight.cols, group: GROUP, codes, scales, shift: Shift::Zeros(zeros), book: Codebook::Int4 }
}

fn packed(weight: &HostMatrix) -> PackedLinear {
    GroupedWeight::new(&codes(weight)).unwrap().into()
}

/// Every decoder layer packed, as a quantizer does it to a loaded model.
fn quantized(vlm: &Vlm) -> Vlm {
    vlm.map_linears::<VlmError>(&mut |name: &str, dense: &Dense| {
        Ok(if decoder_layer(name) { Some(packed(&dense.to_host().block_on()?)) } else { None })
    })
    .unwrap()
}

/// A format of this test alone: a byte for each 4-bit code, and scales, beside other layers in floats.
#[derive(Debug)]
struct Bytes;

impl Bytes {
    const ROW: FormatRow = FormatRow { method: "test-bytes", open: |_| Ok(Arc::new(Self)) };
}

impl WeightFormat for Bytes {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !decoder_layer(tensors.name()) {
            return tensors.dense(shape);
        }
        let [out, input] = tensors.matrix("codes", shape)?;
        let codes = tensors.bytes("codes", Dtype::U8, shape)?;
        let scales = tensors.floats("scales", &[out, input / GROUP])?;
        // Eight codes a word, and a word a group.
        tensors.packed(4 * out * (input.div_ceil(8) + input / GROUP), || {
            let zeros = vec![8.0; scales.len()];
            let codes = GroupedCodes { out, input, group: GROUP, codes, scales, shift: Shift::Zeros(zeros), book: Codebook::Int4 };
            tensors.grouped("scales", &codes)
        })
    }
}

/// The tiny model's files with its decoder layers in that format.
fn published_packed(vlm: &Vlm) -> TempDir {
    let mut layers: BTreeMap<String, HostMatrix> = BTreeMap::new();
    vlm.map_linears::<VlmError>(&mut |name: &str, dense: &Dense| {
        if decoder_layer(name) {
            layers.insert(name.to_owned(), dense.to_host().block_on()?);
        }
        Ok(None)
    })
    .unwrap();
    assert_eq!(layers.len(), 2 * 7);
    support::changed(
        |config| config["quantization_config"] = json!({"quant_method": "test-bytes"}),
        |tensors| {
            tensors.retain(|name, _| !(name.contains("language_model") && name.contains("_proj.weight")));
            for (name, weight) in &layers {
                let codes = codes(weight);
                let bytes = codes.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
                tensors.insert(format!("{name}.codes"), (Dtype::U8, vec![weight.rows, weight.cols], codes.codes));
                tensors.insert(format!("{name}.scales"), (Dtype::F32, vec![weight.rows, weight.cols / GROUP], bytes));
            }
        },
    )
}

fn open(folder: &Path) -> Result<Checkpoint, VlmError> {
    Checkpoint::open_as(folder, &Known { formats: &[Bytes::ROW], ..Known::default() })
}

#[test]
fn a_packed_checkpoint_is_loaded_as_it_is() {
    let vlm = tiny();
    let folder = published_packed(&vlm);
    let checkpoint = open(folder.path()).unwrap();
    let device = DeviceChoice::Cpu.open().unwrap().device;
    let loaded = Vlm::load(&checkpoint, &device, Precision::F32).unwrap();
    // What was packed before it was written answers as what is packed after it was loaded, to the bit.
    let quantized = quantized(&vlm);
    assert_eq!(loaded.weight_bytes(), quantized.weight_bytes());
    assert!(loaded.weight_bytes() < vlm.weight_bytes());
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let answer = |vlm: &Vlm| vlm.ask(&prepared, None, &Decoding::default()).block_on().unwrap();
    assert_eq!(answer(&loaded), answer(&quantized));
    assert_ne!(answer(&loaded).first_logits, answer(&vlm).first_logits);
    // Known before it is loaded; and the largest thing on its way is none of the packed layers as floats.
    let footprint = checkpoint.footprint().unwrap();
    assert_eq!(footprint.weight_bytes(Precision::F32), loaded.weight_bytes() as u64);
    let packed = footprint.linears().iter().filter(|linear| linear.packed.is_some());
    assert_eq!(packed.count(), 14);
    // A packed layer is not there to be packed again.
    let mut seen = Vec::new();
    loaded
        .map_linears::<VlmError>(&mut |name: &str, _: &Dense| {
            seen.push(name.to_owned());
            Ok(None)
        })
        .unwrap();
    assert!(!seen.is_empty() && !seen.iter().any(|name| decoder_layer(name)));
}

#[test]
fn a_format_that_is_not_known_is_refused() {
    let folder = published_packed(&tiny());
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("config.json") && error.contains("quantization_config"), "{error}");
    std::fs::write(folder.path().join("model.safetensors"), std::fs::read(support::reference().join("checkpoint/config.json")).unwrap())
        .unwrap();
    assert!(open(folder.path()).unwrap().footprint().is_err());
}

/// Rows, columns and sum of an input.
type Input = (usize, usize, f32);

/// What went into each layer.
#[derive(Debug, Default)]
struct Sums(Mutex<BTreeMap<String, Vec<Input>>>);

impl Observer for Sums {
    fn inputs(&self, linear: &str, x: &Matrix) {
        let [rows, columns] = x.dims();
        let sum: f32 = x.read().block_on().unwrap().iter().sum();
        self.0.lock().unwrap().entry(linear.to_owned()).or_default().push((rows, columns, sum));
    }
}

#[test]
fn an_observer_sees_what_goes_into_every_layer() {
    let vlm = tiny();
    let sums = Arc::new(Sums::default());
    let observer: Arc<dyn Observer> = sums.clone();
    let watched = vlm.observed(&observer);
    let prepared = prepare(&vlm, "larger.png", "how many?");
    let options = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let answer = watched.ask(&prepared, None, &options).block_on().unwrap();
    assert_eq!(answer, vlm.ask(&prepared, None, &options).block_on().unwrap());
    let seen = sums.0.lock().unwrap();
    // The tower's layers up to the last feature, the projector, the decoder.
    assert!(seen.len() > 2 * 7 + 2 && seen.contains_key("multi_modal_projector.linear_2"), "{:?}", seen.keys());
    let n = prepared.input_ids.len();
    let first = |part: &str| seen[&format!("language_model.layers.0.{part}")][0];
    assert_eq!(first("self_attn.q_proj"), first("self_attn.k_proj"));
    assert_eq!((first("self_attn.q_proj").0, first("self_attn.q_proj").1, first("mlp.down_proj").1), (n, 40, 56));
    assert!((first("self_attn.q_proj").2 - first("mlp.up_proj").2).abs() > 1e-3);
    assert_eq!(first("mlp.up_proj"), first("mlp.gate_proj"));
}

/// What AWQ and SmoothQuant rest on: dividing a norm's output and multiplying the columns behind it by the same is no change. With powers
/// of two it is none to the bit.
#[test]
fn a_factor_moves_from_a_norm_into_the_layers_that_it_feeds() {
    const FACTOR: f32 = 4.0;
    let vlm = tiny();
    let feeds = vlm.norm_feeds();
    let decoder: Vec<_> = feeds.iter().filter(|feed| feed.norm.starts_with("language_model.")).collect();
    let parts = |linears: &[String]| linears.iter().map(|name| name.rsplit('.').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
    assert_eq!(decoder.len(), 4, "{feeds:?}");
    assert_eq!(
        (parts(&decoder[0].linears), parts(&decoder[1].linears)),
        ("q_proj k_proj v_proj".to_owned(), "gate_proj up_proj".to_owned())
    );

    let mut plain = Edits::default();
    let mut moved = Edits::default();
    vlm.map_linears::<VlmError>(&mut |name: &str, dense: &Dense| {
        if decoder_layer(name) {
            let mut weight = dense.to_host().block_on()?;
            plain.linears.insert(name.to_owned(), packed(&weight));
            if decoder.iter().any(|feed| feed.linears.iter().any(|linear| linear == name)) {
                weight.data.iter_mut().for_each(|value| *value *= FACTOR);
            }
            moved.linears.insert(name.to_owned(), packed(&weight));
        }
        Ok(None)
    })
    .unwrap();
    let again: BTreeMap<_, _> = decoder.iter().map(|feed| (feed.norm.clone(), vec![FACTOR; 40])).collect();
    let halfway = Edits { norms: again.clone(), ..Edits::default() };
    moved.norms = again;

    let prepared = prepare(&vlm, "larger.png", "how many?");
    let answer = |vlm: &Vlm| vlm.ask(&prepared, None, &Decoding::default()).block_on().unwrap();
    let (plain, moved) = (vlm.edited(plain).unwrap(), vlm.edited(moved).unwrap());
    assert_eq!(answer(&plain), answer(&moved));
    assert_ne!(answer(&vlm).first_logits, answer(&vlm.edited(halfway).unwrap()).first_logits);
    assert!(plain.shares_encoder(&vlm));
}

#[test]
fn edits_name_what_there_is() {
    let vlm = tiny();
    let norm = |name: &str, count: usize| Edits { norms: [(name.to_owned(), vec![1.0; count])].into(), ..Edits::default() };
    let error = vlm.edited(norm("language_model.layers.7.input_layernorm", 40)).err().unwrap().to_string();
    assert!(error.contains("layers.7.input_layernorm") && error.contains("no linear layer or norm"), "{error}");
    let error = vlm.edited(norm("language_model.layers.0.input_layernorm", 39)).err().unwrap().to_string();
    assert!(error.contains("layers.0.input_layernorm") && error.contains("each of its 40 features, found 39"), "{error}");
}
