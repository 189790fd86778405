//! Requests that wait for a server, a few of which are in flight.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Something to be done. It is told when nobody waits for it any more.
type Task = Box<dyn FnOnce(&AtomicBool) + Send>;

/// A line of tasks with a number of threads that take from it, first come, first served. Dropped, it drops what waits and waits for what runs.
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<VecDeque<Task>>,
    came: Condvar,
    given_up: AtomicBool,
}

impl Waiting {
    /// A line of which `at_once` tasks run.
    pub(crate) fn new(at_once: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let thread = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        Self { threads: (0..at_once).map(thread).collect(), shared }
    }

    /// Puts a task at the end.
    pub(crate) fn push(&self, task: impl FnOnce(&AtomicBool) + Send + 'static) {
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).push_back(Box::new(task));
        self.shared.came.notify_one();
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            let task = loop {
                if self.given_up.load(Ordering::Relaxed) {
                    return;
                }
                match tasks.pop_front() {
                    Some(task) => break task,
                    None => tasks = self.came.wait(tasks).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(tasks);
            task(&self.given_up);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        {
            let mut tasks = self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.given_up.store(true, Ordering::Relaxed);
            tasks.clear();
        }
        self.shared.came.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has told so itself.
            drop(thread.join());
        }
    }
}
