//! What reducers save of the prefill of a large model: `cargo xtask synthetic DIR`, then
//! `cargo run --release -p steady-accel --example prefill -- DIR 1036 3 divprune:keep=0.333 fastv:k=2,keep=0.333`.
//!
//! A square picture of so many pixels a side is encoded once. Then, so many times, the prompt goes through the decoder up to the first answer token as it is and
//! under each acceleration by turns, in one process: on a machine that is busy the ratios say more than the times. The selection's own time is part of it. The
//! operations of the decoder are counted beside.

#![expect(clippy::expect_used, reason = "an example that cannot go on says why and stops")]
#![expect(clippy::print_stdout, reason = "what was measured is what this is for")]

use std::path::Path;
use std::time::Instant;

use image::{Rgb, RgbImage};
use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_vlm::{Checkpoint, Decoding, Device, EncodedImage, Precision, Prepared, TokenReducer, Vlm};

/// Seconds up to the first answer token, operations of the decoder, and visual tokens in the mean over its layers.
fn prefill(vlm: &Vlm, prompt: &Prepared, image: &EncodedImage, reducer: Option<&dyn TokenReducer>) -> (f64, f64, f64) {
    let once = Decoding { max_new_tokens: 1, ..Decoding::default() };
    let start = Instant::now();
    let (head, tail) = prompt.input_ids.split_at(prompt.layout.end());
    let prefix = vlm.prefix(head, &prompt.layout, image, reducer).block_on().expect("a prefix");
    let answer = vlm.answer(&prefix, tail, &once).block_on().expect("an answer");
    let seconds = start.elapsed().as_secs_f64();
    (seconds, answer.cost.flops as f64 - image.flops() as f64, f64::from(answer.cost.visual_tokens))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, side, rounds, specs @ ..] = arguments.as_slice() else { panic!("usage: prefill DIR SIDE ROUNDS SPEC..") };
    let (side, rounds): (u32, usize) = (side.parse().expect("pixels"), rounds.parse().expect("a number of rounds"));
    let accelerations: Vec<Acceleration> = specs.iter().map(|spec| Acceleration::parse(spec).expect("a spec")).collect();
    let checkpoint = Checkpoint::open(Path::new(folder)).expect("a checkpoint");
    let vlm = Vlm::load(&checkpoint, &Device::Cpu, Precision::Bf16).expect("a model that loads");
    let picture = RgbImage::from_fn(side, side, |x, y| Rgb([(x / 3) as u8, (y / 5) as u8, (x * y / 7) as u8]));
    let prompt = vlm.prepare(&picture, &vlm.prompt("What is it?").expect("a prompt")).expect("inputs");
    let image = vlm.encode(&prompt.pixels).block_on().expect("an image");
    println!("{} visual tokens of {} prompt tokens, {} layers", prompt.layout.tokens(), prompt.input_ids.len(), vlm.info().decoder_layers);
    for round in 0..rounds {
        let (whole, operations, _) = prefill(&vlm, &prompt, &image, None);
        println!("round {round}: {whole:.1} s as it is, {operations:.2e} operations");
        for acceleration in &accelerations {
            let (seconds, fewer, tokens) = prefill(&vlm, &prompt, &image, acceleration.reducer());
            let [time, counted] = [seconds / whole, fewer / operations].map(|ratio| 100.0 * (1.0 - ratio));
            println!(
                "  {acceleration}: {seconds:.1} s, {time:.0} % less; {counted:.0} % fewer operations; {tokens:.0} visual tokens in the mean over layers"
            );
        }
    }
}
