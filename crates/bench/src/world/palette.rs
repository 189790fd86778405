//! The colours and shapes that the world talks about.

/// A nameable colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Color {
    Red,
    Green,
    Blue,
    Yellow,
    Purple,
    Orange,
    Black,
}

impl Color {
    pub(crate) const ALL: [Self; 7] = [Self::Red, Self::Green, Self::Blue, Self::Yellow, Self::Purple, Self::Orange, Self::Black];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Purple => "purple",
            Self::Orange => "orange",
            Self::Black => "black",
        }
    }

    pub(crate) fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [214, 38, 42],
            Self::Green => [38, 158, 62],
            Self::Blue => [38, 82, 220],
            Self::Yellow => [242, 206, 24],
            Self::Purple => [142, 54, 176],
            Self::Orange => [242, 132, 22],
            Self::Black => [28, 28, 30],
        }
    }
}

/// The shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Star,
}

impl Shape {
    pub(crate) const ALL: [Self; 6] = [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Cross, Self::Star];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Diamond => "diamond",
            Self::Cross => "cross",
            Self::Star => "star",
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Circle => "circles",
            Self::Square => "squares",
            Self::Triangle => "triangles",
            Self::Diamond => "diamonds",
            Self::Cross => "crosses",
            Self::Star => "stars",
        }
    }

    /// Whether the point (dx, dy) from the centre is inside the shape of radius `r`; any unit, integers only, y down.
    pub(crate) fn contains(self, dx: i32, dy: i32, r: i32) -> bool {
        let (ax, ay) = (dx.abs(), dy.abs());
        match self {
            Self::Circle => dx * dx + dy * dy <= r * r,
            Self::Square => 8 * ax.max(ay) <= 7 * r,
            // Upright, apex at -r, base at 0.8 r, base as wide as high.
            Self::Triangle => dy >= -r && 5 * dy <= 4 * r && 9 * ax <= 5 * (dy + r),
            Self::Diamond => ax + ay <= r,
            Self::Cross => ax.max(ay) <= r && 10 * ax.min(ay) <= 3 * r,
            Self::Star => inside_polygon(&STAR, dx * 1000, dy * 1000, r),
        }
    }
}

/// Five-pointed star in thousandths of its radius: outer radius 1000, inner 420, first tip up. Constants, so that no
/// sine of some machine's libm decides a pixel.
const STAR: [(i32, i32); 10] =
    [(0, -1000), (247, -340), (951, -309), (399, 130), (588, 809), (0, 420), (-588, 809), (-399, 130), (-951, -309), (-247, -340)];

/// Even-odd rule: whether (x, y) is inside the polygon scaled by `scale`.
fn inside_polygon(corners: &[(i32, i32)], x: i32, y: i32, scale: i32) -> bool {
    let mut inside = false;
    let mut previous = corners.len() - 1;
    for current in 0..corners.len() {
        let (x1, y1) = (corners[previous].0 * scale, corners[previous].1 * scale);
        let (x2, y2) = (corners[current].0 * scale, corners[current].1 * scale);
        previous = current;
        if (y1 > y) == (y2 > y) {
            continue;
        }
        // Does the edge cross the ray to the right of (x, y)? The division is turned into a product, in i64.
        let side = i64::from(x2 - x1) * i64::from(y - y1) - i64::from(x - x1) * i64::from(y2 - y1);
        if (side > 0) == (y2 > y1) {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of the square around a shape that it covers, against the formula.
    #[test]
    fn shapes_have_the_areas_of_their_formulas() {
        let r = 500;
        let share = |shape: Shape| {
            let points = (-r..=r).flat_map(|y| (-r..=r).map(move |x| (x, y)));
            points.filter(|(x, y)| shape.contains(*x, *y, r)).count() as f64 / f64::from((2 * r + 1) * (2 * r + 1))
        };
        // A star of outer radius 1 and inner radius s is ten triangles of area s sin(36 degrees) / 2.
        let star = 5.0 * 0.42 * (std::f64::consts::PI / 5.0).sin();
        let cases = [
            (Shape::Circle, std::f64::consts::PI / 4.0),
            (Shape::Square, 49.0 / 64.0),
            (Shape::Triangle, 2.0 * 1.8 * 1.8 * 5.0 / 9.0 / 2.0 / 4.0),
            (Shape::Diamond, 0.5),
            (Shape::Cross, (2.0 * 2.0 * 0.6 - 0.36) / 4.0),
            (Shape::Star, star / 4.0),
        ];
        for (shape, expected) in cases {
            assert!((share(shape) - expected).abs() < 0.005, "{shape:?}: {} instead of {expected}", share(shape));
        }
    }
}
