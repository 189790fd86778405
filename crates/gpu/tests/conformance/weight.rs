use half::{bf16, f16};
use steady_gpu::kernels::Weight;

use crate::support::{gpu, numbers, read};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    F32,
    F16,
    Bf16,
    /// With so many inputs to a group.
    W4(usize),
    /// With a threshold.
    Int8(f32),
}

/// Some weight, and the numbers that it stands for.
pub(crate) fn some(format: Format, [out, input]: [usize; 2], seed: u64) -> (Weight, Vec<f64>) {
    let shape = [out, input];
    let values = numbers(out * input, seed);
    match format {
        Format::F32 => (Weight::f32(gpu(), &values, shape), values.iter().map(|&value| value.into()).collect()),
        Format::F16 => {
            let bits: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
            (Weight::f16(gpu(), &bits, shape), bits.iter().map(|&bits| f16::from_bits(bits).to_f64()).collect())
        }
        Format::Bf16 => {
            let bits: Vec<u16> = values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
            (Weight::bf16(gpu(), &bits, shape), bits.iter().map(|&bits| bf16::from_bits(bits).to_f64()).collect())
        }
        Format::W4(group) => {
            let codes: Vec<u32> = values.iter().map(|value| (value.abs() * 16.0) as u32 & 15).collect();
            let words: Vec<u32> = codes.chunks(8).map(|eight| eight.iter().rev().fold(0, |word, code| word << 4 | code)).collect();
            let of_groups = numbers(2 * out * input / group, seed + 1);
            let of_groups: Vec<[f16; 2]> = of_groups.chunks(2).map(|two| [two[0] * 0.1, two[1] * 4.0 + 8.0].map(f16::from_f32)).collect();
            let groups: Vec<u32> =
                of_groups.iter().map(|two| two.iter().rev().fold(0, |word, half| word << 16 | u32::from(half.to_bits()))).collect();
            let value = |(at, &code): (usize, &u32)| {
                let [scale, zero] = of_groups[at / group].map(f16::to_f64);
                (f64::from(code) - zero) * scale
            };
            (Weight::w4(gpu(), &words, &groups, shape), codes.iter().enumerate().map(value).collect())
        }
        Format::Int8(threshold) => {
            let (codes, absmax) = int8_codes(shape, seed);
            let words: Vec<u32> = codes.chunks(input).flat_map(|row| row.chunks(4)).map(word_of_bytes).collect();
            let value = |(at, &code): (usize, &i8)| f64::from(code) * f64::from(absmax[at / input]) / 127.0;
            (Weight::int8(gpu(), &words, &absmax, threshold, shape), codes.iter().enumerate().map(value).collect())
        }
    }
}

/// The codes and maxima of [`some`].
pub(crate) fn int8_codes([out, input]: [usize; 2], seed: u64) -> (Vec<i8>, Vec<f32>) {
    let codes = numbers(out * input, seed).iter().map(|value| (value * 127.0).round() as i8).collect();
    (codes, numbers(out, seed + 1).iter().map(|value| value.abs() + 0.1).collect())
}

pub(crate) fn word_of_bytes(bytes: &[i8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte.cast_unsigned()))
}

async fn gathered_rows_are_those_of_the_matrix() {
    for format in [Format::F32, Format::F16, Format::Bf16, Format::W4(8)] {
        for [out, input] in [[1, 8], [7, 16], [100, 72], [5, 1], [300, 13]] {
            if format == Format::W4(8) && input % 8 != 0 {
                continue;
            }
            let (weight, values) = some(format, [out, input], 3);
            assert_eq!(weight.shape(), [out, input]);
            let last = out as u32 - 1;
            let ids = [last, 0, last / 2, last, last];
            let found = read(&weight.rows(gpu(), &ids)).await;
            let expected: Vec<f64> = ids.iter().flat_map(|&id| values[id as usize * input..][..input].to_vec()).collect();
            let found: Vec<f64> = found.iter().map(|&value| value.into()).collect();
            // Widening is exact; 4 bits are multiplied out.
            let close = |(found, expected): (&f64, &f64)| (found - expected).abs() <= if format == Format::W4(8) { 1e-6 } else { 0.0 };
            assert!(found.len() == expected.len() && found.iter().zip(&expected).all(close), "{format:?} [{out}, {input}]");
        }
    }
}

/// A software GPU of a browser takes minutes.
#[cfg(not(target_family = "wasm"))]
async fn more_rows_are_gathered_than_one_axis_takes() {
    let values = numbers(11, 4);
    let ids: Vec<u32> = (0..64 * 65_536 + 100).map(|at| at % 11).collect();
    let found = read(&Weight::f32(gpu(), &values, [11, 1]).rows(gpu(), &ids)).await;
    let expected: Vec<f32> = ids.iter().map(|&id| values[id as usize]).collect();
    assert!(found == expected, "{} rows", ids.len());
}

async fn no_rows_are_gathered() {
    assert_eq!(Weight::f32(gpu(), &numbers(8, 5), [1, 8]).rows(gpu(), &[]).dims(), [0, 8]);
}

#[cfg(not(target_family = "wasm"))]
#[test]
#[should_panic(expected = "rows of a weight [3, 8]")]
fn a_row_beyond_the_last() {
    pollster::block_on(crate::support::open());
    let _ = Weight::f32(gpu(), &numbers(24, 6), [3, 8]).rows(gpu(), &[0, 3]);
}

async fn bytes_are_those_of_the_format() {
    let bytes = |format| some(format, [3, 128], 7).0.bytes();
    let formats = [Format::F32, Format::F16, Format::Bf16, Format::W4(64), Format::Int8(6.0)];
    assert_eq!(formats.map(bytes), [3 * 512, 3 * 256, 3 * 256, 3 * (64 + 8), 3 * (128 + 4)]);
}

crate::suite! {
    gathered_rows_are_those_of_the_matrix,
    #[cfg(not(target_family = "wasm"))]
    more_rows_are_gathered_than_one_axis_takes,
    no_rows_are_gathered,
    bytes_are_those_of_the_format,
}
