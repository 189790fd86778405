//! The image with the grid of its visual tokens: which were kept, which dropped.

use leptos::prelude::*;
use steady_protocol::{AskReply, AskedAnswer, Cell, Frame, View};

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
}

impl Tokens {
    pub(crate) fn of(asked: &AskReply, answer: &AskedAnswer) -> Self {
        Self {
            views: asked.views.clone(),
            cells: asked.cells.clone(),
            acceleration: answer.acceleration.clone(),
            kept: answer.kept.clone(),
        }
    }

    /// The grid that is drawn over the image, and where: the only one, if it lies on one rectangle.
    fn grid(&self) -> Option<(View, Frame)> {
        let [view] = self.views.as_slice() else { return None };
        Some((*view, view.frame?))
    }

    fn keeps(&self, token: usize) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.binary_search(&token).is_ok())
    }

    /// Cells that were dropped.
    fn dropped(&self) -> impl Iterator<Item = Cell> {
        self.cells.iter().enumerate().filter(|(token, _)| !self.keeps(*token)).filter_map(|(_, cell)| *cell)
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
                format!("{} keeps {} of {all} visual tokens ({grid}); the dark cells are dropped.{by_row}", self.acceleration, kept.len())
            }
            (None, None) => format!("The model sees all {all} visual tokens, of several views of the image."),
            (Some(kept), None) => {
                format!("{} keeps {} of {all} visual tokens, of several views of the image.", self.acceleration, kept.len())
            }
        }
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
        .map(|cell| view! { <rect class="dropped" x=x(cell.column) y=y(cell.row) width=cell_width height=cell_height /> })
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
        let tokens = Tokens { views, cells: row_by_row(2, 3), acceleration: "random".into(), kept: Some(vec![0, 4, 5]) };
        assert_eq!(tokens.dropped().map(|cell| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 6 visual tokens (2 rows of 3); the dark cells are dropped. Kept per row from the top: 1, 2."
        );
        let views = Tokens { views: vec![View { rows: 2, columns: 3, frame: None }], ..tokens.clone() };
        assert_eq!(views.in_words(), "random keeps 3 of 6 visual tokens, of several views of the image.");
        let all = Tokens { kept: None, ..tokens };
        assert_eq!((all.dropped().count(), all.in_words().as_str()), (0, "The model sees all 6 visual tokens, 2 rows of 3."));
    }

    /// A class token in front of the patches is a token and no cell: 7 tokens, and 3 of them kept are 2 cells.
    #[test]
    fn a_class_token_is_no_cell() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let cells = [vec![None], row_by_row(2, 3)].concat();
        let tokens =
            Tokens { views: vec![View { rows: 2, columns: 3, frame }], cells, acceleration: "random".into(), kept: Some(vec![0, 1, 6]) };
        assert_eq!(tokens.dropped().map(|cell| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0), (1, 1)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 7 visual tokens (2 rows of 3 and one that shows no part of the image); the dark cells are dropped. \
             Kept per row from the top: 1, 1."
        );
    }
}
