//! Every answer: a row for each question, a coloured cell for each acceleration.

use std::collections::BTreeSet;
use std::sync::Arc;

use leptos::prelude::*;
use steady_report::{AnswerRow, Outcome, QuestionRow};

use crate::opened::Opened;
use crate::pictures::Pictures;
use crate::spec;

/// Rows on the screen at first, and how many more at a time.
const AT_FIRST: usize = 12;
const MORE: usize = 48;

/// The table; `latest_first` puts what was answered last on top.
#[component]
pub(crate) fn Answers(opened: Signal<Arc<Opened>>, latest_first: bool) -> impl IntoView {
    let limit = RwSignal::new(AT_FIRST);
    let pictures = Pictures::new();
    let specs: Vec<String> =
        opened.with_untracked(|opened| opened.report.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect());
    let keys = Memo::new(move |before: Option<&Vec<Key>>| {
        opened.with(|opened| {
            let all = opened.report.questions().iter().map(key);
            match before.filter(|_| latest_first) {
                None if latest_first => all.rev().collect(),
                None => all.collect::<Vec<_>>(),
                Some(before) => {
                    let known: BTreeSet<&Key> = before.iter().collect();
                    all.rev().filter(|key| !known.contains(key)).chain(before.iter().cloned()).collect()
                }
            }
        })
    });
    let row = move |wanted: Key| {
        let opened = opened.get_untracked();
        let found = opened.report.questions().iter().position(|row| (&row.id, &row.perturbation) == (&wanted.0, &wanted.1));
        found.map(|i| view! { <Row i opened pictures /> })
    };
    view! {
        <section id="answers">
            <h2>"Every answer"</h2>
            <p class="hint">"What the baseline said, and beside it what each acceleration said to the same question."</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Every answer">
                <table class="every">
                    <thead>
                        <tr>
                            <th scope="col" colspan="2">"question"</th>
                            <th scope="col">"gold"</th>
                            <th scope="col">"baseline"</th>
                            {specs.into_iter().map(|spec| view! { <th scope="col">{spec::shown(&spec)}</th> }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        <For each=move || keys.with(|keys| keys.iter().take(limit.get()).cloned().collect::<Vec<_>>()) key=Key::clone children=row />
                    </tbody>
                </table>
            </div>
            <button
                type="button"
                class="more"
                hidden=move || keys.with(Vec::len) <= limit.get()
                on:click=move |_| limit.update(|limit| *limit += MORE)
            >{move || format!("Show more of {}", keys.with(Vec::len))}</button>
        </section>
    }
}

/// What tells a row from all others, however many there come to be.
type Key = (String, Option<String>);

fn key(question: &QuestionRow) -> Key {
    (question.id.clone(), question.perturbation.clone())
}

#[component]
fn Row(i: usize, opened: Arc<Opened>, pictures: Pictures) -> impl IntoView {
    let question = &opened.report.questions()[i];
    let picture = pictures.of(&opened, &question.picture()).map(|(address, _)| view! { <img src=address alt="" loading="lazy" /> });
    // a link does not always hold the words
    let text = if question.text.is_empty() { question.id.clone() } else { question.text.clone() };
    let asked = match opened.fragment_of(question) {
        Some(fragment) => view! { <a href=fragment>{text}</a> }.into_any(),
        None => view! { <bdi>{text}</bdi> }.into_any(),
    };
    let cells = opened.report.accelerations().iter().map(|acceleration| {
        let answer = &acceleration.answers[i];
        let outcome = answer.outcome.unwrap_or(Outcome::Same);
        view! { <td class=format!("cell {}", outcome.name()) data-label=spec::breakable(&acceleration.spec)>{said(answer)} <small>{outcome.name()}</small></td> }
    });
    let under = question.perturbation.as_deref().map(|perturbation| view! { ", under " {spec::shown(perturbation)} });
    let verdict = if question.baseline.correct { "right" } else { "wrong" };
    view! {
        <tr>
            <td class="mini">{picture}</td>
            <th scope="row">{asked} <small><bdi>{question.family.clone()}</bdi>{under}</small></th>
            <td data-label="gold"><bdi>{question.gold.join(", ")}</bdi></td>
            <td class=format!("cell {verdict}") data-label="baseline">{said(&question.baseline)} <small>{verdict}</small></td>
            {cells.collect_view()}
        </tr>
    }
}

/// The answer as a text, which may be nothing.
fn said(answer: &AnswerRow) -> impl IntoView + use<> {
    if answer.text.trim().is_empty() {
        view! { <span class="quiet">"(nothing)"</span> }.into_any()
    } else {
        view! { <bdi>{answer.text.clone()}</bdi> }.into_any()
    }
}
