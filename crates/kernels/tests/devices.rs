//! Each operation on a GPU against the same on the CPU: what a model is made of, in the layouts that it has. Kernels by themselves are held to
//! their definitions in steady-gpu.

#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::OnceLock;

use half::bf16;
use pollster::FutureExt;
use steady_kernels::{
    Activation, Added, CacheBits, CausalSight, Chooser, Codebook, Codes, Device, Element, GroupedCodes, GroupedWeight, Heads, Int8Codes,
    Int8Weight, KeyValues, Layer, Matrix, Normalization, PackedLinear, Rotation, Shift, Stretches, Table, Weight, attend_all,
    attend_within,
};

/// Whatever there is; a software rasterizer where there is nothing else.
fn gpu() -> &'static Device {
    static GPU: OnceLock<Device> = OnceLock::new();
    GPU.get_or_init(|| Device::Gpu(steady_gpu::Adapter::best().block_on().unwrap().open(None).block_on().unwrap()))
}

/// `count` numbers between -1 and 1 that depend on `seed` alone.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count).map(|at| ((at as f32 * 0.37 + seed as f32 * 1.7).sin() * 7.3).sin()).collect()
}

fn matrix([rows, columns]: [usize; 2], seed: u32, device: &Device) -> Matrix {
    Matrix::new(numbers(rows * columns, seed), [rows, columns], device, Element::F32)
}

/// Runs `operation` on both devices and compares what comes out, number by number.
#[track_caller]
fn assert_same(what: &str, operation: impl Fn(&Device) -> Matrix) {
    let (on_cpu, on_gpu) = (operation(&Device::Cpu), operation(gpu()));
    assert_eq!(on_cpu.dims(), on_gpu.dims(), "{what}");
    let (expected, found) = (on_cpu.read().block_on().unwrap(), on_gpu.read().block_on().unwrap());
    let scale = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() <= 1e-5 * scale, "{what}: {found} instead of {expected} at {at}");
    }
}

/// How many [`weights`] gives, and which of them has its inputs in another order.
const WAYS: usize = 11;
const ORDERED: usize = 8;

/// A weight in each of the ways that there are, `[out, in]`, the input a multiple of 8.
fn weights([out, input]: [usize; 2], device: &Device) -> Vec<(&'static str, Weight)> {
    let values = numbers(out * input, 5);
    let narrow: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
    let groups = out * input / 8;
    let of_book = |book: Codebook, group: usize, shift: Shift| {
        let highest = if book.bits() == 4 { 7.99 } else { 126.99 };
        // Of FP8, 127 is none.
        let code = |value: &f32| Some(((value + 1.0) * highest) as u8).filter(|&code| code != 127).unwrap_or(1);
        let (codes, scales) = (values.iter().map(code).collect(), (0..out * input / group).map(|at| 0.01 + at as f32 / 1e4).collect());
        PackedLinear::from(GroupedWeight::new(&GroupedCodes { out, input, group, book, codes, scales, shift }).unwrap())
    };
    let w4 = of_book(Codebook::Int4, 8, Shift::Zeros(vec![7.0; groups]));
    let backwards = (0..input as u32).rev().collect();
    let codes: Vec<i8> = values.iter().map(|value| (value * 127.0) as i8).collect();
    let int8 = Int8Codes { out, input, codes, scales: vec![2.0; out], divisor: 127.0, outlier_threshold: 0.9 };
    let packed = |packed: PackedLinear| Weight::packed(packed, device);
    vec![
        ("f32", Weight::dense(&values, [out, input], device, Element::F32)),
        ("bf16", Weight::bf16(&narrow, [out, input], device).unwrap()),
        ("w4", packed(w4)),
        ("w4, offsets", packed(of_book(Codebook::Int4, 8, Shift::Offsets(numbers(groups, 6))))),
        ("nf4", packed(of_book(Codebook::Nf4, 8, Shift::Middle))),
        ("fp4", packed(of_book(Codebook::Fp4, input, Shift::Middle))),
        ("w8", packed(of_book(Codebook::Int8, input, Shift::Middle))),
        ("w8, zero points", packed(of_book(Codebook::Int8, 8, Shift::Zeros(vec![100.0; groups])))),
        ("w4, ordered", packed(of_book(Codebook::Int4, 8, Shift::Middle).ordered(backwards).unwrap())),
        ("fp8", packed(of_book(Codebook::E4m3, input, Shift::Middle).rounding_to_e4m3())),
        ("int8", packed(Int8Weight::new(&int8).unwrap().into())),
    ]
}

