//! One question with its answers.

use std::sync::Arc;

use leptos::prelude::*;
use steady_report::{AnswerRow, Outcome};

use super::Columns;
use crate::evidence::Evidence;
use crate::opened::Opened;
use crate::pictures::Pictures;
use crate::spec;

pub(super) fn row(i: usize, opened: &Arc<Opened>, pictures: Pictures, evidence: Evidence, columns: Memo<Columns>) -> impl IntoView + use<> {
    let question = opened.report.questions()[i].clone();
    let picture = pictures.soon(opened, question.picture());
    let picture = move || picture.get().map(|(address, alternative)| view! { <img src=address alt=alternative loading="lazy" /> });
    // a link does not always hold the words
    let text = if question.text.is_empty() { question.id.clone() } else { question.text.clone() };
    let cells = opened.report.accelerations().iter().enumerate().map(|(a, acceleration)| {
        let answer = &acceleration.answers[i];
        let outcome = answer.outcome.unwrap_or(Outcome::Same);
        let tie = (outcome.diverged() && opened.report.is_tie(i) == Some(true)).then_some(", tie");
        view! {
            <td class=format!("cell {}", outcome.name()) data-label=spec::breakable(&acceleration.spec) hidden=move || !columns.with(|columns| columns.accelerations[a])>
                {said(answer)} <small>{outcome.name()}{tie}</small>
            </td>
        }
    });
    let under = question.perturbation.as_deref().map(|perturbation| view! { <small>"under " {spec::shown(perturbation)}</small> });
    let verdict = if question.baseline.correct { "right" } else { "wrong" };
    let judged = opened.report.judged().then_some(verdict);
    let margin = question.baseline.margin.map_or_else(|| "–".to_owned(), |margin| format!("{margin:.2}"));
    let (gold, family, baseline) = (question.gold.join(", "), question.family.clone(), said(&question.baseline));
    let href = move || evidence.address_of(&question);
    view! {
        <tr>
            <td class="mini" hidden=move || !columns.with(|columns| columns.has("picture"))>{picture}</td>
            <th scope="row"><a href=href><bdi>{text}</bdi></a> {under}</th>
            <td class="family" data-label="family" hidden=move || !columns.with(|columns| columns.has("family"))><bdi>{family}</bdi></td>
            <td data-label="gold" hidden=move || !columns.with(|columns| columns.has("gold"))><bdi>{gold}</bdi></td>
            <td class="number" data-label="margin" hidden=move || !columns.with(|columns| columns.has("margin"))>{margin}</td>
            <td class=format!("cell {}", judged.unwrap_or_default()) data-label="baseline">{baseline} <small>{judged}</small></td>
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
