//! Keeps the program small.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // The names of all functions are a quarter of the file; nobody reads them in a browser.
        println!("cargo:rustc-link-arg-bins=--strip-all");
    }
}