#[test]
fn products_with_what_is_added() {
    for (rows, shape) in [(1, [5, 8]), (9, [70, 48])] {
        for index in 0..WAYS {
            let added = |device: &Device| {
                let (name, weight) = weights(shape, device).swap_remove(index);
                let (bias, residual) = (matrix([1, shape[0]], 2, device), matrix([rows, shape[0]], 3, device));
                let x = matrix([rows, shape[1]], 1, device);
                (name, weight.product(&x, Added { bias: Some(&bias), residual: Some(&residual) }))
            };
            assert_same(&format!("{}, {rows} rows of {shape:?}", added(&Device::Cpu).0), |device| added(device).1);
        }
    }
    // What is kept as f16 is the same number on both; on the CPU it is also computed in f16.
    let read = |device: &Device| Weight::dense(&numbers(40, 1), [5, 8], device, Element::F16).read().block_on().unwrap();
    assert_eq!(read(gpu()), read(&Device::Cpu));
}

/// Several layers of one input, joined: on the CPU that is no change, on a GPU one launch whose columns the results are.
#[test]
fn products_of_one_input() {
    for joined in [false, true] {
        for index in 0..WAYS {
            for (rows, part) in [(1, 0), (9, 1), (9, 2)] {
                assert_same(&format!("part {part} of {rows} rows, weight {index}, joined {joined}"), |device| {
                    let mut weights = [70, 6, 6].map(|out| weights([out, 48], device).swap_remove(index).1);
                    let mut biases = [70, 6, 6].map(|out| matrix([1, out], out as u32, device));
                    if joined {
                        // Those that order their inputs, each in its way, stay apart.
                        assert_eq!(Weight::join(&mut weights.each_mut()), *device != Device::Cpu && index != ORDERED);
                        Matrix::join(&mut biases.each_mut());
                    }
                    let x = matrix([rows, 48], 1, device);
                    let [a, b, c] = [0, 1, 2].map(|at| Layer { weight: &weights[at], bias: Some(&biases[at]) });
                    let [of_a, of_b, of_c] = Weight::products(&x, [a, b, c]);
                    match part {
                        0 => of_a,
                        1 => Activation::Silu.gated(&of_b, &of_c),
                        _ => of_c.slice(2..7).gather(&[4, 0]).add(&of_b.slice(3..5)),
                    }
                });
            }
        }
    }
}

#[test]
fn tables_are_looked_up_and_projected_on() {
    let values = numbers(30 * 16, 4);
    assert_same("rows of a table", |device| Table::dense(&values, [30, 16], device, Element::F32).gather(&[29, 0, 0, 7]));
    assert_same("logits", |device| Table::dense(&values, [30, 16], device, Element::F32).project(&matrix([1, 16], 6, device)));
}

