//! Every kernel against its definition in `f64`, on odd shapes.

mod support;

mod norm;
mod product;
mod weight;
