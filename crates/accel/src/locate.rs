//! Where a quantizer breaks answers: the same acceleration again, each time with other layers put back into float, or into 8 bits.

use std::collections::BTreeSet;

use steady_methods::Linears;
use steady_vlm::Footprint;

use crate::acceleration::{EIGHT_BITS, FLOAT};
use crate::memory::linears;
use crate::role::kind;
use crate::{AccelError, Acceleration};

/// Which layers are put back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// A block of the decoder or the tower, as `language_model.layers.3`; a layer outside of blocks by itself.
    Block,
    /// All layers of a kind, as `down_proj`.
    Kind,
    /// One layer.
    Layer,
}

impl Grain {
    /// The part of the canonical name that a layer has in common with those that it is put back with.
    fn part(self, linear: &str) -> &str {
        match self {
            Self::Layer => linear,
            Self::Kind => kind(linear),
            Self::Block => {
                let numbered = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
                let mut end = 0;
                for word in linear.split('.') {
                    end += word.len();
                    if numbered(word) {
                        return &linear[..end];
                    }
                    end += 1;
                }
                linear
            }
        }
    }
}

impl Acceleration {
    /// This, and then this with the layers of each `grain` in float, in the order of the model's layers.
    ///
    /// # Errors
    /// [`AccelError::PacksNothing`] without a quantizer, [`AccelError::AllBack`] where one `grain` is all that it packs, and whatever the
    /// quantizer says of the model.
    pub fn with_each_in_float(&self, footprint: &Footprint, grain: Grain) -> Result<Vec<Self>, AccelError> {
        let each = self.with_each_in(FLOAT, footprint, grain)?;
        Ok(std::iter::once(self.clone()).chain(each).collect())
    }

    /// This with the layers of each `grain` in 8 bits; nothing where the quantizer has 8 bits already.
    ///
    /// # Errors
    /// As [`Self::with_each_in_float`].
    pub fn with_each_in_eight_bits(&self, footprint: &Footprint, grain: Grain) -> Result<Vec<Self>, AccelError> {
        if self.spec.clone().with_layers(EIGHT_BITS, Linears::default()).is_none() {
            return Ok(Vec::new());
        }
        self.with_each_in(EIGHT_BITS, footprint, grain)
    }

    fn with_each_in(&self, parameter: &str, footprint: &Footprint, grain: Grain) -> Result<Vec<Self>, AccelError> {
        let Some(settled) = self.settle_on(linears(footprint))? else { return Err(AccelError::PacksNothing { spec: self.to_string() }) };
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        for linear in &settled.packed {
            let part = grain.part(&linear.name);
            if !seen.insert(part) {
                continue;
            }
            let with = self.with_more(parameter, &[part])?;
            with.settle_on(linears(footprint))?;
            all.push(with);
        }
        Ok(all)
    }

    /// This with more layers in float, and more in 8 bits, by parts of their names.
    ///
    /// # Errors
    /// [`AccelError::PacksNothing`] without a quantizer that lets layers be so, or when a text is no part of a name.
    pub fn mixed(&self, float: &[&str], eight: &[&str]) -> Result<Self, AccelError> {
        self.with_more(EIGHT_BITS, eight)?.with_more(FLOAT, float)
    }

    fn with_more(&self, parameter: &str, layers: &[&str]) -> Result<Self, AccelError> {
        if layers.is_empty() {
            return Ok(self.clone());
        }
        let eight = parameter == EIGHT_BITS;
        let before = if eight { &self.eight } else { &self.float };
        let all = Linears::parse(&before.parts().chain(layers.iter().copied()).collect::<Vec<_>>().join("/"));
        let with = |all: Linears| {
            let spec = self.spec.clone().with_layers(parameter, all.clone())?;
            Some(if eight { Self { spec, eight: all, ..self.clone() } } else { Self { spec, float: all, ..self.clone() } })
        };
        all.and_then(with).ok_or_else(|| AccelError::PacksNothing { spec: self.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::Grain::{Block, Kind, Layer};

    #[test]
    fn a_grain_is_a_part_of_a_name() {
        let name = "language_model.layers.10.mlp.down_proj";
        assert_eq!([Block, Kind, Layer].map(|grain| grain.part(name)), ["language_model.layers.10", "down_proj", name]);
        let outside = "projector.linear_1";
        assert_eq!([Block, Kind, Layer].map(|grain| grain.part(outside)), [outside, "linear_1", outside]);
    }
}
