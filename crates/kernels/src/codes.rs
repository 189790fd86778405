//! What a quantizer hands over: integers and their scales, on the host, checked before they are packed.

use half::f16;
use thiserror::Error;

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
    #[error("group size {group}: expected a multiple of 8 that divides the input width {input}")]
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

/// A matrix quantized to 4 bits in groups along the input: `ŵ = (code − zero)·scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct W4Codes {
    /// Rows of the matrix: output features.
    pub out: usize,
    /// Columns of the matrix: input features.
    pub input: usize,
    /// Consecutive inputs that share a scale and a zero point.
    pub group: usize,
    /// `out × input` values 0..=15, row-major.
    pub codes: Vec<u8>,
    /// `out × input/group` scales, row-major. Packing rounds them to f16, the precision of the published W4 formats.
    pub scales: Vec<f32>,
    /// `out × input/group` zero points, row-major, on the scale of the codes. Packing rounds them to f16, which holds
    /// integers of this size exactly.
    pub zeros: Vec<f32>,
}

impl W4Codes {
    /// Checks lengths, group size, code range and that scales and zeros are finite in f16.
    pub(crate) fn check(&self) -> Result<(), PackError> {
        if self.group == 0 || !self.group.is_multiple_of(8) || !self.input.is_multiple_of(self.group) {
            return Err(PackError::Group { group: self.group, input: self.input });
        }
        let groups = self.input / self.group;
        let length = |field, expected, found| check_length(field, self.out, self.input, expected, found);
        length("codes", self.out * self.input, self.codes.len())?;
        length("scales", self.out * groups, self.scales.len())?;
        length("zeros", self.out * groups, self.zeros.len())?;
        if let Some(at) = self.codes.iter().position(|&code| code > 15) {
            let (row, column) = (at / self.input, at % self.input);
            return Err(PackError::Code { code: self.codes[at].into(), row, column, expected: "0 to 15" });
        }
        for (field, values) in [("scale", &self.scales), ("zero point", &self.zeros)] {
            if let Some(at) = values.iter().position(|&value| !f16::from_f32(value).is_finite()) {
                return Err(PackError::NotFinite { field, value: values[at], row: at / groups });
            }
        }
        Ok(())
    }
}

/// A matrix quantized to 8 bits by the absolute maximum of each row: `ŵ = code·absmax/127`.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Codes {
    /// Rows of the matrix: output features.
    pub out: usize,
    /// Columns of the matrix: input features.
    pub input: usize,
    /// `out × input` values −127..=127, row-major.
    pub codes: Vec<i8>,
    /// `out` absolute maxima, one per row (`SCB` in bitsandbytes' files).
    pub absmax: Vec<f32>,
    /// Activations of at least this magnitude take the float way (6.0 in the paper).
    pub outlier_threshold: f32,
}

impl Int8Codes {
    /// Checks lengths, code range and that maxima are finite.
    pub(crate) fn check(&self) -> Result<(), PackError> {
        let length = |field, expected, found| check_length(field, self.out, self.input, expected, found);
        length("codes", self.out * self.input, self.codes.len())?;
        length("absmax", self.out, self.absmax.len())?;
        if let Some(at) = self.codes.iter().position(|&code| code == i8::MIN) {
            let (row, column) = (at / self.input, at % self.input);
            return Err(PackError::Code { code: self.codes[at].into(), row, column, expected: "-127 to 127" });
        }
        match self.absmax.iter().position(|value| !value.is_finite()) {
            Some(row) => Err(PackError::NotFinite { field: "absmax", value: self.absmax[row], row }),
            None => Ok(()),
        }
    }
}

/// Refuses a vector that is not as long as its matrix asks for.
pub(crate) fn check_length(field: &'static str, out: usize, input: usize, expected: usize, found: usize) -> Result<(), PackError> {
    if expected == found { Ok(()) } else { Err(PackError::Length { field, out, input, expected, found }) }
}
