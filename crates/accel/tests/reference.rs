//! Quantizers against values made by `reference/make_quant_cases.py` with PyTorch.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde::Deserialize;
use steady_accel::{Fitted, FittedRtn, Int8};
use steady_kernels::{Added, Device, Element, Matrix, PackedLinear, Shift, Weight};
use steady_vlm::HostMatrix;

#[derive(Deserialize)]
struct Cases {
    w4: Vec<W4Case>,
    int8: Vec<Int8Case>,
}

#[derive(Deserialize)]
struct W4Case {
    out: usize,
    r#in: usize,
    group: usize,
    symmetric: bool,
    weight: Vec<f32>,
    x: Vec<f32>,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    y: Vec<f64>,
}

#[derive(Deserialize)]
struct Int8Case {
    out: usize,
    r#in: usize,
    threshold: f32,
    weight: Vec<f32>,
    x: Vec<f32>,
    codes: Vec<i8>,
    absmax: Vec<f32>,
    y: Vec<f64>,
}

fn cases() -> Cases {
    let cases: Cases = serde_json::from_str(include_str!("reference/quant_cases.json")).unwrap();
    assert_eq!((cases.w4.len(), cases.int8.len()), (6, 3), "cases of make_quant_cases.py");
    cases
}

fn assert_product(packed: &PackedLinear, x: &[f32], input: usize, expected: &[f64]) {
    let x = Matrix::new(x.to_vec(), [x.len() / input, input], &Device::Cpu, Element::F32);
    let y = pollster::block_on(Weight::packed(packed.clone(), &Device::Cpu).product(&x, Added::default()).read()).unwrap();
    assert_eq!(y.len(), expected.len());
    for (found, expected) in y.into_iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() <= 1e-5, "{found} is not {expected}");
    }
}

#[test]
fn rtn_equals_pytorch() {
    for case in cases().w4 {
        let quantizer = FittedRtn { bits: 4, group: case.group, symmetric: case.symmetric };
        let weight = HostMatrix::new(case.out, case.r#in, case.weight);
        let codes = quantizer.codes(&weight);
        assert_eq!(codes.codes, case.codes);
        assert_eq!(codes.scales, case.scales);
        assert_eq!(codes.shift, Shift::Zeros(case.zeros));
        let packed = quantizer.pack("linear", &weight, None).unwrap();
        assert_product(&packed, &case.x, case.r#in, &case.y);
    }
}

#[test]
fn int8_equals_pytorch() {
    for case in cases().int8 {
        let quantizer = Int8 { threshold: case.threshold };
        let weight = HostMatrix::new(case.out, case.r#in, case.weight);
        let codes = quantizer.codes(&weight);
        assert_eq!(codes.codes, case.codes);
        assert_eq!(codes.scales, case.absmax);
        let packed = quantizer.pack("linear", &weight, None).unwrap();
        assert_product(&packed, &case.x, case.r#in, &case.y);
    }
}
