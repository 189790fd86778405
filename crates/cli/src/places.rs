//! Run folders in buckets: `s3://`, `gs://` and `az://` wherever a command takes a run folder.

use anyhow::Result;

use crate::args::Cli;

#[cfg(feature = "cloud")]
pub(crate) use steady_store::Places;

/// Puts folders of this machine in place of the buckets that a command line names, which are fetched from there and sent back.
#[cfg(feature = "cloud")]
pub(crate) fn open(cli: &mut Cli) -> Result<Places> {
    use std::path::{Path, PathBuf};

    let root = match (std::env::var_os("STEADY_MIRRORS"), std::env::var_os("XDG_CACHE_HOME"), std::env::home_dir()) {
        (Some(mirrors), ..) => PathBuf::from(mirrors),
        (None, Some(cache), _) => Path::new(&cache).join("steady/mirrors"),
        (None, None, Some(home)) => home.join(".cache/steady/mirrors"),
        (None, None, None) => PathBuf::from("steady-mirrors"),
    };
    Ok(Places::open(cli.run_folders(), &root, crate::console::note)?)
}

/// Sends what is left, once a command is done.
#[cfg(feature = "cloud")]
pub(crate) fn finish(places: Places) -> Result<()> {
    Ok(places.finish()?)
}

/// Stands for no bucket.
#[cfg(not(feature = "cloud"))]
pub(crate) struct Places;

#[cfg(not(feature = "cloud"))]
#[expect(clippy::unnecessary_wraps, reason = "as of buckets")]
pub(crate) fn finish(_: Places) -> Result<()> {
    Ok(())
}

/// Refuses addresses of buckets, of which this program knows nothing.
#[cfg(not(feature = "cloud"))]
pub(crate) fn open(cli: &mut Cli) -> Result<Places> {
    for path in cli.run_folders() {
        let address = path.to_string_lossy();
        if ["s3://", "gs://", "az://"].iter().any(|scheme| address.starts_with(scheme)) {
            anyhow::bail!("{address}: this program was built without buckets (cargo feature `cloud`)");
        }
    }
    Ok(Places)
}
