//! Every test, in the order in which a failure is cheapest to see.

use crate::shell::{self, announce, native};
use crate::{lints, page};

/// Lints, then tests; `cpu` leaves out what needs a driver or a browser.
pub(crate) fn run(cpu: bool) -> anyhow::Result<()> {
    lints::run(cpu)?;
    let mut tests = native("test", cpu);
    if cpu {
        announce("tests on Flex, the CLI as a process");
    } else {
        page::lint()?;
        page::build()?;
        announce("tests on Flex and on wgpu, the CLI as a process, the page in a browser");
        tests.args(["--features", "steady-page-tests/page"]);
    }
    shell::run(&mut tests)
}
