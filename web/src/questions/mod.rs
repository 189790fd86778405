//! Every question with every answer, in one table: to be filtered, ordered and looked at.

mod bar;
mod row;

use std::sync::Arc;

use leptos::prelude::*;
use steady_report::{Column, Order, QuestionRow, Report};

use crate::evidence::Evidence;
use crate::opened::Opened;
use crate::pictures::Pictures;
use crate::spec;
use bar::Bar;
use row::row;

/// Rows on the screen at first, and how many more at a time.
const AT_FIRST: usize = 12;
const MORE: usize = 48;

/// What may be known of a question beside its answers, each in a column.
pub(crate) const FACTS: [&str; 4] = ["picture", "family", "gold", "margin"];

/// Which columns the table has: those that hold something and that nobody took away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    /// For each of [`FACTS`].
    facts: [bool; FACTS.len()],
    /// For each acceleration.
    accelerations: Vec<bool>,
}

impl Columns {
    /// Those that hold something.
    fn of(opened: &Opened) -> Self {
        let rows = opened.report.questions();
        let any = |known: fn(&QuestionRow) -> bool| rows.iter().any(known);
        let facts = [
            opened.has_pictures(),
            any(|row| !row.family.is_empty()),
            any(|row| !row.gold.is_empty()),
            any(|row| row.baseline.margin.is_some()),
        ];
        Self { facts, accelerations: vec![true; opened.report.accelerations().len()] }
    }

    /// Those of them that nobody took away.
    fn without(mut self, away: &Columns) -> Self {
        let pairs = self.facts.iter_mut().zip(&away.facts).chain(self.accelerations.iter_mut().zip(&away.accelerations));
        pairs.for_each(|(shown, away)| *shown &= !away);
        self
    }

    pub(crate) fn has(&self, fact: &str) -> bool {
        FACTS.iter().zip(self.facts).any(|(other, shown)| *other == fact && shown)
    }
}

/// What tells a row from all others, however many there come to be.
type Key = (String, Option<String>);

fn key(question: &QuestionRow) -> Key {
    (question.id.clone(), question.perturbation.clone())
}

/// The bar and the table. While a report grows, the latest answers stand on top until somebody orders them otherwise.
#[component]
pub(crate) fn Questions(opened: Signal<Arc<Opened>>, evidence: Evidence, #[prop(into)] grows: Signal<bool>) -> impl IntoView {
    let limit = RwSignal::new(AT_FIRST);
    let pictures = Pictures::new();
    // a growing report keeps its accelerations
    let specs = StoredValue::new(opened.with_untracked(|opened| specs(&opened.report)));
    let holding = Memo::new(move |_| opened.with(|opened| Columns::of(opened)));
    let away = RwSignal::new(Columns { facts: [false; FACTS.len()], accelerations: vec![false; specs.with_value(Vec::len)] });
    let columns = Memo::new(move |_| away.with(|away| holding.get().without(away)));
    let natural = move || if grows.get() { Order { by: Column::Asked, reversed: true } } else { Order::default() };
    let order = Memo::new(move |_| evidence.order(natural()));
    let fitting = Memo::new(move |_| opened.with(|opened| opened.report.questions_for(&evidence.filter.get(), order.get())));
    Effect::new(move |_| {
        drop((evidence.filter.get(), order.get()));
        limit.set(AT_FIRST);
    });
    // typing and ordering are no places to go back to
    Effect::new(move |before: Option<()>| {
        evidence.filter.track();
        evidence.order.track();
        if before.is_some() {
            opened.with_untracked(|opened| evidence.tell(&opened.report, false));
        }
    });
    let count = move || {
        let (all, of) = (fitting.with(Vec::len), opened.with(|opened| opened.report.questions().len()));
        let shown = all.min(limit.get());
        let first = if shown < all { format!("; the first {shown} are shown") } else { String::new() };
        if all == of { format!("{all} questions{first}") } else { format!("{all} of {of} questions{first}") }
    };
    let keys = move || {
        let (limit, opened) = (limit.get(), opened.get());
        fitting.with(|fitting| fitting.iter().take(limit).map(|&i| key(&opened.report.questions()[i])).collect::<Vec<_>>())
    };
    let row_of = move |wanted: Key| {
        let opened = opened.get_untracked();
        let found = opened.report.questions().iter().position(|row| (&row.id, &row.perturbation) == (&wanted.0, &wanted.1));
        found.map(|i| row(i, &opened, pictures, evidence, columns))
    };
    let head = move |by: Column, name: AnyView| {
        let sorted = move || {
            let order = order.get();
            (order.by == by).then_some(if order.reversed { "descending" } else { "ascending" })
        };
        view! {
            <th scope="col" aria-sort=sorted>
                <button type="button" on:click=move |_| evidence.order_by(by, natural())>{name}</button>
            </th>
        }
    };
    view! {
        <section id="questions">
            <h2>"Questions and answers"</h2>
            <p class="hint">"What the baseline said, and beside it what each acceleration said to the same question. A question opens closely; a column's name orders by it."</p>
            <Bar opened evidence specs natural=Signal::derive(natural) away holding />
            <p id="count" role="status" aria-live="polite">{count}</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Questions and answers">
                <table class="every">
                    <thead>
                        <tr>
                            <td class="mini" hidden=move || !columns.with(|columns| columns.has("picture"))></td>
                            {head(Column::Asked, view! { "question" }.into_any())}
                            {move || columns.with(|columns| columns.has("family")).then(|| head(Column::Family, view! { "family" }.into_any()))}
                            <th scope="col" hidden=move || !columns.with(|columns| columns.has("gold"))>"gold"</th>
                            {move || columns.with(|columns| columns.has("margin")).then(|| head(Column::Margin, view! { "margin" }.into_any()))}
                            {head(Column::Baseline, view! { "baseline" }.into_any())}
                            {specs.get_value().into_iter().enumerate().map(|(i, spec)| {
                                move || columns.with(|columns| columns.accelerations[i]).then(|| head(Column::Acceleration(i), spec::shown(&spec).into_any()))
                            }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        <For each=keys key=Key::clone children=row_of />
                    </tbody>
                </table>
            </div>
            <button
                type="button"
                class="more"
                hidden=move || fitting.with(Vec::len) <= limit.get()
                on:click=move |_| limit.update(|limit| *limit += MORE)
            >{move || format!("Show more of {}", fitting.with(Vec::len))}</button>
        </section>
    }
}

fn specs(report: &Report) -> Vec<String> {
    report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect()
}
