//! Two token reducers, one behind the other.

use std::sync::Arc;

use steady_vlm::{Evidence, HostMatrix, Merge, Reduction, Step, TokenReducer, TowerTokens, VlmError};

/// Reducers that act in different places, in the order in which a prompt passes these. What the one leaves is what the next is shown: a
/// share of visual tokens is one of those.
struct Chain(Vec<Arc<dyn TokenReducer>>);

/// One reducer that does what these do, in their order; `None` of none.
pub(crate) fn joined(mut reducers: Vec<Arc<dyn TokenReducer>>) -> Option<Arc<dyn TokenReducer>> {
    if reducers.len() > 1 { Some(Arc::new(Chain(reducers))) } else { reducers.pop() }
}

impl Chain {
    /// Whose step number `step` is, and its number there.
    fn of(&self, mut step: usize) -> Result<(&dyn TokenReducer, usize), VlmError> {
        for reducer in &self.0 {
            let own = reducer.steps().len();
            if step < own {
                return Ok((reducer.as_ref(), step));
            }
            step -= own;
        }
        Err(VlmError::Invalid { what: format!("token reducer {}", self.name()), problem: format!("has {step} steps too few") })
    }
}

impl TokenReducer for Chain {
    fn name(&self) -> String {
        self.0.iter().map(|reducer| reducer.name()).collect::<Vec<_>>().join("+")
    }

    fn steps(&self) -> Vec<Step> {
        self.0.iter().flat_map(|reducer| reducer.steps()).collect()
    }

    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let (reducer, step) = self.of(step)?;
        reducer.reduce(step, evidence)
    }

    fn redraw(&self, step: usize, plane: HostMatrix) -> Result<HostMatrix, VlmError> {
        let (reducer, step) = self.of(step)?;
        reducer.redraw(step, plane)
    }

    fn merge(&self, step: usize, tokens: &TowerTokens<'_>) -> Result<Merge, VlmError> {
        let (reducer, step) = self.of(step)?;
        reducer.merge(step, tokens)
    }
}
