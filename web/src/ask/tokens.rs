//! The image with the grid of its visual tokens: which were kept, which dropped.

use leptos::prelude::*;
use steady_protocol::{AskReply, AskedAnswer, Cell, Frame, TokenStep, View};

/// Steps of a reducer that `page.css` tells apart.
const SHADES: usize = 4;

/// What the overlay shows.
#[derive(Clone, PartialEq)]
pub(crate) struct Tokens {
    /// The grids that the model looks through.
    pub(crate) views: Vec<View>,
    /// What each token shows of them.
    pub(crate) cells: Vec<Option<Cell>>,
    /// Who kept them.
    pub(crate) acceleration: String,
    /// Kept tokens; `None` for all.
    pub(crate) kept: Option<Vec<usize>>,
    /// What each step left of them.
    pub(crate) steps: Vec<TokenStep>,
}

/// From which decoder layer on fewer tokens are seen, where all are seen below it: `from layer 2`.
pub(super) fn from_layer(steps: &[TokenStep]) -> Option<String> {
    match steps.first()?.layer? {
        first if steps.len() == 1 => Some(format!("from layer {first}")),
        first => Some(format!("from layer {} on, fewer from layer {first}", steps.last()?.layer?)),
    }
}

impl Tokens {
    pub(crate) fn of(asked: &AskReply, answer: &AskedAnswer) -> Self {
        Self {
            views: asked.views.clone(),
            cells: asked.cells.clone(),
            acceleration: answer.acceleration.clone(),
            kept: answer.kept.clone(),
            steps: answer.steps.clone(),
        }
    }

    /// The step that dropped a token; `None` for one that is kept.
    fn dropped_by(&self, token: usize) -> Option<usize> {
        self.steps.iter().position(|step| step.kept.binary_search(&token).is_err())
    }

    /// How many each step dropped, where there is more than one.
    fn step_by_step(&self) -> String {
        if self.steps.len() < 2 {
            return String::new();
        }
        let mut before = self.cells.len();
        let told = self.steps.iter().map(|step| {
            let dropped = before.saturating_sub(step.kept.len());
            before = step.kept.len();
            format!("{dropped} {}", step.place)
        });
        format!(" Dropped: {}; the later, the lighter.", told.collect::<Vec<_>>().join(", "))
    }

    /// The grid that is drawn over the image, and where: the only one, if it lies on one rectangle.
    fn grid(&self) -> Option<(View, Frame)> {
        let [view] = self.views.as_slice() else { return None };
        Some((*view, view.frame?))
    }

    fn keeps(&self, token: usize) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.binary_search(&token).is_ok())
    }

    /// Cells that were dropped, each with the step that did it.
    fn dropped(&self) -> impl Iterator<Item = (Cell, usize)> {
        let of = |(token, cell): (usize, &Option<Cell>)| Some(((*cell)?, self.dropped_by(token).unwrap_or(0)));
        self.cells.iter().enumerate().filter(|(token, _)| !self.keeps(*token)).filter_map(of)
    }

    /// In words.
    pub(crate) fn in_words(&self) -> String {
        let all = self.cells.len();
        let grid = self.grid().map(|(view, _)| {
            let beside = match self.cells.iter().filter(|cell| cell.is_none()).count() {
                0 => String::new(),
                1 => " and one that shows no part of the image".to_owned(),
                several => format!(" and {several} that show no part of the image"),
            };
            (format!("{} rows of {}{beside}", view.rows, view.columns), self.by_row(view))
        });
        match (&self.kept, grid) {
            (None, Some((grid, _))) => format!("The model sees all {all} visual tokens, {grid}."),
            (Some(kept), Some((grid, by_row))) => {
                let (name, kept, from) = (&self.acceleration, kept.len(), self.from());
                let steps = self.step_by_step();
                format!("{name} keeps {kept} of {all} visual tokens{from} ({grid}); the dark cells are dropped.{steps}{by_row}")
            }
            (None, None) => format!("The model sees all {all} visual tokens, of several views of the image."),
            (Some(kept), None) => {
                let (name, kept, from, steps) = (&self.acceleration, kept.len(), self.from(), self.step_by_step());
                format!("{name} keeps {kept} of {all} visual tokens{from}, of several views of the image.{steps}")
            }
        }
    }

    fn from(&self) -> String {
        from_layer(&self.steps).map(|from| format!(" {from}")).unwrap_or_default()
    }

    /// How many are kept in each row, for those who do not see the picture.
    fn by_row(&self, view: View) -> String {
        let kept = |row: usize| {
            let there = |(token, cell): &(usize, &Option<Cell>)| self.keeps(*token) && cell.is_some_and(|cell| cell.row == row);
            self.cells.iter().enumerate().filter(there).count().to_string()
        };
        format!(" Kept per row from the top: {}.", (0..view.rows).map(kept).collect::<Vec<_>>().join(", "))
    }
}

