//! From a file's colour space to RGB: libjpeg's integer tables (`jdcolor.c`), and for four components what Pillow makes of them.

use super::Problem;
use super::frame::Frame;
use super::markers::Headers;

/// The colour space that a file's components are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as Adobe writes it and Pillow assumes it.
    Cmyk,
    /// The same with its inks as YCbCr.
    Ycck,
}

impl Space {
    /// libjpeg's guess from the markers and, without any, from the components' names.
    pub(super) fn of(frame: &Frame, headers: &Headers<'_>) -> Result<Self, Problem> {
        let ids: Vec<u8> = frame.components.iter().map(|part| part.id).collect();
        Ok(match (ids.len(), headers.adobe_transform()) {
            (1, _) => Self::Grey,
            (3, _) if headers.jfif() => Self::YCbCr,
            (3, Some(0)) => Self::Rgb,
            (3, None) if ids == *b"RGB" => Self::Rgb,
            (3, _) => Self::YCbCr,
            (4, None | Some(0)) => Self::Cmyk,
            (4, Some(_)) => Self::Ycck,
            (layers, _) => return Err(format!("has {layers} components, expected 1, 3 or 4")),
        })
    }

    /// One row of the picture: a row of samples per component in, RGB out.
    pub(super) fn convert(self, rows: &[Vec<u8>], out: &mut [u8]) {
        let out = out.chunks_exact_mut(3).enumerate();
        match (self, rows) {
            (Self::YCbCr, [luma, blue, red]) => {
                out.for_each(|(x, out)| out.copy_from_slice(&rgb(luma[x], blue[x], red[x])));
            }
            (Self::Rgb, [red, green, blue]) => out.for_each(|(x, out)| out.copy_from_slice(&[red[x], green[x], blue[x]])),
            (Self::Cmyk, [cyan, magenta, yellow, black]) => {
                out.for_each(|(x, out)| out.copy_from_slice(&inks([cyan[x], magenta[x], yellow[x]], black[x])));
            }
            (Self::Ycck, [luma, blue, red, black]) => out.for_each(|(x, out)| {
                let colour = rgb(luma[x], blue[x], red[x]).map(|value| 255 - value);
                out.copy_from_slice(&inks(colour, black[x]));
            }),
            (_, [grey, ..]) => out.for_each(|(x, out)| out.fill(grey[x])),
            (_, []) => {}
        }
    }
}

/// ITU-R BT.601 in 16.16 fixed point.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    [luma + ((91_881 * red + HALF) >> 16), luma + ((-46_802 * red - 22_554 * blue + HALF) >> 16), luma + ((116_130 * blue + HALF) >> 16)]
        .map(|value| value.clamp(0, 255) as u8)
}

/// Pillow's `CMYK` to `RGB` (`Convert.c`), of inks as the file has them: inverted.
fn inks(colour: [u8; 3], black: u8) -> [u8; 3] {
    // The file's 255 is no ink, so the black of it is what is left of white.
    let white = i32::from(black);
    colour.map(|ink| {
        let product = i32::from(255 - ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
