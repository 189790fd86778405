//! `steady plan-size`: how many questions it takes, before they are asked.

use anyhow::{Result, bail};
use serde::Serialize;
use steady_report::statistics::exact::at_most;
use steady_report::statistics::size::{Demands, MOST_QUESTIONS, least_drop, to_show_at_most, to_show_not_inferior};

use crate::args::PlanSizeArgs;
use crate::console;

/// What `--json` prints. Numbers of questions that are more than ten million are missing.
#[derive(Debug, Serialize)]
struct Sizes {
    confidence: f64,
    power: f64,
    /// How many questions say as much as one independent one.
    design_effect: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<Margin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<Shown>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
struct Limit {
    limit: f64,
    expected: f64,
    questions: Option<u64>,
    /// How many of them, were they independent, may break.
    may_break: Option<u64>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
struct Margin {
    margin: f64,
    drop: f64,
    flips: f64,
    questions: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Shown {
    questions: u64,
    /// NDR if none of them breaks.
    at_most_if_none: f64,
    flips: f64,
    /// The least drop in accuracy that would be found.
    least_drop: Option<f64>,
}

pub(crate) fn run(args: &PlanSizeArgs) -> Result<()> {
    let demands = Demands { confidence: args.confidence.0, power: args.power.0 };
    // L. Kish, "Survey Sampling" (1965), section 5.4
    let effect = 1.0 + f64::from(args.per_image - 1) * args.alike.map_or(1.0, |alike| alike.0);
    let enlarged = |questions: u64| (questions as f64 * effect).ceil() as u64;
    let below = |name: &str, believed: f64, limit: f64| {
        if believed >= limit {
            bail!("--{name} {believed}: what is believed must be below the limit of {limit} that it is to be shown by");
        }
        Ok(())
    };
    let limit = match args.limit {
        None => None,
        Some(limit) => {
            let expected = args.expect.map_or(0.0, |share| share.0);
            below("expect", expected, limit.0)?;
            let size = to_show_at_most(expected, limit.0, demands);
            let (questions, may_break) = (size.map(|(questions, _)| enlarged(questions)), size.map(|(_, broken)| broken));
            Some(Limit { limit: limit.0, expected, questions, may_break })
        }
    };
    let flips = args.flips.0;
    let margin = match args.margin {
        None => None,
        Some(margin) => {
            let drop = args.drop.map_or(0.0, |share| share.0);
            below("drop", drop, margin.0)?;
            Some(Margin { margin: margin.0, drop, flips, questions: to_show_not_inferior(drop, margin.0, flips, demands).map(enlarged) })
        }
    };
    let questions = args.questions.and_then(|questions| {
        let independent = questions as f64 / effect;
        let bound = at_most(0.0, independent, demands.confidence)?;
        Some(Shown { questions, at_most_if_none: bound, flips, least_drop: least_drop(independent, flips, demands) })
    });
    let sizes = Sizes { confidence: demands.confidence, power: demands.power, design_effect: effect, limit, margin, questions };
    if args.json { console::json(&sizes) } else { console::result(&told(&sizes, args.per_image)) }
}

fn told(sizes: &Sizes, per_image: u32) -> String {
    let percent = |share: f64| {
        let text = format!("{:.2}", 100.0 * share);
        format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
    };
    let count = |questions: Option<u64>| match questions {
        None => format!("more than {MOST_QUESTIONS} questions"),
        Some(questions) if per_image > 1 => format!("{questions} questions about {} images", questions.div_ceil(u64::from(per_image))),
        Some(questions) => format!("{questions} questions"),
    };
    let mut lines = Vec::new();
    if let Some(Limit { limit, expected, questions, may_break }) = sizes.limit {
        let broken = match may_break {
            Some(0) => ", of which none may break".to_owned(),
            // with questions that go together it depends on how the broken ones lie
            Some(broken) if per_image == 1 => format!(", of which {broken} may break"),
            _ => String::new(),
        };
        lines.push(format!("NDR (or DR) at most {}, if it is {}: {}{broken}", percent(limit), percent(expected), count(questions)));
    }
    if let Some(Margin { margin, drop, flips, questions }) = sizes.margin {
        let (margin, drop, flips) = (percent(margin), percent(drop), percent(flips));
        lines.push(format!(
            "accuracy falls by less than {margin}, if it falls by {drop} and {flips} of the verdicts flip: {}",
            count(questions)
        ));
    }
    if let Some(Shown { questions, at_most_if_none, flips, least_drop }) = sizes.questions {
        let found = least_drop.map_or_else(|| "none is found".to_owned(), |drop| format!("one of {} and more is found", percent(drop)));
        lines.push(format!(
            "{}: none broken means NDR at most {}; of drops in accuracy, if {} of the verdicts flip, {found}",
            count(Some(questions)),
            percent(at_most_if_none),
            percent(flips)
        ));
    }
    lines.push(format!("{} confidence, one-sided; power {}", percent(sizes.confidence), percent(sizes.power)));
    if sizes.design_effect > 1.0 {
        lines.push(format!("{:.2} questions say as much as one that is alone about its image", sizes.design_effect));
    }
    lines.join("\n")
}
