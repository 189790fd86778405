//! Packed products against plain loops in f64, written here from the definitions.
#![allow(clippy::unwrap_used, reason = "codes made here are valid")]
#![allow(clippy::float_cmp, reason = "exact results are the point")]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::bf16;
use proptest::prelude::*;
use steady_kernels::Device::Cpu;
use steady_kernels::{
    Added, Bf16Weight, Codebook, Element, GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, Matrix, PackError, PackedLinear, Shift,
    Table, Weight,
};

fn tensor(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// `x Wᵀ` in f64, and the same with every term made positive: what rounding errors are relative to.
fn product(x: &[f32], weight: &[f64], [rows, input, out]: [usize; 3]) -> Vec<(f64, f64)> {
    let mut y = Vec::new();
    for row in 0..rows {
        for feature in 0..out {
            let terms = (0..input).map(|k| f64::from(x[row * input + k]) * weight[feature * input + k]);
            y.push((terms.clone().sum(), terms.map(f64::abs).sum()));
        }
    }
    y
}

fn assert_close(found: &[f32], expected: &[(f64, f64)]) {
    assert_eq!(found.len(), expected.len());
    for (at, (&found, &(expected, magnitude))) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= 1e-6 * magnitude + 1e-12, "value {at}: {found}, expected {expected}");
    }
}

/// Numbers in −1..1 that look random but need no generator.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn w4_codes([out, input, group]: [usize; 3], seed: u64) -> GroupedCodes {
    let per_group = out * input / group;
    GroupedCodes {
        out,
        input,
        group,
        book: Codebook::Int4,
        codes: noise(seed, out * input).iter().map(|v| (v * 8.0 + 8.0) as u8).collect(),
        // Multiples of 1/1024 under 1: f16 holds them exactly, so the loops below see the stored scale.
        scales: noise(seed + 1, per_group).iter().map(|v| (v.abs() * 1000.0).ceil() / 1024.0).collect(),
        shift: Shift::Zeros(noise(seed + 2, per_group).iter().map(|v| (v * 8.0 + 8.0).floor()).collect()),
    }
}

fn w4_matrix(codes: &GroupedCodes) -> Vec<f64> {
    let Shift::Zeros(zeros) = &codes.shift else { panic!("zero points") };
    let groups = codes.input / codes.group;
    (0..codes.out * codes.input)
        .map(|at| {
            let (row, column) = (at / codes.input, at % codes.input);
            let group = row * groups + column / codes.group;
            (f64::from(codes.codes[at]) - f64::from(zeros[group])) * f64::from(codes.scales[group])
        })
        .collect()
}

/// Codes of a book and what they stand for. Scales are multiples of a power of two, so that nothing is rounded where f32 has room.
fn coded([out, input, group]: [usize; 3], book: Codebook, shifted: i32, seed: u64) -> (GroupedCodes, Vec<f64>) {
    let per_group = out * input / group;
    let highest = if book.bits() == 4 { 15.99 } else { 254.99 };
    // Of FP8, 127 is none.
    let code = |v: f32| Some((v.abs() * highest) as u8).filter(|&code| code != 127).unwrap_or(1);
    let codes: Vec<u8> = noise(seed, out * input).into_iter().map(code).collect();
    let scales: Vec<f32> = noise(seed + 1, per_group).iter().map(|v| ((v.abs() * 100.0).ceil() + 1.0) / 1024.0).collect();
    let of_groups = noise(seed + 2, per_group).iter().map(|v| (v * 8.0 + 8.0).floor()).collect();
    let shift = match shifted {
        0 => Shift::Middle,
        1 => Shift::Zeros(of_groups),
        _ => Shift::Offsets(of_groups),
    };
    let middle = match book {
        Codebook::Int4 => 8.0,
        Codebook::Int8 => 128.0,
        Codebook::Nf4 | Codebook::Fp4 | Codebook::E4m3 => 0.0,
    };
    let exact = (0..out * input).map(|at| {
        let group = at / input * (input / group) + at % input / group;
        let value = book.table().map_or(f32::from(codes[at]), |table| table[usize::from(codes[at])]);
        // As f32 has it, step by step.
        f64::from(match &shift {
            Shift::Middle => (value - middle) * scales[group],
            Shift::Zeros(zeros) => (value - zeros[group]) * scales[group],
            Shift::Offsets(offsets) => value * scales[group] + offsets[group],
        })
    });
    let exact = exact.collect();
    (GroupedCodes { out, input, group, book, codes, scales, shift }, exact)
}

