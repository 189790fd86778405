use steady_gpu::{
    Rows,
    kernels::{Epilogue, Weight, product, product_into},
};

use crate::{
    support::{assert_close, best, gpu, numbers, read},
    weight::{Format, int8_codes, some, word_of_bytes},
};

const FLOATS: [Format; 4] = [Format::F32, Format::F16, Format::Bf16, Format::W4(8)];
const ALL: [Format; 5] = [Format::F32, Format::F16, Format::Bf16, Format::W4(8), Format::Int8(0.7)];

/// `x Wᵀ` in `f64`.
fn by_definition(x: &[f32], weight: &[f64], input: usize) -> Vec<f64> {
    let dot = |row: &[f32], of_weight: &[f64]| row.iter().zip(of_weight).map(|(&x, w)| f64::from(x) * w).sum();
    x.chunks(input).flat_map(|row| weight.chunks(input).map(move |of_weight| dot(row, of_weight))).collect()
}

/// The product of LLM.int8() in `f64`, but for the scale of a row's codes, which is defined in `f32`.
fn int8_by_definition(x: &[f32], [out, input]: [usize; 2], seed: u64, threshold: f32) -> Vec<f64> {
    let (codes, absmax) = int8_codes([out, input], seed);
    let of_row = |row: &[f32]| -> Vec<f64> {
        let scale = row.iter().map(|value| value.abs()).filter(|size| *size < threshold).fold(0.0, f32::max);
        let of_out = |(codes, &absmax): (&[i8], &f32)| {
            let (mut integer, mut float) = (0i64, 0.0);
            for (&value, &code) in row.iter().zip(codes) {
                if value.abs() >= threshold {
                    float += f64::from(value) * f64::from(code);
                } else if scale > 0.0 {
                    integer += (value * (127.0 / scale)).round_ties_even() as i64 * i64::from(code);
                }
            }
            integer as f64 * f64::from(scale) * f64::from(absmax) / 127.0 / 127.0 + float * f64::from(absmax) / 127.0
        };
        codes.chunks(input).zip(&absmax).map(of_out).collect()
    };
    x.chunks(input).flat_map(of_row).collect()
}

/// Of few rows and of many, with nothing whole.
const SHAPES: [[usize; 3]; 9] =
    [[1, 1, 8], [1, 67, 1096], [3, 5, 24], [4, 4, 512], [8, 129, 40], [9, 1, 8], [64, 64, 16], [70, 130, 200], [131, 33, 552]];
/// With rows that are no whole packs.
const ODD_SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [2, 9, 29], [5, 7, 1003], [66, 65, 35]];

async fn of_every_shape() {
    for format in FLOATS {
        let odd = if matches!(format, Format::W4(_)) { &[][..] } else { &ODD_SHAPES };
        for &[rows, out, input] in SHAPES.iter().chain(odd) {
            let (weight, values) = some(format, [out, input], 1);
            let x = numbers(rows * input, 2);
            let found = read(&product(gpu(), &gpu().rows(&x, [rows, input]), &weight, &Epilogue::default())).await;
            assert_close(&found, &by_definition(&x, &values, input), 2e-6, &format!("{format:?}, [{rows}, {input}] to {out}"));
        }
    }
}

async fn groups_of_four_bits() {
    for group in [8, 24, 64, 192] {
        for rows in [2, 20] {
            let (weight, values) = some(Format::W4(group), [35, 192], 3);
            let x = numbers(rows * 192, 4);
            let found = read(&product(gpu(), &gpu().rows(&x, [rows, 192]), &weight, &Epilogue::default())).await;
            assert_close(&found, &by_definition(&x, &values, 192), 2e-6, &format!("{rows} rows, groups of {group}"));
        }
    }
}

async fn of_eight_bits() {
    // No outliers, some, and nothing else.
    for threshold in [2.0, 0.97, 0.5, 0.0] {
        for &[rows, out, input] in SHAPES.iter().chain(&ODD_SHAPES) {
            let (weight, _) = some(Format::Int8(threshold), [out, input], 5);
            let x = numbers(rows * input, 6);
            let found = read(&product(gpu(), &gpu().rows(&x, [rows, input]), &weight, &Epilogue::default())).await;
            let expected = int8_by_definition(&x, [out, input], 5, threshold);
            assert_close(&found, &expected, 2e-6, &format!("threshold {threshold}, [{rows}, {input}] to {out}"));
        }
    }
}

