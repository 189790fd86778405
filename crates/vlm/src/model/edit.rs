//! Other forms of a model: packed weights in the place of dense ones, norms rescaled, layers watched. Everything untouched is shared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use steady_kernels::{CacheBits, Matrix, PackedLinear};

use super::{Vlm, invalid};
use crate::{
    HostMatrix, Prepared, VlmError,
    nn::{Linear, LinearMap, Observer, Part, Visit, Visitor, bytes_of},
};

/// What takes the place of parts of a model, by canonical names without `.weight`.
#[derive(Debug, Default)]
pub struct Edits {
    /// Packed weights of linear layers.
    pub linears: BTreeMap<String, PackedLinear>,
    /// What the outputs of norms are divided by, a factor a feature ([`Norm::divide`](crate::nn::Norm::divide)): AWQ and SmoothQuant
    /// move such factors into the layers that a norm feeds.
    pub norms: BTreeMap<String, Vec<f32>>,
}

/// A norm, and the linear layers that multiply what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormFeed {
    /// The norm's canonical name.
    pub norm: String,
    /// The canonical names of the layers.
    pub linears: Vec<String>,
}

impl Vlm {
    /// A model in which linear layers are replaced by what `f` returns for them (`None`: left as they are), called with the
    /// canonical name without `.weight`, e.g. `language_model.layers.0.mlp.up_proj`. Everything else is shared; embedding and
    /// head are not linear layers in this sense ([`Self::with_linear_head`] makes the head one), and layers that are packed already are passed over.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn map_linears<E>(&self, f: &mut LinearMap<'_, E>) -> Result<Self, E> {
        let mut failed = None;
        let mapped = self.changed(&mut |part| {
            let Part::Linear(linear) = part else { return false };
            let Some(dense) = linear.as_dense().filter(|_| failed.is_none()) else { return false };
            match f(linear.name(), dense) {
                Ok(None) => false,
                Ok(Some(packed)) => {
                    linear.pack(packed);
                    true
                }
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        });
        failed.map_or(Ok(mapped), Err)
    }

    /// The same model, whose head is a linear layer like others, called `lm_head`, also where it is the embedding: so that it can be packed.
    #[must_use]
    pub fn with_linear_head(&self) -> Self {
        Self { decoder: Arc::new((*self.decoder).clone().with_linear_head()), ..self.clone() }
    }

