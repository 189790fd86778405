//! Every kernel against its definition in `f64`, on odd shapes.

mod support;

mod attention;
mod elementwise;
mod norm;
mod place;
mod product;
mod weight;