/// The numbers below `count` in some order.
fn shuffled(count: usize, seed: u64) -> Vec<u32> {
    let keys = noise(seed + 77, count);
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by(|&a, &b| keys[a as usize].total_cmp(&keys[b as usize]));
    order
}

fn int8_codes([out, input]: [usize; 2], threshold: f32, seed: u64) -> Int8Codes {
    Int8Codes {
        out,
        input,
        codes: noise(seed, out * input).iter().map(|v| (v * 127.49) as i8).collect(),
        scales: noise(seed + 1, out).iter().map(|v| v.abs() + 0.01).collect(),
        divisor: Int8Codes::OF_MAXIMA,
        outlier_threshold: threshold,
    }
}

/// Numbers of every size that bf16 has, subnormal ones and a zero among them.
fn bf16_values(count: usize, seed: u64) -> Vec<bf16> {
    let sizes = noise(seed + 1, count);
    let value = |(v, size): (f32, f32)| bf16::from_f32(if size.abs() < 0.02 { v * 1e-39 } else { v * (size * 8.0).exp2() });
    noise(seed, count).into_iter().zip(sizes).map(value).collect()
}

fn bf16_weight(values: &[bf16], shape: [usize; 2]) -> Bf16Weight {
    Bf16Weight::new(values, shape).unwrap()
}

/// LLM.int8() by its definition, row by row. Activations are rounded in f32, as the definition has it; the rest is i64 and f64.
fn int8_product(x: &[f32], codes: &Int8Codes) -> Vec<(f64, f64)> {
    let (input, threshold) = (codes.input, codes.outlier_threshold);
    let mut y = Vec::new();
    for x in x.chunks(input) {
        let scale = x.iter().map(|v| v.abs()).filter(|&v| v < threshold).fold(0.0, f32::max);
        for feature in 0..codes.out {
            let (mut integer, mut float, mut magnitude) = (0_i64, 0.0, 0.0);
            for (&x, &code) in x.iter().zip(&codes.codes[feature * input..]) {
                if x.abs() >= threshold {
                    let term = f64::from(x) * f64::from(code) * f64::from(codes.scales[feature]) / 127.0;
                    float += term;
                    magnitude += term.abs();
                } else if scale > 0.0 {
                    integer += (x * (127.0 / scale)).round_ties_even() as i64 * i64::from(code);
                }
            }
            let scaled = integer as f64 * f64::from(scale) * f64::from(codes.scales[feature]) / (127.0 * 127.0);
            y.push((scaled + float, magnitude + scaled.abs()));
        }
    }
    y
}

#[test]
fn w4_by_hand() {
    // Two groups: scale 0.5, zero 8 and scale 2, zero 1.
    let codes = GroupedCodes {
        out: 1,
        input: 16,
        group: 8,
        codes: vec![0, 8, 15, 8, 8, 8, 8, 10, 1, 1, 1, 1, 1, 1, 0, 3],
        scales: vec![0.5, 2.0],
        book: Codebook::Int4,
        shift: Shift::Zeros(vec![8.0, 1.0]),
    };
    let weight = GroupedWeight::new(&codes).unwrap();
    let matrix = [-4.0, 0.0, 3.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0, 4.0];
    assert_eq!(values(weight.dequantize()), matrix);
    let x: Vec<f32> = (1..=16_u8).map(f32::from).collect();
    // -4·1 + 3.5·3 + 1·8 - 2·15 + 4·16
    assert_eq!(values(weight.forward(tensor(&x, [1, 16]))), [48.5]);
    // 16 codes in 8 bytes, two groups in 4 bytes each.
    assert_eq!(weight.bytes(), 16);
    assert_eq!((weight.shape(), weight.group()), ([1, 16], 8));
}

