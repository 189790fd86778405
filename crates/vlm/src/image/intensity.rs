//! From the 256 levels of a pixel to what a vision tower takes, as transformers' two kinds of image processors do it.
//!
//! The Pillow one computes `x * rescale_factor` in f64, rounds to f32, and takes `(x - mean) / std` in f32. The torchvision one divides mean
//! and deviation by the factor first (`_fuse_mean_std_and_rescale_factor`), all in f32.

use crate::VlmError;
use crate::files::{Fields, expected};
use crate::image::PixelBackend;

/// Rescaling and normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Intensity {
    rescale: Option<f64>,
    /// Mean and standard deviation per channel.
    normalize: Option<([f32; 3], [f32; 3])>,
    backend: PixelBackend,
}

impl Intensity {
    /// From the processor's settings.
    ///
    /// # Errors
    /// When one is of the wrong type or out of range.
    pub fn parse(fields: &Fields<'_>, backend: PixelBackend) -> Result<Self, VlmError> {
        let enabled = |name: &str| fields.bool(name).map(|value| value.unwrap_or(true));
        let rescale = if enabled("do_rescale")? { Some(fields.f64("rescale_factor")?.unwrap_or(1.0 / 255.0)) } else { None };
        let normalize = if enabled("do_normalize")? {
            // Rounded to f32 once, as numpy does.
            let mean = mean(fields)?.map(|value| value as f32);
            let std = channels(fields, "image_std", [0.268_629_54, 0.261_302_58, 0.275_777_11])?.map(|value| value as f32);
            if std.contains(&0.0) {
                return Err(fields.error("image_std", "expected numbers other than 0"));
            }
            Some((mean, std))
        } else {
            None
        };
        Ok(Self { rescale, normalize, backend })
    }

    /// The value of each of the 256 levels of a channel.
    pub fn levels(&self, channel: usize) -> [f32; 256] {
        let normalize = self.normalize.map(|(mean, std)| (mean[channel], std[channel]));
        std::array::from_fn(|level| match (self.backend, self.rescale, normalize) {
            (_, None, None) => level as f32,
            (_, None, Some((mean, std))) => (level as f32 - mean) / std,
            (PixelBackend::Torchvision, Some(factor), None) => level as f32 * factor as f32,
            (PixelBackend::Torchvision, Some(factor), Some((mean, std))) => {
                let levels = (1.0 / factor) as f32;
                (level as f32 - mean * levels) / (std * levels)
            }
            (PixelBackend::Pil, Some(factor), None) => (level as f64 * factor) as f32,
            (PixelBackend::Pil, Some(factor), Some((mean, std))) => ((level as f64 * factor) as f32 - mean) / std,
        })
    }

    /// Mean and standard deviation per channel, of levels from 0 to 1; `None` where they are not taken, or of other levels.
    pub(crate) fn normalization(&self) -> Option<([f32; 3], [f32; 3])> {
        self.rescale.filter(|factor| (factor * 255.0 - 1.0).abs() < 1e-6).and(self.normalize)
    }

    /// The settings by name, in words, the backend among them.
    pub fn settings(&self) -> [(&'static str, Option<String>); 3] {
        let normalize = self.normalize.map(|(mean, std)| format!("mean {mean:?}, std {std:?}"));
        let rescale = self.rescale.map(|factor| factor.to_string());
        [("rescale", rescale), ("normalize", normalize), ("pixels", Some(self.backend.name().to_owned()))]
    }
}

/// Mean per channel.
pub(super) fn mean(fields: &Fields<'_>) -> Result<[f64; 3], VlmError> {
    channels(fields, "image_mean", [0.481_454_66, 0.457_827_5, 0.408_210_73])
}

/// One number per channel, or one for all three; `default` is CLIP's, which every processor here shares.
fn channels(fields: &Fields<'_>, name: &str, default: [f64; 3]) -> Result<[f64; 3], VlmError> {
    let wrong = |value| fields.error(name, expected("a number or a list of three numbers", value));
    Ok(match fields.get(name) {
        None => default,
        Some(value @ serde_json::Value::Array(list)) => match list.iter().map(serde_json::Value::as_f64).collect::<Vec<_>>()[..] {
            [Some(red), Some(green), Some(blue)] => [red, green, blue],
            _ => return Err(wrong(value)),
        },
        Some(value) => [value.as_f64().ok_or_else(|| wrong(value))?; 3],
    })
}
