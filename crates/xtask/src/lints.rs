//! Formatting, clippy, licences.

use crate::shell::{self, announce, cargo, installed, native};

/// All of them; `cpu` lints without the `gpu` feature.
pub(crate) fn run(cpu: bool) -> anyhow::Result<()> {
    shell::run(&mut cargo(["fmt", "--all", "--check"]))?;
    let mut clippy = native("clippy", cpu);
    shell::run(clippy.args(["--all-targets", "--", "-D", "warnings"]))?;
    if installed("cargo-deny") {
        // Advisories need a database from the network; licences, bans and sources do not.
        shell::run(&mut cargo(["deny", "--offline", "check", "licenses", "bans", "sources"]))
    } else {
        announce("cargo-deny is not installed: licences not checked (`cargo install cargo-deny --locked`)");
        Ok(())
    }
}