#[test]
fn int8_by_hand() {
    let codes = Int8Codes {
        out: 2,
        input: 3,
        codes: vec![127, -64, 2, 0, 10, -127],
        scales: vec![12.7, 127.0],
        divisor: 127.0,
        outlier_threshold: 6.0,
    };
    let weight = Int8Weight::new(&codes).unwrap();
    assert_close(&values(weight.dequantize()), &[12.7, -6.4, 0.2, 0.0, 10.0, -127.0].map(|v: f64| (v, v.abs())));
    // The second row's 8 is an outlier; the first row's 3 in the same column is none.
    let x = tensor(&[1.5, 3.0, -0.6, 2.0, 8.0, 1.0], [2, 3]);
    // Row 0: s = 3, codes 63.5 -> 64 (half to even), 127, -25.4 -> -25. Row 1: s = 2, codes 127, -, 63.5 -> 64.
    let expected = [
        (64.0 * 127.0 + 127.0 * -64.0 - 25.0 * 2.0) * 3.0 * 12.7 / 16129.0,
        (127.0 * 10.0 + 25.0 * 127.0) * 3.0 * 127.0 / 16129.0,
        (127.0 * 127.0 + 64.0 * 2.0) * 2.0 * 12.7 / 16129.0 + 8.0 * -6.4,
        (64.0 * -127.0) * 2.0 * 127.0 / 16129.0 + 8.0 * 10.0,
    ];
    assert_close(&values(weight.forward(x)), &expected.map(|v: f64| (v, 100.0)));
    // Each row of three codes takes one word; two maxima.
    assert_eq!(weight.bytes(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn w4_equals_loops(rows in 1..41_usize, eights in 1..10_usize, groups in 1..6_usize, out in 1..150_usize, seed in 0..1000_u64) {
        let (group, input) = (eights * 8, eights * 8 * groups);
        let codes = w4_codes([out, input, group], seed);
        let weight = GroupedWeight::new(&codes).unwrap();
        let x = noise(seed + 9, rows * input);
        let y = values(weight.forward(tensor(&x, [rows, input])));
        assert_close(&y, &product(&x, &w4_matrix(&codes), [rows, input, out]));
        let matrix: Vec<f64> = values(weight.dequantize()).into_iter().map(f64::from).collect();
        prop_assert_eq!(matrix, w4_matrix(&codes));
    }

    /// Every code book with every shift, and groups as wide as rows that are no whole words.
    #[test]
    fn codes_of_every_book_equal_loops(
        rows in 1..41_usize, eights in 1..10_usize, groups in 1..6_usize, odd in prop::option::of(1..77_usize), out in 1..90_usize,
        book in prop::sample::select(vec![Codebook::Int4, Codebook::Int8, Codebook::Nf4, Codebook::Fp4, Codebook::E4m3]),
        shifted in 0..3, seed in 0..1000_u64,
    ) {
        let group = odd.unwrap_or(eights * 8);
        let input = odd.unwrap_or(group * groups);
        let (codes, exact) = coded([out, input, group], book, shifted, seed);
        let weight = GroupedWeight::new(&codes).unwrap();
        let matrix: Vec<f64> = values(weight.dequantize()).into_iter().map(f64::from).collect();
        prop_assert_eq!(&matrix, &exact);
        let x = noise(seed + 9, rows * input);
        let y = values(weight.forward(tensor(&x, [rows, input])));
        assert_close(&y, &product(&x, &exact, [rows, input, out]));
        let constants = if shifted == 2 { 8 } else { 4 };
        prop_assert_eq!(weight.bytes(), out * ((input * book.bits()).div_ceil(32) * 4 + input / group * constants));
    }

    /// Columns that were packed in another order meet the activations that they belong to.
    #[test]
    fn ordered_inputs_are_those_of_the_matrix(rows in 1..20_usize, input in 1..60_usize, out in 1..20_usize, seed in 0..1000_u64) {
        let order = shuffled(input, seed);
        let codes = int8_codes([out, input], 1e9, seed);
        let shuffled: Vec<i8> = codes.codes.chunks(input).flat_map(|row| order.iter().map(|&at| row[at as usize])).collect();
        let plain = PackedLinear::from(Int8Weight::new(&codes).unwrap());
        let ordered = PackedLinear::from(Int8Weight::new(&Int8Codes { codes: shuffled, ..codes }).unwrap()).ordered(order.clone()).unwrap();
        let x = tensor(&noise(seed + 9, rows * input), [rows, input]);
        prop_assert_eq!(values(ordered.forward(x.clone())), values(plain.forward(x)));
        prop_assert_eq!(values(ordered.dequantize()), values(plain.dequantize()));
        let in_order = order.iter().enumerate().all(|(at, &from)| at == from as usize);
        prop_assert_eq!(ordered.bytes(), plain.bytes() + if in_order { 0 } else { 4 * input });
    }

    #[test]
    fn bf16_equals_loops(rows in 1..41_usize, input in 1..140_usize, out in 1..150_usize, seed in 0..1000_u64) {
        let kept = bf16_values(out * input, seed);
        let weight = bf16_weight(&kept, [out, input]);
        let exact: Vec<f64> = kept.iter().map(|value| value.to_f64()).collect();
        let x = noise(seed + 9, rows * input);
        let y = values(weight.forward(tensor(&x, [rows, input])));
        assert_close(&y, &product(&x, &exact, [rows, input, out]));
        prop_assert_eq!(values(weight.widen()).into_iter().map(f64::from).collect::<Vec<_>>(), exact);
        prop_assert_eq!(weight.bytes(), out * input.div_ceil(2) * 4);
    }

    /// What comes out for a row is a matter of that row: of the others neither the number, the order nor the content.
    #[test]
    fn int8_rows_do_not_know_each_other(
        rows in prop_oneof![2..9_usize, 46..60_usize], input in 1..140_usize, out in 1..80_usize, threshold in 0.5..1.2_f32,
        cut in any::<prop::sample::Index>(), turn in any::<prop::sample::Index>(), seed in 0..1000_u64,
    ) {
        let weight = Int8Weight::new(&int8_codes([out, input], threshold, seed)).unwrap();
        let x = noise(seed + 9, rows * input);
        let product = |x: &[f32]| values(weight.forward(tensor(x, [x.len() / input, input])));
        let (whole, cut) = (product(&x), cut.index(rows - 1) + 1);
        let (head, tail) = x.split_at(cut * input);
        prop_assert_eq!([product(head), product(tail)].concat(), whole.clone());
        let turn = turn.index(rows);
        let turned = [&x[turn * input..], &x[..turn * input]].concat();
        prop_assert_eq!(product(&turned), [&whole[turn * out..], &whole[..turn * out]].concat());
    }

    #[test]
    fn int8_equals_loops(rows in 1..60_usize, input in 1..140_usize, out in 1..80_usize, threshold in 0.5..1.2_f32, seed in 0..1000_u64) {
        let codes = int8_codes([out, input], threshold, seed);
        let weight = Int8Weight::new(&codes).unwrap();
        let x = noise(seed + 9, rows * input);
        let y = values(weight.forward(tensor(&x, [rows, input])));
        assert_close(&y, &int8_product(&x, &codes));
    }

    /// With scales that cancel, the product is the integer sum itself and must be exact.
    #[test]
    fn int8_sums_are_exact(rows in prop_oneof![1..9_usize, 48..52_usize], input in 2..2600_usize, out in 1..40_usize, seed in 0..1000_u64) {
        let mut codes = int8_codes([out, input], 1e3, seed);
        codes.scales = vec![127.0; out];
        let mut x: Vec<f32> = noise(seed + 9, rows * input).iter().map(|v| (v * 127.0).trunc()).collect();
        x.iter_mut().step_by(input).for_each(|first| *first = 127.0);
        let weight = Int8Weight::new(&codes).unwrap();
        let y = values(weight.forward(tensor(&x, [rows, input])));
        for row in 0..rows {
            for feature in 0..out {
                let sum: i64 = (0..input).map(|k| x[row * input + k] as i64 * i64::from(codes.codes[feature * input + k])).sum();
                prop_assert_eq!(y[row * out + feature], sum as f32);
            }
        }
    }
}

/// Matrices of floats that are large enough for several cores, by columns and by rows, and widths that fill no register.
#[test]
fn large_dense_products_equal_loops() {
    let [out, input] = [1031, 1027];
    let matrix = noise(3, out * input);
    let exact: Vec<f64> = matrix.iter().map(|&value| value.into()).collect();
    let weight = Weight::dense(&matrix, [out, input], &Cpu, Element::F32);
    let table = Table::dense(&matrix, [out, input], &Cpu, Element::F32);
    for rows in [1, 2, 15, 16] {
        let x = noise(rows as u64, rows * input);
        let expected = product(&x, &exact, [rows, input, out]);
        let x = Matrix::from(tensor(&x, [rows, input]));
        let found = |y: &Matrix| pollster::block_on(y.read()).unwrap();
        assert_close(&found(&weight.product(&x, Added::default())), &expected);
        assert_close(&found(&table.project(&x)), &expected);
    }
}

/// What comes out for a row of 4-bit products is a matter of that row, as long as there are few.
#[test]
fn w4_rows_do_not_know_each_other() {
    let [out, input] = [70, 256];
    let weight = GroupedWeight::new(&w4_codes([out, input, 64], 5)).unwrap();
    let x = noise(4, 15 * input);
    let together = values(weight.forward(tensor(&x, [15, input])));
    for (row, x) in x.chunks(input).enumerate() {
        assert_eq!(values(weight.forward(tensor(x, [1, input]))), &together[row * out..][..out]);
    }
}

#[test]
fn large_products_equal_loops() {
    // Wide enough for several tiles, several threads and both ways through the 4-bit product.
    for rows in [1, 2, 33, 160] {
        let [out, input] = [333, 1536];
        let x = noise(rows as u64, rows * input);
        let w4 = w4_codes([out, input, 64], 5);
        let y = GroupedWeight::new(&w4).unwrap().forward(tensor(&x, [rows, input]));
        assert_close(&values(y), &product(&x, &w4_matrix(&w4), [rows, input, out]));
        let kept = bf16_values(out * input, 7);
        let exact: Vec<f64> = kept.iter().map(|value| value.to_f64()).collect();
        let y = bf16_weight(&kept, [out, input]).forward(tensor(&x, [rows, input]));
        assert_close(&values(y), &product(&x, &exact, [rows, input, out]));
        let int8 = int8_codes([out, input], 0.999, 6);
        let y = Int8Weight::new(&int8).unwrap().forward(tensor(&x, [rows, input]));
        assert_close(&values(y), &int8_product(&x, &int8));
    }
}

/// The other layouts compute in floats, whose sums round otherwise where a product runs over other row counts, and no further.
#[test]
fn rows_of_float_products_know_each_other_by_rounding_alone() {
    let (rows, out, input) = (40, 70, 96);
    let x = noise(3, rows * input);
    let kept = bf16_values(out * input, 4);
    let bf16 = bf16_weight(&kept, [out, input]);
    let w4 = GroupedWeight::new(&w4_codes([out, input, 32], 5)).unwrap();
    let w4_exact = w4_matrix(&w4_codes([out, input, 32], 5));
    let bf16_exact: Vec<f64> = kept.iter().map(|value| value.to_f64()).collect();
    let products: [&dyn Fn(Tensor<2>) -> Tensor<2>; 2] = [&|x| w4.forward(x), &|x| bf16.forward(x)];
    for (forward, exact) in products.into_iter().zip([w4_exact, bf16_exact]) {
        let expected = product(&x, &exact, [rows, input, out]);
        for cut in [1, 3, 15, 16, 17, 39] {
            let (head, tail) = x.split_at(cut * input);
            let parts = [head, tail].map(|x| values(forward(tensor(x, [x.len() / input, input])))).concat();
            assert_close(&parts, &expected);
        }
        let turned = values(forward(tensor(&[&x[7 * input..], &x[..7 * input]].concat(), [rows, input])));
        assert_close(&turned, &[&expected[7 * out..], &expected[..7 * out]].concat());
    }
}

#[test]
fn bf16_by_hand() {
    // Three numbers in two words, the last half empty.
    let kept = [1.5, -2.0, 0.25, 3.0, 0.0, -0.5].map(bf16::from_f32);
    let weight = bf16_weight(&kept, [2, 3]);
    assert_eq!((weight.shape(), weight.bytes(), Bf16Weight::row_bytes(3)), ([2, 3], 16, 8));
    assert_eq!(values(weight.forward(tensor(&[2.0, 1.0, 4.0], [1, 3]))), [2.0, 4.0]);
    let picked = Tensor::<1, Int>::from_data(TensorData::from([1_i32, 1, 0]), (&Device::flex(), DType::I32));
    assert_eq!(values(weight.rows(picked)), [3.0, 0.0, -0.5, 3.0, 0.0, -0.5, 1.5, -2.0, 0.25]);
    let refused = Bf16Weight::new(&kept, [2, 4]).unwrap_err().to_string();
    assert_eq!(refused, "values: expected 8 values for a [2, 4] matrix, found 6");
}

/// Each row of activations by itself is brought to at most 448 and rounded to FP8; weights are what their codes stand for.
#[test]
fn fp8_rounds_activations_row_by_row() {
    // 1.0, 1.5 and 448.
    let codes = GroupedCodes {
        out: 1,
        input: 3,
        group: 3,
        book: Codebook::E4m3,
        codes: vec![0x38, 0x3c, 0x7e],
        scales: vec![0.5],
        shift: Shift::Middle,
    };
    let weight = PackedLinear::from(GroupedWeight::new(&codes).unwrap()).rounding_to_e4m3();
    let x = tensor(&[448.0, 17.0, 0.3, 0.0, 0.0, 0.0, 2.0, -1.05, 0.01], [3, 3]);
    // Row 0 has the scale 1: 17 lies between 16 and 18 and goes to the even 16; 0.3 goes to 0.3125 (steps of 1/32). Row 2 has the scale
    // 2/448: -235.2 goes to -240 (steps of 16), 2.24 to 2.25 (steps of 1/4).
    let scale = 2.0 / 448.0;
    let expected = [0.5 * (448.0 + 1.5 * 16.0 + 448.0 * 0.3125), 0.0, 0.5 * (2.0 - 1.5 * 240.0 * scale + 448.0 * 2.25 * scale)];
    assert_close(&values(weight.forward(x)), &expected.map(|y: f64| (y, 448.0)));
}

/// Both layouts of one shape, for what they have in common.
fn both(shape: [usize; 2]) -> [PackedLinear; 2] {
    let [out, input] = shape;
    [GroupedWeight::new(&w4_codes([out, input, 8], 1)).unwrap().into(), Int8Weight::new(&int8_codes([out, input], 6.0, 1)).unwrap().into()]
}

#[test]
fn thread_count_does_not_change_a_bit() {
    let x = tensor(&noise(3, 160 * 256), [160, 256]);
    for weight in both([300, 256]) {
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| values(weight.forward(x.clone()))).into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(1), bits(3));
    }
}

