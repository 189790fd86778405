//! What the model might have said: probabilities of the first token, the baseline's beside an acceleration's.

use leptos::prelude::*;

/// Tokens on the chart at most.
const MOST: usize = 6;
/// Height of a token's row.
const ROW: f64 = 34.0;
/// Where bars begin, and how long a certain one is.
const LEFT: f64 = 96.0;
const FULL: f64 = 220.0;

/// A token with its probability before and after; `None` where it is not among the likeliest.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    token: String,
    before: Option<f32>,
    after: Option<f32>,
}

/// The tokens of both, those that are likely under either first.
fn bars(before: &[(String, f32)], after: &[(String, f32)]) -> Vec<Bar> {
    let of = |likely: &[(String, f32)], token: &str| likely.iter().find(|(other, _)| other == token).map(|(_, probability)| *probability);
    let mut bars: Vec<Bar> = Vec::new();
    for (token, _) in before.iter().chain(after) {
        if !bars.iter().any(|bar| bar.token == *token) {
            bars.push(Bar { token: token.clone(), before: of(before, token), after: of(after, token) });
        }
    }
    let highest = |bar: &Bar| bar.before.unwrap_or(0.0).max(bar.after.unwrap_or(0.0));
    bars.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    bars.truncate(MOST);
    bars
}

/// The chart: the baseline's, and beside it an acceleration's with its name.
pub(crate) fn distribution(before: &[(String, f32)], after: Option<(&str, &[(String, f32)])>) -> impl IntoView + use<> {
    let both = after.is_some();
    let (name, likely) = after.unwrap_or_default();
    let (name, bars) = (name.to_owned(), bars(before, likely));
    let words = bars
        .iter()
        .map(|bar| {
            let after = if both { format!(", {name} {}", percent(bar.after)) } else { String::new() };
            format!("{}: baseline {}{after}", shown(&bar.token), percent(bar.before))
        })
        .collect::<Vec<_>>()
        .join("; ");
    let height = ROW * bars.len() as f64;
    let rows = bars.into_iter().enumerate().map(|(i, bar)| {
        let top = ROW * i as f64;
        let (first, second) = if both { (top + 5.0, top + 17.0) } else { (top + 11.0, top) };
        let piece = move |class: &'static str, y: f64, probability: Option<f32>| {
            let length = f64::from(probability.unwrap_or(0.0)) * FULL;
            view! {
                <rect class=class x=LEFT y=y width=length.max(1.0) height="10" />
                <text class="share" x=LEFT + length + 6.0 y=y + 9.0>{percent(probability)}</text>
            }
        };
        view! {
            <g>
                <text class="token" x=LEFT - 8.0 y=top + 20.0>{shown(&bar.token)}</text>
                {piece("before", first, bar.before)}
                {both.then(|| piece("after", second, bar.after))}
            </g>
        }
    });
    view! {
        <figure class="distribution">
            <ul class="legend">
                <li class="before"><i></i>"baseline"</li>
                {both.then(|| view! { <li class="after"><i></i><bdi>{name.clone()}</bdi></li> })}
            </ul>
            <svg role="img" aria-label=format!("Probabilities of the first token. {words}") viewBox=format!("0 0 372 {height}")>{rows.collect_view()}</svg>
        </figure>
    }
}

/// A token as people can read it: spaces would not show.
fn shown(token: &str) -> String {
    let cut = if token.chars().count() > 12 { token.chars().take(11).chain(['…']).collect() } else { token.to_owned() };
    let visible = cut.replace([' ', '\u{2581}', 'Ġ'], "␣").replace(['\n', 'Ċ'], "⏎");
    if visible.is_empty() { "(nothing)".to_owned() } else { visible }
}

fn percent(probability: Option<f32>) -> String {
    probability.map_or_else(|| "–".to_owned(), |probability| format!("{:.1} %", 100.0 * probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(all: &[(&str, f32)]) -> Vec<(String, f32)> {
        all.iter().map(|&(token, probability)| (token.to_owned(), probability)).collect()
    }

    #[test]
    fn tokens_of_either_stand_side_by_side() {
        let bars = bars(&likely(&[("yes", 0.6), ("no", 0.3)]), &likely(&[("no", 0.7), ("red", 0.2)]));
        let flat: Vec<_> = bars.iter().map(|bar| (bar.token.as_str(), bar.before, bar.after)).collect();
        assert_eq!(flat, [("no", Some(0.3), Some(0.7)), ("yes", Some(0.6), None), ("red", None, Some(0.2))]);
    }

    #[test]
    fn spaces_and_unknown_shares_can_be_read() {
        assert_eq!(
            (shown("\u{2581}yes"), shown(""), percent(None), percent(Some(0.123))),
            ("␣yes".into(), "(nothing)".into(), "–".into(), "12.3 %".into())
        );
    }
}
