//! Codes and scales are those that other tools choose for the same matrix: bitsandbytes, compressed-tensors and hqq (`reference/make_tool_cases.py`), gguf
//! (`reference/make_ggml_cases.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use half::f16;
use safetensors::{Dtype, SafeTensors};
use steady_accel::{FittedBlocks, FittedHqq, FittedRtn, Fp8, Ggml, Inputs, Smooth, W8a8};
use steady_kernels::{Codebook, Shift};
use steady_vlm::HostMatrix;

const FILE: &[u8] = include_bytes!("reference/tool_cases.safetensors");

fn bytes(name: &str) -> Vec<u8> {
    let tensor = SafeTensors::deserialize(FILE).unwrap().tensor(name).unwrap();
    assert!(matches!(tensor.dtype(), Dtype::U8 | Dtype::I8), "{name}");
    tensor.data().to_vec()
}

fn floats(name: &str) -> Vec<f32> {
    let tensor = SafeTensors::deserialize(FILE).unwrap().tensor(name).unwrap();
    match tensor.dtype() {
        Dtype::F32 => tensor.data().chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect(),
        Dtype::F16 => tensor.data().chunks_exact(2).map(|pair| f16::from_le_bytes(pair.try_into().unwrap()).to_f32()).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

fn weight() -> HostMatrix {
    HostMatrix::new(12, 128, floats("weight"))
}

#[test]
fn four_bits_are_those_of_bitsandbytes() {
    for (book, name) in [(Codebook::Nf4, "nf4"), (Codebook::Fp4, "fp4")] {
        let found = FittedBlocks { book, group: 64, double: false }.codes(&weight());
        // FP4 has two zeros, of which bitsandbytes takes the one that has the sign.
        let one_zero = |code: u8| if book == Codebook::Fp4 && code == 8 { 0 } else { code };
        let expected: Vec<u8> = bytes(&format!("{name}.codes")).into_iter().map(one_zero).collect();
        assert_eq!((found.codes, found.scales), (expected, floats(&format!("{name}.scales"))), "{name}");
    }
    // A matrix of 300 blocks, so that their maxima are two.
    let weight = HostMatrix::new(300, 64, floats("maxima").into_iter().flat_map(|most| [vec![0.0; 63], vec![most]].concat()).collect());
    let found = FittedBlocks { book: Codebook::Nf4, group: 64, double: true }.codes(&weight);
    for (found, expected) in found.scales.iter().zip(floats("doubled")) {
        assert!((found - expected).abs() < 1e-6, "{found}, by bitsandbytes {expected}");
    }
}

#[test]
fn eight_bits_are_those_of_compressed_tensors() {
    let found = W8a8.codes(&weight());
    let codes: Vec<u8> = found.codes.into_iter().map(i8::cast_unsigned).collect();
    assert_eq!((codes, found.scales), (bytes("w8a8.codes"), floats("w8a8.scales")));
    let found = Fp8 { weights_only: false }.codes(&weight());
    assert_eq!((found.codes, found.scales), (bytes("fp8.codes"), floats("fp8.scales")));
}

#[test]
fn symmetric_rounding_is_that_of_compressed_tensors() {
    for (bits, middle) in [(2, 2.0), (3, 4.0), (4, 8.0), (8, 128.0)] {
        let found = FittedRtn { bits, group: 32, symmetric: true }.codes(&weight());
        assert_eq!(found.scales, floats(&format!("rtn{bits}.scales")), "{bits} bits");
        assert_eq!(found.codes, bytes(&format!("rtn{bits}.codes")), "{bits} bits");
        assert_eq!(found.shift, Shift::Zeros(vec![middle; found.scales.len()]), "{bits} bits");
    }
}

/// Bit by bit, scales included. A block of Q4_0 has the first half of its codes in the low nibbles.
#[test]
fn blocks_are_those_of_gguf() {
    let file = SafeTensors::deserialize(include_bytes!("reference/ggml_cases.safetensors")).unwrap();
    let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
    let weight = data("weight").chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect();
    let weight = HostMatrix::new(24, 128, weight);
    for (kind, name, size) in [(Ggml::Q4_0, "q4_0", 2 + 16), (Ggml::Q8_0, "q8_0", 2 + 32)] {
        let (mut codes, mut scales): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::new());
        for block in data(name).chunks_exact(size) {
            scales.push(f16::from_le_bytes([block[0], block[1]]).to_f32().to_bits());
            match kind {
                Ggml::Q4_0 => codes.extend(block[2..].iter().map(|pair| pair & 15).chain(block[2..].iter().map(|pair| pair >> 4))),
                Ggml::Q8_0 => codes.extend(block[2..].iter().map(|code| code.wrapping_add(128))),
            }
        }
        let found = kind.codes(&weight);
        assert_eq!(scales.len(), 24 * 4);
        assert_eq!(found.scales.iter().map(|scale| scale.to_bits()).collect::<Vec<_>>(), scales, "{name}");
        assert_eq!((found.codes, found.shift, found.group), (codes, Shift::Middle, 32), "{name}");
    }
    let odd = [steady_accel::LinearShape { name: "visual.blocks.0.mlp.down_proj".to_owned(), out: 8, input: 3420 }];
    let error = steady_accel::Quantizer::fit(&Ggml::Q8_0, &odd).err().unwrap().to_string();
    assert_eq!(
        error,
        "q8_0: visual.blocks.0.mlp.down_proj: its input width 3420 is no whole number of blocks of 32; w4:rtn and w8:rtn take other sizes"
    );
}

#[test]
fn hqq_is_that_of_its_authors() {
    for group in [64, 16] {
        let found = FittedHqq { group }.codes(&weight());
        assert_eq!(found.codes, bytes(&format!("hqq{group}.codes")));
        assert_eq!(found.scales, floats(&format!("hqq{group}.scales")));
        // Means are added up in another order there.
        let Shift::Zeros(zeros) = found.shift else { panic!("zero points") };
        for (found, expected) in zeros.iter().zip(floats(&format!("hqq{group}.zeros"))) {
            assert!((found - expected).abs() < 1e-4, "{found}, by hqq {expected}");
        }
    }
}

/// A row or a block of zeros stays one.
#[test]
fn zeros_are_packed_as_zeros() {
    use steady_accel::Fitted;
    let zeros = HostMatrix::new(2, 64, [vec![0.0; 64], vec![0.5; 64]].concat());
    let fitted: [&dyn Fitted; 6] = [
        &FittedBlocks { book: Codebook::Nf4, group: 64, double: false },
        &W8a8,
        &Fp8 { weights_only: true },
        &FittedRtn { bits: 3, group: 64, symmetric: false },
        &Ggml::Q4_0,
        &Ggml::Q8_0,
    ];
    for fitted in fitted {
        let packed = fitted.pack("linear", &zeros, None).unwrap();
        let values: Vec<f32> = packed.dequantize().into_data().iter::<f32>().collect();
        assert!(values[..64].iter().all(|&value| value == 0.0), "{}", fitted.method());
        assert!(values[64..].iter().all(|&value| (value - 0.5).abs() < 2e-3), "{}: {values:?}", fitted.method());
        assert_eq!(packed.bytes() as u64, fitted.packed_bytes(&steady_accel::LinearShape { name: String::new(), out: 2, input: 64 }));
    }
}

#[test]
fn smoothing_is_that_of_its_authors() {
    let bytes = include_bytes!("reference/smooth_cases.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let values = |name: &str| -> Vec<f32> {
        file.tensor(name).unwrap().data().chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect()
    };
    let weights = [HostMatrix::new(16, 48, values("weight.0")), HostMatrix::new(8, 48, values("weight.1"))];
    let mut seen = Inputs::magnitudes(48);
    values("inputs").chunks(10 * 48).for_each(|prompt| seen.add(prompt));
    for alpha in [0.5, 0.8] {
        let found = Smooth { alpha, samples: 1 }.of(&weights, &seen);
        for (at, (found, expected)) in found.iter().zip(values(&format!("{alpha}.factors"))).enumerate() {
            assert!((found / expected - 1.0).abs() < 1e-6, "{at}: {found}, by the authors {expected}");
        }
    }
}
