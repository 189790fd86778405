//! How to add a quantizer.
//!
//! 1. Give the method a row in `crates/methods/src/table.rs`: name, parameters with their defaults, source. What is typed, listed and
//!    reported follows from it.
//! 2. Write what carries it out in a file of its own, `crates/accel/src/quantize/<name>.rs`: something that implements [`Quantizer`], what
//!    it becomes once it knows the model's layers, which implements [`Fitted`], and the [`Implementation`] that makes it of the row's values.
//! 3. Name the file in `crates/accel/src/quantize/mod.rs`, and its implementation in `QUANTIZERS` there, in the order of the rows.
//!
//! A quantizer decides integers and scales. How they lie in memory and how they are multiplied is steady-kernels's: a new method needs
//! nothing there unless it needs a new layout.
//!
//! This file does so from outside: [`Registry::with`] takes the row and its implementation, reads specs that name it and builds it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, Built, Fitted, Group, Implementation, Inputs, LinearShape, Quantizer, Registry};
use steady_kernels::{Codebook, GroupedCodes, GroupedWeight, PackedLinear, Shift, Weight};
use steady_methods::{Method, MethodKind, Parameter, ParameterKind, Value};
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Decoding, HostMatrix, Precision, Vlm};

/// This would be a row of `METHODS`.
static TERNARY: Method = Method {
    name: "ternary",
    kind: MethodKind::Quantizer,
    parameters: &[Parameter { name: "g", kind: ParameterKind::Group, default: "8", meaning: "inputs per scale; auto = 8" }],
    summary: "weights -s, 0 or s in the decoder's MLPs",
    plain: "Weights that are nothing, one step up or one step down.",
    source: "Ternary Weight Networks (arXiv 1605.04711), a scale per group",
};

/// This and what follows would be `crates/accel/src/quantize/ternary.rs`.
const IMPLEMENTATION: Implementation = Implementation {
    method: &TERNARY,
    build: |values| match *values {
        [Value::Group(Group::Auto)] => Some(Built::Quantizer(Arc::new(Ternary { group: 8 }))),
        [Value::Group(Group::Size(group))] => Some(Built::Quantizer(Arc::new(Ternary { group }))),
        _ => None,
    },
};

/// `D = 0.7 mean|w|`; weights beyond it become `s`, the mean of their magnitudes, with their signs, and the others 0.
#[derive(Clone, Copy)]
struct Ternary {
    group: usize,
}

impl Quantizer for Ternary {
    fn name(&self) -> String {
        TERNARY.spell(&[Value::Group(Group::Size(self.group))])
    }

    fn scope(&self) -> &'static str {
        "the decoder's gate, up and down projections"
    }

    fn takes(&self, linear: &str) -> bool {
        linear.starts_with("language_model.layers.") && linear.contains(".mlp.")
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        match linears.iter().find(|linear| !linear.input.is_multiple_of(self.group)) {
            Some(LinearShape { name, input, .. }) => Err(AccelError::Group { linear: name.clone(), input: *input, group: self.group }),
            None => Ok(Box::new(*self)),
        }
    }
}

impl Fitted for Ternary {
    fn method(&self) -> String {
        self.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        // Half a byte a weight, and four bytes for each group's scale and zero point.
        (linear.out * linear.input / 2 + linear.out * linear.input / self.group * 4) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        for group in weight.data.chunks_exact(self.group) {
            let mean = |magnitudes: &[f32]| magnitudes.iter().sum::<f32>() / magnitudes.len().max(1) as f32;
            let magnitudes: Vec<f32> = group.iter().map(|value| value.abs()).collect();
            let threshold = 0.7 * mean(&magnitudes);
            let beyond: Vec<f32> = magnitudes.into_iter().filter(|magnitude| *magnitude > threshold).collect();
            scales.push(mean(&beyond));
            codes.extend(group.iter().map(|&value| u8::from(value >= -threshold) + u8::from(value > threshold)));
        }
        let zeros = vec![1.0; scales.len()];
        let codes = GroupedCodes {
            out: weight.rows,
            input: weight.cols,
            group: self.group,
            codes,
            scales,
            shift: Shift::Zeros(zeros),
            book: Codebook::Int4,
        };
        let packed = GroupedWeight::new(&codes).map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })?;
        Ok(packed.into())
    }
}

