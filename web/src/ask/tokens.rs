//! The image with the grid of its visual tokens: which were kept, which dropped.

use leptos::prelude::*;
use steady_protocol::{AskReply, AskedAnswer, Frame};

/// What the overlay shows.
#[derive(Clone, PartialEq)]
pub(crate) struct Tokens {
    /// Rows and columns.
    pub(crate) grid: (usize, usize),
    /// Where on the image they lie.
    pub(crate) frame: Option<Frame>,
    /// Who kept them.
    pub(crate) acceleration: String,
    /// Kept tokens, row by row; `None` for all.
    pub(crate) kept: Option<Vec<usize>>,
}

impl Tokens {
    pub(crate) fn of(asked: &AskReply, answer: &AskedAnswer) -> Self {
        Self { grid: asked.grid, frame: asked.frame, acceleration: answer.acceleration.clone(), kept: answer.kept.clone() }
    }

    fn count(&self) -> usize {
        self.grid.0 * self.grid.1
    }

    /// Cells that were dropped, as (row, column).
    fn dropped(&self) -> Vec<(usize, usize)> {
        let Some(kept) = &self.kept else { return Vec::new() };
        (0..self.count())
            .filter(|token| kept.binary_search(token).is_err())
            .map(|token| (token / self.grid.1, token % self.grid.1))
            .collect()
    }

    /// In words.
    pub(crate) fn in_words(&self) -> String {
        let ((rows, columns), all) = (self.grid, self.count());
        match (&self.kept, self.frame) {
            (None, Some(_)) => format!("The model sees all {all} visual tokens, {rows} rows of {columns}."),
            (Some(kept), Some(_)) => format!(
                "{} keeps {} of {all} visual tokens ({rows} rows of {columns}); the dark cells are dropped.{}",
                self.acceleration,
                kept.len(),
                self.by_row(kept),
            ),
            (None, None) => format!("The model sees all {all} visual tokens, of several views of the image."),
            (Some(kept), None) => {
                format!("{} keeps {} of {all} visual tokens, of several views of the image.", self.acceleration, kept.len())
            }
        }
    }

    /// How many are kept in each row, for those who do not see the picture.
    fn by_row(&self, kept: &[usize]) -> String {
        let in_row = |row: usize| kept.iter().filter(|&&token| token / self.grid.1 == row).count().to_string();
        format!(" Kept per row from the top: {}.", (0..self.grid.0).map(in_row).collect::<Vec<_>>().join(", "))
    }
}

/// The lattice of the tokens with those dropped dark, and a veil over what lies beyond it.
fn overlay(tokens: &Tokens, frame: Frame, width: u32, height: u32) -> impl IntoView + use<> {
    let Frame { left, top, width: across, height: down } = frame;
    let (cell_width, cell_height) = (across / tokens.grid.1 as f64, down / tokens.grid.0 as f64);
    let x = move |column: usize| left + column as f64 * cell_width;
    let y = move |row: usize| top + row as f64 * cell_height;
    let line = move |x1: f64, y1: f64, x2: f64, y2: f64| view! { <line class="lattice" x1=x1 y1=y1 x2=x2 y2=y2 /> };
    let rows = (1..tokens.grid.0).map(|row| line(left, y(row), left + across, y(row)));
    let columns = (1..tokens.grid.1).map(|column| line(x(column), top, x(column), top + down));
    let dropped = tokens.dropped().into_iter().map(|(row, column)| {
        view! { <rect class="dropped" x=x(column) y=y(row) width=cell_width height=cell_height /> }
    });
    // less than a pixel is the rounding of sizes
    let beyond = left >= 1.0 || top >= 1.0 || left + across <= f64::from(width) - 1.0 || top + down <= f64::from(height) - 1.0;
    let beyond = beyond.then(|| {
        let around = format!("M0 0H{width}V{height}H0ZM{left} {top}h{across}v{down}h-{across}Z");
        view! { <path class="beyond" d=around /> }
    });
    view! { <g>{beyond}{dropped.collect_view()}{rows.collect_view()}{columns.collect_view()}</g> }
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
            let overlay = tokens.get().and_then(|tokens| Some(overlay(&tokens, tokens.frame?, width, height)));
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

    #[test]
    fn what_is_not_kept_is_dropped() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let tokens = Tokens { grid: (2, 3), frame, acceleration: "random".into(), kept: Some(vec![0, 4, 5]) };
        assert_eq!(tokens.dropped(), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 6 visual tokens (2 rows of 3); the dark cells are dropped. Kept per row from the top: 1, 2."
        );
        let views = Tokens { frame: None, ..tokens.clone() };
        assert_eq!(views.in_words(), "random keeps 3 of 6 visual tokens, of several views of the image.");
        let all = Tokens { kept: None, ..tokens };
        assert_eq!((all.dropped().len(), all.in_words().as_str()), (0, "The model sees all 6 visual tokens, 2 rows of 3."));
    }
}
