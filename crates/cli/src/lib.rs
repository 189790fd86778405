//! `steady`, the command line: does an accelerated vision-language model still give the same answers to the same questions?
//!
//! Results go to stdout, progress and logs to stderr. Exit codes: 0 done, 1 a gate failed, 2 wrong usage or input.

mod args;
mod commands;
mod console;
mod embedded;
#[cfg(feature = "hub")]
mod hub;
mod hub_id;
mod memory;
mod model;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("STEADY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).without_time().init();
    console::finish(match &cli.command {
        None => commands::study::embedded(&cli.models, &cli.study),
        Some(Command::Run(args)) => commands::study::run(args),
        Some(Command::Ask(args)) => commands::ask::run(args),
        Some(Command::Report(args)) => commands::report::run(args),
        Some(Command::Share(args)) => commands::share::run(args),
        Some(Command::Models(args)) => commands::list::models(args),
        Some(Command::Benches(args)) => commands::benches::run(args),
        Some(Command::Accels(args)) => commands::list::accels(args),
        Some(Command::Perturbs(args)) => commands::list::perturbs(args),
        Some(Command::Controls(args)) => commands::list::controls(args),
        Some(Command::Devices(args)) => commands::list::devices(args),
    })
}
