//! What is done to a model: quantizers and visual-token reducers, named by a short spec.
