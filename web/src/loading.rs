//! How far a model has come, in words.

use steady_protocol::Loading;

/// E.g. `2.0 of 8.0 MB`.
pub(crate) fn words(Loading { received, total, .. }: &Loading) -> String {
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let of = total.map(|total| format!(" of {}", megabytes(total))).unwrap_or_default();
    format!("{}{of} MB", megabytes(*received))
}
