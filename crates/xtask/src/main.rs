//! Everything a contributor runs besides `cargo run`: set-up, tests, lints, the page.

mod lints;
mod page;
mod setup;
mod shell;
mod tests;

use clap::{Parser, Subcommand};

/// Set-up, tests and the page of steady.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask test          as CI runs it; installs what it needs\n  cargo xtask test --cpu    Flex only: the fast loop, no driver\n  cargo xtask test --page   the page in a real browser too\n  cargo xtask setup         only install what the tests need\n  cargo xtask web build     the page into dist/"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need: Vulkan loader and software driver; with `--page` Chromium, wasm target, trunk, wasm-bindgen too.
    Setup {
        /// Also what the page needs.
        #[arg(long)]
        page: bool,
    },
    /// Run the tests: formatting, lints, licences, crates on Flex and wgpu, the CLI as a process.
    Test {
        /// Only what needs no driver: Flex, no set-up.
        #[arg(long, conflicts_with = "page")]
        cpu: bool,
        /// Also build the page and open it in a real browser.
        #[arg(long)]
        page: bool,
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
    /// The page.
    Web {
        #[command(subcommand)]
        task: page::WebTask,
    },
}

fn main() -> anyhow::Result<()> {
    shell::enter_workspace()?;
    match Arguments::parse().task {
        Task::Setup { page } => setup::run(page),
        Task::Test { cpu, page, no_setup } => {
            if !cpu && !no_setup {
                setup::run(page)?;
            }
            tests::run(cpu, page)
        }
        Task::Lint { cpu } => lints::run(cpu),
        Task::Web { task } => page::run(&task),
    }
}
