//! Groups side by side, each on threads of its own.
//!
//! A small model's products are over before a second thread has begun, so a group hardly gains by more threads. Groups know nothing of each
//! other: as many of them as there are threads take as long as one.
//!
//! A group is answered by one of its threads, also where it has all of them: whoever waits outside would have to be woken after every product, and wake another for the
//! next.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use pollster::FutureExt;
use rayon::ThreadPoolBuilder;
use steady_bench::Benchmark;
use steady_records::{Answers, Work};

use crate::work::answer;
use crate::{StudyError, Subject};

/// A group's number and its answers.
pub(crate) type Arrived = (usize, Result<Answers, StudyError>);

/// Answers `groups`, as many at a time as there are `lanes`, of `threads` threads each, and hands what arrives to `keep`, in the order in which it does. When `keep` returns, `cancel` is raised or a group fails, no group is begun any more.
///
/// # Errors
/// What `keep` says, or [`StudyError::Plan`] where the system gives no threads.
pub(crate) fn in_lanes<T>(
    lanes: usize,
    threads: usize,
    (work, groups): (&Work, &[usize]),
    (benchmark, subject): (&dyn Benchmark, &(impl Subject + Sync)),
    cancel: &AtomicBool,
    keep: impl FnOnce(mpsc::Receiver<Arrived>) -> Result<T, StudyError>,
) -> Result<T, StudyError> {
    let refused = |error: rayon::ThreadPoolBuildError| StudyError::Plan(format!("no thread for a group: {error}"));
    let pool = || ThreadPoolBuilder::new().num_threads(threads).build().map_err(refused);
    let pools = (0..lanes.min(groups.len())).map(|_| pool()).collect::<Result<Vec<_>, _>>()?;
    let (sender, arriving) = mpsc::channel();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for pool in &pools {
            let (sender, next) = (sender.clone(), &next);
            // What the products start runs in the pool that they are called in.
            scope.spawn(move || {
                pool.install(|| {
                    while let Some(&group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if cancel.load(Ordering::Relaxed) {
                            return;
                        }
                        let answers = answer(work, &work.groups()[group], benchmark, subject).block_on();
                        let failed = answers.is_err();
                        if sender.send((group, answers)).is_err() || failed {
                            return;
                        }
                    }
                });
            });
        }
        drop(sender);
        keep(arriving)
    })
}
