//! Coloured discs joined by arrows.

use crate::world::{
    draw::{Canvas, Rect, UNIT, pale, vary},
    family::{Level, TaskFamily},
    labels::{Target, Thing, Way, What},
    palette::Color,
    phrasing::{Draft, color_names, say},
    seed::Dice,
};

const SIDE: usize = 3;
/// Distance of neighbouring discs in pixels: four patches.
const STEP: i32 = 48;
/// Radius of a disc in pixels.
const RADIUS: i32 = 13;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) color: Color,
    column: usize,
    row: usize,
    x: i32,
    y: i32,
    /// Index of the node that this one's arrow ends at.
    pub(crate) to: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Diagram {
    pub(crate) nodes: Vec<Node>,
}

const POINTS_TO: [&str; 4] = [
    "Which color does the arrow from the {color} node point to?",
    "What color does the {color} node point to?",
    "Where does the arrow from {color} go?",
    "The arrow from {color} points to which color?",
];
const POINTED_FROM: [&str; 3] = [
    "Which color points to the {color} node?",
    "What color is the node that points to {color}?",
    "The arrow to {color} comes from which color?",
];
const IS_ARROW: [&str; 2] = ["Is there an arrow from {color} to {other}?", "Does {color} point to {other}?"];
const HOW_MANY: [&str; 3] = ["How many {things} are there?", "Count the {things}.", "How many {things} are in the diagram?"];

impl Diagram {
    pub(crate) fn arrange(level: Level, dice: &mut Dice) -> Self {
        let count = if level == Level::Easy { 3 } else { 3 + dice.weighted(&[30, 40, 30]) };
        let mut cells = vec![(dice.below(SIDE), dice.below(SIDE))];
        while cells.len() < count {
            let free: Vec<(usize, usize)> = (0..SIDE * SIDE)
                .map(|i| (i % SIDE, i / SIDE))
                .filter(|cell| !cells.contains(cell) && cells.iter().any(|other| way(*cell, *other).is_some()))
                .collect();
            cells.extend(dice.pick(&free));
        }
        let colors = dice.shuffled(&Color::ALL);
        let mut middle = |i: usize| STEP / 2 + i as i32 * STEP + dice.between(-1, 1);
        let mut nodes: Vec<Node> = cells
            .iter()
            .zip(colors)
            .map(|(&(column, row), color)| Node { color, column, row, x: middle(column), y: middle(row), to: None })
            .collect();
        for from in dice.shuffled(&(0..count).collect::<Vec<_>>()) {
            let neighbours: Vec<usize> =
                (0..count).filter(|&to| nodes[to].to != Some(from) && way(cells[from], cells[to]).is_some()).collect();
            nodes[from].to = dice.pick(&neighbours).filter(|_| dice.chance(75));
        }
        if nodes.iter().all(|n| n.to.is_none()) {
            let neighbours: Vec<usize> = (0..count).filter(|&to| way(cells[0], cells[to]).is_some()).collect();
            nodes[0].to = dice.pick(&neighbours);
        }
        Self { nodes }
    }

