//! Every test, in the order in which a failure is cheapest to see.

use crate::shell::{self, announce, native};
use crate::{lints, page};

/// Lints, then tests; `cpu` leaves out what needs a driver or a browser.
pub(crate) fn run(cpu: bool) -> anyhow::Result<()> {
    lints::run(cpu)?;
    if cpu {
        announce("tests on Flex, the CLI as a process");
        return shell::run(&mut native("test", cpu));
    }
    announce("tests on Flex and on wgpu, the CLI as a process");
    shell::run(&mut native("test", cpu))?;
    page::lint()?;
    page::build()?;
    announce("the page in a browser");
    page::test()
}
