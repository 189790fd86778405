//! Every kernel against its definition in `f64`, on odd shapes; and what they are launched on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod argmax;
mod attention;
mod device;
mod elementwise;
mod join;
mod norm;
mod place;
mod product;
mod rotate;
mod units;
mod weight;
