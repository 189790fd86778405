//! From the 256 levels of a pixel to what a vision tower takes: `x * rescale_factor` in f64 rounded to f32, then
//! `(x - mean) / std` in f32, as transformers' Pillow processors do it.

use crate::VlmError;
use crate::files::{Fields, expected};

/// Rescaling and normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Intensity {
    rescale: Option<f64>,
    /// Mean and standard deviation per channel.
    normalize: Option<([f32; 3], [f32; 3])>,
}

impl Intensity {
    /// From the processor's settings.
    ///
    /// # Errors
    /// When one is of the wrong type or out of range.
    pub fn parse(fields: &Fields<'_>) -> Result<Self, VlmError> {
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
        Ok(Self { rescale, normalize })
    }

    /// The value of each of the 256 levels of a channel.
    pub fn levels(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|level| {
            let value = self.rescale.map_or(level as f32, |factor| (level as f64 * factor) as f32);
            self.normalize.map_or(value, |(mean, std)| (value - mean[channel]) / std[channel])
        })
    }

    /// The settings by name, in words.
    pub fn settings(&self) -> [(&'static str, Option<String>); 2] {
        let normalize = self.normalize.map(|(mean, std)| format!("mean {mean:?}, std {std:?}"));
        [("rescale", self.rescale.map(|factor| factor.to_string())), ("normalize", normalize)]
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
