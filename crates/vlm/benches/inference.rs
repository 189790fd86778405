//! Throughput of the embedded model: images through the vision tower, prompt tokens prefilled, answer tokens decoded; on the
//! CPU and, with the `gpu` feature and an adapter, through wgpu; with dense and with packed weights.
//!
//! `cargo bench` (`--no-default-features` for the CPU alone, `-- decode` for one of them). Items per second are images or tokens.

#![allow(missing_docs, reason = "a program that measures has no public items but those that its macro makes")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]

use std::{path::Path, sync::OnceLock, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use image::{Rgb, RgbImage};
use pollster::FutureExt;
use steady_kernels::{Codebook, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_vlm::{Checkpoint, Decoding, Dense, Device, DeviceChoice, Precision, Prepared, Vlm};

fn main() {
    // A software driver would need an hour for divan's hundred samples.
    divan::Divan::default().max_time(Duration::from_secs(10)).config_with_args().main();
}

/// What is measured: `device/weights`.
const SETUPS: &[&str] =
    if cfg!(feature = "gpu") { &["flex/dense", "flex/w4", "wgpu/dense", "wgpu/w4"] } else { &["flex/dense", "flex/w4"] };

/// Models by setup, loaded when first measured. `None`: no such device.
static MODELS: [OnceLock<Option<(Vlm, Device)>>; SETUPS.len()] = [const { OnceLock::new() }; SETUPS.len()];

fn load(setup: &str) -> Option<(Vlm, Device)> {
    let (device, weights) = setup.split_once('/')?;
    let choice = if device == "wgpu" { DeviceChoice::Gpu } else { DeviceChoice::Cpu };
    let device = choice.open().ok()?.device;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    let checkpoint = Checkpoint::open(&folder).expect("the embedded checkpoint");
    let vlm = Vlm::load(&checkpoint, &device, Precision::F32).expect("a model that loads");
    let vlm = if weights == "dense" {
        vlm
    } else {
        let pack = &mut |name: &str, dense: &Dense| Ok(name.starts_with("language_model").then(|| rounded(dense)));
        vlm.map_linears::<()>(pack).ok()?
    };
    // A GPU driver compiles each kernel when it is first used.
    let twice = Decoding { max_new_tokens: 2, ignore_eos: true, ..Decoding::default() };
    vlm.ask(&prepare(&vlm), None, &twice).block_on().expect("an answer");
    Some((vlm, device))
}

/// Four bits in groups of 64, rounded to nearest between each group's extremes.
fn rounded(dense: &Dense) -> PackedLinear {
    const GROUP: usize = 64;
    let weight = dense.to_host().block_on().expect("a weight");
    let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for group in weight.data.chunks(GROUP) {
        let low = group.iter().copied().fold(0.0, f32::min);
        let high = group.iter().copied().fold(0.0, f32::max);
        let scale = ((high - low) / 15.0).max(1e-8);
        let zero = (-low / scale).round();
        codes.extend(group.iter().map(|w| (w / scale + zero).round().clamp(0.0, 15.0) as u8));
        scales.push(scale);
        zeros.push(zero);
    }
    let codes = GroupedCodes {
        out: weight.rows,
        input: weight.cols,
        group: GROUP,
        codes,
        scales,
        shift: Shift::Zeros(zeros),
        book: Codebook::Int4,
    };
    GroupedWeight::new(&codes).expect("valid codes").into()
}

fn model(setup: &str) -> Option<&'static (Vlm, Device)> {
    let index = SETUPS.iter().position(|known| *known == setup)?;
    MODELS[index].get_or_init(|| load(setup)).as_ref()
}

fn prepare(vlm: &Vlm) -> Prepared {
    let side = vlm.info().image_size as u32;
    let image = RgbImage::from_fn(side, side, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    let prompt = vlm.prompt("how many red circles are there? answer with a number").expect("a prompt");
    vlm.prepare(&image, &prompt).expect("inputs")
}

/// Images per second through vision tower and projector.
#[divan::bench(args = SETUPS)]
fn vision(bencher: Bencher<'_, '_>, setup: &str) {
    let Some((vlm, device)) = model(setup) else { return };
    let prepared = prepare(vlm);
    bencher.counter(ItemsCount::new(1usize)).bench(|| {
        let image = vlm.encode(&prepared.pixels).block_on().expect("an image");
        device.wait().expect("a device that finishes");
        image
    });
}

/// Prompt tokens per second up to the first answer token, nothing shared but the image.
#[divan::bench(args = SETUPS)]
fn prefill(bencher: Bencher<'_, '_>, setup: &str) {
    let Some((vlm, _)) = model(setup) else { return };
    let prepared = prepare(vlm);
    let image = vlm.encode(&prepared.pixels).block_on().expect("an image");
    let once = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let layout = prepared.layout.clone();
    bencher.counter(ItemsCount::new(prepared.input_ids.len())).bench(|| {
        let prefix = vlm.prefix(&prepared.input_ids, &layout, &image, None).block_on().expect("a prefix");
        vlm.answer(&prefix, &prepared.input_ids[layout.end()..], &once).block_on().expect("an answer")
    });
}

/// Questions per second from a shared prefix, one answer token each.
#[divan::bench(args = SETUPS)]
fn question(bencher: Bencher<'_, '_>, setup: &str) {
    let Some((vlm, _)) = model(setup) else { return };
    let prepared = prepare(vlm);
    let image = vlm.encode(&prepared.pixels).block_on().expect("an image");
    let once = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let layout = prepared.layout.clone();
    let prefix = vlm.prefix(&prepared.input_ids, &layout, &image, None).block_on().expect("a prefix");
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| vlm.answer(&prefix, &prepared.input_ids[layout.end()..], &once).block_on().expect("an answer"));
}

/// Answer tokens per second, the question's own prefill included once per 64 of them.
#[divan::bench(args = SETUPS)]
fn decode(bencher: Bencher<'_, '_>, setup: &str) {
    const TOKENS: usize = 64;
    let Some((vlm, _)) = model(setup) else { return };
    let prepared = prepare(vlm);
    let image = vlm.encode(&prepared.pixels).block_on().expect("an image");
    let long = Decoding { max_new_tokens: 1 + TOKENS, ignore_eos: true, ..Decoding::default() };
    let layout = prepared.layout.clone();
    let prefix = vlm.prefix(&prepared.input_ids, &layout, &image, None).block_on().expect("a prefix");
    bencher
        .counter(ItemsCount::new(TOKENS))
        .bench(|| vlm.answer(&prefix, &prepared.input_ids[layout.end()..], &long).block_on().expect("an answer"));
}
