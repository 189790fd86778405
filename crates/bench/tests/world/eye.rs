//! Reads a picture by its pixels alone: flood fill, bounding boxes, nearest colours. Knows nothing of how it was drawn.

use image::RgbImage;
use std::collections::HashSet;

pub(crate) type Rgb = [u8; 3];

/// The seven colours, by what people would call these values.
const COLORS: [(&str, Rgb); 7] = [
    ("red", [215, 40, 40]),
    ("green", [40, 160, 60]),
    ("blue", [40, 80, 220]),
    ("yellow", [240, 205, 25]),
    ("purple", [140, 55, 175]),
    ("orange", [240, 130, 20]),
    ("black", [28, 28, 30]),
];

/// Pixels that belong together.
pub(crate) struct Region {
    pub(crate) pixels: Vec<(u32, u32)>,
    pub(crate) color: Rgb,
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

impl Region {
    pub(crate) fn width(&self) -> u32 {
        self.right - self.left + 1
    }

    pub(crate) fn height(&self) -> u32 {
        self.bottom - self.top + 1
    }

    pub(crate) fn center(&self) -> (u32, u32) {
        (u32::midpoint(self.left, self.right), u32::midpoint(self.top, self.bottom))
    }

    /// Share of the bounding box's width that is covered at a share of its height.
    fn width_at(&self, height: f32) -> f32 {
        let row = self.top + (height * (self.height() - 1) as f32).round() as u32;
        self.pixels.iter().filter(|p| p.1 == row).count() as f32 / self.width() as f32
    }

    pub(crate) fn color_name(&self) -> &'static str {
        COLORS.iter().min_by_key(|(_, rgb)| distance(*rgb, self.color)).unwrap().0
    }

    /// Share of the pixels that are still covered after turning the region upside down.
    fn symmetry(&self) -> f32 {
        let covered: HashSet<_> = self.pixels.iter().copied().collect();
        let mirrored = self.pixels.iter().filter(|(x, y)| covered.contains(&(*x, self.top + self.bottom - y)));
        mirrored.count() as f32 / self.pixels.len() as f32
    }

    /// The shape, from how full its box is, whether up and down are alike, and how the width runs down.
    pub(crate) fn shape_name(&self) -> &'static str {
        let fill = self.pixels.len() as f32 / (self.width() * self.height()) as f32;
        if self.width_at(0.1).min(self.width_at(0.9)) > 0.8 {
            "square"
        } else if fill > 0.7 {
            "circle"
        } else if self.symmetry() > 0.9 {
            if self.width_at(0.28) < 0.43 { "cross" } else { "diamond" }
        } else if self.width_at(0.85) > 0.72 {
            "triangle"
        } else {
            "star"
        }
    }
}

fn distance(a: Rgb, b: Rgb) -> i32 {
    a.iter().zip(b).map(|(x, y)| (i32::from(*x) - i32::from(y)).pow(2)).sum()
}

/// Connected regions (8 neighbours) of the pixels that `wanted` accepts, at least `smallest` pixels large.
pub(crate) fn regions(image: &RgbImage, smallest: usize, wanted: impl Fn(Rgb) -> bool) -> Vec<Region> {
    let (width, height) = image.dimensions();
    let mut open: Vec<bool> = image.pixels().map(|p| wanted(p.0)).collect();
    let mut found = Vec::new();
    for start in 0..width * height {
        let mut stack = vec![start];
        let mut pixels = Vec::new();
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut open[at as usize], false) {
                continue;
            }
            let (x, y) = (at % width, at / width);
            pixels.push((x, y));
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    stack.push(ny * width + nx);
                }
            }
        }
        if pixels.len() >= smallest {
            found.push(region(image, pixels));
        }
    }
    found
}

fn region(image: &RgbImage, pixels: Vec<(u32, u32)>) -> Region {
    let mut sum = [0u32; 3];
    for (x, y) in &pixels {
        for (sum, value) in sum.iter_mut().zip(image.get_pixel(*x, *y).0) {
            *sum += u32::from(value);
        }
    }
    let color = sum.map(|s| (s / pixels.len() as u32) as u8);
    let columns = || pixels.iter().map(|p| p.0);
    let rows = || pixels.iter().map(|p| p.1);
    let (left, right) = (columns().min().unwrap(), columns().max().unwrap());
    let (top, bottom) = (rows().min().unwrap(), rows().max().unwrap());
    Region { pixels, color, left, top, right, bottom }
}

/// The coloured things on a pale ground; the ground is the median of each channel along the border.
pub(crate) fn things(image: &RgbImage) -> Vec<Region> {
    let (width, height) = image.dimensions();
    let border: Vec<Rgb> = image
        .enumerate_pixels()
        .filter(|(x, y, _)| *x == 0 || *y == 0 || *x + 1 == width || *y + 1 == height)
        .map(|(_, _, p)| p.0)
        .collect();
    let ground = [0, 1, 2].map(|channel| {
        let mut values: Vec<u8> = border.iter().map(|p| p[channel]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    });
    // More than half-way from the ground to a colour; noise shifts all channels alike and by little.
    regions(image, 30, |p| distance(p, ground) > 75 * 75)
}
