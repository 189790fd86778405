//! How far the study is, in a bar and in words.

use leptos::prelude::*;
use steady_protocol::{LeftOut, Preparing};

use super::Study;
use super::run::{Cause, Phase, StudyRun};
use crate::loading;
use crate::spec;

/// The bar, what it means, and what computes.
#[component]
pub(crate) fn Progress(study: Study) -> impl IntoView {
    let run = study.run;
    // spoken when it changes, which the numbers do all the time
    let state = Memo::new(move |_| run.with(state));
    let numbers = move || run.with(numbers);
    let share = move || run.with(share);
    let failed = Memo::new(move |_| run.with(|run| matches!(run.phase(), Phase::Stopped(Cause::Failed(_)))));
    let bar = move || {
        run.with(StudyRun::at_work).then(|| match share() {
            Some(share) => view! { <progress aria-label="Progress of the study" max="1" value=share.to_string()></progress> }.into_any(),
            None => view! { <progress aria-label="Progress of the study"></progress> }.into_any(),
        })
    };
    let engine = move || {
        run.with(|run| run.engine().cloned()).map(|engine| {
            view! {
                <p class="engine">
                    "Computing on " <bdi><strong>{engine.device}</strong></bdi> " in " {engine.dtype} ": " <bdi>{engine.reason}</bdi>
                </p>
            }
        })
    };
    view! {
        <div class="progress" class:stopped=failed>
            {bar}
            <p><span role="status">{state}</span> " " <span class="numbers">{numbers}</span></p>
            {engine}
            {move || left_out(&run.with(|run| run.left_out().to_vec()))}
            {move || (study.was_hidden.get() && run.with(StudyRun::at_work)).then(|| view! {
                <p class="engine">"This page was out of sight for a while. The study went on, but browsers slow such pages down."</p>
            })}
            {move || study.notice.get().map(|notice| view! { <p role="alert" class="engine">{notice}</p> })}
        </div>
    }
}

/// Accelerations that are left out, each with its reason; nothing where none is.
pub(crate) fn left_out(left_out: &[LeftOut]) -> impl IntoView + use<> {
    let lines = left_out.iter().map(|LeftOut { spec, reason }| {
        let reason = reason.trim_end_matches('.').to_owned();
        view! { <li>{spec::shown(spec)} ": " <bdi>{reason}</bdi> "."</li> }
    });
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| view! { <div class="left-out"><p>"Left out, because it does not fit:"</p><ul>{lines}</ul></div> })
}

/// What is going on, in words.
fn state(run: &StudyRun) -> String {
    match run.phase() {
        Phase::Idle => String::new(),
        Phase::Starting => "Fetching the program that computes …".to_owned(),
        Phase::Loading(_) => "Loading the model …".to_owned(),
        Phase::Preparing(_) => "Preparing the GPU …".to_owned(),
        Phase::Running => "Asking …".to_owned(),
        Phase::Finished => "Done.".to_owned(),
        Phase::Stopped(Cause::Cancelled) => "Cancelled. What was answered is kept; Resume goes on from there.".to_owned(),
        Phase::Stopped(Cause::Left) => "Begun on an earlier visit and kept in this browser; Resume goes on from there.".to_owned(),
        Phase::Stopped(Cause::Failed(reason)) if run.progress().is_some() => {
            format!("The study stopped: {reason}. What was answered is kept; Resume goes on from there.")
        }
        Phase::Stopped(Cause::Failed(reason)) => format!("The study could not run: {reason}."),
    }
}

/// The numbers beside it.
fn numbers(run: &StudyRun) -> String {
    match (run.phase(), run.progress()) {
        (Phase::Loading(loading), _) => loading::words(loading),
        (Phase::Preparing(Preparing { ready, of }), _) => format!("{ready} of {of} kernels"),
        (_, Some((done, total))) => {
            let left = run.seconds_left().map(|seconds| format!(", about {} left", duration(seconds))).unwrap_or_default();
            format!("{done} of {total} answers{left}")
        }
        _ => String::new(),
    }
}

fn share(run: &StudyRun) -> Option<f64> {
    let (part, whole) = match run.phase() {
        Phase::Loading(loading) => (loading.received as f64, loading.total? as f64),
        Phase::Preparing(Preparing { ready, of }) => (*ready as f64, *of as f64),
        Phase::Running => run.progress().map(|(done, total)| (done as f64, total as f64))?,
        _ => return None,
    };
    (whole > 0.0).then(|| (part / whole).min(1.0))
}

/// A time that nobody takes to the second.
fn duration(seconds: f64) -> String {
    match seconds {
        ..10.0 => "10 s".to_owned(),
        ..90.0 => format!("{:.0} s", (seconds / 10.0).ceil() * 10.0),
        ..5400.0 => format!("{:.0} min", (seconds / 60.0).ceil()),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steady_protocol::{Answered, Loading, Response};

    #[test]
    fn times_are_rounded_up_to_what_people_say() {
        let said: Vec<String> = [0.3, 10.0, 41.0, 89.0, 90.0, 61.0 * 60.0, 9000.0].map(duration).into();
        assert_eq!(said, ["10 s", "10 s", "50 s", "90 s", "2 min", "61 min", "2.5 h"]);
    }

    #[test]
    fn the_bar_is_the_models_first_and_the_questions_then() {
        let mut run = StudyRun::default();
        run.start();
        assert_eq!((share(&run), numbers(&run)), (None, String::new()));
        let loading = |received, total| Response::Loading(Loading { file: "model".into(), received, total });
        run.hear(loading(2_000_000, None), 0.0);
        assert_eq!((share(&run), numbers(&run).as_str()), (None, "2.0 MB"));
        run.hear(loading(2_000_000, Some(8_000_000)), 0.0);
        assert_eq!((share(&run), numbers(&run).as_str()), (Some(0.25), "2.0 of 8.0 MB"));
        run.hear(Response::Preparing(Preparing { ready: 3, of: 12 }), 0.0);
        assert_eq!((share(&run), numbers(&run).as_str()), (Some(0.25), "3 of 12 kernels"));
        assert_eq!(state(&run), "Preparing the GPU …");
        run.hear(Response::Answered(Answered { group: vec![1], done: 4, total: 8 }), 0.0);
        assert_eq!((share(&run), numbers(&run).as_str()), (Some(0.5), "4 of 8 answers"));
    }
}
