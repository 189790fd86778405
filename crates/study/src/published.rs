//! Another checkpoint of the baseline's model that answers beside it: mostly one that was quantized and published.

use steady_vlm::{Checkpoint, OpenDevice, Vlm};

use crate::{Held, StudyError};

/// A checkpoint that answers as if it were an acceleration of the baseline.
pub struct Published {
    /// `None` where it is not held.
    pub(crate) model: Option<Vlm>,
    /// What it is called on a command line.
    pub(crate) argument: String,
    /// What it is, in words.
    pub(crate) describe: String,
    /// Bytes of its files' tensors.
    pub(crate) stored_bytes: u64,
}

impl Published {
    /// What stands in plans and reports for a checkpoint that is called `argument` on the command line: the last part of that.
    pub fn spec_of(argument: &str) -> String {
        let path = argument.split('@').next().unwrap_or_default().trim_end_matches(['/', '\\']);
        format!("checkpoint:{}", path.rsplit(['/', '\\']).next().unwrap_or(path))
    }

    /// Loads `checkpoint`, which is called `argument` on the command line, in the baseline's precision; what it holds packed stays packed. One that is not
    /// `held` is looked at and not loaded.
    ///
    /// # Errors
    /// [`StudyError::Plan`] when it is asked otherwise than the baseline, so that more than its weights would be compared: another architecture, another
    /// vocabulary, prompt, image settings or rule of decoding. [`StudyError::Vlm`] when it cannot be loaded.
    pub fn open(checkpoint: &Checkpoint, argument: &str, baseline: &Vlm, device: &OpenDevice, held: &Held) -> Result<Self, StudyError> {
        let differs = |what: &str, ours: &str, theirs: &str| {
            Err(StudyError::Plan(format!(
                "{argument} is no other form of the baseline: {what} differ, so that answers would differ for more than its weights; \
                 the baseline has {ours}, this one {theirs}"
            )))
        };
        let precision = baseline.info().precision;
        if checkpoint.family() != baseline.info().architecture {
            return differs("architectures", &baseline.info().architecture, checkpoint.family());
        }
        let (ours, theirs) = (baseline.prompt("{question}")?, checkpoint.chat_template()?.prompt("{question}")?);
        if ours != theirs {
            return differs("prompts", &format!("{ours:?}"), &format!("{theirs:?}"));
        }
        let processor = checkpoint.processor()?;
        if let Some(difference) = baseline.processor().tokenizer().difference(processor.tokenizer()) {
            return differs("vocabularies", &difference.0, &difference.1);
        }
        let settings = baseline.processor().image_processor().settings();
        for ((name, ours), (_, theirs)) in settings.into_iter().zip(processor.image_processor().settings()) {
            if ours != theirs {
                return differs(&format!("image settings ({name})"), &ours, &theirs);
            }
        }
        let (ours, theirs) = (baseline.generation_config(), checkpoint.generation_config());
        let rules = |config: &steady_vlm::files::GenerationConfig| {
            format!("end tokens {:?}, repetition penalty {}", config.eos_token_ids, config.repetition_penalty)
        };
        if rules(ours) != rules(theirs) {
            return differs("rules of decoding", &rules(ours), &rules(theirs));
        }
        let model = held.holds(&Self::spec_of(argument)).then(|| Vlm::load(checkpoint, &device.device, precision)).transpose()?;
        let footprint = checkpoint.footprint()?;
        let packed = footprint.linears().iter().filter(|linear| linear.packed.is_some()).count();
        let describe = format!(
            "another checkpoint, loaded as it is: {}, sha256 {}; {packed} of {} linear layers packed",
            checkpoint.name(),
            checkpoint.sha256()?,
            footprint.linears().len()
        );
        Ok(Self { model, argument: argument.to_owned(), describe, stored_bytes: footprint.stored_bytes() })
    }

    pub(crate) fn spec(&self) -> String {
        Self::spec_of(&self.argument)
    }
}
