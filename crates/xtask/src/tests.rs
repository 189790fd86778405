//! Every test, in the order in which a failure is cheapest to see.

use crate::shell::{self, announce, cargo};
use crate::{lints, page};

/// Lints, then tests; `cpu` leaves out what needs a driver or a browser.
pub(crate) fn run(cpu: bool) -> anyhow::Result<()> {
    lints::run(cpu)?;
    // The whole workspace in one call: one set of features for every dependency, so that nothing is compiled twice.
    let mut tests = cargo(["test", "--release", "--workspace"]);
    if cpu {
        announce("tests on Flex, the CLI as a process");
        tests.args(["--exclude", "steady-web", "--no-default-features", "--features", "steady/cpu,steady/embedded"]);
    } else {
        page::build()?;
        announce("tests on Flex and on wgpu, the CLI as a process, the page in a browser");
        tests.args(["--features", "steady-tests/page"]);
    }
    shell::run(&mut tests)
}
