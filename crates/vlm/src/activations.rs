//! How much memory the tensors between a model's layers take, from shapes alone: the most that is alive at once.
//!
//! Whoever computes says so beside the code that computes: the towers, the projectors and the decoder each have a function that follows their
//! `forward` step by step. The numbers are upper bounds. A test compares them with what is allocated.

use steady_kernels::{Element, attention_rows};

/// An image as its vision tower takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Views of the image, which pass the tower one by one.
    pub views: usize,
    /// Values of all pixels, as the image processor gives them.
    pub values: usize,
    /// Visual tokens that it becomes in a prompt.
    pub tokens: usize,
}

/// Bytes that an image takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageBytes {
    /// Most that is alive while it passes vision tower and projector.
    pub peak: u64,
    /// What is left of it while the decoder runs: features and visual tokens.
    pub kept: u64,
}

/// Sizes of tensors between layers.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    element: u64,
}

impl Sizes {
    /// Of activations that are kept as `element`.
    pub fn new(element: Element) -> Self {
        Self { element: element.size() as u64 }
    }

    /// Whether activations are narrower than what norms and scores are computed in.
    fn narrow(self) -> bool {
        self.element < size_of::<f32>() as u64
    }

    /// A matrix in the element type of activations.
    pub fn rows(self, rows: usize, width: usize) -> u64 {
        values(rows, width) * self.element
    }

    /// A matrix in `f32`.
    pub fn wide(self, rows: usize, width: usize) -> u64 {
        values(rows, width) * size_of::<f32>() as u64
    }

    /// A product as it is computed: packed weights and those kept as bf16 give it in tiles, which are then put together.
    pub fn product(self, rows: usize, width: usize) -> u64 {
        self.wide(rows, width) + self.rows(rows, width)
    }

    /// A norm of this many rows as it is computed, in `f32` whatever the element type.
    pub fn norm(self, rows: usize, width: usize) -> u64 {
        2 * self.wide(rows, width)
    }

    /// Attention as it is computed, in `f32`: what threads have of scores and queries, and what is seen, piece by piece and put together; where activations are
    /// narrower, also queries, keys and values as they are widened.
    pub(crate) fn attended(self, heads: usize, [queries, keys]: [usize; 2], [width, key_width]: [usize; 2]) -> u64 {
        let rows = attention_rows();
        let tiles = self.wide(rows.min(heads * queries), keys) + self.wide(rows, 2 * width / heads);
        let seen = 2 * self.wide(queries, width);
        let widened = self.wide(queries, width) + 2 * self.wide(keys, key_width);
        tiles + seen + if self.narrow() { widened } else { 0 }
    }

    /// Queries or keys of `width` numbers as they are rotated: the products with sines and cosines and what they are joined to.
    pub(crate) fn rotated(self, rows: usize, width: usize) -> u64 {
        5 * self.wide(rows, width) / 2
    }
}

fn values(rows: usize, width: usize) -> u64 {
    rows as u64 * width as u64
}

/// The largest of some sums, one for each step of a computation.
pub(crate) fn most<const N: usize>(steps: [u64; N]) -> u64 {
    steps.into_iter().max().unwrap_or_default()
}
