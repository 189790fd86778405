//! A grey-level scan: two lungs, and findings in them. A drawing, no medical claim.

use crate::world::{
    draw::{Canvas, Rect, UNIT},
    family::{Level, TaskFamily},
    labels::{Thing, What},
    phrasing::{Draft, say},
    seed::Dice,
};

/// Half axes of a lung in pixels.
const LUNG: (i32, i32) = (27, 50);
const NODULE: i32 = 6;
const CAVITY: i32 = 10;

/// Image side, not the patient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    side: Side,
    x: i32,
    y: i32,
}

#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) nodules: Vec<Spot>,
    cavity: Option<Spot>,
    fluid: Option<Side>,
    /// Whether this scan may be asked about being normal.
    asks_normal: bool,
    /// Centres of the left and the right lung.
    lungs: [(i32, i32); 2],
}

const NODULE_ON: [&str; 3] =
    ["Is there a nodule on the {side} side?", "Does the {side} side show a nodule?", "Can you see a nodule on the {side}?"];
const HOW_MANY: [&str; 3] = ["How many nodules are there?", "Count the nodules.", "How many nodules does the scan show?"];
const WHICH_SIDE: [&str; 3] = ["Which side shows {finding}?", "On which side is {finding}?", "Where is {finding}, left, right or none?"];
const NORMAL: [&str; 3] = ["Is the scan normal?", "Is this a normal scan?", "Does the scan look normal?"];
const ANY: [&str; 3] = ["Is there {finding}?", "Does the scan show {finding}?", "Can you see {finding}?"];

impl Scan {
    pub(crate) fn arrange(level: Level, dice: &mut Dice) -> Self {
        let drift = dice.between(-3, 3);
        let mut lung = |x: i32| (x + dice.between(-2, 2), 72 + drift + dice.between(-2, 2));
        let lungs = [lung(40), lung(104)];
        let mut scan = Self { nodules: Vec::new(), cavity: None, fluid: None, asks_normal: true, lungs };
        if dice.chance(22) {
            return scan;
        }
        // As often as a scan is normal, so that "yes" and "no" are alike.
        scan.asks_normal = dice.chance(28);
        let nodules = dice.weighted(if level == Level::Easy { &[1, 2, 2] } else { &[1, 2, 2, 2, 2] });
        let side = |dice: &mut Dice| if dice.chance(50) { Side::Left } else { Side::Right };
        scan.fluid = dice.chance(64).then(|| side(dice));
        if dice.chance(64) {
            let side = side(dice);
            scan.cavity = scan.spot(side, dice);
        }
        while scan.nodules.len() < nodules {
            let side = side(dice);
            match scan.spot(side, dice) {
                Some(spot) => scan.nodules.push(spot),
                None => break,
            }
        }
        if scan.is_normal() {
            scan.nodules.extend(Self { fluid: None, ..scan.clone() }.spot(side(dice), dice));
        }
        scan
    }

    fn is_normal(&self) -> bool {
        self.nodules.is_empty() && self.cavity.is_none() && self.fluid.is_none()
    }

    /// A free place inside a lung, away from other findings and from where fluid gathers.
    fn spot(&self, side: Side, dice: &mut Dice) -> Option<Spot> {
        let (cx, cy) = self.lungs[side as usize];
        (0..40).find_map(|_| {
            let (dx, dy) = (dice.between(-15, 15), dice.between(-38, 20));
            let (x, y) = (cx + dx, cy + dy);
            // Inside an ellipse a little smaller than the lung.
            let inside = dx * dx * 40 * 40 + dy * dy * 17 * 17 <= 17 * 17 * 40 * 40;
            let taken = self.nodules.iter().chain(&self.cavity);
            let free = taken.into_iter().all(|s| (s.x - x) * (s.x - x) + (s.y - y) * (s.y - y) >= 21 * 21);
            (inside && free).then_some(Spot { side, x, y })
        })
    }

