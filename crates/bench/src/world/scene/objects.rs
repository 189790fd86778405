//! Coloured shapes on a pale ground: existence, pairs, compose, counting, choice, unanswerable.

use crate::world::{
    draw::{Canvas, Rect, UNIT, pale, vary},
    family::{Level, TaskFamily},
    labels::{Thing, What},
    palette::{Color, Shape},
    phrasing::{Draft, UNANSWERABLE, Words, a, color_names, say, shape_names},
    seed::Dice,
};

/// Cells along one side; every object has a cell of 3x3 patches for itself.
const CELLS: usize = 4;
const CELL: i32 = 36;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) shape: Shape,
    pub(crate) color: Color,
    pub(crate) small: bool,
    column: usize,
    row: usize,
    /// Centre in pixels.
    x: i32,
    y: i32,
}

/// The objects of a scene; at least one of them has a shape of its own.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) items: Vec<Object>,
}

const EXISTS: [&str; 4] = ["Is there {a} in the image?", "Can you see {a}?", "Does the image show {a}?", "Is {a} in the picture?"];
const IS_COLOR: [&str; 3] = ["Is the {shape} {color}?", "Is the color of the {shape} {color}?", "Is this {shape} {color}?"];
const IS_SIZE: [&str; 2] = ["Is the {shape} {size}?", "Is this {shape} {size}?"];
const IS_PLACED: [&str; 3] =
    ["Is the {shape} in the {half} half?", "Is the {shape} in the {half} half of the image?", "Is this {shape} in the {half} half?"];
const WHAT_COLOR: [&str; 4] = [
    "What color is the {thing}?",
    "What is the color of the {thing}?",
    "Which color does the {thing} have?",
    "Name the color of the {thing}.",
];
const WHAT_SHAPE: [&str; 4] = [
    "What shape is the {thing}?",
    "What is the shape of the {thing}?",
    "Which shape does the {thing} have?",
    "Name the shape of the {thing}.",
];
const WHAT_SIZE: [&str; 2] = ["What size is the {thing}?", "Is the {thing} large or small?"];
const COLOR_AT: [&str; 3] =
    ["What color is the object in the {corner}?", "Which color is in the {corner}?", "Name the color in the {corner}."];
const SHAPE_AT: [&str; 3] = ["What shape is in the {corner}?", "Which shape is in the {corner}?", "Name the shape in the {corner}."];
const COLOR_BESIDE: [&str; 2] = ["What color is the object {beside} the {thing}?", "Which color is {beside} the {thing}?"];
const SHAPE_BESIDE: [&str; 2] = ["What shape is {beside} the {thing}?", "Which shape is {beside} the {thing}?"];
const HOW_MANY: [&str; 4] =
    ["How many {things} are there?", "How many {things} are in the image?", "Count the {things}.", "What is the number of {things}?"];
const OR_SAY: [&str; 3] =
    [" If there is none, say unanswerable.", " Say unanswerable if there is none.", " If you cannot tell, say unanswerable."];

