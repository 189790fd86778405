//! An image that passed vision tower and projector.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use steady_kernels::Matrix;

use crate::{
    HostMatrix, PixelValues, VlmError,
    families::{Encoded, Joined, VisualEncoder},
    reduction::{Observed, TowerTask},
};

/// What the vision tower and the projector made of one image.
#[derive(Clone)]
pub struct EncodedImage {
    encoder: Arc<dyn VisualEncoder>,
    /// What is projected: a row per visual token, with LLaVA-NeXT per patch of every view.
    features: Matrix,
    /// `[n, decoder width]`
    projected: Matrix,
    /// Of each view.
    observed: Arc<Vec<Observed<HostMatrix>>>,
    joined: Option<Arc<Joined>>,
    /// The name of the reducer that changed it before or inside the tower: what it leaves is of use to no other.
    changed_by: Option<String>,
    merged: Option<Merged>,
    flops: u64,
    key: u64,
}

/// What a reducer did inside the tower.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    /// For each visual token that is left, those that became it, ascending.
    pub(crate) tokens: Arc<Vec<Vec<usize>>>,
    /// How many there would have been.
    pub(crate) of: usize,
}

impl EncodedImage {
    #[tracing::instrument(skip_all, name = "image")]
    pub(crate) async fn new(
        encoder: &Arc<dyn VisualEncoder>,
        pixels: &PixelValues,
        task: &TowerTask<'_>,
        changed_by: Option<String>,
    ) -> Result<Self, VlmError> {
        let Encoded { features, projected, observed, order, flops } = encoder.encode(pixels, task).await?;
        let mut views = Vec::with_capacity(observed.len());
        for view in observed {
            views.push(view.read().await?);
        }
        let merged = views.first().and_then(|view| view.merged_into.as_ref()).map(|into| Merged::new(into));
        let (observed, joined, key) = (Arc::new(views), order.map(Arc::new), pixel_key(pixels));
        Ok(Self { encoder: Arc::clone(encoder), features, projected, observed, joined, changed_by, merged, flops, key })
    }

    /// Number of visual tokens; fewer than the prompt has placeholders where a reducer merged some inside the tower.
    pub fn visual_tokens(&self) -> usize {
        self.projected.dims()[0]
    }

    /// Hash of the pixels: equal images, equal key.
    pub fn key(&self) -> u64 {
        self.key
    }

    pub(crate) fn encoder(&self) -> &Arc<dyn VisualEncoder> {
        &self.encoder
    }

    pub(crate) fn features(&self) -> &Matrix {
        &self.features
    }

    pub(crate) fn projected(&self) -> &Matrix {
        &self.projected
    }

    /// Floating-point operations that it took.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// What was seen of a view, if there is such a one.
    pub(crate) fn observed(&self, view: usize) -> Option<&Observed<HostMatrix>> {
        self.observed.get(view)
    }

    /// How several views became visual tokens; `None` where features and visual tokens are one by one.
    pub(crate) fn joined(&self) -> Option<&Joined> {
        self.joined.as_deref()
    }

    pub(crate) fn merged(&self) -> Option<&Merged> {
        self.merged.as_ref()
    }

    /// The name of the reducer that changed it before or inside the tower.
    pub(crate) fn changed_by(&self) -> Option<&str> {
        self.changed_by.as_deref()
    }

    /// Whether a token of its own stands on each side of the image in a prompt.
    pub(crate) fn marked(&self) -> bool {
        self.encoder.marks_images()
    }

    /// Whether a visual token's position says where in the image it is.
    pub(crate) fn places_tokens(&self) -> bool {
        self.encoder.places_tokens()
    }
}

impl Merged {
    /// `into` says of each token that there would have been which one it became.
    fn new(into: &[usize]) -> Self {
        let mut tokens: Vec<Vec<usize>> = Vec::new();
        for (token, &into) in into.iter().enumerate() {
            if tokens.len() <= into {
                tokens.resize(into + 1, Vec::new());
            }
            tokens[into].push(token);
        }
        Self { tokens: Arc::new(tokens), of: into.len() }
    }
}

/// The first 8 bytes of the SHA-256 of the pixels, so that seeds derived from it are the same on every platform.
fn pixel_key(pixels: &PixelValues) -> u64 {
    let mut hash = Sha256::new();
    for value in &pixels.data {
        hash.update(value.to_le_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}