#[test]
fn strided_activations_are_read_as_the_matrix_they_show() {
    let x = tensor(&noise(4, 24 * 10), [24, 10]);
    for weight in both([11, 24]) {
        let plain = tensor(&values(x.clone().transpose()), [10, 24]);
        assert_eq!(values(weight.forward(x.clone().transpose())), values(weight.forward(plain.clone())));
        assert_eq!(
            values(weight.forward(plain.clone().slice([3..5, 0..24]))),
            values(weight.forward(tensor(&values(plain)[3 * 24..5 * 24], [2, 24]))),
        );
    }
}

#[test]
fn half_precision_activations_give_half_precision_results() {
    let x = tensor(&noise(5, 3 * 24), [3, 24]).cast(DType::F16);
    for weight in both([7, 24]) {
        let y = weight.forward(x.clone());
        assert_eq!(y.dtype(), DType::F16);
        let exact = values(weight.forward(x.clone().cast(DType::F32)));
        for (half, exact) in values(y).into_iter().zip(exact) {
            assert!((half - exact).abs() <= exact.abs() / 1024.0, "{half} is not {exact} in f16");
        }
    }
}

#[test]
fn zero_rows_give_zeros_and_nan_stays_visible() {
    for weight in both([5, 16]) {
        assert!(values(weight.forward(tensor(&[0.0; 32], [2, 16]))).iter().all(|&v| v == 0.0));
        let mut x = [0.5; 16];
        x[3] = f32::NAN;
        assert!(values(weight.forward(tensor(&x, [1, 16]))).iter().all(|v| v.is_nan()));
    }
}