    pub(crate) fn arrows(&self) -> usize {
        self.nodes.iter().filter(|n| n.to.is_some()).count()
    }

    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        let mut canvas = Canvas::new(pale(dice));
        for node in &self.nodes {
            if let Some(to) = node.to {
                paint_arrow(&mut canvas, node, &self.nodes[to]);
            }
        }
        for node in &self.nodes {
            let owner = canvas.add(Thing {
                color: Some(node.color),
                target: node.to.map_or(Target::None, |to| Target::Color(self.nodes[to].color)),
                center: Some((node.x, node.y)),
                ..Thing::new(What::Node)
            });
            let rgb = vary(dice, node.color.rgb(), 10);
            let bounds = Rect::around(node.x, node.y, RADIUS + 1, RADIUS + 1);
            let (cx, cy, r) = (node.x * UNIT + UNIT / 2, node.y * UNIT + UNIT / 2, RADIUS * UNIT);
            canvas.fill(Some(owner), bounds, rgb, |x, y| (x - cx) * (x - cx) + (y - cy) * (y - cy) <= r * r);
        }
        canvas.noise(dice, 6);
        canvas
    }

    pub(crate) fn ask(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let family = TaskFamily::Diagram;
        let weights = match level {
            Level::Easy => [80, 0, 20, 0, 0],
            _ => [38, 16, 14, 14, 18],
        };
        let node = dice.pick(&self.nodes)?;
        let tempting: Vec<&str> = self.nodes.iter().map(|n| n.color.name()).filter(|&c| c != node.color.name()).collect();
        Some(match dice.weighted(&weights) {
            0 => {
                let text = say(dice, &POINTS_TO, &[("color", node.color.name())]);
                Draft::short(family, text, self.nodes[node.to?].color.name())
            }
            1 => {
                let sources: Vec<&Node> = self.nodes.iter().filter(|n| n.to.is_some_and(|to| self.nodes[to].color == node.color)).collect();
                let [source] = sources[..] else { return None };
                let text = say(dice, &POINTED_FROM, &[("color", node.color.name())]);
                Draft::short(family, text, source.color.name())
            }
            2 => {
                let (things, count) = if dice.chance(60) { ("arrows", self.arrows()) } else { ("nodes", self.nodes.len()) };
                Draft::number(family, say(dice, &HOW_MANY, &[("things", things)]), count)
            }
            3 => {
                let to = self.nodes[node.to?];
                let strangers: Vec<Node> = self.nodes.iter().copied().filter(|n| n.color != to.color && n.color != node.color).collect();
                let (first, second) = match dice.weighted(&[54, 23, 23]) {
                    0 => (node.color, to.color),
                    1 => (to.color, node.color),
                    _ => (node.color, dice.pick(&strangers)?.color),
                };
                let fillers = [("color", first.name()), ("other", second.name())];
                // No two nodes point at each other, so the reverse of an arrow is never one.
                let yes = (first, second) == (node.color, to.color);
                Draft::yes_no(family, say(dice, &IS_ARROW, &fillers), yes)
            }
            _ => {
                let text = say(dice, &POINTS_TO, &[("color", node.color.name())]);
                let others: Vec<&'static str> = color_names().into_iter().filter(|&c| c != node.color.name()).collect();
                Draft::choice(family, dice, text, self.nodes[node.to?].color.name(), &tempting, &others)
            }
        })
    }
}

/// Direction from one cell to a neighbouring one.
fn way(from: (usize, usize), to: (usize, usize)) -> Option<Way> {
    match (to.0 as i32 - from.0 as i32, to.1 as i32 - from.1 as i32) {
        (-1, 0) => Some(Way::Left),
        (1, 0) => Some(Way::Right),
        (0, -1) => Some(Way::Up),
        (0, 1) => Some(Way::Down),
        _ => None,
    }
}

/// A thick dark arrow from the edge of one disc to the edge of the next.
fn paint_arrow(canvas: &mut Canvas, from: &Node, to: &Node) {
    let Some(way) = way((from.column, from.row), (to.column, to.row)) else { return };
    let middle = (i32::midpoint(from.x, to.x), i32::midpoint(from.y, to.y));
    let owner = canvas.add(Thing { center: None, ..Thing::new(What::Arrow(way)) });
    let across = i32::from(matches!(way, Way::Left | Way::Right));
    let bounds = Rect::around(middle.0, middle.1, 9 + 2 * across, 11 - 2 * across);
    let (cx, cy) = (middle.0 * UNIT + UNIT / 2, middle.1 * UNIT + UNIT / 2);
    canvas.fill(Some(owner), bounds, [74, 74, 80], |x, y| {
        let (dx, dy) = (x - cx, y - cy);
        // `along` grows towards the tip.
        let (along, aside) = match way {
            Way::Left => (-dx, dy),
            Way::Right => (dx, dy),
            Way::Up => (-dy, dx),
            Way::Down => (dy, dx),
        };
        let (shaft, tip) = (-10 * UNIT..=0, 10 * UNIT);
        let in_shaft = shaft.contains(&along) && aside.abs() <= 5 * UNIT / 2;
        let in_head = (0..=tip).contains(&along) && 10 * aside.abs() <= 8 * (tip - along);
        in_shaft || in_head
    });
}