    /// The matrix of the linear layer with this canonical name on the host, `[out, in]`: of packed weights what the codes stand for, which a CPU
    /// alone can tell. `None` where there is no such layer.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn matrix(&self, linear: &str) -> Result<Option<HostMatrix>, VlmError> {
        let mut found = None;
        self.changed(&mut |part| {
            if let Part::Linear(layer) = part
                && layer.name() == linear
            {
                found = Some(layer.clone());
            }
            false
        });
        match found {
            Some(layer) => layer.to_host().await.map(Some),
            None => Ok(None),
        }
    }

    /// A model with these edits.
    ///
    /// # Errors
    /// When a name is none of the model's, or a norm has not as many features as there are factors.
    pub fn edited(&self, Edits { mut linears, mut norms }: Edits) -> Result<Self, VlmError> {
        let mut failed = None;
        let edited = self.changed(&mut |part| match part {
            Part::Linear(linear) => linears.remove(linear.name()).map(|packed| linear.pack(packed)).is_some(),
            Part::Norm(norm) => norms.remove(norm.name()).map(|factors| failed = norm.divide(&factors).err().or(failed.take())).is_some(),
            Part::Table(_) | Part::Matrix(_) => false,
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match linears.keys().chain(norms.keys()).next() {
            Some(unknown) => Err(invalid(unknown, "the model has no linear layer or norm of this name")),
            None => Ok(edited),
        }
    }

    /// This model with those linear layers of `other`, a form of the same model, whose canonical names `chosen` picks.
    #[must_use]
    pub fn with_linears_of(&self, other: &Self, chosen: &dyn Fn(&str) -> bool) -> Self {
        let mut theirs: HashMap<String, Linear> = HashMap::new();
        other.changed(&mut |part| {
            if let Part::Linear(linear) = part
                && chosen(linear.name())
            {
                theirs.insert(linear.name().to_owned(), linear.clone());
            }
            false
        });
        self.changed(&mut |part| {
            let Part::Linear(linear) = part else { return false };
            let Some(theirs) = theirs.remove(linear.name()) else { return false };
            *linear = theirs;
            true
        })
    }

    /// The same model with `observer` watching what goes into its linear layers.
    #[must_use]
    pub fn observed(&self, observer: &Arc<dyn Observer>) -> Self {
        self.changed(&mut |part| {
            let Part::Linear(linear) = part else { return false };
            linear.observe(Arc::clone(observer));
            true
        })
    }

    /// The norms whose output linear layers alone read, in the order in which a prompt passes them.
    pub fn norm_feeds(&self) -> Vec<NormFeed> {
        let mut feeds = Vec::new();
        self.changed(&mut |part| {
            if let Part::Norm(norm) = part
                && norm.feeds().len() > 0
            {
                feeds.push(NormFeed { norm: norm.name().to_owned(), linears: norm.feeds().map(str::to_owned).collect() });
            }
            false
        });
        feeds
    }

    /// The same model, whose keys and values are rounded to `bits` as they are written.
    #[must_use]
    pub fn with_cache_bits(&self, bits: CacheBits) -> Self {
        Self { decoder: Arc::new((*self.decoder).clone().with_cache_bits(bits)), ..self.clone() }
    }

    /// What the decoder makes of `x`, the outputs `[tokens, width]` of its norm called `norm` while it reads `prompt`, until that is added to the
    /// states: attention or MLP, whichever the norm [feeds](Self::norm_feeds). What a quantizer does to a layer can be judged there.
    ///
    /// # Errors
    /// When the decoder has no norm of this name before attention or MLP.
    pub fn behind_norm(&self, norm: &str, x: &Matrix, prompt: &Prepared) -> Result<Matrix, VlmError> {
        let (positions, _) = self.encoder.positions(prompt.input_ids.len(), &[&prompt.layout]);
        self.decoder.behind_norm(norm, x, &positions).ok_or_else(|| invalid(norm, "no layer of the decoder has a norm of this name"))
    }

    /// The packed weights of its linear layers by canonical name, in the order in which a prompt passes them, on the CPU; none elsewhere.
    pub fn packed_linears(&self) -> Vec<(String, PackedLinear)> {
        let mut found = Vec::new();
        self.changed(&mut |part| {
            if let Part::Linear(layer) = part
                && let Some(packed) = layer.as_packed()
            {
                found.push((layer.name().to_owned(), packed.clone()));
            }
            false
        });
        found
    }

    /// That of one layer.
    pub fn packed(&self, linear: &str) -> Option<PackedLinear> {
        self.packed_linears().into_iter().find(|(name, _)| name == linear).map(|(_, packed)| packed)
    }

    /// A copy with every part shown to `change`, which says whether it changed it. A half in which nothing was changed stays the same
    /// object, so that images encoded or prefixes made by the original remain valid.
    fn changed(&self, change: &mut dyn FnMut(Part<'_>) -> bool) -> Self {
        let mut copy = self.clone();
        let (mut encoder, mut decoder) = (self.encoder.copy(), (*self.decoder).clone());
        let in_encoder = touched(encoder.as_mut(), change);
        let in_decoder = touched(&mut decoder, change);
        if in_encoder {
            copy.encoder = Arc::from(encoder);
        }
        if in_decoder {
            copy.decoder = Arc::new(decoder);
        }
        // Whoever only looked changed no bytes.
        if in_encoder || in_decoder {
            copy.weight_bytes = copy.count_bytes();
        }
        copy
    }

    /// Bytes of all weights on the device, packed ones as packed.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    pub(super) fn count_bytes(&self) -> usize {
        bytes_of(self.encoder.copy().as_mut()) + bytes_of(&mut (*self.decoder).clone())
    }
}

fn touched(parts: &mut (impl Visit + ?Sized), change: &mut dyn FnMut(Part<'_>) -> bool) -> bool {
    let mut touched = false;
    let visitor: &mut Visitor<'_> = &mut |part| touched |= change(part);
    parts.visit(visitor);
    touched
}