/// On an adapter whose language has no dot product of packed bytes: the same integers, so the same bits.
async fn of_eight_bits_without_packed_dots() {
    let least = best().await.as_least().open(None).await.unwrap();
    for rows in [3, 70] {
        let (out, input) = (67, 200);
        let (codes, absmax) = int8_codes([out, input], 34);
        let words: Vec<u32> = codes.chunks(4).map(word_of_bytes).collect();
        let x = numbers(rows * input, 35);
        let mut found = Vec::new();
        for gpu in [&least, gpu()] {
            let weight = Weight::int8(gpu, &words, &absmax, 0.7, [out, input]);
            found.push(gpu.read(&product(gpu, &gpu.rows(&x, [rows, input]), &weight, &Epilogue::default())).await.unwrap());
        }
        assert_close(&found[0], &int8_by_definition(&x, [out, input], 34, 0.7), 2e-6, "plain");
        assert!(found[0] == found[1], "{rows} rows");
    }
}

async fn codes_are_rounded_half_to_even() {
    // The largest is 127, so the unit is 1; the weight picks a column.
    let x = [127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 200.5, -127.0, 3.49];
    let codes = [127.0, 0.0, 2.0, 2.0, 0.0, -2.0, -2.0, 200.5, -127.0, 3.0];
    let mut words = vec![0u32; 10 * 3];
    for at in 0..10 {
        words[at * 3 + at / 4] = 127 << (8 * (at % 4));
    }
    let weight = Weight::int8(gpu(), &words, &[1.0; 10], 200.0, [10, 10]);
    for rows in [1, 9] {
        let found = read(&product(gpu(), &gpu().rows(&x.repeat(rows), [rows, 10]), &weight, &Epilogue::default())).await;
        assert_close(&found, &codes.repeat(rows), 1e-7, "codes");
    }
}

async fn a_row_of_zeros_is_nothing_and_a_nan_stays_visible() {
    let (weight, _) = some(Format::Int8(6.0), [5, 32], 7);
    for rows in [2, 10] {
        let mut x = vec![0.0; rows * 32];
        x[32 + 3] = f32::NAN;
        let found = read(&product(gpu(), &gpu().rows(&x, [rows, 32]), &weight, &Epilogue::default())).await;
        assert_eq!(found[..5], [0.0; 5]);
        assert!(found[5..10].iter().all(|value| value.is_nan()), "{found:?}");
    }
}

async fn bias_and_residual_are_added() {
    for format in ALL {
        for rows in [3, 77] {
            let (out, input) = (70, 64);
            let (weight, _) = some(format, [out, input], 8);
            let x = gpu().rows(&numbers(rows * input, 9), [rows, input]);
            let (bias, residual) = (numbers(3 * out, 10), numbers((rows + 1) * out, 11));
            // Both begin in the middle of a buffer.
            let of_bias = gpu().rows(&bias, [3, out]).slice(1..2);
            let of_residual = gpu().rows(&residual, [rows + 1, out]).slice(1..rows + 1);
            let plain = read(&product(gpu(), &x, &weight, &Epilogue::default())).await;
            for (with_bias, with_residual) in [(true, false), (false, true), (true, true)] {
                let epilogue = Epilogue { bias: with_bias.then_some(&of_bias), residual: with_residual.then_some(&of_residual) };
                let expected: Vec<f64> = (0..rows * out)
                    .map(|at| {
                        let bias = if with_bias { bias[out + at % out] } else { 0.0 };
                        let residual = if with_residual { residual[out + at] } else { 0.0 };
                        f64::from(plain[at]) + f64::from(bias) + f64::from(residual)
                    })
                    .collect();
                let found = read(&product(gpu(), &x, &weight, &epilogue)).await;
                assert_close(&found, &expected, 1e-6, &format!("{format:?}, {rows} rows, {with_bias} {with_residual}"));
            }
        }
    }
}

