//! Plates with a printed word or a two-digit number.

use crate::world::{
    draw::{Canvas, Rect, pale, vary},
    family::{Level, TaskFamily},
    glyphs::{GLYPHS, HEIGHT, WIDTH, glyph},
    labels::{Thing, What},
    palette::Color,
    phrasing::{Draft, Words, say},
    seed::Dice,
};

/// Words that occur on signs, three to five letters.
pub(crate) const WORDS: [&str; 40] = [
    "bank", "beach", "box", "bread", "bus", "cafe", "club", "dry", "exit", "farm", "fish", "food", "gate", "home", "hotel", "ice", "jazz",
    "juice", "key", "lamp", "lunch", "map", "metro", "milk", "music", "open", "park", "pizza", "quiet", "river", "shop", "slow", "stop",
    "sun", "taxi", "tea", "van", "wood", "yoga", "zone",
];

/// Side of a glyph dot in pixels.
const DOT: i32 = 3;
/// Side of a letter's square in pixels; squares begin at multiples of half of it, as print keeps to a grid.
const SQUARE: i32 = 24;
/// Steps of half a square across the image.
const STEPS: i32 = 12;

#[derive(Clone, Debug)]
pub(crate) struct Plate {
    pub(crate) text: String,
    pub(crate) color: Color,
    is_word: bool,
    /// Left edge of the first letter's square, in pixels.
    left: i32,
    /// Top edge of the squares, in pixels.
    top: i32,
}

/// One or two plates of different colours, with different texts.
#[derive(Clone, Debug)]
pub(crate) struct Sign {
    pub(crate) plates: Vec<Plate>,
}

const WHAT_WORD: [&str; 4] =
    ["What word is on the {sign}?", "Which word is on the {sign}?", "What does the {sign} say?", "Read the word on the {sign}."];
const WHAT_NUMBER: [&str; 4] = [
    "What number is on the {sign}?",
    "Which number is on the {sign}?",
    "What is the number on the {sign}?",
    "Read the number on the {sign}.",
];
const DOES_IT_SAY: [&str; 2] = ["Does a sign say {text}?", "Is there a sign that says {text}?"];
const LETTER: [&str; 2] = ["What is the {place} letter on the {sign}?", "Which letter is {place} on the {sign}?"];
const COLOR_OF: [&str; 2] = ["What color is the sign that says {text}?", "Which color has the sign that says {text}?"];

impl Sign {
    pub(crate) fn arrange(level: Level, dice: &mut Dice) -> Self {
        let count = if level > Level::Easy && dice.chance(60) { 2 } else { 1 };
        let colors = dice.shuffled(&Color::ALL);
        let mut plates: Vec<Plate> = Vec::new();
        for (i, &color) in colors[..count].iter().enumerate() {
            let is_word = dice.chance(60);
            let text = loop {
                let text = if is_word { dice.one(&WORDS).to_owned() } else { dice.between(10, 99).to_string() };
                if plates.iter().all(|p| p.text != text) {
                    break text;
                }
            };
            let (first, last) = match (count, i) {
                (1, _) => (4, 6),
                (_, 0) => (1, 2),
                _ => (7, 9),
            };
            let left = dice.between(0, STEPS - 2 * text.len() as i32) * SQUARE / 2;
            let top = dice.between(first, last) * SQUARE / 2;
            plates.push(Plate { text, color, is_word, left, top });
        }
        Self { plates }
    }

    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        let mut canvas = Canvas::new(pale(dice));
        for plate in &self.plates {
            let owner = canvas.add(Thing { color: Some(plate.color), ..Thing::new(What::Plate) });
            let (right, bottom) = (plate.left + SQUARE * plate.text.len() as i32, plate.top + SQUARE);
            let ground = vary(dice, plate.color.rgb(), 10);
            canvas.fill_rect(Some(owner), Rect { left: plate.left, top: plate.top - 5, right, bottom: bottom + 5 }, ground);
            let ink = match plate.color {
                Color::Yellow | Color::Orange => [20, 20, 24],
                _ => [246, 246, 246],
            };
            for (i, character) in plate.text.chars().enumerate() {
                let Some(index) = glyph(character) else { continue };
                let corner = plate.left + SQUARE * i as i32;
                let left = corner + (SQUARE - WIDTH * DOT) / 2 + dice.between(-1, 1);
                let top = plate.top + (SQUARE - HEIGHT * DOT) / 2 + dice.between(-1, 1);
                let center = (corner + SQUARE / 2, plate.top + SQUARE / 2);
                let owner = canvas.add(Thing { color: Some(plate.color), center: Some(center), ..Thing::new(What::Glyph(index)) });
                for (row, bits) in (0..).zip(GLYPHS[index].1) {
                    for column in 0..WIDTH {
                        if bits >> (WIDTH - 1 - column) & 1 == 1 {
                            let (x, y) = (left + column * DOT, top + row * DOT);
                            let dot = Rect { left: x, top: y, right: x + DOT, bottom: y + DOT };
                            canvas.fill_rect(None, dot, ink);
                        }
                    }
                }
                let frame = Rect { left, top, right: left + WIDTH * DOT, bottom: top + HEIGHT * DOT };
                canvas.claim(owner, frame);
            }
        }
        canvas.noise(dice, 6);
        canvas
    }

    pub(crate) fn ask(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let plate = &self.plates[dice.below(self.plates.len())];
        let alike = self.plates.iter().filter(|p| p.is_word == plate.is_word).count();
        let sign = if alike > 1 { format!("{} sign", plate.color.name()) } else { "sign".to_owned() };
        let weights = if level == Level::Easy { [80, 0, 20, 0] } else { [68, 12, 12, 8] };
        let family = TaskFamily::Reading;
        Some(match dice.weighted(&weights) {
            0 if plate.is_word => Draft::short(family, say(dice, &WHAT_WORD, &[("sign", &sign)]), &plate.text),
            0 => {
                let text = say(dice, &WHAT_NUMBER, &[("sign", &sign)]);
                Draft::number(family, text, plate.text.parse().ok()?)
            }
            1 => {
                let yes = dice.chance(50);
                let other = dice.one(&WORDS);
                if !plate.is_word || self.plates.iter().any(|p| p.text == other) {
                    return None;
                }
                let shown = if yes { plate.text.as_str() } else { other };
                // One "no" per plate at most, or images asked many questions would mostly answer no.
                let key = format!("says {} {yes}", plate.text);
                let words = Words { key, ..say(dice, &DOES_IT_SAY, &[("text", shown)]) };
                Draft::yes_no(family, words, yes)
            }
            2 if plate.is_word => {
                let (place, letter) =
                    if dice.chance(50) { ("first", plate.text.chars().next()?) } else { ("last", plate.text.chars().last()?) };
                Draft::short(family, say(dice, &LETTER, &[("place", place), ("sign", &sign)]), &letter.to_string())
            }
            3 if self.plates.len() > 1 => Draft::short(family, say(dice, &COLOR_OF, &[("text", &plate.text)]), plate.color.name()),
            _ => return None,
        })
    }
}
