//! The answers to one question, side by side.

use leptos::prelude::*;
use steady_bench::{Question, same_answer, score};
use steady_protocol::{AskReply, AskedAnswer};
use steady_report::Outcome;

use super::tokens::{from_layer, made_anew};
use crate::spec;

/// How answers are compared: by the question's scorer where there is one, else as texts.
#[derive(Clone)]
pub(crate) struct Judge(pub(crate) Option<Question>);

impl Judge {
    pub(crate) fn same(&self, a: &str, b: &str) -> bool {
        match &self.0 {
            Some(question) => same_answer(question, a, b),
            None => a.trim().to_lowercase() == b.trim().to_lowercase(),
        }
    }

    /// Whether it is right, where that is known.
    fn right(&self, answer: &str) -> Option<bool> {
        self.0.as_ref().map(|question| score(question, answer).correct)
    }

    /// What became of an answer; another answer is no more than that where nobody knows what is right.
    pub(crate) fn became(&self, before: &str, after: &str) -> Outcome {
        match (self.same(before, after), self.right(before), self.right(after)) {
            (true, ..) => Outcome::Same,
            (false, Some(true), Some(false)) => Outcome::Broken,
            (false, Some(false), Some(true)) => Outcome::Repaired,
            (false, ..) => Outcome::Changed,
        }
    }
}

/// Who says what, in a line each, to stay in sight beside the sliders.
#[component]
pub(crate) fn AnswersInShort(asked: AskReply, judge: Signal<Judge>) -> impl IntoView {
    let judge = judge.get_untracked();
    let first = asked.answers.first().map(|answer| answer.text.clone()).unwrap_or_default();
    let lines = asked.answers.into_iter().enumerate().map(|(i, AskedAnswer { acceleration, text, .. })| {
        let class = if i == 0 { "same" } else { judge.became(&first, &text).name() };
        let name = if i == 0 { "baseline".to_owned() } else { acceleration };
        view! { <li class=class>{spec::shown(&name)} <b>{said(text)}</b></li> }
    });
    // the table beside says the same to those who hear the page
    view! { <ul class="in-short" aria-hidden="true">{lines.collect_view()}</ul> }
}

/// An answer, which may be nothing.
fn said(text: String) -> String {
    if text.trim().is_empty() { "(nothing)".to_owned() } else { text }
}

/// A row for each answer; the chosen one's tokens and distribution are shown beside.
#[component]
pub(crate) fn AskedAnswers(asked: AskReply, judge: Signal<Judge>, chosen: RwSignal<usize>) -> impl IntoView {
    let judge = judge.get_untracked();
    let count = asked.cells.len();
    let first = asked.answers.first().map(|answer| answer.text.clone()).unwrap_or_default();
    let rows = asked.answers.into_iter().enumerate().map(|(i, answer)| {
        let AskedAnswer { acceleration, text, kept, steps, wall_ms, .. } = answer;
        let chip = (i > 0).then(|| match judge.became(&first, &text) {
            Outcome::Same => ("same", "= same"),
            Outcome::Broken => ("broken", "✕ broken"),
            Outcome::Repaired => ("repaired", "✓ repaired"),
            Outcome::Changed => ("changed", "≠ another"),
        });
        let verdict = judge.right(&text).map(|right| if right { "right" } else { "wrong" });
        let verdict = verdict.map(|verdict| view! { <span class=format!("verdict {verdict}")>{verdict}</span> });
        let seen = kept.map_or(count, |kept| kept.len());
        let new = match made_anew(&steps) {
            0 => String::new(),
            new => format!(" + {new} new"),
        };
        let from = from_layer(&steps).map(|from| view! { <small>{from}</small> });
        let name = if i == 0 { "baseline".to_owned() } else { acceleration };
        view! {
            <tr>
                <th scope="row">
                    <label class="tick">
                        <input type="radio" name="chosen" prop:checked=move || chosen.get() == i on:change=move |_| chosen.set(i) />
                        {spec::shown(&name)}
                    </label>
                </th>
                <td class="answer">{said(text)}</td>
                <td>{verdict} " " {chip.map(|(class, words)| view! { <span class=format!("chip {class}")>{words}</span> })}</td>
                <td class="number">{format!("{seen}{new} of {count}")} {from}</td>
                <td class="number">{format!("{wall_ms:.0} ms")}</td>
            </tr>
        }
    });
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Answers">
            <table class="asked-answers">
                <thead>
                    <tr>
                        <th scope="col">"model"</th>
                        <th scope="col">"answer"</th>
                        <th scope="col">"verdict"</th>
                        <th scope="col" class="number">"visual tokens"</th>
                        <th scope="col" class="number">"time"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}
