//! A run folder in a bucket.
//!
//! A study writes into a folder of this machine, its mirror, and whole files of that go to the bucket: `Mirror::push` sends what changed, `Mirror::pull` fetches what the
//! mirror lacks. Files of a run folder are whole or absent, so any moment is a safe one. What only a run in the making needs, its lock, its journal and what
//! is being written, stays here: whoever goes on elsewhere asks at most the part in the making again.
//!
//! S3 and what speaks like it (`s3://bucket/prefix`), Google Cloud Storage (`gs://`), Azure (`az://container/prefix`), by object_store. Keys are taken from the environment as
//! that has it (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, ..) and written nowhere.

#![cfg(feature = "cloud")]

mod bucket;
mod mirror;
mod places;

pub use bucket::{Bucket, StoreError};
pub use mirror::{Mirror, Pushed};
pub use places::{Places, SCHEMES};
