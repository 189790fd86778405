//! A reducer whose parameters are found by asking a model, before anything is asked of it.

use std::fmt;
use std::sync::Arc;

use steady_report::kl_divergence;
use steady_vlm::{
    Decoding, Evidence, Needs, PositionPolicy, Prefix, Reduction, Site, Step, TokenReducer, Vlm, VlmError, changes_the_image,
};

use crate::calibrate::Samples;
use crate::chain::joined;
use crate::{AccelError, Acceleration};

/// The first token alone is compared.
const ONE_TOKEN: Decoding = Decoding { max_new_tokens: 1, repetition_penalty: None, ignore_eos: false };

/// Reducers of which the first is taken that hardly changes the next token.
pub trait Search: Send + Sync {
    /// Canonical text, for errors.
    fn name(&self) -> String;

    /// Prompts to search with, at least one.
    fn samples(&self) -> usize;

    /// Most KL(reduced || whole) of the first answer token in nats, mean over the prompts.
    fn most(&self) -> f32;

    /// What is tried in a decoder of `depth` layers, in the order of preference; never nothing.
    fn candidates(&self, depth: usize) -> Vec<Arc<dyn TokenReducer>>;
}

/// Stands where a search has found nothing yet, and reduces nothing: it says so.
pub(crate) struct Unsearched(pub(crate) String);

impl TokenReducer for Unsearched {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(Site::BeforeLayer(1), PositionPolicy::Keep)]
    }

    fn reduce(&self, _: usize, _: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let problem = "is to be searched for on the model first".to_owned();
        Err(VlmError::Invalid { what: format!("token reducer {}", self.0), problem })
    }
}

/// What a [`Search`] came to on a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The reducer that was taken.
    pub reducer: String,
    /// Its KL(reduced || whole) of the first answer token in nats, mean over the prompts.
    pub divergence: f64,
    /// The most that was allowed.
    pub most: f32,
    /// Prompts.
    pub samples: usize,
}

impl fmt::Display for Found {
    /// E.g. `vtw:k=17,positions=keep found with 20 prompts: KL 0.0021 nats, at most 0.003 asked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reducer, divergence, most, samples } = self;
        let missed = if *divergence > f64::from(*most) { ", which none of those tried keeps to" } else { "" };
        write!(f, "{reducer} found with {samples} prompts: KL {divergence:.2e} nats, at most {most} asked{missed}")
    }
}

impl Acceleration {
    /// Prompts that a reducer is searched for with; 0 where none is.
    pub fn searches_with(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.samples())
    }

    /// This acceleration with the reducer that its search finds on `model`, whose weights are already what they are to be; `None` where nothing is searched
    /// for. What other reducers of the spec do is done on both sides of the comparison.
    ///
    /// # Errors
    /// [`AccelError::TooFew`] of too few prompts, [`AccelError::Calibration`] when one cannot be made or asked.
    pub async fn searched(&self, model: &Vlm, samples: &dyn Samples) -> Result<Option<(Self, Found)>, AccelError> {
        let Some(search) = &self.search else { return Ok(None) };
        let wanted = search.samples();
        if samples.count() < wanted {
            return Err(AccelError::TooFew { method: search.name(), samples: wanted, found: samples.count() });
        }
        let tried: Vec<Self> = search.candidates(model.info().decoder_layers).into_iter().map(|candidate| self.with(candidate)).collect();
        let whole = joined(self.others.clone());
        let mut sums = vec![0.0; tried.len()];
        for index in 0..wanted {
            let failed = |problem: String| AccelError::Calibration { problem: format!("prompt {index}: {problem}") };
            let prepared = samples.sample(index)?;
            let image = match whole.as_deref().filter(|reducer| changes_the_image(*reducer)) {
                Some(reducer) => Box::pin(model.encode_with(&prepared.pixels, reducer)).await,
                None => Box::pin(model.encode_for(&prepared.pixels, &Needs::of(whole.as_deref()))).await,
            };
            let image = image.map_err(|error| failed(error.to_string()))?;
            let (head, tail) = prepared.input_ids.split_at(prepared.layout.end());
            let mut logits = Vec::with_capacity(1 + tried.len());
            for reducer in std::iter::once(whole.as_deref()).chain(tried.iter().map(Self::reducer)) {
                let prefix: Result<Prefix<'_>, _> = model.prefix(head, &prepared.layout, &image, reducer).await;
                let prefix = prefix.map_err(|error| failed(error.to_string()))?;
                let answer = Box::pin(model.answer(&prefix, tail, &ONE_TOKEN)).await.map_err(|error| failed(error.to_string()))?;
                logits.push(answer.first_logits);
            }
            for (sum, reduced) in sums.iter_mut().zip(&logits[1..]) {
                *sum += kl_divergence(reduced, &logits[0]).map_err(|error| failed(error.to_string()))?;
            }
        }
        let means: Vec<f64> = sums.iter().map(|sum| sum / wanted as f64).collect();
        let taken = means.iter().position(|mean| *mean <= f64::from(search.most())).unwrap_or(tried.len().saturating_sub(1));
        let found = |acceleration: Self| {
            let reducer = acceleration.reducer().map(TokenReducer::name).unwrap_or_default();
            let found = Found { reducer, divergence: means[taken], most: search.most(), samples: wanted };
            (acceleration, found)
        };
        Ok(tried.into_iter().nth(taken).map(found))
    }

    /// This acceleration with the first of what its search tries, unsearched: it acts where whatever is found acts.
    #[must_use]
    pub fn unsearched(&self, model: &Vlm) -> Self {
        let first = self.search.as_ref().and_then(|search| search.candidates(model.info().decoder_layers).into_iter().next());
        first.map_or_else(|| self.clone(), |first| self.with(first))
    }

    /// With what a search came to behind the other reducers.
    fn with(&self, found: Arc<dyn TokenReducer>) -> Self {
        let mut reducers = self.others.clone();
        reducers.push(found);
        Self { reducer: joined(reducers), search: None, others: Vec::new(), ..self.clone() }
    }
}