#[test]
fn norms_activations_and_rows_that_move() {
    assert_same("layer norm", |device| {
        Normalization::layer(numbers(20, 1), numbers(20, 2), 1e-5, device).apply(&matrix([7, 20], 3, device))
    });
    assert_same("RMS norm, divided", |device| {
        let mut norm = Normalization::rms(numbers(20, 1), 1e-5, device, Element::F32);
        norm.divide(&numbers(20, 9).iter().map(|factor| factor + 2.0).collect::<Vec<_>>());
        norm.apply(&matrix([7, 20], 3, device))
    });
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu, Activation::Relu] {
        assert_same(&format!("{activation:?}"), |device| activation.apply(&matrix([3, 11], 1, device)));
        assert_same(&format!("{activation:?}, a gate"), |device| {
            activation.gated(&matrix([3, 11], 1, device), &matrix([3, 11], 2, device))
        });
    }
    let rows = |device: &Device| matrix([6, 10], 1, device);
    assert_same("slice, columns, reshape", |device| rows(device).slice(1..5).columns(3..9).reshape([8, 3]));
    assert_same("gather", |device| rows(device).gather(&[5, 5, 0]));
    assert_same("stack", |device| Matrix::stack(&[rows(device), rows(device).slice(2..3)]));
    assert_same("beside", |device| Matrix::beside(&[rows(device), matrix([6, 3], 2, device)]));
    assert_same("sum", |device| rows(device).add(&matrix([6, 10], 2, device)));
}

/// Positions of tokens, as angles: one for each of `half` pairs.
fn rotation(tokens: usize, half: usize, device: &Device) -> Rotation {
    let angles = numbers(tokens * half, 8);
    let table = |turn: fn(f32) -> f32| angles.iter().map(|&angle| turn(angle * 3.0)).collect();
    Rotation::new(table(f32::cos), table(f32::sin), tokens, device, Element::F32)
}

/// A prompt, a question behind it, and three tokens: the last one's attention and what it looked at.
#[test]
fn keys_and_values_are_remembered_and_attended_to() {
    let (heads, dim) = (Heads { queries: 4, keys: 2 }, 6);
    for window in [None, Some(5)] {
        let run = |device: &Device| {
            let mut held = KeyValues::empty(None);
            let mut last = Vec::new();
            for (step, tokens) in [20, 9, 1, 1].into_iter().enumerate() {
                let seed = 10 * step as u32;
                let part = |heads: usize, seed: u32| matrix([tokens, heads * dim], seed, device);
                let rotation = rotation(tokens, dim / 2, device);
                let sight = CausalSight::new(held.len(), window);
                if step == 1 {
                    // The trunk goes on by itself, and is not seen.
                    let branch = held.branch(3);
                    let _ = held.remember(&part(heads.queries, 97), &part(heads.keys, 99), &part(heads.keys, 98), &rotation, heads);
                    held = branch;
                }
                let queries = part(heads.queries, seed + 2);
                let queries = held.remember(&queries, &part(heads.keys, seed), &part(heads.keys, seed + 1), &rotation, heads);
                last.push(held.attend(&queries, heads, &sight));
            }
            assert_eq!(held.len(), 31);
            last
        };
        for step in 0..4 {
            assert_same(&format!("step {step}, window {window:?}"), |device| run(device).swap_remove(step).0);
            assert_same(&format!("the row of step {step}, window {window:?}"), |device| {
                let columns = [3..17, 3..27, 0..30, 7..31][step].clone();
                let row = run(device).swap_remove(step).1.read(columns.clone()).block_on().unwrap();
                Matrix::new(row, [heads.queries, columns.len()], &Device::Cpu, Element::F32)
            });
        }
    }
}