fn parse(spec: &str) -> Acceleration {
    Registry::built_in().with(IMPLEMENTATION).parse(spec).unwrap()
}

/// The reference checkpoint: two layers, whose MLPs are 40 and 56 wide.
fn model(folder: &Path) -> Vlm {
    Vlm::load(&Checkpoint::open(&folder.join("checkpoint")).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

#[test]
fn a_spec_that_names_it_is_read() {
    assert_eq!(parse("ternary").to_string(), "ternary:g=8");
    assert_eq!(parse("fastv+ternary:g=16").to_string(), "ternary:g=16+fastv:k=2,keep=0.5");
    assert!(Acceleration::parse("ternary").unwrap_err().to_string().contains("unknown acceleration `ternary`"));
}

#[test]
fn weights_are_packed_as_the_formula_has_them() {
    let shape = LinearShape { name: "down".into(), out: 2, input: 16 };
    let fitted = parse("ternary").quantizer().unwrap().fit(std::slice::from_ref(&shape)).unwrap();
    #[rustfmt::skip]
    let weight = HostMatrix::new(2, 16, vec![
        // mean 3.25, threshold 2.275, mean beyond it 6      mean 1, threshold 0.7, mean beyond it 1
        4.0, -4.0, 0.0, 0.0, 1.0, -1.0, 8.0, -8.0,           1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0,
        // nothing at all                                    mean 0.5, threshold 0.35, mean beyond it 2
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,              0.0, 0.0, -2.0, 0.0, 0.0, 2.0, 0.0, 0.0,
    ]);
    let packed = fitted.pack("down", &weight, None).unwrap();
    #[rustfmt::skip]
    let expected = [
        6.0, -6.0, 0.0, 0.0, 0.0, 0.0, 6.0, -6.0,            1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0,
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,              0.0, 0.0, -2.0, 0.0, 0.0, 2.0, 0.0, 0.0_f32,
    ];
    assert_eq!(pollster::block_on(Weight::packed(packed.clone(), &Device::Cpu).read()).unwrap(), expected);
    // 32 codes of half a byte, four groups of four bytes.
    assert_eq!((packed.bytes(), fitted.packed_bytes(&shape)), (32, 32));
}

#[test]
fn a_model_is_packed_and_asked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava");
    let model = model(&folder);
    let acceleration = parse("ternary");
    let packed = acceleration.quantize(&model).block_on().unwrap().unwrap();
    // Three projections of 56 x 40 in each of two layers: 4 bytes a weight before, half a byte and 4 bytes for 8 weights after.
    let weights = 2 * 3 * 56 * 40;
    assert_eq!(model.weight_bytes() - packed.weight_bytes(), weights * 4 - (weights / 2 + weights / 8 * 4));
    let description = acceleration.describe(&model).unwrap();
    assert_eq!(description.to_string(), "ternary:g=8: 6 linear layers: the decoder's gate, up and down projections");
    assert!(packed.shares_encoder(&model));

    let image = steady_vlm::image::load(&folder.join("images/square.png")).unwrap();
    let prepared = model.prepare(&image, &model.prompt("how many?").unwrap()).unwrap();
    let first = |model: &Vlm| model.ask(&prepared, None, &Decoding::default()).block_on().unwrap().first_logits;
    assert_ne!(first(&packed), first(&model));
}

#[test]
fn a_layer_that_it_does_not_fit_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava");
    let error = parse("ternary:g=16").quantize(&model(&folder)).block_on().err().unwrap().to_string();
    assert!(error.contains("its input width 40 is not a multiple of the group size 16"), "{error}");
}
