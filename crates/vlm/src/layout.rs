//! What an image becomes in a prompt: where its visual tokens are, and what part of the picture each of them shows.

use std::ops::Range;

/// A rectangle of an image, in the image's pixels. It may reach over the edges, where padding was added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// From the image's left edge.
    pub left: f64,
    /// From the image's upper edge.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// A look at the image, or at a tile of it, through a grid of cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
    /// What part of the image the grid lies on, where that is one rectangle.
    pub frame: Option<Frame>,
}

/// A cell of a view's grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Index of the view.
    pub view: usize,
    /// Row in its grid, from the top.
    pub row: usize,
    /// Column in its grid, from the left.
    pub column: usize,
}

/// What the visual tokens of one image show, token by token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    views: Vec<View>,
    shown: Vec<Option<Cell>>,
}

/// Where the visual tokens of one image are in a prompt, and what they show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisualLayout {
    runs: Vec<Range<usize>>,
    cells: Cells,
}

impl Cells {
    /// No tokens.
    pub(crate) const NONE: &'static Self = &Self { views: Vec::new(), shown: Vec::new() };

    /// Tokens that show `shown`: a cell of one of `views`, or nothing of the image (a class token, a newline).
    ///
    /// # Panics
    /// If a cell is outside its view: a programming error of a family, never a property of some input.
    pub fn new(views: Vec<View>, shown: Vec<Option<Cell>>) -> Self {
        let inside = |cell: &Cell| views.get(cell.view).is_some_and(|view| cell.row < view.rows && cell.column < view.columns);
        assert!(shown.iter().flatten().all(inside), "a cell is outside its view: {views:?}");
        Self { views, shown }
    }

    /// One view, a token for each cell, row by row.
    pub fn of(view: View) -> Self {
        Self { shown: row_by_row(0, view.rows, view.columns).map(Some).collect(), views: vec![view] }
    }

    /// Number of visual tokens.
    pub fn tokens(&self) -> usize {
        self.shown.len()
    }

    /// The views, in the order in which the image is looked at.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// What each token shows; `None` for one that shows nothing of the image.
    pub fn shown(&self) -> &[Option<Cell>] {
        &self.shown
    }
}

/// The cells of view `view`, row by row.
pub fn row_by_row(view: usize, rows: usize, columns: usize) -> impl Iterator<Item = Cell> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| Cell { view, row, column }))
}

impl VisualLayout {
    /// Tokens at the positions `runs` of a prompt, which ascend and hold as many positions as `cells` has tokens; `None` otherwise.
    pub fn new(runs: Vec<Range<usize>>, cells: Cells) -> Option<Self> {
        let ascend = runs.iter().all(|run| run.start < run.end) && runs.windows(2).all(|pair| pair[0].end <= pair[1].start);
        let positions: usize = runs.iter().map(Range::len).sum();
        (ascend && positions == cells.tokens()).then_some(Self { runs, cells })
    }

    /// Number of visual tokens.
    pub fn tokens(&self) -> usize {
        self.cells.tokens()
    }

    /// The runs of positions that they fill, ascending; text may stand between them.
    pub fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// Their positions in the prompt, ascending.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().cloned().flatten()
    }

    /// The first position; that of nothing is 0.
    pub fn start(&self) -> usize {
        self.runs.first().map_or(0, |run| run.start)
    }

    /// The position behind the last one: what comes from there on is the question's own.
    pub fn end(&self) -> usize {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// What the tokens show.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Cells {
        Cells::of(View { rows: 2, columns: 2, frame: None })
    }

    #[test]
    fn runs_hold_as_many_positions_as_there_are_tokens() {
        let layout = VisualLayout::new(vec![3..5, 6..8], four()).unwrap();
        assert_eq!((layout.tokens(), layout.start(), layout.end()), (4, 3, 8));
        assert_eq!(layout.positions().collect::<Vec<_>>(), [3, 4, 6, 7]);
        let too_short = 3..6;
        for wrong in [vec![], vec![too_short], vec![6..8, 3..5], vec![3..5, 4..6], vec![3..3, 3..7]] {
            assert_eq!(VisualLayout::new(wrong.clone(), four()), None, "{wrong:?}");
        }
    }

    #[test]
    #[should_panic(expected = "outside its view")]
    fn a_cell_is_inside_its_view() {
        let _ = Cells::new(four().views, vec![Some(Cell { view: 0, row: 2, column: 0 })]);
    }
}
