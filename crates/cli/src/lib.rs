//! `steady`, the command line: does an accelerated vision-language model still give the same answers to the same questions?
//!
//! Results go to stdout, progress and logs to stderr. Exit codes: 0 done, 1 a gate failed, 2 wrong usage or input, 3 a gate is inconclusive.

mod args;
mod calibration;
mod commands;
mod console;
mod embedded;
#[cfg(feature = "hub")]
mod hub;
mod hub_id;
mod logs;
mod memory;
mod model;
mod passes;
mod places;
mod progress;
#[cfg(any(feature = "endpoint", feature = "hub"))]
mod tls;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Command};

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    // Dropped behind everything that is traced: then the file is whole.
    let _tracing = match logs::listen(cli.trace()) {
        Ok(tracing) => tracing,
        Err(error) => return console::finish(Err(error)),
    };
    let places = match places::open(&mut cli) {
        Ok(places) => places,
        Err(error) => return console::finish(Err(error)),
    };
    let code = console::finish(run(&cli));
    // what a command that failed left behind is as good as ever
    match places::finish(places) {
        Ok(()) => code,
        Err(error) => console::finish(Err(error)),
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let done = |outcome: Result<()>| outcome.map(|()| ExitCode::SUCCESS);
    match &cli.command {
        None => done(commands::study::embedded(&cli.models, &cli.study)),
        Some(Command::Run(args)) => done(commands::study::run(args)),
        Some(Command::Locate(args)) => done(commands::locate::run(args)),
        Some(Command::Quantize(args)) => done(commands::quantize::run(args)),
        Some(Command::Ask(args)) => done(commands::ask::run(args)),
        Some(Command::Compare(args)) => done(commands::compare::run(args)),
        Some(Command::Merge(args)) => done(commands::merge::run(args)),
        Some(Command::Report(args)) => done(commands::report::run(args)),
        Some(Command::Share(args)) => done(commands::share::run(args)),
        Some(Command::Gate(args)) => commands::gate::run(args),
        Some(Command::Guard(args)) => commands::guard::run(args),
        Some(Command::PlanSize(args)) => done(commands::plan_size::run(args)),
        Some(Command::Models(args)) => done(commands::list::models(args)),
        Some(Command::Benches(args)) => done(commands::benches::run(args)),
        Some(Command::Accels(args)) => done(commands::list::accels(args)),
        Some(Command::Perturbs(args)) => done(commands::list::perturbs(args)),
        Some(Command::Controls(args)) => done(commands::list::controls(args)),
        Some(Command::Devices(args)) => done(commands::list::devices(args)),
    }
}