/// The lattice of the tokens with those dropped dark, and a veil over what lies beyond it.
fn overlay(tokens: &Tokens, (view, frame): (View, Frame), width: u32, height: u32) -> impl IntoView + use<> {
    let Frame { left, top, width: across, height: down } = frame;
    let (cell_width, cell_height) = (across / view.columns as f64, down / view.rows as f64);
    let x = move |column: usize| left + column as f64 * cell_width;
    let y = move |row: usize| top + row as f64 * cell_height;
    let line = move |x1: f64, y1: f64, x2: f64, y2: f64| view! { <line class="lattice" x1=x1 y1=y1 x2=x2 y2=y2 /> };
    let rows = (1..view.rows).map(|row| line(left, y(row), left + across, y(row)));
    let columns = (1..view.columns).map(|column| line(x(column), top, x(column), top + down));
    let dropped: Vec<_> = tokens
        .dropped()
        .map(|(cell, step)| {
            let class = format!("dropped step-{}", step.min(SHADES - 1));
            let place = tokens.steps.get(step).map(|step| view! { <title>{format!("dropped {}", step.place)}</title> });
            view! { <rect class=class x=x(cell.column) y=y(cell.row) width=cell_width height=cell_height>{place}</rect> }
        })
        .collect();
    // less than a pixel is the rounding of sizes
    let beyond = left >= 1.0 || top >= 1.0 || left + across <= f64::from(width) - 1.0 || top + down <= f64::from(height) - 1.0;
    let beyond = beyond.then(|| {
        let around = format!("M0 0H{width}V{height}H0ZM{left} {top}h{across}v{down}h-{across}Z");
        view! { <path class="beyond" d=around /> }
    });
    view! { <g>{beyond}{dropped}{rows.collect_view()}{columns.collect_view()}</g> }
}

/// The image, large, with the tokens over it.
#[component]
pub(crate) fn TokenImage(
    /// Address, width and height.
    #[prop(into)]
    image: Signal<Option<(String, u32, u32)>>,
    #[prop(into)] tokens: Signal<Option<Tokens>>,
) -> impl IntoView {
    let drawing = move || {
        image.get().map(|(address, width, height)| {
            let label = tokens.with(|tokens| match tokens {
                Some(tokens) => format!("The image. {}", tokens.in_words()),
                None => "The image".to_owned(),
            });
            let overlay = tokens.get().and_then(|tokens| Some(overlay(&tokens, tokens.grid()?, width, height)));
            view! {
                <svg class="tokens" role="img" aria-label=label viewBox=format!("0 0 {width} {height}")>
                    <image href=address width=width height=height />
                    {overlay}
                </svg>
            }
        })
    };
    view! {
        <figure class="large">
            {move || if image.with(Option::is_some) { drawing().into_any() } else { view! { <p class="tokens missing">"no image yet"</p> }.into_any() }}
            <figcaption>{move || tokens.with(|tokens| tokens.as_ref().map(Tokens::in_words))}</figcaption>
        </figure>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_by_row(rows: usize, columns: usize) -> Vec<Option<Cell>> {
        (0..rows * columns).map(|token| Some(Cell { view: 0, row: token / columns, column: token % columns })).collect()
    }

    #[test]
    fn what_is_not_kept_is_dropped() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let views = vec![View { rows: 2, columns: 3, frame }];
        let tokens = Tokens { views, cells: row_by_row(2, 3), acceleration: "random".into(), kept: Some(vec![0, 4, 5]), steps: Vec::new() };
        assert_eq!(tokens.dropped().map(|(cell, _)| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 6 visual tokens (2 rows of 3); the dark cells are dropped. Kept per row from the top: 1, 2."
        );
        let views = Tokens { views: vec![View { rows: 2, columns: 3, frame: None }], ..tokens.clone() };
        assert_eq!(views.in_words(), "random keeps 3 of 6 visual tokens, of several views of the image.");
        let all = Tokens { kept: None, ..tokens };
        assert_eq!((all.dropped().count(), all.in_words().as_str()), (0, "The model sees all 6 visual tokens, 2 rows of 3."));
    }

    #[test]
    fn each_step_drops_its_own() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let step =
            |layer: usize, kept: &[usize]| TokenStep { place: format!("before layer {layer}"), layer: Some(layer), kept: kept.into() };
        let tokens = Tokens {
            views: vec![View { rows: 2, columns: 3, frame }],
            cells: row_by_row(2, 3),
            acceleration: "pyramiddrop".into(),
            kept: Some(vec![0]),
            steps: vec![step(1, &[0, 4, 5]), step(2, &[0])],
        };
        let by_step: Vec<usize> = tokens.dropped().map(|(_, step)| step).collect();
        assert_eq!(by_step, [0, 0, 0, 1, 1]);
        assert_eq!(
            tokens.in_words(),
            "pyramiddrop keeps 1 of 6 visual tokens from layer 2 on, fewer from layer 1 (2 rows of 3); the dark cells are dropped. \
             Dropped: 3 before layer 1, 2 before layer 2; the later, the lighter. Kept per row from the top: 1, 0."
        );
        let fastv = Tokens { steps: vec![step(2, &[0])], ..tokens };
        assert!(fastv.in_words().starts_with("pyramiddrop keeps 1 of 6 visual tokens from layer 2 (2 rows of 3)"), "{}", fastv.in_words());
    }

    /// A class token in front of the patches is a token and no cell: 7 tokens, and 3 of them kept are 2 cells.
    #[test]
    fn a_class_token_is_no_cell() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let cells = [vec![None], row_by_row(2, 3)].concat();
        let tokens = Tokens {
            views: vec![View { rows: 2, columns: 3, frame }],
            cells,
            acceleration: "random".into(),
            kept: Some(vec![0, 1, 6]),
            steps: Vec::new(),
        };
        assert_eq!(tokens.dropped().map(|(cell, _)| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0), (1, 1)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 7 visual tokens (2 rows of 3 and one that shows no part of the image); the dark cells are dropped. \
             Kept per row from the top: 1, 1."
        );
    }
}