    pub(crate) fn paint(&self, dice: &mut Dice) -> Canvas {
        let dark = dice.between(14, 34) as u8;
        let mut canvas = Canvas::new([dark; 3]);
        let body = dark + 40;
        canvas.fill(None, Rect { left: 0, top: 0, right: 144, bottom: 144 }, [body; 3], ellipse((72, 72), (70, 69)));
        let lung_grey = dice.between(112, 134) as u8;
        for (side, center) in [Side::Left, Side::Right].into_iter().zip(self.lungs) {
            let owner = canvas.add(Thing::new(What::Lung));
            let bounds = Rect::around(center.0, center.1, LUNG.0 + 1, LUNG.1 + 1);
            canvas.fill(Some(owner), bounds, [lung_grey; 3], ellipse(center, LUNG));
            if self.fluid == Some(side) {
                let owner = canvas.add(Thing::new(What::Fluid));
                let lung = ellipse(center, LUNG);
                let level = (center.1 + 28) * UNIT;
                canvas.fill(Some(owner), bounds, [212; 3], |x, y| y >= level && lung(x, y));
            }
        }
        if let Some(spot) = self.cavity {
            let owner = canvas.add(Thing { center: Some((spot.x, spot.y)), ..Thing::new(What::Cavity) });
            let bounds = Rect::around(spot.x, spot.y, CAVITY + 1, CAVITY + 1);
            canvas.fill(Some(owner), bounds, [200; 3], ellipse((spot.x, spot.y), (CAVITY, CAVITY)));
            canvas.fill(Some(owner), bounds, [12; 3], ellipse((spot.x, spot.y), (CAVITY - 2, CAVITY - 2)));
        }
        for spot in &self.nodules {
            let owner = canvas.add(Thing { center: Some((spot.x, spot.y)), ..Thing::new(What::Nodule) });
            let bounds = Rect::around(spot.x, spot.y, NODULE + 1, NODULE + 1);
            canvas.fill(Some(owner), bounds, [244; 3], ellipse((spot.x, spot.y), (NODULE, NODULE)));
        }
        canvas.noise(dice, 12);
        canvas
    }

    pub(crate) fn ask(&self, level: Level, dice: &mut Dice) -> Option<Draft> {
        let family = TaskFamily::Scan;
        let weights = if level == Level::Easy { [30, 20, 20, 20, 10] } else { [24, 28, 24, 10, 14] };
        Some(match dice.weighted(&weights) {
            0 => {
                let on = |side: Side| self.nodules.iter().any(|s| s.side == side);
                let side = if dice.chance(50) { Side::Left } else { Side::Right };
                Draft::yes_no(family, say(dice, &NODULE_ON, &[("side", side.name())]), on(side))
            }
            1 => Draft::number(family, say(dice, &HOW_MANY, &[]), self.nodules.len()),
            2 => {
                let (finding, side) = if dice.chance(60) { ("fluid", self.fluid) } else { ("the cavity", self.cavity.map(|s| s.side)) };
                Draft::short(family, say(dice, &WHICH_SIDE, &[("finding", finding)]), side.map_or("none", Side::name))
            }
            3 if !self.asks_normal => return None,
            3 => Draft::yes_no(family, say(dice, &NORMAL, &[]), self.is_normal()),
            _ => {
                let (finding, seen) = if dice.chance(50) { ("a cavity", self.cavity.is_some()) } else { ("fluid", self.fluid.is_some()) };
                Draft::yes_no(family, say(dice, &ANY, &[("finding", finding)]), seen)
            }
        })
    }
}

/// Inside test of an ellipse, centre and half axes in pixels; a pixel's centre is half a pixel into it.
fn ellipse(center: (i32, i32), half: (i32, i32)) -> impl Fn(i32, i32) -> bool {
    let (cx, cy) = (center.0 * UNIT + UNIT / 2, center.1 * UNIT + UNIT / 2);
    let (a, b) = (i64::from(half.0 * UNIT), i64::from(half.1 * UNIT));
    move |x, y| {
        let (dx, dy) = (i64::from(x - cx), i64::from(y - cy));
        dx * dx * b * b + dy * dy * a * a <= a * a * b * b
    }
}
