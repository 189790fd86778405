//! What codes stand for before their group's scale.

/// What the codes of a matrix stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codebook {
    /// 4 bits: the numbers 0 to 15.
    Int4,
    /// 8 bits: the numbers 0 to 255.
    Int8,
    /// 4 bits: sixteen quantiles of the normal distribution, from -1 to 1 (QLoRA: Dettmers et al., NeurIPS 2023; the numbers are those of
    /// bitsandbytes, `functional.py`).
    Nf4,
    /// 4 bits: a sign, two bits of exponent and one of mantissa, divided by the largest (bitsandbytes, `functional.py`).
    Fp4,
    /// 8 bits: a sign, four bits of exponent and three of mantissa, as OCP's FP8 E4M3 (arXiv 2209.05433), whose largest is 448.
    E4m3,
}

impl Codebook {
    /// Bits of a code.
    pub const fn bits(self) -> usize {
        match self {
            Self::Int4 | Self::Nf4 | Self::Fp4 => 4,
            Self::Int8 | Self::E4m3 => 8,
        }
    }

    /// The code of zero in integers that have no zero points: the middle. 0 in tables, which have a zero of their own.
    pub const fn middle(self) -> u8 {
        match self {
            Self::Int4 => 8,
            Self::Int8 => 128,
            Self::Nf4 | Self::Fp4 | Self::E4m3 => 0,
        }
    }

    /// What each code stands for; `None` for integers, which are themselves.
    pub const fn table(self) -> Option<&'static [f32]> {
        match self {
            Self::Int4 | Self::Int8 => None,
            Self::Nf4 => Some(&NF4),
            Self::Fp4 => Some(&FP4),
            Self::E4m3 => Some(&E4M3),
        }
    }

    /// What each code of 4 bits stands for; `None` for those of 8 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn sixteen(self) -> Option<&'static [f32; 16]> {
        match self {
            Self::Int4 => Some(&INT4),
            Self::Nf4 => Some(&NF4),
            Self::Fp4 => Some(&FP4),
            Self::Int8 | Self::E4m3 => None,
        }
    }
}

#[cfg(target_arch = "x86_64")]
const INT4: [f32; 16] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

const FP4: [f32; 16] = {
    const SIZES: [f32; 8] = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];
    let mut table = [0.0; 16];
    let mut code = 0;
    while code < 8 {
        table[code] = SIZES[code] / 12.0;
        // There is one zero.
        table[code + 8] = 0.0 - table[code];
        code += 1;
    }
    table
};

const E4M3: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        let (exponent, mantissa) = ((code >> 3) & 15, code & 7);
        let size = match exponent {
            // Subnormal: steps of 2^-9.
            0 => mantissa as f32 / 512.0,
            15 if mantissa == 7 => f32::NAN,
            _ => f32::from_bits(((exponent + 120) << 23) | (mantissa << 20)),
        };
        table[code as usize] = if code < 128 { size } else { -size };
        code += 1;
    }
    table
};

impl Codebook {
    /// The code of the number of [`Self::E4m3`] that is nearest to a finite `value`, the even one of two; of at most 448 either way.
    pub fn e4m3(value: f32) -> u8 {
        let nearest = to_e4m3(value);
        let bits = nearest.abs().to_bits();
        let size = match bits >> 20 {
            // Subnormal: steps of 2^-9.
            below if below < 121 << 3 => nearest.abs() * 512.0,
            usual => (usual - (120 << 3)) as f32,
        };
        (size as u8) | (u8::from(nearest.is_sign_negative()) << 7)
    }
}

/// The nearest number of E4M3, the even one of two; of at most 448 either way.
#[inline]
pub(crate) fn to_e4m3(value: f32) -> f32 {
    if value.is_nan() {
        return value;
    }
    let value = value.clamp(-448.0, 448.0);
    // Numbers from 2^e on lie 2^(e-3) apart; below 2^-6 they are subnormal.
    let exponent = ((value.to_bits() >> 23) & 255).max(121) - 3;
    let step = f32::from_bits(exponent << 23);
    (value / step).round_ties_even() * step
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact results are the point")]

    use super::{Codebook, E4M3, to_e4m3};

    /// By the format's definition: bias 7, the largest 448, no infinity.
    #[test]
    fn e4m3_by_definition() {
        assert_eq!([E4M3[0x01], E4M3[0x07], E4M3[0x08], E4M3[0x38], E4M3[0x7e]], [0.001_953_125, 0.013_671_875, 0.015_625, 1.0, 448.0]);
        assert_eq!([E4M3[0xb8], E4M3[0xfe]], [-1.0, -448.0]);
        assert!(E4M3[0x7f].is_nan() && E4M3[0xff].is_nan());
        let mut sizes: Vec<f32> = E4M3[..0x7f].to_vec();
        sizes.sort_by(f32::total_cmp);
        assert_eq!(sizes, E4M3[..0x7f], "codes ascend");
    }

    /// Against a search through the table.
    #[test]
    fn rounding_finds_the_nearest_and_the_even_of_two() {
        let nearest = |value: f32| {
            let distance = |code: &usize| (f64::from(E4M3[*code]) - f64::from(value.abs())).abs();
            // Of two that are as far, the one whose last bit is 0.
            let code = (0..0x7f).min_by(|a, b| distance(a).total_cmp(&distance(b)).then((a & 1).cmp(&(b & 1)))).unwrap();
            E4M3[code].copysign(value)
        };
        let halfway = (0..0x7e).map(|code| f32::midpoint(E4M3[code], E4M3[code + 1]));
        let others = (0..4000).map(|at| (at as f32 * 0.731).sin() * (at as f32 * 0.01 - 12.0).exp2());
        for value in halfway.chain(others).chain([0.0, 448.0, 500.0, 1e9, 1e-9]) {
            for value in [value, -value] {
                assert_eq!(to_e4m3(value), nearest(value), "{value}");
                let found = E4M3[usize::from(Codebook::e4m3(value))];
                assert_eq!(found.to_bits(), nearest(value).to_bits(), "{value}");
            }
        }
        assert!(to_e4m3(f32::NAN).is_nan());
    }

    #[test]
    fn tables_have_a_number_for_each_code() {
        for book in [Codebook::Nf4, Codebook::Fp4, Codebook::E4m3] {
            assert_eq!(book.table().unwrap().len(), 1 << book.bits());
        }
    }
}
