//! What the program says of its work beside results: warnings on stderr, and where the time went in a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use tracing::level_filters::LevelFilter;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Listens from now on: events as `STEADY_LOG` says, else warnings, go to stderr; spans go to the file `trace`, if there is one, until what comes back is dropped.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn listen(trace: Option<&Path>) -> Result<Option<FlushGuard>> {
    let filter = EnvFilter::try_from_env("STEADY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let said = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).without_time().with_filter(filter);
    let Some(path) = trace else {
        tracing_subscriber::registry().with(said).init();
        return Ok(None);
    };
    let file = File::create(path).with_context(|| format!("--trace {}", path.display()))?;
    let (layer, guard) = ChromeLayerBuilder::new().writer(BufWriter::new(file)).include_args(true).include_locations(false).build();
    tracing_subscriber::registry().with(said).with(layer.with_filter(LevelFilter::INFO)).init();
    Ok(Some(guard))
}
