//! Every test, in the order in which a failure is cheapest to see.

use crate::shell::{self, cargo, native};
use crate::stages::Stages;
use crate::{lints, page, setup, snapshots};

/// What to leave out of all that there is.
pub(crate) struct Scope {
    /// What needs a driver or a browser, and the set-up.
    pub(crate) cpu: bool,
    /// The set-up.
    pub(crate) no_setup: bool,
}

/// Set-up, lints, then tests.
pub(crate) fn run(stages: &mut Stages, scope: &Scope) -> anyhow::Result<()> {
    let cpu = scope.cpu;
    if !cpu && !scope.no_setup {
        stages.run("setup", setup::run)?;
    }
    lints::run(stages, cpu)?;
    // on Flex, on wgpu unless `cpu`, the command line as a process
    stages.run("native tests", || shell::run(snapshots::watch(&mut native("test", cpu))?))?;
    stages.run("snapshots", snapshots::check)?;
    if let Some(folder) = setup::easy_vqa() {
        let mut test = native("test", cpu);
        test.args(["--test", "easy_vqa", "--", "--ignored", "--nocapture"]).env("STEADY_EASY_VQA", folder);
        stages.run("easy-VQA", || shell::run(&mut test))?;
    }
    // by itself: what speaks to buckets is in no other build, and would have burn compiled a second time
    stages.run("buckets", || shell::run(&mut cargo(["test", "--release", "-p", "steady-store", "--features", "cloud"])))?;
    if !cpu {
        stages.run("kernels in a browser", page::kernels)?;
        stages.run("page lint", page::lint)?;
        stages.run("page build", page::build)?;
        stages.run("page tests", page::test)?;
    }
    Ok(())
}
