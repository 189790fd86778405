//! What every patch shows: targets for an auxiliary loss on the vision tower while it trains. No model sees them later.

use super::{
    draw::{Canvas, SIZE},
    glyphs::GLYPHS,
    palette::{Color, Shape},
};

/// Side of a patch in pixels.
pub const PATCH: usize = 12;
/// Patches along one side of the image.
pub const GRID: usize = SIZE / PATCH;

/// Direction of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Left,
    Right,
    Up,
    Down,
}

/// What a painted thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Object(Shape),
    Plate,
    /// Position in [`GLYPHS`].
    Glyph(usize),
    Bar,
    Node,
    Arrow(Way),
    Lung,
    Nodule,
    Cavity,
    Fluid,
}

/// One painted thing and what the labels say about the patches it covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thing {
    pub(crate) what: What,
    pub(crate) color: Option<Color>,
    pub(crate) small: Option<bool>,
    pub(crate) target: Target,
    /// Pixel that lies in the thing's centre patch.
    pub(crate) center: Option<(i32, i32)>,
}

impl Thing {
    pub(crate) fn new(what: What) -> Self {
        Self { what, color: None, small: None, target: Target::None, center: None }
    }
}

/// What a node points to or a bar is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    None,
    Color(Color),
    Value(u8),
}

/// One class id per patch, row-major, for every plane of [`PLANES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// `[plane][row * GRID + column]`.
    pub planes: [[u8; GRID * GRID]; PLANES.len()],
}

/// Names of the label planes: the thing that covers the patch, its colour and size, whether its centre (a bar's top) lies
/// in this patch, and what a node points to or a bar is worth.
pub const PLANES: [&str; 5] = ["what", "color", "size", "center", "target"];

/// Names of the classes of a plane, in the order of their ids.
pub fn classes(plane: &str) -> Vec<String> {
    let colors = Color::ALL.map(Color::name);
    let names: Vec<String> = match plane {
        "what" => {
            let shapes = Shape::ALL.map(Shape::name);
            let mut names: Vec<String> = vec!["background".into()];
            names.extend(shapes.map(String::from));
            names.push("plate".into());
            names.extend(GLYPHS.iter().map(|(name, _)| format!("glyph {name}")));
            let rest = ["bar", "node", "arrow left", "arrow right", "arrow up", "arrow down", "lung", "nodule", "cavity", "fluid"];
            names.extend(rest.map(String::from));
            names
        }
        "color" => std::iter::once("none").chain(colors).map(String::from).collect(),
        "size" => ["none", "small", "large"].map(String::from).to_vec(),
        "center" => ["no", "yes"].map(String::from).to_vec(),
        "target" => {
            let values = (1..=8).map(|v| v.to_string());
            std::iter::once("none").chain(colors).map(String::from).chain(values).collect()
        }
        _ => Vec::new(),
    };
    names
}

/// A thing claims a patch when it holds at least this many of its 144 pixels; the thing with the most pixels wins.
const CLAIM: u32 = 18;

impl Labels {
    /// Reads the labels off what was painted.
    pub(crate) fn of(canvas: &Canvas) -> Self {
        let mut planes = [[0; GRID * GRID]; PLANES.len()];
        let things = canvas.things();
        let mut put = |patch: usize, thing: &Thing| {
            planes[0][patch] = what_class(thing.what);
            planes[1][patch] = color_class(thing.color);
            planes[2][patch] = thing.small.map_or(0, |small| if small { 1 } else { 2 });
            // A bar's value belongs to its top, a node's target to all of the node.
            if !matches!(thing.target, Target::Value(_)) {
                planes[4][patch] = target_class(thing.target);
            }
        };
        let mut covered = vec![0u32; things.len()];
        for patch in 0..GRID * GRID {
            covered.fill(0);
            let (left, top) = ((patch % GRID) * PATCH, (patch / GRID) * PATCH);
            for y in top..top + PATCH {
                for x in left..left + PATCH {
                    if let Some(thing) = canvas.owner(x, y) {
                        covered[thing] += 1;
                    }
                }
            }
            // Later things lie on top, so they win a tie.
            let best = (0..things.len()).max_by_key(|&i| covered[i]);
            if let Some(best) = best.filter(|&i| covered[i] >= CLAIM) {
                put(patch, &things[best]);
            }
        }
        for thing in things {
            if let Some((x, y)) = thing.center {
                let clamp = |v: i32| (v.clamp(0, SIZE as i32 - 1) as usize) / PATCH;
                put(clamp(y) * GRID + clamp(x), thing);
            }
        }
        for thing in things {
            if let Some((x, y)) = thing.center {
                let clamp = |v: i32| (v.clamp(0, SIZE as i32 - 1) as usize) / PATCH;
                let patch = clamp(y) * GRID + clamp(x);
                planes[3][patch] = 1;
                planes[4][patch] = target_class(thing.target);
            }
        }
        Self { planes }
    }
}

fn what_class(what: What) -> u8 {
    let shapes = Shape::ALL.len();
    let after_glyphs = shapes + 2 + GLYPHS.len();
    let id = match what {
        What::Object(shape) => 1 + shape as usize,
        What::Plate => 1 + shapes,
        What::Glyph(i) => shapes + 2 + i,
        What::Bar => after_glyphs,
        What::Node => after_glyphs + 1,
        What::Arrow(way) => after_glyphs + 2 + way as usize,
        What::Lung => after_glyphs + 6,
        What::Nodule => after_glyphs + 7,
        What::Cavity => after_glyphs + 8,
        What::Fluid => after_glyphs + 9,
    };
    id as u8
}

fn color_class(color: Option<Color>) -> u8 {
    color.map_or(0, |c| 1 + c as u8)
}

fn target_class(target: Target) -> u8 {
    match target {
        Target::None => 0,
        Target::Color(color) => color_class(Some(color)),
        Target::Value(v) => Color::ALL.len() as u8 + v,
    }
}
