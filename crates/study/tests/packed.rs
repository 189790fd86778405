//! Weights are packed once per quantizer, and who shares them answers as alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Rgb, RgbImage};
use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, Built, Fitted, Implementation, Inputs, LinearShape, Quantizer, Registry, Rtn};
use steady_kernels::PackedLinear;
use steady_methods::{Method, MethodKind, Parameter, ParameterKind, Value};
use steady_study::{Subject, Variants};
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Decoding, HostMatrix, Precision, Vlm};

/// Layers that were packed so far.
static PACKED: AtomicUsize = AtomicUsize::new(0);

/// `w4:rtn` under another name, counting.
struct Counting(Rtn);

struct CountingFitted(Box<dyn Fitted>);

static METHOD: Method = Method {
    name: "counting",
    kind: MethodKind::Quantizer,
    parameters: &[Parameter { name: "g", kind: ParameterKind::Group, default: "auto", meaning: "inputs per scale" }],
    summary: "counts",
    plain: "Counts.",
    source: "this test",
};

const COUNTING: Implementation = Implementation {
    method: &METHOD,
    build: |values| match *values {
        [Value::Group(group)] => Some(Built::Quantizer(Arc::new(Counting(Rtn { bits: 4, group, symmetric: false })))),
        _ => None,
    },
};

impl Quantizer for Counting {
    fn name(&self) -> String {
        METHOD.spell(&[Value::Group(self.0.group)])
    }

    fn scope(&self) -> &'static str {
        self.0.scope()
    }

    fn takes(&self, linear: &str) -> bool {
        self.0.takes(linear)
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(CountingFitted(self.0.fit(linears)?)))
    }
}

impl Fitted for CountingFitted {
    fn method(&self) -> String {
        self.0.method().replace("w4:rtn,", "counting:")
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        self.0.packed_bytes(linear)
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, inputs: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        PACKED.fetch_add(1, Ordering::Relaxed);
        self.0.pack(linear, weight, inputs)
    }
}

fn model() -> Vlm {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

fn variants(model: &Vlm, accelerations: &[Acceleration]) -> Variants {
    let decoding = Decoding { max_new_tokens: 2, ..Decoding::default() };
    Variants::build(model.clone(), accelerations, decoding).block_on().unwrap()
}

#[test]
fn accelerations_with_one_quantizer_share_its_weights() {
    let model = model();
    let registry = Registry::built_in().with(COUNTING);
    let layers = 7 * model.info().decoder_layers;
    let packed_for = |specs: &[&str]| {
        let before = PACKED.load(Ordering::Relaxed);
        let accelerations: Vec<Acceleration> = specs.iter().map(|spec| registry.parse(spec).unwrap()).collect();
        (variants(&model, &accelerations), PACKED.load(Ordering::Relaxed) - before)
    };
    let (_, packed) = packed_for(&["counting", "divprune:keep=0.33", "counting+divprune:keep=0.33", "counting+fastv"]);
    assert_eq!(packed, layers);
    // what `auto` comes to is the same, another size is not
    let (all, packed) = packed_for(&["counting+random", "counting:g=128", "counting:g=16"]);
    assert_eq!(packed, 2 * layers);
    let bytes = all.weight_bytes();
    assert_eq!(bytes[1], bytes[2]);
    assert!(bytes[1] < bytes[3] && bytes[3] < bytes[0], "{bytes:?}");
}

#[test]
fn shared_weights_change_no_answer() {
    let model = model();
    let image = RgbImage::from_fn(144, 144, |x, y| if x < 70 && y > 60 { Rgb([30, 60, 220]) } else { Rgb([235, 235, 235]) });
    let first_logits = |specs: &[&str]| -> Vec<Vec<u32>> {
        let accelerations: Vec<Acceleration> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        let seen = variants(&model, &accelerations).ask(&image, "what color is the square?").block_on().unwrap();
        seen.replies.iter().map(|replies| replies[0].first_token.logits().unwrap().iter().map(|logit| logit.to_bits()).collect()).collect()
    };
    let specs = ["int8", "w4:rtn", "int8+divprune:keep=0.33", "w4:rtn+fastv"];
    let together = first_logits(&specs);
    for (spec, together) in specs.iter().zip(&together[1..]) {
        assert_eq!(first_logits(&[spec])[1], *together, "{spec}");
    }
}