/// Keys and values rounded as they are written, prompt and tokens. Where a number lies halfway between two steps devices may part, and by no more than one.
#[test]
fn keys_and_values_are_rounded_alike() {
    let (heads, dim) = (Heads { queries: 4, keys: 2 }, 6);
    for bits in [CacheBits::Eight, CacheBits::Four] {
        let [cpu, on_gpu] = [&Device::Cpu, gpu()].map(|device| {
            let mut held = KeyValues::empty(Some(bits));
            for (seed, tokens) in [(0, 20), (10, 1)] {
                let part = |heads: usize, seed: u32| matrix([tokens, heads * dim], seed, device);
                let _ = held.remember(&part(4, seed + 2), &part(2, seed), &part(2, seed + 1), &rotation(tokens, dim / 2, device), heads);
            }
            held.branch(1).read(21).block_on().unwrap()
        });
        // On the CPU heads come first.
        let by_tokens = |values: &[f32]| -> Vec<f32> {
            (0..21).flat_map(|token| (0..2).flat_map(move |head| ((head * 21 + token) * dim..).take(dim))).map(|at| values[at]).collect()
        };
        for (cpu, on_gpu) in cpu.iter().zip(&on_gpu) {
            let cpu = by_tokens(cpu);
            let mut off = 0;
            for (a, b) in cpu.chunks(dim).zip(on_gpu.chunks(dim)) {
                let range =
                    |values: &[f32]| values.iter().copied().fold(f32::MIN, f32::max) - values.iter().copied().fold(f32::MAX, f32::min);
                let step = range(a) / if bits == CacheBits::Four { 15.0 } else { 255.0 };
                let apart: Vec<f32> = a.iter().zip(b).map(|(a, b)| (a - b).abs() / step).collect();
                assert!(apart.iter().all(|&steps| steps < 1.1), "{bits:?}: {apart:?} steps");
                off += apart.iter().filter(|&&steps| steps > 0.1).count();
            }
            assert!(off <= cpu.len() / 50, "{bits:?}: {off} of {} numbers", cpu.len());
        }
    }
}

/// By the formula of LMDeploy's kernel: `q = floor(v / s + z + 0.5)` with `s = (max - min) / 15` and `z = -min / s`, and `(q - z) s`.
#[test]
fn a_head_is_rounded_to_its_own_range() {
    let values = vec![-3.0, 12.0, 0.4, 0.6, 5.49, -2.6, 7.0, 7.0];
    let one = |values: Vec<f32>| Matrix::new(values, [1, 8], &Device::Cpu, Element::F32);
    let unturned = Rotation::new(vec![1.0; 2], vec![0.0; 2], 1, &Device::Cpu, Element::F32);
    let mut held = KeyValues::empty(Some(CacheBits::Four));
    let heads = Heads { queries: 2, keys: 2 };
    let _ = held.remember(&one(values.clone()), &one(values.clone()), &one(vec![2.5; 8]), &unturned, heads);
    let [keys, flat] = held.read(1).block_on().unwrap();
    // The first head runs from -3 to 12 in steps of 1, the second from -2.6 to 7 in steps of 0.64.
    assert_eq!(keys[..4], [-3.0, 12.0, 0.0, 1.0]);
    let expected = [5.49, -2.6, 7.0, 7.0].map(|value: f64| ((value + 2.6) / 0.64).round() * 0.64 - 2.6);
    for (found, expected) in keys[4..].iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-2, "{keys:?}, expected {expected}");
    }
    assert_eq!(flat, [2.5; 8], "a head of one number stays what it is");
    assert_eq!((CacheBits::Four.bytes_of_head(128), CacheBits::Eight.bytes_of_head(128)), (68, 132));
}

#[test]
fn inputs_are_divided_before_they_are_multiplied() {
    let (out, input) = (40, 64);
    let codes = (0..out * input).map(|at| (at * 7 % 16) as u8).collect();
    let scales: Vec<f32> = numbers(2 * out, 3).iter().map(|scale| scale * 0.01 + 0.02).collect();
    let shift = Shift::Zeros(vec![8.0; 2 * out]);
    let grouped = GroupedCodes { out, input, group: 32, book: Codebook::Int4, codes, scales, shift };
    let packed: PackedLinear = GroupedWeight::new(&grouped).unwrap().into();
    let Codes::Grouped(again) = packed.codes() else { panic!("{packed:?}") };
    assert_eq!(again.codes, grouped.codes);
    let factors: Vec<f32> = numbers(input, 5).iter().map(|factor| factor.abs() + 0.25).collect();
    let divided = packed.clone().dividing_by(&factors).unwrap();
    assert_eq!(divided.bytes(), packed.bytes() + 4 * input);
    for rows in [1, 3, 20] {
        let x = numbers(rows * input, 9);
        let by_hand: Vec<f32> = x.iter().zip(factors.iter().cycle()).map(|(x, factor)| x / factor).collect();
        let product = |weight: &PackedLinear, x: &[f32], device: &Device| {
            let x = Matrix::new(x.to_vec(), [rows, input], device, Element::F32);
            Weight::packed(weight.clone(), device).product(&x, Added::default())
        };
        assert_same(&format!("{rows} rows"), |device| product(&divided, &x, device));
        let [found, expected] =
            [product(&divided, &x, &Device::Cpu), product(&packed, &by_hand, &Device::Cpu)].map(|y| y.read().block_on().unwrap());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found}, by hand {expected}");
        }
    }
    assert!(packed.clone().dividing_by(&factors[1..]).is_err() && packed.dividing_by(&vec![0.0; input]).is_err());
}

