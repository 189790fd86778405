//! `steady merge`: the shards of a study, put together.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use steady_study::{Folder, Merged, merge};

use crate::args::MergeArgs;
use crate::commands::report;
use crate::console;

pub(crate) fn run(args: &MergeArgs) -> Result<()> {
    let mut sources = Vec::new();
    for given in &args.shards {
        let shards = Folder::shards_in(given)?;
        sources.extend(if shards.is_empty() { vec![given.clone()] } else { shards });
    }
    let out = place(&args.shards, &sources, args.out.as_deref())?;
    let sources = sources.iter().map(|source| Folder::open(source)).collect::<Result<Vec<_>, _>>()?;
    let Merged { folder, answers, repeated } = merge(&sources, &out)?;
    let again = if repeated == 0 { String::new() } else { format!("; {repeated} of them came more than once, and alike") };
    let folders = if sources.len() == 1 { "1 folder".to_owned() } else { format!("{} folders", sources.len()) };
    console::note(&format!("{answers} answers from {folders} are in {}{again}", folder.path().display()));
    report::publish(&folder, report::reopened(&folder).as_deref(), report::Printed::of(args.json))?;
    Ok(())
}

/// Where the study goes.
fn place(given: &[PathBuf], sources: &[PathBuf], out: Option<&Path>) -> Result<PathBuf> {
    match (out, given) {
        (Some(out), _) => Ok(out.to_path_buf()),
        (None, [study]) if sources != given => Ok(study.clone()),
        _ => bail!("say where the study is to go with --out; it goes by itself only into the one folder in which all shards are"),
    }
}
