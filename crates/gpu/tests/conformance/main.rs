//! Every kernel against its definition in `f64`, on odd shapes; and what they are launched on.
//!
//! The suite runs on whatever wgpu finds, and in a browser (`cargo xtask web kernels`): its cases are functions that wait for the GPU where
//! they read what it left, and `suite!` makes tests of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

// Where the page computes as well.
#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod support;

#[cfg(target_family = "wasm")]
mod ahead;
mod argmax;
mod attention;
mod device;
mod elementwise;
mod join;
mod norm;
mod place;
mod product;
#[cfg(not(target_family = "wasm"))]
mod programs;
mod rotate;
mod units;
mod weight;
