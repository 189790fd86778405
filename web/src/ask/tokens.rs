//! The image with the grid of its visual tokens: which were kept, which dropped, and which went into others.

use std::collections::BTreeMap;

use leptos::prelude::*;
use steady_protocol::{AskReply, AskedAnswer, Cell, Frame, Gathered, TokenStep, View};

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

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Kept,
    /// It went into another; the number of what became one with it.
    Gathered(usize),
    /// Dropped by the step of this number.
    Dropped(usize),
}

/// From which decoder layer on fewer tokens are seen, where all are seen below it: `from layer 2`.
pub(super) fn from_layer(steps: &[TokenStep]) -> Option<String> {
    match steps.first()?.layer? {
        first if steps.len() == 1 => Some(format!("from layer {first}")),
        first => Some(format!("from layer {} on, fewer from layer {first}", steps.last()?.layer?)),
    }
}

/// What went into others in the end.
fn gathered(steps: &[TokenStep]) -> &[Gathered] {
    steps.last().map_or(&[], |step| &step.gathered)
}

/// How many of those that are left were made of others and are none of them.
pub(super) fn made_anew(steps: &[TokenStep]) -> usize {
    gathered(steps).iter().filter(|gathered| gathered.token.is_none()).count()
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

    fn gathered(&self) -> &[Gathered] {
        gathered(&self.steps)
    }

    fn fate(&self, token: usize) -> Fate {
        let holds = |gathered: &Gathered| gathered.from.binary_search(&token).is_ok();
        if self.keeps(token) {
            return Fate::Kept;
        }
        if let Some(number) = self.gathered().iter().position(holds) {
            return Fate::Gathered(number);
        }
        let lacks = |step: &TokenStep| step.kept.binary_search(&token).is_err() && !step.gathered.iter().any(holds);
        Fate::Dropped(self.steps.iter().position(lacks).unwrap_or(0))
    }

    /// Cells of which this is said.
    fn cells_that<T>(&self, said: impl Fn(Fate) -> Option<T>) -> Vec<(Cell, T)> {
        let of = |(token, cell): (usize, &Option<Cell>)| Some(((*cell)?, said(self.fate(token))?));
        self.cells.iter().enumerate().filter_map(of).collect()
    }

    fn count(&self, is: impl Fn(Fate) -> bool) -> usize {
        (0..self.cells.len()).filter(|&token| is(self.fate(token))).count()
    }

    /// How many each step dropped, where there is more than one.
    fn step_by_step(&self) -> String {
        if self.steps.len() < 2 {
            return String::new();
        }
        let dropped = |number| self.count(|fate| fate == Fate::Dropped(number));
        let told = self.steps.iter().enumerate().map(|(number, step)| format!("{} {}", dropped(number), step.place));
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
    fn dropped(&self) -> Vec<(Cell, usize)> {
        self.cells_that(|fate| if let Fate::Dropped(step) = fate { Some(step) } else { None })
    }

    /// What the shades say.
    fn shades(&self) -> String {
        let went = self.count(|fate| matches!(fate, Fate::Gathered(_)));
        let dropped = match self.count(|fate| matches!(fate, Fate::Dropped(_))) {
            0 => "none is dropped",
            _ => "the dark cells are dropped",
        };
        // one that is new lies in no cell, so nothing in the picture stands for it
        let into = match made_anew(&self.steps) {
            0 => "into others".to_owned(),
            1 => "into others, one of them new and in no cell".to_owned(),
            new if new == self.gathered().len() => format!("into {new} new tokens, which lie in no cell"),
            new => format!("into others, {new} of them new and in no cell"),
        };
        if went == 0 { dropped.to_owned() } else { format!("{dropped}, the {went} blue ones went {into}") }
    }

    /// Where tokens are, row by row: `row 2: columns 5, 6; row 4: column 1`.
    fn places(&self, tokens: &[usize]) -> String {
        let mut rows: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        let mut nowhere = 0;
        for &token in tokens {
            match self.cells.get(token).copied().flatten() {
                Some(cell) => rows.entry((cell.view, cell.row)).or_default().push((cell.column + 1).to_string()),
                None => nowhere += 1,
            }
        }
        let several = self.views.len() > 1;
        let told = rows.into_iter().map(|((view, row), columns)| {
            let view = if several { format!("view {}, ", view + 1) } else { String::new() };
            let plural = if columns.len() > 1 { "s" } else { "" };
            format!("{view}row {}: column{plural} {}", row + 1, columns.join(", "))
        });
        let beside = (nowhere > 0).then(|| format!("{nowhere} that show no part of the image"));
        told.chain(beside).collect::<Vec<_>>().join("; ")
    }

    /// What became one, in words.
    fn told(&self, gathered: &Gathered) -> String {
        let from = self.places(&gathered.from);
        match gathered.token {
            Some(token) => format!("Into {} went {from}.", self.places(&[token])),
            None => format!("A new token was made of {from}."),
        }
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
                let shades = self.shades();
                format!("{name} keeps {kept} of {all} visual tokens{from} ({grid}); {shades}.{steps}{by_row}")
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

/// The lattice of the tokens with those dropped dark and those that went into others blue, and a veil over what lies beyond it. What became one stands out
/// when one of its cells is pointed at or touched.
fn overlay(
    tokens: &Tokens,
    (view, frame): (View, Frame),
    width: u32,
    height: u32,
    pointed: RwSignal<Option<usize>>,
) -> impl IntoView + use<> {
    let Frame { left, top, width: across, height: down } = frame;
    let (cell_width, cell_height) = (across / view.columns as f64, down / view.rows as f64);
    let x = move |column: usize| left + column as f64 * cell_width;
    let y = move |row: usize| top + row as f64 * cell_height;
    let line = move |x1: f64, y1: f64, x2: f64, y2: f64| view! { <line class="lattice" x1=x1 y1=y1 x2=x2 y2=y2 /> };
    let rows = (1..view.rows).map(|row| line(left, y(row), left + across, y(row)));
    let columns = (1..view.columns).map(|column| line(x(column), top, x(column), top + down));
    let dropped: Vec<_> = tokens
        .dropped()
        .into_iter()
        .map(|(cell, step)| {
            let class = format!("dropped step-{}", step.min(SHADES - 1));
            let place = tokens.steps.get(step).map(|step| view! { <title>{format!("dropped {}", step.place)}</title> });
            view! { <rect class=class x=x(cell.column) y=y(cell.row) width=cell_width height=cell_height>{place}</rect> }
        })
        .collect();
    let became_one = |class: &'static str, cell: Cell, number: usize| {
        view! {
            <rect
                class=class
                class:shown=move || pointed.get() == Some(number)
                on:pointerover=move |_| pointed.set(Some(number))
                on:click=move |_| pointed.set(Some(number))
                x=x(cell.column)
                y=y(cell.row)
                width=cell_width
                height=cell_height
            ></rect>
        }
    };
    let went = tokens.cells_that(|fate| if let Fate::Gathered(number) = fate { Some(number) } else { None });
    let went: Vec<_> = went.into_iter().map(|(cell, number)| became_one("gathered", cell, number)).collect();
    let targets = tokens.gathered().iter().enumerate();
    let targets = targets.filter_map(|(number, gathered)| Some((tokens.cells.get(gathered.token?).copied().flatten()?, number)));
    let targets: Vec<_> = targets.map(|(cell, number)| became_one("target", cell, number)).collect();
    // less than a pixel is the rounding of sizes
    let beyond = left >= 1.0 || top >= 1.0 || left + across <= f64::from(width) - 1.0 || top + down <= f64::from(height) - 1.0;
    let beyond = beyond.then(|| {
        let around = format!("M0 0H{width}V{height}H0ZM{left} {top}h{across}v{down}h-{across}Z");
        view! { <path class="beyond" d=around /> }
    });
    view! { <g>{beyond}{dropped}{rows.collect_view()}{columns.collect_view()}{went}{targets}</g> }
}

/// The image, large, with the tokens over it.
#[component]
pub(crate) fn TokenImage(
    /// Address, width and height.
    #[prop(into)]
    image: Signal<Option<(String, u32, u32)>>,
    #[prop(into)] tokens: Signal<Option<Tokens>>,
) -> impl IntoView {
    // which of those that became one is looked at
    let pointed = RwSignal::new(None::<usize>);
    Effect::new(move |_| {
        tokens.track();
        pointed.set(None);
    });
    let drawing = move || {
        image.get().map(|(address, width, height)| {
            let label = tokens.with(|tokens| match tokens {
                Some(tokens) => format!("The image. {}", tokens.in_words()),
                None => "The image".to_owned(),
            });
            let overlay = tokens.get().and_then(|tokens| Some(overlay(&tokens, tokens.grid()?, width, height, pointed)));
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
            <figcaption>
                <p>{move || tokens.with(|tokens| tokens.as_ref().map(Tokens::in_words))}</p>
                {move || tokens.get().and_then(|tokens| went(&tokens, pointed))}
            </figcaption>
        </figure>
    }
}

/// What went into which: of the one that is pointed at, and a list of all for keyboards, fingers and those who do not see the picture; nothing where
/// nothing did.
fn went(tokens: &Tokens, pointed: RwSignal<Option<usize>>) -> Option<impl IntoView + use<>> {
    let all: Vec<String> = tokens.gathered().iter().map(|gathered| tokens.told(gathered)).collect();
    if all.is_empty() {
        return None;
    }
    let lines = all.iter().cloned().enumerate().map(|(number, told)| {
        let is_pointed = move || pointed.get() == Some(number);
        view! {
            <li>
                <button type="button" aria-pressed=move || is_pointed().to_string() on:click=move |_| pointed.set((!is_pointed()).then_some(number))>
                    {told}
                </button>
            </li>
        }
    });
    let lines = lines.collect_view();
    Some(view! {
        <p class="pointed" class:nothing=move || pointed.get().is_none()>
            {move || pointed.get().and_then(|number| all.get(number).cloned()).unwrap_or_else(|| "Point at a blue cell to see where it went.".to_owned())}
        </p>
        <details class="went">
            <summary>"What went into which"</summary>
            <p>"A token that a method spreads over several is listed with the one that most of it is in."</p>
            <ul>{lines}</ul>
        </details>
    })
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
        assert_eq!(tokens.dropped().iter().map(|(cell, _)| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 6 visual tokens (2 rows of 3); the dark cells are dropped. Kept per row from the top: 1, 2."
        );
        let views = Tokens { views: vec![View { rows: 2, columns: 3, frame: None }], ..tokens.clone() };
        assert_eq!(views.in_words(), "random keeps 3 of 6 visual tokens, of several views of the image.");
        let all = Tokens { kept: None, ..tokens };
        assert_eq!((all.dropped().len(), all.in_words().as_str()), (0, "The model sees all 6 visual tokens, 2 rows of 3."));
    }

    #[test]
    fn each_step_drops_its_own() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let step = |layer: usize, kept: &[usize]| TokenStep {
            place: format!("before layer {layer}"),
            layer: Some(layer),
            kept: kept.into(),
            gathered: Vec::new(),
        };
        let tokens = Tokens {
            views: vec![View { rows: 2, columns: 3, frame }],
            cells: row_by_row(2, 3),
            acceleration: "pyramiddrop".into(),
            kept: Some(vec![0]),
            steps: vec![step(1, &[0, 4, 5]), step(2, &[0])],
        };
        let by_step: Vec<usize> = tokens.dropped().into_iter().map(|(_, step)| step).collect();
        assert_eq!(by_step, [0, 0, 0, 1, 1]);
        assert_eq!(
            tokens.in_words(),
            "pyramiddrop keeps 1 of 6 visual tokens from layer 2 on, fewer from layer 1 (2 rows of 3); the dark cells are dropped. \
             Dropped: 3 before layer 1, 2 before layer 2; the later, the lighter. Kept per row from the top: 1, 0."
        );
        let fastv = Tokens { steps: vec![step(2, &[0])], ..tokens };
        assert!(fastv.in_words().starts_with("pyramiddrop keeps 1 of 6 visual tokens from layer 2 (2 rows of 3)"), "{}", fastv.in_words());
    }

    /// Six cells: 0 takes up 1 and 3 at once, a new token is made of 4 and 5, and that one is dropped later.
    #[test]
    fn what_went_into_another_is_not_dropped() {
        let frame = Some(Frame { left: 0.0, top: 0.0, width: 30.0, height: 20.0 });
        let gathered = |token, from: &[usize]| Gathered { token, from: from.into() };
        let step =
            |layer: usize, gathered| TokenStep { place: format!("before layer {layer}"), layer: Some(layer), kept: vec![0, 2], gathered };
        let first = step(1, vec![gathered(Some(0), &[1, 3]), gathered(None, &[4, 5])]);
        let mut tokens = Tokens {
            views: vec![View { rows: 2, columns: 3, frame }],
            cells: row_by_row(2, 3),
            acceleration: "sparsevlm".into(),
            kept: Some(vec![0, 2]),
            steps: vec![first],
        };
        let fates = |tokens: &Tokens| (0..6).map(|token| tokens.fate(token)).collect::<Vec<_>>();
        let (kept, went) = (Fate::Kept, Fate::Gathered);
        assert_eq!(fates(&tokens), [kept, went(0), kept, went(0), went(1), went(1)]);
        assert_eq!(
            tokens.in_words(),
            "sparsevlm keeps 2 of 6 visual tokens from layer 1 (2 rows of 3); none is dropped, the 4 blue ones went into others, one of them \
             new and in no cell. Kept per row from the top: 2, 0."
        );
        let told: Vec<String> = tokens.gathered().iter().map(|gathered| tokens.told(gathered)).collect();
        assert_eq!(told, ["Into row 1: column 1 went row 1: column 2; row 2: column 1.", "A new token was made of row 2: columns 2, 3."]);
        tokens.steps.push(step(2, vec![gathered(Some(0), &[1, 3])]));
        assert_eq!(fates(&tokens), [kept, went(0), kept, went(0), Fate::Dropped(1), Fate::Dropped(1)]);
        assert!(tokens.in_words().contains("the dark cells are dropped, the 2 blue ones went into others."), "{}", tokens.in_words());
        assert!(tokens.in_words().contains("Dropped: 0 before layer 1, 2 before layer 2;"), "{}", tokens.in_words());
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
        assert_eq!(tokens.dropped().iter().map(|(cell, _)| (cell.row, cell.column)).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0), (1, 1)]);
        assert_eq!(
            tokens.in_words(),
            "random keeps 3 of 7 visual tokens (2 rows of 3 and one that shows no part of the image); the dark cells are dropped. \
             Kept per row from the top: 1, 1."
        );
    }
}