impl Objects {
    pub(crate) fn arrange(level: Level, dice: &mut Dice) -> Self {
        let (most, small) = match level {
            Level::Easy => (3, 0),
            Level::Middle => (5, 25),
            Level::Full => (6, 40),
        };
        let count = 1 + dice.below(most);
        // Herds: without a shape or colour that many share, counts above two would be rare.
        let herd_shape = dice.chance(40).then(|| dice.one(&Shape::ALL));
        let herd_color = dice.chance(35).then(|| dice.one(&Color::ALL));
        let cells = dice.shuffled(&std::array::from_fn::<usize, { CELLS * CELLS }, _>(|i| i));
        let mut items: Vec<Object> = cells[..count]
            .iter()
            .map(|&cell| {
                let (column, row) = (cell % CELLS, cell / CELLS);
                let shape = herd_shape.filter(|_| dice.chance(70)).unwrap_or_else(|| dice.one(&Shape::ALL));
                let color = herd_color.filter(|_| dice.chance(70)).unwrap_or_else(|| dice.one(&Color::ALL));
                let mut middle = |i: usize| i as i32 * CELL + CELL / 2 + dice.between(-3, 3);
                let (x, y) = (middle(column), middle(row));
                Object { shape, color, small: dice.chance(small), column, row, x, y }
            })
            .collect();
        let alone = |shape: Shape, items: &[Object]| items.iter().filter(|o| o.shape == shape).count() == 1;
        if !items.iter().any(|o| alone(o.shape, &items)) {
            let free: Vec<Shape> = Shape::ALL.into_iter().filter(|&s| items.iter().all(|o| o.shape != s)).collect();
            if let Some(shape) = dice.pick(&free) {
                items[0].shape = shape;
            }
        }
        Self { items }
    }

    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        let mut canvas = Canvas::new(pale(dice));
        for object in &self.items {
            let owner = canvas.add(Thing {
                color: Some(object.color),
                small: Some(object.small),
                center: Some((object.x, object.y)),
                ..Thing::new(What::Object(object.shape))
            });
            // In eighths of a pixel; two large neighbours that jitter towards each other still do not touch.
            let radius = if object.small { dice.between(75, 80) } else { dice.between(112, 118) };
            let rgb = vary(dice, object.color.rgb(), 10);
            let (cx, cy) = (object.x * UNIT + UNIT / 2, object.y * UNIT + UNIT / 2);
            let reach = radius / UNIT + 1;
            canvas.fill(Some(owner), Rect::around(object.x, object.y, reach, reach), rgb, |x, y| {
                object.shape.contains(x - cx, y - cy, radius)
            });
        }
        canvas.noise(dice, 6);
        canvas
    }

    pub(crate) fn ask(&self, family: TaskFamily, level: Level, dice: &mut Dice) -> Vec<Draft> {
        match family {
            TaskFamily::Existence => self.existence(level, dice).into_iter().collect(),
            TaskFamily::Pairs => self.pair(level, dice),
            TaskFamily::Compose => self.compose(level, dice).into_iter().collect(),
            TaskFamily::Counting => vec![self.counting(level, dice)],
            TaskFamily::Choice => self.choice(level, dice).into_iter().collect(),
            TaskFamily::Unanswerable => self.unanswerable(level, dice).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn count(&self, matches: impl Fn(&Object) -> bool) -> usize {
        self.items.iter().filter(|o| matches(o)).count()
    }

    /// The only object that matches, if exactly one does.
    fn only(&self, matches: impl Fn(&Object) -> bool) -> Option<&Object> {
        let mut found = self.items.iter().filter(|o| matches(o));
        found.next().filter(|_| found.next().is_none())
    }

    fn existence(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let yes = dice.chance(50);
        let weights = if level == Level::Easy { [40, 30, 30] } else { [70, 15, 15] };
        let seen = dice.pick(&self.items)?;
        let noun = match dice.weighted(&weights) {
            0 => {
                let (color, shape) = if yes { (seen.color, seen.shape) } else { self.absent_pair(dice)? };
                format!("{} {}", color.name(), shape.name())
            }
            1 => {
                let absent: Vec<Shape> = Shape::ALL.into_iter().filter(|&s| self.count(|o| o.shape == s) == 0).collect();
                let shape = if yes { seen.shape } else { dice.pick(&absent)? };
                shape.name().into()
            }
            _ => {
                let absent: Vec<Color> = Color::ALL.into_iter().filter(|&c| self.count(|o| o.color == c) == 0).collect();
                let color = if yes { seen.color } else { dice.pick(&absent)? };
                format!("{} object", color.name())
            }
        };
        let text = say(dice, &EXISTS, &[("a", &a(&noun))]);
        Some(Draft::yes_no(TaskFamily::Existence, text, yes))
    }

    /// A colour and shape that no object joins; in most cases both are in the image, on different objects.
    fn absent_pair(&self, dice: &mut Dice) -> Option<(Color, Shape)> {
        let mut adversarial = Vec::new();
        let mut plain = Vec::new();
        for color in Color::ALL {
            for shape in Shape::ALL {
                if self.count(|o| o.color == color && o.shape == shape) > 0 {
                    continue;
                }
                let seen_color = self.count(|o| o.color == color) > 0;
                let seen_shape = self.count(|o| o.shape == shape) > 0;
                if seen_color && seen_shape { &mut adversarial } else { &mut plain }.push((color, shape));
            }
        }
        let adversarial = dice.pick(&adversarial).filter(|_| dice.chance(65));
        adversarial.or_else(|| dice.pick(&plain))
    }

    /// Two questions about one object, one answered yes and one no, in either order.
    fn pair(&self, level: Level, dice: &mut Dice) -> Vec<Draft> {
        let alone: Vec<Object> = self.items.iter().filter(|o| self.count(|p| p.shape == o.shape) == 1).copied().collect();
        let Some(object) = dice.pick(&alone) else { return Vec::new() };
        let weights = if level == Level::Easy { [60, 0, 40] } else { [45, 20, 35] };
        let (phrasing, right, wrong): (&[&'static str], &str, &str) = match dice.weighted(&weights) {
            0 => {
                let others: Vec<Color> = Color::ALL.into_iter().filter(|&c| c != object.color).collect();
                let seen: Vec<Color> = self.items.iter().map(|o| o.color).filter(|&c| c != object.color).collect();
                let tempting = dice.pick(&seen).filter(|_| dice.chance(50));
                let Some(other) = tempting.or_else(|| dice.pick(&others)) else { return Vec::new() };
                (&IS_COLOR, object.color.name(), other.name())
            }
            1 if object.small => (&IS_SIZE, "small", "large"),
            1 => (&IS_SIZE, "large", "small"),
            _ => {
                let (low, high, at) = if dice.chance(50) { ("left", "right", object.column) } else { ("top", "bottom", object.row) };
                if at < CELLS / 2 { (&IS_PLACED, low, high) } else { (&IS_PLACED, high, low) }
            }
        };
        // Both questions of a pair are worded alike.
        let Some(words) = dice.pick(phrasing) else { return Vec::new() };
        let draft = |dice: &mut Dice, filler: &str, yes: bool| {
            let fillers = [("shape", object.shape.name()), ("color", filler), ("size", filler), ("half", filler)];
            Draft::yes_no(TaskFamily::Pairs, say(dice, &[words], &fillers), yes)
        };
        let mut pair = vec![draft(dice, right, true), draft(dice, wrong, false)];
        if dice.chance(50) {
            pair.reverse();
        }
        pair
    }

    /// Words that fit one object of the scene only, built on its shape: "star", "small star", "red star".
    fn describe(&self, object: &Object, level: Level, allow_color: bool, dice: &mut Dice) -> Option<String> {
        let shape = object.shape.name();
        let size = if object.small { "small" } else { "large" };
        let color = object.color.name();
        let mut ways = Vec::new();
        if self.count(|o| o.shape == object.shape) == 1 {
            // The plain name, most of the time.
            ways.extend([String::from(shape), shape.into(), shape.into()]);
        }
        if level > Level::Easy && self.count(|o| o.shape == object.shape && o.small == object.small) == 1 {
            ways.push(format!("{size} {shape}"));
        }
        if allow_color && self.count(|o| o.shape == object.shape && o.color == object.color) == 1 {
            ways.push(format!("{color} {shape}"));
        }
        (!ways.is_empty()).then(|| ways.swap_remove(dice.below(ways.len())))
    }

    /// "What color is the star?" and its answer.
    fn color_of(&self, level: Level, dice: &mut Dice) -> Option<(Words, &'static str)> {
        let object = dice.pick(&self.items)?;
        let thing = self.describe(&object, level, false, dice)?;
        Some((say(dice, &WHAT_COLOR, &[("thing", &thing)]), object.color.name()))
    }

    /// "What shape is the red object?" and its answer.
    fn shape_of(&self, level: Level, dice: &mut Dice) -> Option<(Words, &'static str)> {
        let object = dice.pick(&self.items)?;
        let color = object.color.name();
        let mut ways = Vec::new();
        if self.count(|o| o.color == object.color) == 1 {
            ways.extend([format!("{color} object"), format!("{color} object"), format!("{color} thing")]);
        }
        if level > Level::Easy && self.count(|o| o.color == object.color && o.small == object.small) == 1 {
            ways.push(format!("{} {color} object", if object.small { "small" } else { "large" }));
        }
        if ways.is_empty() {
            return None;
        }
        let thing = ways.swap_remove(dice.below(ways.len()));
        Some((say(dice, &WHAT_SHAPE, &[("thing", &thing)]), object.shape.name()))
    }

    /// "What shape is in the top left?" and its answer; `true` if the answer is a colour.
    fn at_corner(&self, dice: &mut Dice) -> Option<(Words, &'static str, bool)> {
        let seen = dice.pick(&self.items)?;
        let half = CELLS / 2;
        let object = self.only(|o| o.column / half == seen.column / half && o.row / half == seen.row / half)?;
        let vertical = if object.row < half { "top" } else { "bottom" };
        let horizontal = if object.column < half { "left" } else { "right" };
        let corner = format!("{vertical} {horizontal}");
        Some(if dice.chance(50) {
            (say(dice, &COLOR_AT, &[("corner", &corner)]), object.color.name(), true)
        } else {
            (say(dice, &SHAPE_AT, &[("corner", &corner)]), object.shape.name(), false)
        })
    }

    /// "What color is the object right of the star?": one object lies that way in the same row or column of cells.
    fn beside(&self, level: Level, dice: &mut Dice) -> Option<(Words, &'static str)> {
        let anchor = dice.pick(&self.items)?;
        let (words, found) = match dice.below(4) {
            0 => ("left of", self.only(|o| o.row == anchor.row && o.column < anchor.column)),
            1 => ("right of", self.only(|o| o.row == anchor.row && o.column > anchor.column)),
            2 => ("above", self.only(|o| o.column == anchor.column && o.row < anchor.row)),
            _ => ("below", self.only(|o| o.column == anchor.column && o.row > anchor.row)),
        };
        let found = *found?;
        let thing = self.describe(&anchor, level, true, dice)?;
        let fillers = [("beside", words), ("thing", thing.as_str())];
        Some(if dice.chance(50) {
            (say(dice, &COLOR_BESIDE, &fillers), found.color.name())
        } else {
            (say(dice, &SHAPE_BESIDE, &fillers), found.shape.name())
        })
    }

    fn compose(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let weights = match level {
            Level::Easy => [55, 45, 0, 0, 0],
            Level::Middle => [36, 30, 18, 8, 8],
            Level::Full => [32, 26, 18, 8, 16],
        };
        let (text, answer) = match dice.weighted(&weights) {
            0 => self.color_of(level, dice)?,
            1 => self.shape_of(level, dice)?,
            2 => self.at_corner(dice).map(|(text, answer, _)| (text, answer))?,
            3 => {
                let object = dice.pick(&self.items)?;
                let thing = if self.count(|o| o.shape == object.shape) == 1 {
                    object.shape.name().to_owned()
                } else {
                    let alone = self.count(|o| o.shape == object.shape && o.color == object.color) == 1;
                    alone.then(|| format!("{} {}", object.color.name(), object.shape.name()))?
                };
                let answer = if object.small { "small" } else { "large" };
                (say(dice, &WHAT_SIZE, &[("thing", &thing)]), answer)
            }
            _ => self.beside(level, dice)?,
        };
        Some(Draft::short(TaskFamily::Compose, text, answer))
    }

    fn counting(&self, level: Level, dice: &mut Dice) -> Draft {
        let weights = if level == Level::Easy { [40, 30, 30, 0] } else { [26, 30, 30, 14] };
        // Zero and one are what most shapes and colours count to; the larger counts are sought out.
        let favour = |count: usize| [6, 8, 10, 12, 12, 10, 10][count.min(6)];
        let mut candidates: Vec<(String, usize)> = match dice.weighted(&weights) {
            0 => vec![("objects".into(), self.items.len())],
            1 => Shape::ALL.map(|s| (s.plural().into(), self.count(|o| o.shape == s))).to_vec(),
            2 => Color::ALL.map(|c| (format!("{} objects", c.name()), self.count(|o| o.color == c))).to_vec(),
            _ => [("small objects", true), ("large objects", false)]
                .map(|(name, small)| (name.into(), self.count(|o| o.small == small)))
                .to_vec(),
        };
        // One candidate per count, so that the many zeros do not crowd out the rest.
        let order = dice.shuffled(&(0..candidates.len()).collect::<Vec<_>>());
        let mut seen = [false; 7];
        let mut distinct = order;
        distinct.retain(|&i| !std::mem::replace(&mut seen[candidates[i].1.min(6)], true));
        let weights: Vec<usize> = distinct.iter().map(|&i| favour(candidates[i].1)).collect();
        let (things, count) = candidates.swap_remove(distinct[dice.weighted(&weights)]);
        let text = say(dice, &HOW_MANY, &[("things", &things)]);
        Draft::number(TaskFamily::Counting, text, count)
    }

    fn choice(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let weights = if level == Level::Easy { [55, 45, 0] } else { [42, 36, 22] };
        let (text, answer, is_color) = match dice.weighted(&weights) {
            0 => self.color_of(level, dice).map(|(text, answer)| (text, answer, true))?,
            1 => self.shape_of(level, dice).map(|(text, answer)| (text, answer, false))?,
            _ => self.at_corner(dice)?,
        };
        Some(if is_color {
            let tempting: Vec<&str> = self.items.iter().map(|o| o.color.name()).collect();
            Draft::choice(TaskFamily::Choice, dice, text, answer, &distinct(tempting), &color_names())
        } else {
            let tempting: Vec<&str> = self.items.iter().map(|o| o.shape.name()).collect();
            Draft::choice(TaskFamily::Choice, dice, text, answer, &distinct(tempting), &shape_names())
        })
    }

    fn unanswerable(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let answerable = dice.chance(50);
        let about_color = dice.chance(55);
        let (text, answer) = match (answerable, about_color) {
            (true, true) => self.color_of(level, dice)?,
            (true, false) => self.shape_of(level, dice)?,
            (false, true) => {
                // Sized names occur among the answerable ones too, so their presence gives nothing away.
                let sized = level > Level::Easy && dice.chance(35);
                let shape = dice.one(&Shape::ALL);
                let small = dice.chance(50);
                if self.count(|o| o.shape == shape && (!sized || o.small == small)) > 0 {
                    return None;
                }
                let size = if small { "small " } else { "large " };
                let thing = format!("{}{}", if sized { size } else { "" }, shape.name());
                (say(dice, &WHAT_COLOR, &[("thing", &thing)]), UNANSWERABLE)
            }
            (false, false) => {
                let sized = level > Level::Easy && dice.chance(35);
                let color = dice.one(&Color::ALL);
                let small = dice.chance(50);
                if self.count(|o| o.color == color && (!sized || o.small == small)) > 0 {
                    return None;
                }
                let size = if small { "small " } else { "large " };
                let noun = if !sized && dice.chance(33) { "thing" } else { "object" };
                let thing = format!("{}{} {noun}", if sized { size } else { "" }, color.name());
                (say(dice, &WHAT_SHAPE, &[("thing", &thing)]), UNANSWERABLE)
            }
        };
        let text = text.then(&say(dice, &OR_SAY, &[]).text);
        Some(Draft::short(TaskFamily::Unanswerable, text, answer))
    }
}

fn distinct(mut names: Vec<&'static str>) -> Vec<&'static str> {
    names.sort_unstable();
    names.dedup();
    names
}
