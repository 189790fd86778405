//! Keeps the programs of the page small: the build script of page and worker.

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=CARGO_CFG_TARGET_FAMILY");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // The names of all functions are a fifth of the page and a quarter of the worker; nobody reads them in a browser.
        println!("cargo:rustc-link-arg-bins=--strip-all");
    }
}
