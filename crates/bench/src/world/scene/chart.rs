//! Bar charts with two to four bars of whole height.

use crate::world::{
    draw::{Canvas, Rect, vary},
    family::{Level, TaskFamily},
    labels::{Target, Thing, What},
    palette::Color,
    phrasing::{Draft, say},
    seed::Dice,
};

/// Pixels per unit of height: one patch.
const STEP: i32 = 12;
/// Row of pixels on which the bars stand.
const FLOOR: i32 = 132;
const HIGHEST: i32 = 8;
const SLOT: i32 = 36;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) color: Color,
    pub(crate) value: i32,
    x: i32,
}

#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) bars: Vec<Bar>,
}

const VALUE: [&str; 4] = [
    "What is the value of the {color} bar?",
    "How high is the {color} bar?",
    "What value does the {color} bar have?",
    "Give the value of the {color} bar.",
];
const EXTREME: [&str; 3] = ["Which color is the {most} bar?", "What color is the {most} bar?", "Name the color of the {most} bar."];
const HOW_MANY: [&str; 3] = ["How many bars are there?", "Count the bars.", "How many bars are in the chart?"];
const COMPARE: [&str; 2] = ["Is the {color} bar {more} than the {other} bar?", "Is {color} {more} than {other}?"];

impl Chart {
    pub(crate) fn arrange(_level: Level, dice: &mut Dice) -> Self {
        let count = 2 + dice.weighted(&[26, 36, 38]);
        let colors = dice.shuffled(&Color::ALL);
        let mut slots = dice.shuffled(&[0, 1, 2, 3]);
        slots.truncate(count);
        slots.sort_unstable();
        let bars = slots.into_iter().zip(colors).map(|(slot, color)| Bar {
            color,
            value: dice.between(1, HIGHEST),
            x: slot * SLOT + SLOT / 2 + dice.between(-3, 3),
        });
        Self { bars: bars.collect() }
    }

    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        let paper = dice.between(238, 252) as u8;
        let mut canvas = Canvas::new([paper; 3]);
        for step in 0..=HIGHEST {
            let y = FLOOR - step * STEP;
            let ink = if step == 0 { [70; 3] } else { [paper - 34; 3] };
            canvas.fill_rect(None, Rect { left: 4, top: y, right: 140, bottom: y + 1 }, ink);
        }
        for bar in &self.bars {
            let top = FLOOR - bar.value * STEP;
            let owner = canvas.add(Thing {
                color: Some(bar.color),
                target: Target::Value(bar.value as u8),
                center: Some((bar.x, top + STEP / 2)),
                ..Thing::new(What::Bar)
            });
            let rgb = vary(dice, bar.color.rgb(), 10);
            canvas.fill_rect(Some(owner), Rect { left: bar.x - 12, top, right: bar.x + 12, bottom: FLOOR }, rgb);
        }
        canvas.noise(dice, 5);
        canvas
    }

    pub(crate) fn ask(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let family = TaskFamily::Chart;
        let bar = dice.pick(&self.bars)?;
        let weights = if level == Level::Easy { [60, 25, 15, 0] } else { [50, 28, 8, 14] };
        Some(match dice.weighted(&weights) {
            0 => Draft::number(family, say(dice, &VALUE, &[("color", bar.color.name())]), bar.value as usize),
            1 => {
                let (most, extreme) = if dice.chance(50) {
                    ("tallest", self.bars.iter().map(|b| b.value).max()?)
                } else {
                    ("shortest", self.bars.iter().map(|b| b.value).min()?)
                };
                let found: Vec<Bar> = self.bars.iter().copied().filter(|b| b.value == extreme).collect();
                let [found] = found[..] else { return None };
                Draft::short(family, say(dice, &EXTREME, &[("most", most)]), found.color.name())
            }
            2 => Draft::number(family, say(dice, &HOW_MANY, &[]), self.bars.len()),
            _ => {
                let taller = dice.chance(50);
                let others: Vec<Bar> = self.bars.iter().copied().filter(|b| b.value != bar.value).collect();
                let other = dice.pick(&others)?;
                let more = if taller { "taller" } else { "shorter" };
                let fillers = [("color", bar.color.name()), ("more", more), ("other", other.color.name())];
                Draft::yes_no(family, say(dice, &COMPARE, &fillers), (bar.value > other.value) == taller)
            }
        })
    }
}
