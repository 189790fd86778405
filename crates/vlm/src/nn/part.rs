//! What a model is made of, as a visitor meets it: one way through all of its weights, for whoever counts, packs, watches or
//! rescales them.

use steady_kernels::{Matrix, Table};

use super::{Linear, Norm};

/// A part of a model that holds weights.
#[derive(Debug)]
pub enum Part<'a> {
    /// A linear layer, dense or packed.
    Linear(&'a mut Linear),
    /// A normalisation.
    Norm(&'a mut Norm),
    /// A table of rows that are looked up.
    Table(&'a mut Table),
    /// Anything else: position embeddings, a class token, a newline.
    Matrix(&'a mut Matrix),
}

impl Part<'_> {
    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.bytes(),
            Self::Norm(norm) => norm.bytes(),
            Self::Table(table) => table.bytes(),
            Self::Matrix(matrix) => matrix.bytes(),
        }
    }
}

/// Called for every part, in the order in which a prompt passes them.
pub type Visitor<'v> = dyn FnMut(Part<'_>) + 'v;

/// Something made of [`Part`]s.
pub trait Visit {
    /// Shows every part to `visitor`, which may change it: weights are shared between copies, so a copy is changed and the
    /// original is not.
    fn visit(&mut self, visitor: &mut Visitor<'_>);
}

/// Bytes of all parts.
pub(crate) fn bytes_of(parts: &mut (impl Visit + ?Sized)) -> usize {
    let mut bytes = 0;
    parts.visit(&mut |part| bytes += part.bytes());
    bytes
}
