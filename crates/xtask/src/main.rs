//! Everything a contributor runs besides `cargo run`: set-up, tests, lints, the page.

mod bench;
mod layers;
mod lints;
mod page;
mod setup;
mod shell;
mod snapshots;
mod stages;
mod synthetic;
mod tests;

use std::env;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use stages::Stages;

/// Set-up, tests and the page of steady.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask test          as CI runs it; installs what it needs\n  cargo xtask test --cpu    Flex only: the fast loop, no driver, no browser\n  cargo xtask setup         only install what the tests need\n  cargo xtask web build     the page into dist/"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need: Vulkan loader and software driver, Chromium, npm, axe-core, wasm target, and tools from crates.io.
    Setup,
    /// Run the tests: lints, crates on Flex and wgpu, the CLI as a process, the page in a real browser; says what each stage took.
    Test {
        /// Only what needs neither driver nor browser: Flex, no set-up, no page.
        #[arg(long)]
        cpu: bool,
        /// Trust that everything is installed.
        #[arg(long)]
        no_setup: bool,
    },
    /// Formatting, who imports whom, unused dependencies, clippy, licences, the documentation's links.
    Lint {
        /// Without the `gpu` feature.
        #[arg(long)]
        cpu: bool,
    },
    /// Write a checkpoint with the true shapes of Qwen2-VL-2B and random weights, 4.4 GB, to measure loading with.
    Synthetic {
        /// Where to.
        folder: PathBuf,
        /// Blocks of the vision tower, fewer than the true ones where only the decoder is of interest.
        #[arg(long, default_value_t = synthetic::VISION_DEPTH)]
        vision_layers: usize,
    },
    /// steady beside transformers and llama.cpp on the same work, by turns; writes docs/performance.md. Nothing else may run meanwhile.
    Bench(bench::Bench),
    /// The page.
    Web {
        #[command(subcommand)]
        task: page::WebTask,
    },
}

fn main() -> anyhow::Result<()> {
    let task = Arguments::parse().task;
    let called_from = env::current_dir()?;
    shell::enter_workspace()?;
    match task {
        Task::Setup => setup::run(),
        Task::Test { cpu, no_setup } => timed(Stages::new(!cpu), |stages| tests::run(stages, &tests::Scope { cpu, no_setup })),
        Task::Lint { cpu } => timed(Stages::new(false), |stages| lints::run(stages, cpu)),
        Task::Synthetic { folder, vision_layers } => synthetic::run(&called_from.join(folder), vision_layers),
        Task::Bench(bench) => bench::measure(&bench),
        Task::Web { task } => page::run(&task),
    }
}

/// Says at the end what each stage took, whether or not all of them ran.
fn timed(mut stages: Stages, task: impl FnOnce(&mut Stages) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let result = task(&mut stages);
    shell::announce(&stages.table());
    result
}
