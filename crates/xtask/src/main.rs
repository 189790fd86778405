//! Everything a contributor runs besides `cargo run`: set-up, tests, lints, the page.

mod lints;
mod page;
mod setup;
mod shell;
mod synthetic;
mod tests;

use std::env;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// Install what the tests need: Vulkan loader and software driver, Chromium, wasm target, trunk, wasm-bindgen, axe-core where npm is.
    Setup,
    /// Run the tests: formatting, lints, licences, crates on Flex and wgpu, the CLI as a process, the page in a real browser.
    Test {
        /// Only what needs neither driver nor browser: Flex, no set-up, no page.
        #[arg(long)]
        cpu: bool,
        /// Trust that everything is installed.
        #[arg(long)]
        no_setup: bool,
    },
    /// Formatting, clippy and licences.
    Lint {
        /// Without the `gpu` feature.
        #[arg(long)]
        cpu: bool,
    },
    /// Write a checkpoint with the true shapes of Qwen2-VL-2B and random weights, 4.4 GB, to measure loading with.
    Synthetic {
        /// Where to.
        folder: PathBuf,
    },
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
        Task::Test { cpu, no_setup } => {
            if !cpu && !no_setup {
                setup::run()?;
            }
            tests::run(cpu)
        }
        Task::Lint { cpu } => lints::run(cpu),
        Task::Synthetic { folder } => synthetic::run(&called_from.join(folder)),
        Task::Web { task } => page::run(&task),
    }
}
