//! The image with the grid of its visual tokens: which were kept, which dropped.

use leptos::prelude::*;
use steady_protocol::AskedAnswer;

/// What the overlay shows.
#[derive(Clone, PartialEq)]
pub(crate) struct Tokens {
    /// Rows and columns.
    pub(crate) grid: (usize, usize),
    /// Who kept them.
    pub(crate) acceleration: String,
    /// Kept tokens, row by row; `None` for all.
    pub(crate) kept: Option<Vec<usize>>,
}

impl Tokens {
    pub(crate) fn of(grid: (usize, usize), answer: &AskedAnswer) -> Self {
        Self { grid, acceleration: answer.acceleration.clone(), kept: answer.kept.clone() }
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
        let (rows, columns) = self.grid;
        match &self.kept {
            None => format!("The model sees all {} visual tokens, {rows} rows of {columns}.", self.count()),
            Some(kept) => format!(
                "{} keeps {} of {} visual tokens ({rows} rows of {columns}); the dark cells are dropped.{}",
                self.acceleration,
                kept.len(),
                self.count(),
                self.by_row(kept),
            ),
        }
    }

    /// How many are kept in each row, for those who do not see the picture.
    fn by_row(&self, kept: &[usize]) -> String {
        let in_row = |row: usize| kept.iter().filter(|&&token| token / self.grid.1 == row).count().to_string();
        format!(" Kept per row from the top: {}.", (0..self.grid.0).map(in_row).collect::<Vec<_>>().join(", "))
    }
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
            let overlay = tokens.get().map(|tokens| {
                let (cell_width, cell_height) = (f64::from(width) / tokens.grid.1 as f64, f64::from(height) / tokens.grid.0 as f64);
                let line = move |x1: f64, y1: f64, x2: f64, y2: f64| view! { <line class="lattice" x1=x1 y1=y1 x2=x2 y2=y2 /> };
                let rows = (1..tokens.grid.0).map(|row| line(0.0, row as f64 * cell_height, f64::from(width), row as f64 * cell_height));
                let columns = (1..tokens.grid.1).map(|column| line(column as f64 * cell_width, 0.0, column as f64 * cell_width, f64::from(height)));
                let dropped = tokens.dropped().into_iter().map(|(row, column)| {
                    view! { <rect class="dropped" x=column as f64 * cell_width y=row as f64 * cell_height width=cell_width height=cell_height /> }
                });
                view! { <g>{dropped.collect_view()}{rows.collect_view()}{columns.collect_view()}</g> }
            });
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
        let tokens = Tokens { grid: (2, 3), acceleration: "random".into(), kept: Some(vec![0, 4, 5]) };
        assert_eq!(tokens.dropped(), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 6 visual tokens (2 rows of 3); the dark cells are dropped. Kept per row from the top: 1, 2."
        );
        let all = Tokens { kept: None, ..tokens };
        assert_eq!((all.dropped().len(), all.in_words().as_str()), (0, "The model sees all 6 visual tokens, 2 rows of 3."));
    }
}
