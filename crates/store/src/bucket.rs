//! Where a bucket is, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as Place;

/// Why a bucket or its mirror cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No address of a bucket.
    #[error("{address}: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store said no.
    #[error("{address}: {what}: {source}")]
    Store {
        /// The address.
        address: String,
        /// What was being done.
        what: String,
        /// The store's answer.
        source: object_store::Error,
    },
    /// The file system said no.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// A bucket, and the place in it that stands for a folder.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(crate) address: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Place,
}

impl Bucket {
    /// Opens `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`, with keys from the environment. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`StoreError::Address`] where that is no such address, or the environment lacks what the store needs.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Address { address: address.to_owned(), reason };
        let (scheme, rest) = address.split_once("://").ok_or_else(|| wrong("no address of a bucket".to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong(format!("names no bucket; expected {scheme}://BUCKET/PREFIX")));
        }
        let prefix = Place::parse(prefix.trim_matches('/')).map_err(|error| wrong(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" => Arc::new(AmazonS3Builder::from_env().with_bucket_name(bucket).build().map_err(|error| wrong(error.to_string()))?),
            "gs" => {
                Arc::new(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).build().map_err(|error| wrong(error.to_string()))?)
            }
            "az" => {
                Arc::new(MicrosoftAzureBuilder::from_env().with_container_name(bucket).build().map_err(|error| wrong(error.to_string()))?)
            }
            other => return Err(wrong(format!("{other}:// is no kind of bucket; expected s3://, gs:// or az://"))),
        };
        Ok(Self::of(address, store, prefix))
    }

    /// The place `prefix` in a store that is open already; `address` is for messages.
    pub fn of(address: &str, store: Arc<dyn ObjectStore>, prefix: Place) -> Self {
        Self { address: address.trim_end_matches('/').to_owned(), store, prefix }
    }

    /// What it is called.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn failed(&self, what: impl Into<String>) -> impl FnOnce(object_store::Error) -> StoreError {
        let (address, what) = (self.address.clone(), what.into());
        move |source| StoreError::Store { address, what, source }
    }
}
