//! Whose turn it is: one question is with the worker, and of those that wait only the latest is worth asking. Plain data.

/// Questions on their way.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    last_id: u32,
    with_worker: Option<(u32, T)>,
    waiting: Option<T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { last_id: 0, with_worker: None, waiting: None }
    }
}

impl<T: Clone> Turns<T> {
    /// Wants something asked. Gives what is to be sent now; what cannot be sent yet takes the place of what waited before.
    pub(crate) fn ask(&mut self, what: T) -> Option<(u32, T)> {
        if self.with_worker.is_some() {
            self.waiting = Some(what);
            return None;
        }
        self.last_id = self.last_id.wrapping_add(1);
        self.with_worker = Some((self.last_id, what.clone()));
        Some((self.last_id, what))
    }

    /// An answer came. Gives what it answers, unless it is late, and what is to be sent next.
    pub(crate) fn answered(&mut self, id: u32) -> Option<(T, Option<(u32, T)>)> {
        let (_, what) = self.with_worker.take_if(|(expected, _)| *expected == id)?;
        let next = self.waiting.take().and_then(|next| self.ask(next));
        Some((what, next))
    }

    /// Nobody waits for anything any more; an answer that still comes is late.
    pub(crate) fn give_up(&mut self) {
        (self.with_worker, self.waiting) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_latest_next() {
        let mut turns = Turns::default();
        assert_eq!(turns.ask("a"), Some((1, "a")));
        assert_eq!((turns.ask("b"), turns.ask("c")), (None, None));
        assert_eq!(turns.answered(1), Some(("a", Some((2, "c")))));
        assert_eq!(turns.answered(2), Some(("c", None)));
        assert_eq!(turns.ask("d"), Some((3, "d")));
    }

    #[test]
    fn late_answers_answer_nothing() {
        let mut turns = Turns::default();
        turns.ask("a");
        turns.give_up();
        assert_eq!(turns.ask("b"), Some((2, "b")));
        assert_eq!(turns.answered(1), None);
        assert_eq!(turns.ask("c"), None);
        assert_eq!(turns.answered(2), Some(("b", Some((3, "c")))));
        assert_eq!(turns.answered(2), None);
    }
}