#[test]
fn towers_attend_both_ways() {
    let (tokens, heads, dim) = (21, 3, 8);
    for raised in [false, true] {
        let attend = |device: &Device| {
            let part = |seed| matrix([tokens, heads * dim], seed, device);
            let raise = raised.then(|| matrix([1, tokens], 4, device));
            attend_all(part(1), part(2), &part(3), heads, raise)
        };
        assert_same(&format!("all tokens, raised {raised}"), |device| attend(device).0);
        assert_same(&format!("the class token, raised {raised}"), |device| attend(device).1.class_attention(1));
        assert_same("keys", |device| attend(device).1.keys(1));
    }
    let stretches = |parts: &[(usize, usize)]| parts.iter().map(|&(count, len)| Stretches { count, len }).collect::<Vec<_>>();
    for parts in [stretches(&[(1, tokens)]), stretches(&[(2, 8), (1, 5)])] {
        assert_same(&format!("{parts:?}"), |device| {
            attend_within(&matrix([tokens, 3 * heads * dim], 5, device), heads, &rotation(tokens, dim / 2, device), &parts)
        });
    }
}

/// Logits that lie apart, so that the division of a penalty may round either way.
#[test]
fn choices() {
    for penalty in [1.0, 1.5] {
        let chosen = |device: &Device| -> Vec<u32> {
            let first = numbers(300, 1);
            let mut chooser = Chooser::new(penalty, 300, &[7, 7, 20, 100_000]);
            let mut tokens = vec![chooser.choose_of(&first).read().block_on().unwrap().token];
            for seed in [2, 3, 3, 3, 3, 4] {
                let next = chooser.choose(&matrix([1, 300], seed, device)).unwrap();
                tokens.push(next.read().block_on().unwrap().token);
            }
            tokens
        };
        let on_cpu = chosen(&Device::Cpu);
        assert_eq!(chosen(gpu()), on_cpu, "penalty {penalty}");
        let distinct: std::collections::BTreeSet<&u32> = on_cpu[2..6].iter().collect();
        assert_eq!(distinct.len(), if penalty > 1.0 { 4 } else { 1 }, "{on_cpu:?}");
    }
}

#[test]
fn what_was_chosen_is_looked_up() {
    for element in [Element::F32, Element::F16] {
        assert_same("a chosen row", |device| {
            let table = Table::dense(&numbers(300 * 24, 6), [300, 24], device, element);
            let next = Chooser::new(1.0, 300, &[]).choose(&matrix([1, 300], 9, device)).unwrap();
            table.chosen(&next.chosen())
        });
    }
}

#[test]
fn a_choice_says_whether_logits_were_finite() {
    for device in [&Device::Cpu, gpu()] {
        let mut logits = numbers(300, 1);
        logits[17] = f32::NAN;
        let logits = Matrix::new(logits, [1, 300], device, Element::F32);
        assert!(!Chooser::new(1.0, 300, &[]).choose(&logits).unwrap().read().block_on().unwrap().finite);
    }
}