#[test]
fn codes_that_do_not_fit_are_refused() {
    let good = w4_codes([2, 32, 16], 1);
    let refused = |codes: GroupedCodes| GroupedWeight::new(&codes).unwrap_err().to_string();
    assert_eq!(
        refused(GroupedCodes { group: 12, ..good.clone() }),
        "group size 12: expected a multiple of 8 that divides the input width 32, or that width"
    );
    assert_eq!(refused(GroupedCodes { scales: vec![1.0; 3], ..good.clone() }), "scales: expected 4 values for a [2, 32] matrix, found 3");
    let mut codes = good.clone();
    codes.codes[40] = 16;
    assert_eq!(refused(codes), "code 16 at row 1, column 8: expected 0 to 15");
    let mut codes = good;
    codes.scales[2] = 1e6;
    assert_eq!(refused(codes), "scale 1000000 at row 1: not a finite number in the stored precision");

    let mut codes = int8_codes([2, 3], 6.0, 1);
    codes.scales[1] = f32::INFINITY;
    assert_eq!(Int8Weight::new(&codes).unwrap_err(), PackError::NotFinite { field: "scale", value: f32::INFINITY, row: 1 });

    let fp8 = GroupedCodes { book: Codebook::E4m3, shift: Shift::Middle, ..w4_codes([1, 8, 8], 1) };
    let refused = GroupedWeight::new(&GroupedCodes { codes: vec![0, 1, 2, 255, 4, 5, 6, 7], ..fp8 }).unwrap_err().to_string();
    assert_eq!(refused, "code 255 at row 0, column 3: expected a number, 127 and 255 are none");
    let weight = PackedLinear::from(GroupedWeight::new(&w4_codes([2, 32, 16], 1)).unwrap());
    for order in [vec![0; 32], (1..33).collect(), (0..31).collect()] {
        assert_eq!(weight.clone().ordered(order).unwrap_err(), PackError::Order { input: 32 });
    }
}
