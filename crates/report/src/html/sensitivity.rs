//! Where it breaks: a map of the layers that were put back into float.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::families::heat;
use super::{spec, text};
use crate::number::percent;
use crate::report::Report;
use crate::sensitivity::{Restored, Sensitivity};
use crate::summary::Summary;

/// Empty where no layers were put back.
pub(super) fn section(report: &Report) -> Markup {
    let sensitivities = report.sensitivities();
    html! {
        @if !sensitivities.is_empty() {
            section id="sensitivity" {
                h2 { "Where it breaks" }
                p.hint {
                    "Each row is the acceleration once more with these layers in float. KL gone is the share of its divergence from the baseline's first token that \
                     this takes away; the stronger the colour the more."
                    @if sensitivities.iter().any(Sensitivity::has_eight) { " Where it says so, they are in 8 bits instead." }
                }
                @for sensitivity in &sensitivities {
                    h3 { (spec(&sensitivity.whole.spec)) }
                    (map(sensitivity))
                    (list(sensitivity))
                }
            }
        }
    }
}

fn warmth(gone: Option<f64>) -> String {
    heat(gone.unwrap_or_default().clamp(0.0, 1.0), 1.0)
}

fn gone(gone: Option<f64>) -> String {
    gone.map_or_else(|| "–".to_owned(), |gone| format!("{:.0} %", 100.0 * gone))
}

/// Blocks down, kinds across, where single layers of several blocks were put back.
fn map(sensitivity: &Sensitivity<'_>) -> Markup {
    let mut cells: BTreeMap<(&str, usize), BTreeMap<&str, &Restored<'_>>> = BTreeMap::new();
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for part in &sensitivity.parts {
        let Some((block, number, kind)) = place(part.layers) else { continue };
        cells.entry((block, number)).or_default().insert(kind, part);
        kinds.insert(kind);
    }
    html! {
        @if cells.len() > 1 && kinds.len() > 1 {
            div.scroll tabindex="0" role="region" aria-label="KL gone by layer" {
                table.heat {
                    thead { tr { th scope="col" { "block" } @for kind in &kinds { th scope="col" { (text(kind)) } } } }
                    tbody {
                        @for ((block, number), row) in &cells {
                            tr {
                                th scope="row" { (text(block)) "." (number) }
                                @for kind in &kinds {
                                    @match row.get(kind) {
                                        Some(part) => { td class=(warmth(sensitivity.gone(part))) { (gone(sensitivity.gone(part))) small { "DR " (percent(part.summary.dr.value)) } } }
                                        None => { td { "–" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Block, its number, and what comes behind it.
fn place(layers: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    for word in layers.split('.') {
        if let Ok(number) = word.parse() {
            return Some((layers[..from].trim_end_matches('.'), number, layers.get(from + word.len() + 1..)?));
        }
        from += word.len() + 1;
    }
    None
}

fn list(sensitivity: &Sensitivity<'_>) -> Markup {
    let sized = sensitivity.parts.iter().any(|part| part.more_bytes.is_some());
    let row = |name: Markup, summary: &Summary, of: Option<f64>, more: Option<u64>| {
        html! {
            tr {
                th scope="row" { (name) }
                td class=(warmth(of)) { (gone(of)) }
                td { (summary.kl_mean.map_or_else(|| "–".to_owned(), |kl| format!("{kl:.4}"))) }
                td { (percent(summary.dr.value)) }
                td { (percent(summary.ndr.value)) }
                td { (percent(summary.accuracy_after.value)) }
                @if sized { td { (more.map_or_else(|| "–".to_owned(), |more| format!("{:.2}", more as f64 / 1e6))) } }
            }
        }
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Layers in float" {
            table.heat {
                thead {
                    tr {
                        th scope="col" { "in float" }
                        th scope="col" { "KL gone" }
                        th scope="col" { "KL" small { "nats" } }
                        th scope="col" { "DR" }
                        th scope="col" { "NDR" }
                        th scope="col" { "accuracy" }
                        @if sized { th scope="col" { "files" small { "MB more" } } }
                    }
                }
                tbody {
                    (row(html! { "nothing more" }, sensitivity.whole, None, None))
                    @for part in &sensitivity.parts { (row(text(&part.name()), part.summary, sensitivity.gone(part), part.more_bytes)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_layer_has_a_place() {
        assert_eq!(place("language_model.layers.10.mlp.up_proj"), Some(("language_model.layers", 10, "mlp.up_proj")));
        for none in ["down_proj", "language_model.layers.3", "projector.linear_1", ""] {
            assert_eq!(place(none), None, "{none}");
        }
    }
}
