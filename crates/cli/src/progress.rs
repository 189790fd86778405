//! What is said of a study while it runs: a bar on a terminal, elsewhere a line now and then.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar};
use steady_study::Progress;

use crate::console;

/// Between two lines where there is no bar.
const PAUSE: Duration = Duration::from_mins(1);
/// Answers after which it can be told whether a model stops by itself.
const TELLING: usize = 20;

/// Tells how far a study is.
pub(crate) struct Status {
    bar: ProgressBar,
    start: Instant,
    /// Most tokens of an answer.
    limit: usize,
    /// When a line was written last.
    said: Duration,
    /// Whether it was said that the model does not stop by itself.
    warned: bool,
}

impl Status {
    /// Of a study whose answers have at most `limit` tokens, from now on.
    pub(crate) fn start(limit: usize) -> Result<Self> {
        Ok(Self { bar: console::progress_bar(0)?, start: Instant::now(), limit, said: Duration::ZERO, warned: false })
    }

    /// Writes something beside the bar.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| console::note(text));
    }

    /// Tells what has changed.
    pub(crate) fn tell(&mut self, progress: &Progress<'_>) {
        let elapsed = self.start.elapsed();
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        let asked = progress.fresh.last().map_or("", |record| record.question.as_str());
        self.bar.set_message([left(progress, elapsed).as_str(), &cut(progress, self.limit), asked].join("  "));
        if !self.warned && progress.done >= TELLING && 2 * progress.cut >= progress.done {
            self.warned = true;
            self.note(&format!(
                "{} of {} answers so far were cut at the limit of {} tokens: this model seldom stops by itself, and an answer takes as long as \
                 the limit allows",
                progress.cut, progress.done, self.limit
            ));
        }
        if self.bar.is_hidden() && elapsed >= self.said + PAUSE {
            self.said = elapsed;
            console::note(&line(progress, self.limit, elapsed));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// The line where there is no bar.
fn line(progress: &Progress<'_>, limit: usize, elapsed: Duration) -> String {
    let answered = format!("{} of {} answers", progress.done, progress.total);
    [answered, left(progress, elapsed), cut(progress, limit)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The time left, judged by what this run did in `elapsed` and not by what it found done; nothing before its first answer.
fn left(progress: &Progress<'_>, elapsed: Duration) -> String {
    let done = progress.done - progress.resumed;
    if done == 0 || progress.done == progress.total {
        return String::new();
    }
    let left = elapsed.mul_f64((progress.total - progress.done) as f64 / done as f64);
    format!("{} left", HumanDuration(left))
}

/// The share of answers that were cut; nothing where none was.
fn cut(progress: &Progress<'_>, limit: usize) -> String {
    if progress.cut == 0 {
        return String::new();
    }
    format!("{:.0} % cut at {limit} tokens", 100.0 * progress.cut as f64 / progress.done.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: usize, resumed: usize, cut: usize) -> Progress<'static> {
        Progress { done, total: 480, resumed, cut, fresh: &[] }
    }

    #[test]
    fn the_time_left_is_judged_by_what_this_run_did() {
        let minutes = |minutes: u64| Duration::from_mins(minutes);
        assert_eq!(line(&at(0, 0, 0), 64, minutes(0)), "0 of 480 answers");
        // 60 answers in 9 minutes: 420 more take 63
        assert_eq!(line(&at(60, 0, 0), 64, minutes(9)), "60 of 480 answers, 63 minutes left");
        // 300 were there already, and 60 took 9 minutes: 120 more take 18
        assert_eq!(line(&at(360, 300, 0), 64, minutes(9)), "360 of 480 answers, 18 minutes left");
        assert_eq!(line(&at(300, 300, 0), 64, minutes(0)), "300 of 480 answers");
        assert_eq!(line(&at(480, 300, 0), 64, minutes(20)), "480 of 480 answers");
    }

    #[test]
    fn the_share_that_was_cut_is_of_all_that_are_done() {
        assert_eq!(line(&at(60, 0, 45), 64, Duration::from_mins(9)), "60 of 480 answers, 63 minutes left, 75 % cut at 64 tokens");
    }
}