async fn a_row_has_the_same_bits_in_any_company() {
    for format in ALL {
        let (out, input) = (67, 256);
        let (weight, _) = some(format, [out, input], 12);
        let all = gpu().rows(&numbers(200 * input, 13), [200, input]);
        let of = async |x: &Rows| read(&product(gpu(), x, &weight, &Epilogue::default())).await;
        // Slices begin in the middle of the buffer, and their rows at any place of a block or a tile.
        let few: Vec<f32> = of(&all.slice(10..18)).await;
        for rows in [0..1, 1..2, 2..5, 3..8, 1..8] {
            assert_eq!(of(&all.slice(10 + rows.start..10 + rows.end)).await, few[rows.start * out..rows.end * out], "{format:?} {rows:?}");
        }
        let many = of(&all).await;
        for rows in [0..9, 63..77, 100..200, 7..136] {
            assert_eq!(of(&all.slice(rows.clone())).await, many[rows.start * out..rows.end * out], "{format:?} {rows:?}");
        }
    }
}

/// A product of many rows and outputs goes in larger tiles: exact, and with the bits of the small ones.
async fn large_products_have_the_bits_of_small_ones() {
    for format in FLOATS {
        // Twelve tiles of 128 outputs, the last of them hardly there, and nine of as many rows, against the same rows by themselves.
        let (rows, out, input) = (1030, 1410, 40);
        let (weight, values) = some(format, [out, input], 30);
        let x = numbers(rows * input, 31);
        let all = gpu().rows(&x, [rows, input]);
        let (bias, residual) = (gpu().rows(&numbers(out, 32), [1, out]), gpu().rows(&numbers(rows * out, 33), [rows, out]));
        let of = async |range: std::ops::Range<usize>| {
            let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual.slice(range.clone())) };
            read(&product(gpu(), &all.slice(range), &weight, &epilogue)).await
        };
        let found = of(0..rows).await;
        for range in [0..100, 500..700, 1000..rows] {
            assert!(of(range.clone()).await == found[range.start * out..range.end * out], "{format:?}, {range:?}");
        }
        let last = rows - 3..rows;
        let sums = by_definition(&x[last.start * input..], &values, input);
        let (of_bias, added) = (numbers(out, 32), numbers(rows * out, 33));
        let expected: Vec<f64> =
            sums.iter().enumerate().map(|(at, sum)| sum + f64::from(of_bias[at % out]) + f64::from(added[last.start * out + at])).collect();
        assert_close(&found[last.start * out..], &expected, 2e-6, &format!("{format:?}"));
    }
}

/// Where workgroups have too little memory for large tiles, small ones give the same.
async fn large_products_on_the_least_adapter() {
    let least = best().await.as_least().open(None).await.unwrap();
    let (rows, out, input) = (1030, 1410, 16);
    let (values, x) = (numbers(out * input, 36), numbers(rows * input, 37));
    let mut found = Vec::new();
    for gpu in [&least, gpu()] {
        let weight = Weight::f32(gpu, &values, [out, input]);
        found.push(gpu.read(&product(gpu, &gpu.rows(&x, [rows, input]), &weight, &Epilogue::default())).await.unwrap());
    }
    assert!(found[0] == found[1]);
}

async fn a_slice_that_is_not_aligned_is_the_same_rows() {
    for format in [Format::F32, Format::F16, Format::Bf16, Format::Int8(0.7)] {
        for rows in [2, 30] {
            let (weight, _) = some(format, [9, 35], 14);
            let x = numbers((rows + 3) * 35, 15);
            let slice = gpu().rows(&x, [rows + 3, 35]).slice(3..rows + 3);
            let found = read(&product(gpu(), &slice, &weight, &Epilogue::default())).await;
            let whole = gpu().rows(&x[3 * 35..], [rows, 35]);
            assert_eq!(found, read(&product(gpu(), &whole, &weight, &Epilogue::default())).await, "{format:?} {rows} rows");
        }
    }
    // Whole packs, but from an offset that is none: 8 columns behind a column.
    let (weight, values) = some(Format::F16, [9, 8], 16);
    let x = numbers(3 * 8 + 1, 17);
    let rows = gpu().rows(&x, [25, 1]).slice(1..25).reshape([3, 8]);
    assert_close(&read(&product(gpu(), &rows, &weight, &Epilogue::default())).await, &by_definition(&x[1..], &values, 8), 2e-6, "x");
}

