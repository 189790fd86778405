//! The accurate integer inverse DCT of libjpeg (`jidctint.c`), after Loeffler, Ligtenberg and Moschytz (1989).

use super::frame::Block;

const BITS: u32 = 13;
/// Fractional bits kept between the passes.
const BETWEEN: u32 = 2;

/// Eight rows, or columns, of eight values.
type Lanes = [[i32; 8]; 8];

/// Dequantizes a block and writes its 8 x 8 samples, rows `pitch` apart.
///
/// Where a damaged file's numbers leave 16 bits they wrap or saturate as in libjpeg-turbo's vector code (`jidctint-avx2.asm`), which
/// is what Pillow runs.
pub(super) fn inverse(block: &Block, quantization: &[u16; 64], out: &mut [u8], pitch: usize) {
    let dequantized: Block = std::array::from_fn(|at| block[at].wrapping_mul(quantization[at] as i16));
    let flat = dequantized[8..].iter().all(|value| *value == 0);
    if flat && dequantized[1..8].iter().all(|value| *value == 0) {
        let value = sample(descale(i32::from(dequantized[0] << BETWEEN) << BITS, BITS + BETWEEN + 3));
        for row in 0..8 {
            out[row * pitch..][..8].fill(value);
        }
        return;
    }
    let rows: Lanes = std::array::from_fn(|row| std::array::from_fn(|column| i32::from(dequantized[row * 8 + column])));
    let work = if flat {
        [std::array::from_fn(|column| i32::from(dequantized[column] << BETWEEN)); 8]
    } else {
        pass(&rows).map(|row| row.map(|value| saturated(descale(value, BITS - BETWEEN))))
    };
    let columns = pass(&transposed(&work)).map(|column| column.map(|value| descale(value, BITS + BETWEEN + 3)));
    for (row, values) in transposed(&columns).into_iter().enumerate() {
        out[row * pitch..][..8].copy_from_slice(&values.map(sample));
    }
}

fn transposed(lanes: &Lanes) -> Lanes {
    std::array::from_fn(|i| std::array::from_fn(|j| lanes[j][i]))
}

fn sample(value: i32) -> u8 {
    (saturated(value) + 128).clamp(0, 255) as u8
}

fn saturated(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// What is left of a sum in 16 bits.
fn wrapped(value: i32) -> i32 {
    i32::from(value as i16)
}

fn descale(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

/// Eight transforms side by side, across the first index; results carry `BITS` more fractional bits. Damaged coefficients may wrap.
fn pass(input: &Lanes) -> Lanes {
    let times = i32::wrapping_mul;
    let plus = i32::wrapping_add;
    let minus = i32::wrapping_sub;
    let mut out = [[0; 8]; 8];
    for lane in 0..8 {
        let x: [i32; 8] = std::array::from_fn(|k| input[k][lane]);
        // even part
        let z1 = times(plus(x[2], x[6]), 4433);
        let t2 = plus(z1, times(x[6], -15137));
        let t3 = plus(z1, times(x[2], 6270));
        let t0 = wrapped(x[0] + x[4]).wrapping_shl(BITS);
        let t1 = wrapped(x[0] - x[4]).wrapping_shl(BITS);
        let even = [plus(t0, t3), plus(t1, t2), minus(t1, t2), minus(t0, t3)];
        // odd part
        let (a, b, c, d) = (x[7], x[5], x[3], x[1]);
        let (z3, z4) = (wrapped(a + c), wrapped(b + d));
        let z5 = times(plus(z3, z4), 9633);
        let z1 = times(plus(a, d), -7373);
        let z2 = times(plus(b, c), -20995);
        let z3 = plus(times(z3, -16069), z5);
        let z4 = plus(times(z4, -3196), z5);
        let odd = [
            plus(times(d, 12299), plus(z1, z4)),
            plus(times(c, 25172), plus(z2, z3)),
            plus(times(b, 16819), plus(z2, z4)),
            plus(times(a, 2446), plus(z1, z3)),
        ];
        for k in 0..4 {
            out[k][lane] = plus(even[k], odd[k]);
            out[7 - k][lane] = minus(even[k], odd[k]);
        }
    }
    out
}
