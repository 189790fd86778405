//! Lines against an amount: how accuracy and changed answers move as more is kept, or more is done to what is asked.

use maud::{Markup, html};

use crate::printable::one_line;

/// Lines that `style.css` tells apart.
const LINES: usize = 8;
/// The chart is so wide.
const WIDTH: f64 = 980.0;
/// Its panels begin here, and are so wide and high.
const LEFT: [f64; 2] = [48.0, 560.0];
const TOP: f64 = 40.0;
const PANEL: f64 = 380.0;
const HEIGHT: f64 = 220.0;

/// One line of each panel.
pub(super) struct Curve {
    pub(super) name: String,
    /// Amounts, ascending, each with a share for each panel.
    pub(super) points: Vec<(f64, [f64; 2])>,
}

/// What is drawn.
pub(super) struct Curves<'a> {
    /// What it shows, for who cannot see it.
    pub(super) label: &'a str,
    /// Head and note of each panel; one that is not known is left out.
    pub(super) panels: [Option<[&'a str; 2]>; 2],
    /// The least and the largest amount.
    pub(super) range: [f64; 2],
    pub(super) lines: &'a [Curve],
    /// A share that stands as a dashed line in the first panel.
    pub(super) before: Option<f64>,
}

impl Curves<'_> {
    pub(super) fn draw(&self) -> Markup {
        let [least, most] = self.range;
        let x = |amount: f64| if most > least { PANEL * (amount - least) / (most - least) } else { PANEL / 2.0 };
        let y = |share: f64| TOP + HEIGHT * (1.0 - share);
        let bottom = TOP + HEIGHT + 42.0 + 20.0 * self.lines.len() as f64;
        html! {
            svg.chart role="img" aria-label=(self.label) viewBox={ "0 0 " (WIDTH) " " (bottom) } width=(WIDTH) height=(bottom) {
                @for (panel, (left, head)) in LEFT.into_iter().zip(self.panels).enumerate() {
                    @if let Some([head, note]) = head {
                        text.head x=(left) y="14" { (head) }
                        text.note x=(left) y="30" { (note) }
                        @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                            line.grid x1=(left) x2=(left + PANEL) y1=(y(tick)) y2=(y(tick)) {}
                            text.tick x=(left - 18.0) y=(y(tick) + 4.0) { (100.0 * tick) }
                        }
                        @for share in [0.0, 0.5, 1.0] {
                            @let amount = least + share * (most - least);
                            text.tick x=(left + x(amount)) y=(TOP + HEIGHT + 16.0) { (shown(amount)) }
                        }
                        @for (index, curve) in self.lines.iter().enumerate() {
                            @let path: Vec<String> = curve.points.iter().map(|(amount, shares)| format!("{:.1},{:.1}", left + x(*amount), y(shares[panel]))).collect();
                            polyline class={ "curve curve-" (index % LINES) } points=(path.join(" ")) {}
                        }
                    }
                }
                @if let (Some(before), [Some(_), _]) = (self.before, self.panels) {
                    line.noise x1=(LEFT[0]) x2=(LEFT[0] + PANEL) y1=(y(before)) y2=(y(before)) {}
                }
                @for (index, curve) in self.lines.iter().enumerate() {
                    @let line = TOP + HEIGHT + 42.0 + 20.0 * index as f64;
                    line class={ "curve curve-" (index % LINES) } x1=(LEFT[0]) x2=(LEFT[0] + 24.0) y1=(line) y2=(line) {}
                    text.label x=(LEFT[0] + 32.0) y=(line + 4.0) { (one_line(&curve.name)) }
                }
            }
        }
    }
}

/// An amount under the axis: whole where it is large.
fn shown(amount: f64) -> String {
    if amount >= 10.0 {
        return format!("{amount:.0}");
    }
    let text = format!("{amount:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
