//! What a quantizer hands over: integers and their scales, on the host, checked before they are packed.

use half::f16;
use thiserror::Error;

use crate::Codebook;

/// Why codes cannot be packed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PackError {
    /// A vector does not have the length its matrix asks for.
    #[error("{field}: expected {expected} values for a [{out}, {input}] matrix, found {found}")]
    Length {
        /// Which vector.
        field: &'static str,
        /// Rows of the matrix.
        out: usize,
        /// Columns of the matrix.
        input: usize,
        /// Values the matrix asks for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The group size does not fit the input width or the word size.
    #[error("group size {group}: expected a multiple of 8 that divides the input width {input}, or that width")]
    Group {
        /// The group size asked for.
        group: usize,
        /// Columns of the matrix.
        input: usize,
    },
    /// A code is outside its range.
    #[error("code {code} at row {row}, column {column}: expected {expected}")]
    Code {
        /// The code found.
        code: i32,
        /// Output row.
        row: usize,
        /// Input column.
        column: usize,
        /// The range.
        expected: &'static str,
    },
    /// An order of inputs that is none.
    #[error("an order of inputs: expected each of the {input} inputs once")]
    Order {
        /// Columns of the matrix.
        input: usize,
    },
    /// A scale or zero point is not finite in the precision it is stored in.
    #[error("{field} {value} at row {row}: not a finite number in the stored precision")]
    NotFinite {
        /// Which vector.
        field: &'static str,
        /// The value given.
        value: f32,
        /// Output row.
        row: usize,
    },
}

/// A matrix quantized in groups along the input: `ŵ = (value(code) − zero)·scale`, or `value(code)·scale + offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedCodes {
    /// Rows of the matrix: output features.
    pub out: usize,
    /// Columns of the matrix: input features.
    pub input: usize,
    /// Consecutive inputs that share a scale: a multiple of 8, or all of them.
    pub group: usize,
    /// What codes stand for.
    pub book: Codebook,
    /// `out × input` codes, row-major.
    pub codes: Vec<u8>,
    /// `out × input/group` scales, row-major.
    pub scales: Vec<f32>,
    /// What else a group has.
    pub shift: Shift,
}

/// What moves a group's numbers, and how its scale is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// Nothing: zero is the code book's [middle](Codebook::middle). Scales are kept as f32.
    Middle,
    /// Zero points on the scale of the codes, as many as scales. Both are kept as f16, the precision of the published formats that have them,
    /// which holds integers of this size exactly.
    Zeros(Vec<f32>),
    /// Numbers that are added, as many as scales. Both are kept as f32.
    Offsets(Vec<f32>),
}

impl GroupedCodes {
    /// Checks lengths, group size, code range and that scales and shifts are finite as they are kept.
    pub(crate) fn check(&self) -> Result<(), PackError> {
        let fits = self.group > 0 && self.input.is_multiple_of(self.group);
        if !fits || !(self.group.is_multiple_of(8) || self.group == self.input) {
            return Err(PackError::Group { group: self.group, input: self.input });
        }
        let groups = self.input / self.group;
        let length = |field, expected, found| check_length(field, self.out, self.input, expected, found);
        length("codes", self.out * self.input, self.codes.len())?;
        length("scales", self.out * groups, self.scales.len())?;
        let (shifts, halves) = match &self.shift {
            Shift::Middle => (None, false),
            Shift::Zeros(zeros) => (Some(("zero point", zeros)), true),
            Shift::Offsets(offsets) => (Some(("offset", offsets)), false),
        };
        if let Some((field, values)) = shifts {
            length(if field == "offset" { "offsets" } else { "zeros" }, self.out * groups, values.len())?;
        }
        let refused = |code: u8| match self.book {
            Codebook::Int4 | Codebook::Nf4 | Codebook::Fp4 => code > 15,
            Codebook::Int8 => false,
            Codebook::E4m3 => code & 0x7f == 0x7f,
        };
        // Whether there is one is found for many at once, which one only then.
        let any = self.codes.iter().fold(false, |any, &code| any | refused(code));
        if let Some(at) = any.then(|| self.codes.iter().position(|&code| refused(code))).flatten() {
            let (row, column) = (at / self.input, at % self.input);
            let expected = if self.book == Codebook::E4m3 { "a number, 127 and 255 are none" } else { "0 to 15" };
            return Err(PackError::Code { code: self.codes[at].into(), row, column, expected });
        }
        let kept = |value: f32| if halves { f16::from_f32(value).to_f32() } else { value };
        for (field, values) in [("scale", &self.scales)].into_iter().chain(shifts) {
            if let Some(at) = values.iter().position(|&value| !kept(value).is_finite()) {
                return Err(PackError::NotFinite { field, value: values[at], row: at / groups });
            }
        }
        Ok(())
    }
}

/// A matrix quantized to 8 bits whose product rounds activations to 8 bits as well: `ŵ = code·scale/divisor`, a scale for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Codes {
    /// Rows of the matrix: output features.
    pub out: usize,
    /// Columns of the matrix: input features.
    pub input: usize,
    /// `out × input` values, row-major.
    pub codes: Vec<i8>,
    /// `out` scales, one per row: what code `divisor` stands for.
    pub scales: Vec<f32>,
    /// 127 where scales are absolute maxima (`SCB` in bitsandbytes' files), 1 where they are steps.
    pub divisor: f32,
    /// Activations of at least this magnitude take the float way (6.0 in the paper); [`Int8Codes::NO_OUTLIERS`] for none.
    pub outlier_threshold: f32,
}

impl Int8Codes {
    /// The divisor of scales that are absolute maxima.
    pub const OF_MAXIMA: f32 = 127.0;
    /// The threshold under which every activation is that a model can go on with.
    pub const NO_OUTLIERS: f32 = f32::MAX;

    /// Checks lengths and that scales are finite.
    pub(crate) fn check(&self) -> Result<(), PackError> {
        let length = |field, expected, found| check_length(field, self.out, self.input, expected, found);
        length("codes", self.out * self.input, self.codes.len())?;
        length("scales", self.out, self.scales.len())?;
        match self.scales.iter().position(|value| !value.is_finite()) {
            Some(row) => Err(PackError::NotFinite { field: "scale", value: self.scales[row], row }),
            None => Ok(()),
        }
    }
}

/// Refuses a vector that is not as long as its matrix asks for.
pub(crate) fn check_length(field: &'static str, out: usize, input: usize, expected: usize, found: usize) -> Result<(), PackError> {
    if expected == found { Ok(()) } else { Err(PackError::Length { field, out, input, expected, found }) }
}
