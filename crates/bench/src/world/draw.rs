//! A small anti-aliased painter in integers: the same pixels on every machine.

use super::{labels::Thing, seed::Dice};
use image::RgbImage;

/// Side of the image in pixels.
pub const SIZE: usize = 144;
/// Subpixel units in a pixel: coordinates handed to an `inside` test are in eighths of a pixel.
pub(crate) const UNIT: i32 = 8;

/// An image in the making, which remembers which thing each pixel belongs to.
pub(crate) struct Canvas {
    rgb: Vec<[u8; 3]>,
    owner: Vec<Option<u8>>,
    things: Vec<Thing>,
}

/// Pixel rectangle, right and bottom exclusive; may reach over the edge of the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rect {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
}

impl Rect {
    pub(crate) fn around(x: i32, y: i32, half_width: i32, half_height: i32) -> Self {
        Self { left: x - half_width, top: y - half_height, right: x + half_width + 1, bottom: y + half_height + 1 }
    }

    fn pixels(self) -> impl Iterator<Item = (i32, i32)> {
        let side = SIZE as i32;
        let columns = self.left.max(0)..self.right.min(side);
        (self.top.max(0)..self.bottom.min(side)).flat_map(move |y| columns.clone().map(move |x| (x, y)))
    }
}

impl Canvas {
    pub(crate) fn new(background: [u8; 3]) -> Self {
        Self { rgb: vec![background; SIZE * SIZE], owner: vec![None; SIZE * SIZE], things: Vec::new() }
    }

    pub(crate) fn things(&self) -> &[Thing] {
        &self.things
    }

    /// Index in [`Canvas::things`] of the thing seen at a pixel.
    pub(crate) fn owner(&self, x: usize, y: usize) -> Option<usize> {
        self.owner[y * SIZE + x].map(usize::from)
    }

    /// Announces a thing; what is painted with the returned number belongs to it.
    pub(crate) fn add(&mut self, thing: Thing) -> u8 {
        self.things.push(thing);
        (self.things.len() - 1) as u8
    }

    /// Paints where `inside(x, y)` holds (eighths of a pixel), tested at 4x4 points of every pixel in `bounds`.
    pub(crate) fn fill(&mut self, owner: Option<u8>, bounds: Rect, rgb: [u8; 3], inside: impl Fn(i32, i32) -> bool) {
        for (x, y) in bounds.pixels() {
            let mut hits = 0u16;
            for sy in [1, 3, 5, 7] {
                for sx in [1, 3, 5, 7] {
                    hits += u16::from(inside(x * UNIT + sx, y * UNIT + sy));
                }
            }
            if hits == 0 {
                continue;
            }
            let at = y as usize * SIZE + x as usize;
            for (old, new) in self.rgb[at].iter_mut().zip(rgb) {
                *old = ((u16::from(*old) * (16 - hits) + u16::from(new) * hits + 8) / 16) as u8;
            }
            if hits >= 8 && owner.is_some() {
                self.owner[at] = owner;
            }
        }
    }

    /// Paints a whole rectangle of pixels.
    pub(crate) fn fill_rect(&mut self, owner: Option<u8>, rect: Rect, rgb: [u8; 3]) {
        for (x, y) in rect.pixels() {
            let at = y as usize * SIZE + x as usize;
            self.rgb[at] = rgb;
            if owner.is_some() {
                self.owner[at] = owner;
            }
        }
    }

    /// Gives a rectangle to a thing without painting it: a glyph owns its box, not just its strokes.
    pub(crate) fn claim(&mut self, owner: u8, rect: Rect) {
        for (x, y) in rect.pixels() {
            self.owner[y as usize * SIZE + x as usize] = Some(owner);
        }
    }

    /// Adds brightness noise, uniform in `-amplitude..=amplitude`, the same to the three channels of a pixel.
    pub(crate) fn noise(&mut self, dice: &mut Dice, amplitude: u8) {
        let mut bytes = vec![0; SIZE * SIZE];
        dice.fill(&mut bytes);
        let span = 2 * u16::from(amplitude) + 1;
        for (pixel, byte) in self.rgb.iter_mut().zip(bytes) {
            let shift = ((u16::from(byte) * span) >> 8) as i16 - i16::from(amplitude);
            for channel in pixel {
                *channel = (i16::from(*channel) + shift).clamp(0, 255) as u8;
            }
        }
    }

    pub(crate) fn image(&self) -> RgbImage {
        let side = SIZE as u32;
        RgbImage::from_fn(side, side, |x, y| image::Rgb(self.rgb[y as usize * SIZE + x as usize]))
    }
}

/// A colour with every channel moved by at most `by`.
pub(crate) fn vary(dice: &mut Dice, rgb: [u8; 3], by: i32) -> [u8; 3] {
    rgb.map(|channel| (i32::from(channel) + dice.between(-by, by)).clamp(0, 255) as u8)
}

/// A pale background colour.
pub(crate) fn pale(dice: &mut Dice) -> [u8; 3] {
    [0; 3].map(|_: u8| dice.between(214, 246) as u8)
}