async fn products_stand_side_by_side() {
    for format in ALL {
        for rows in [2, 66] {
            let input = 64;
            let x = gpu().rows(&numbers(rows * input, 18), [rows, input]);
            let outs = [5, 70, 3];
            let width = outs.iter().sum::<usize>() + 1;
            // The matrix is a slice itself, and what is around it stays.
            let buffer = gpu().rows(&vec![7.0; (rows + 2) * width], [rows + 2, width]);
            let y = buffer.slice(1..rows + 1);
            let mut expected = vec![7.0; (rows + 2) * width];
            let mut column = 0;
            for (seed, out) in (19..).zip(outs) {
                let (weight, _) = some(format, [out, input], seed);
                product_into(gpu(), &x, &weight, &Epilogue::default(), &y.columns(column..column + out));
                let alone = read(&product(gpu(), &x, &weight, &Epilogue::default())).await;
                for (row, of_row) in alone.chunks(out).enumerate() {
                    expected[(row + 1) * width + column..][..out].copy_from_slice(of_row);
                }
                column += out;
            }
            assert_eq!(read(&buffer).await, expected, "{format:?} {rows} rows");
        }
    }
}

/// A software GPU of a browser takes minutes.
#[cfg(not(target_family = "wasm"))]
async fn more_workgroups_than_one_axis_takes() {
    let out = 4 * 65_535 + 7;
    let (weight, values) = some(Format::Bf16, [out, 8], 22);
    let x = numbers(8, 23);
    let found = read(&product(gpu(), &gpu().rows(&x, [1, 8]), &weight, &Epilogue::default())).await;
    assert_close(&found, &by_definition(&x, &values, 8), 2e-6, "a row");
    // So many tiles are cheap to come by where there is nothing to multiply.
    let rows = 64 * 65_535 + 7;
    let residual = numbers(rows, 24);
    let epilogue = Epilogue { bias: None, residual: Some(&gpu().rows(&residual, [rows, 1])) };
    let found = read(&product(gpu(), &gpu().rows(&[], [rows, 0]), &Weight::f32(gpu(), &[], [1, 0]), &epilogue)).await;
    assert!(found == residual, "a residual alone");
}

async fn nothing_is_multiplied() {
    let (weight, _) = some(Format::F16, [5, 8], 26);
    assert_eq!(product(gpu(), &gpu().rows(&[], [0, 8]), &weight, &Epilogue::default()).dims(), [0, 5]);
    let bias = numbers(3, 27);
    let epilogue = Epilogue { bias: Some(&gpu().rows(&bias, [1, 3])), residual: None };
    let found = read(&product(gpu(), &gpu().rows(&[], [2, 0]), &Weight::f32(gpu(), &[], [3, 0]), &epilogue)).await;
    assert_eq!(found, bias.repeat(2));
}

/// Prints what products take, in ms: `cargo test --release -p steady-gpu -- --ignored --nocapture time_of`.
#[cfg(not(target_family = "wasm"))]
#[test]
#[ignore = "a measurement"]
fn time_of_products() {
    use pollster::FutureExt;
    use std::time::{Duration, Instant};
    crate::support::open().block_on();
    for format in [Format::F32, Format::F16, Format::Bf16, Format::W4(128), Format::Int8(0.999)] {
        for [rows, out, input] in [[1, 2048, 2048], [8, 2048, 2048], [256, 1024, 1024], [1415, 1536, 1536]] {
            let (weight, _) = some(format, [out, input], 28);
            let x = gpu().rows(&numbers(rows * input, 29), [rows, input]);
            let run = || {
                let started = Instant::now();
                read(&product(gpu(), &x, &weight, &Epilogue::default())).block_on();
                started.elapsed()
            };
            let first = run();
            let least = (0..10).map(|_| run()).min().unwrap_or(Duration::ZERO);
            let [first, least] = [first, least].map(|time| time.as_secs_f64() * 1e3);
            println!("{format:?} [{rows}, {input}] to {out}: {least:.2} ms, the first time {first:.0} ms");
        }
    }
}

crate::suite! {
    of_every_shape,
    groups_of_four_bits,
    of_eight_bits,
    of_eight_bits_without_packed_dots,
    codes_are_rounded_half_to_even,
    a_row_of_zeros_is_nothing_and_a_nan_stays_visible,
    bias_and_residual_are_added,
    a_row_has_the_same_bits_in_any_company,
    large_products_have_the_bits_of_small_ones,
    large_products_on_the_least_adapter,
    a_slice_that_is_not_aligned_is_the_same_rows,
    products_stand_side_by_side,
    #[cfg(not(target_family = "wasm"))]
    more_workgroups_than_one_axis_takes,
    nothing_is_multiplied,
}
