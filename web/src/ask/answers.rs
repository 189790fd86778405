//! The answers to one question, side by side.

use leptos::prelude::*;
use steady_bench::{Question, same_answer, score};
use steady_protocol::{AskReply, AskedAnswer};

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

    /// `right` or `wrong`, where that is known.
    fn verdict(&self, answer: &str) -> Option<&'static str> {
        self.0.as_ref().map(|question| if score(question, answer).correct { "right" } else { "wrong" })
    }
}

/// A row for each answer; the chosen one's tokens and distribution are shown beside.
#[component]
pub(crate) fn AskedAnswers(asked: AskReply, judge: Signal<Judge>, chosen: RwSignal<usize>) -> impl IntoView {
    let judge = judge.get_untracked();
    let count = asked.cells.len();
    let first = asked.answers.first().map(|answer| answer.text.clone()).unwrap_or_default();
    let rows = asked.answers.into_iter().enumerate().map(|(i, answer)| {
        let AskedAnswer { acceleration, text, kept, wall_ms, .. } = answer;
        let same = judge.same(&first, &text);
        let chip = match (i, same) {
            (0, _) => None,
            (_, true) => Some(("same", "= same")),
            (_, false) => Some(("changed", "≠ another")),
        };
        let verdict = judge.verdict(&text).map(|verdict| view! { <span class=format!("verdict {verdict}")>{verdict}</span> });
        let seen = kept.map_or(count, |kept| kept.len());
        let name = if i == 0 { "baseline".to_owned() } else { acceleration };
        view! {
            <tr>
                <th scope="row">
                    <label class="tick">
                        <input type="radio" name="chosen" prop:checked=move || chosen.get() == i on:change=move |_| chosen.set(i) />
                        {spec::shown(&name)}
                    </label>
                </th>
                <td class="answer">{if text.trim().is_empty() { "(nothing)".to_owned() } else { text }}</td>
                <td>{verdict} " " {chip.map(|(class, words)| view! { <span class=format!("chip {class}")>{words}</span> })}</td>
                <td class="number">{format!("{seen} of {count}")}</td>
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
