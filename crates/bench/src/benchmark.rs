//! A list of questions about images.

use crate::{BenchError, Question};

/// A benchmark: questions and the images they are about.
pub trait Benchmark: Send + Sync {
    /// Name, as it appears in plans, records and reports.
    fn name(&self) -> &str;

    /// All questions, in the benchmark's own order.
    fn questions(&self) -> &[Question];

    /// The image with this id ([`Question::image`]).
    ///
    /// # Errors
    /// [`BenchError::UnknownImage`] if no question refers to such an image.
    fn image(&self, id: &str) -> Result<image::RgbImage, BenchError>;

    /// Hash (hex) over questions, gold answers and pixels: two runs with equal fingerprints asked the same things.
    fn fingerprint(&self) -> String;
}
