//! What is checked without running anything: formatting, who imports whom, unused dependencies, clippy, licences, the documentation's links.

use std::process::Command;

use crate::layers;
use crate::shell::{self, cargo, installed, native};
use crate::stages::{Ended, Stages};

/// All of them, the cheapest first; `cpu` lints without the `gpu` feature.
pub(crate) fn run(stages: &mut Stages, cpu: bool) -> anyhow::Result<()> {
    stages.run("fmt", || shell::run(&mut cargo(["fmt", "--all", "--check"])))?;
    stages.run("house checks", layers::check)?;
    stages.run("unused dependencies", unused_dependencies)?;
    stages.run("clippy", || shell::run(native("clippy", cpu).args(["--all-targets", "--", "-D", "warnings"])))?;
    stages.run("licences", licences)?;
    stages.run("docs", || documentation(&mut native("doc", cpu)))
}

fn unused_dependencies() -> anyhow::Result<Ended> {
    if !installed("cargo-machete") {
        return Ok(Ended::LeftOut("cargo-machete is not installed (`cargo xtask setup` does it)".to_owned()));
    }
    // by itself: as cargo's subcommand it takes its own name for a folder when the cargo that started this task is still above it
    shell::run(&mut Command::new("cargo-machete")).map(Ended::from)
}

fn licences() -> anyhow::Result<Ended> {
    if !installed("cargo-deny") {
        return Ok(Ended::LeftOut("cargo-deny is not installed (`cargo xtask setup` does it)".to_owned()));
    }
    // Advisories need a database from the network; licences, bans and sources do not.
    shell::run(&mut cargo(["deny", "--offline", "--all-features", "check", "licenses", "bans", "sources"])).map(Ended::from)
}

/// Writes documentation, of private items too, for whoever works on them follows links as well; a link that leads nowhere is an error.
pub(crate) fn documentation(doc: &mut Command) -> anyhow::Result<()> {
    shell::run(doc.args(["--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D rustdoc::broken_intra_doc_links"))
}
