//! steady as a peer of other programs in `cargo xtask bench`: `cargo run --release -p steady-study --example answer -- MODEL PICTURE QUESTION [SPEC]`.
//!
//! It says `ready` and the number of tokens of its prompt, then reads the number of tokens that an answer is to have and writes the seconds that it took, from the
//! picture to the last token, with the operations and the bytes of weights, line by line until there are no more.

#![expect(clippy::expect_used, reason = "an example that cannot go on says why and stops")]
#![expect(clippy::print_stdout, reason = "what was measured is what this is for")]

use std::path::Path;
use std::time::Instant;

use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_study::{CalibrateWith, quantize};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm, image};

/// That of the command line.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, picture, question, specs @ ..] = arguments.as_slice() else { panic!("usage: answer MODEL PICTURE QUESTION [SPEC]") };
    let acceleration = specs.first().map_or_else(Acceleration::none, |spec| Acceleration::parse(spec).expect("a spec"));
    let checkpoint = Checkpoint::open(Path::new(folder)).expect("a checkpoint");
    let dense = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).expect("a model that loads");
    let packed = quantize(&acceleration, &dense, CalibrateWith::default()).block_on().expect("packed weights");
    let vlm = packed.as_ref().unwrap_or(&dense);
    let picture = image::load(Path::new(picture)).expect("a picture");
    let prompt = vlm.prompt(question).expect("a prompt");
    let prepare = || vlm.prepare(&picture, &prompt).expect("inputs");
    println!("ready {}", prepare().input_ids.len());
    for line in std::io::stdin().lines() {
        let max_new_tokens = line.expect("a line").trim().parse().expect("a number of tokens");
        let decoding = Decoding { max_new_tokens, ignore_eos: true, ..Decoding::default() };
        let start = Instant::now();
        let answer = vlm.ask(&prepare(), acceleration.reducer(), &decoding).block_on().expect("an answer");
        println!("{} {} {}", start.elapsed().as_secs_f64(), answer.cost.flops, vlm.weight_bytes());
    }
}
