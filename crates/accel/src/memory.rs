//! Whether a model and its accelerated forms fit into memory, and what would.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use steady_vlm::{Extent, Footprint, LinearSize, Precision, changes_the_image};

use crate::apply::{InEight, Settled};
use crate::{AccelError, Acceleration, LinearShape};

/// Bytes that a model takes while it answers under some accelerations, which share what no quantizer touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The model as it is: every acceleration is compared with it.
    pub weights: u64,
    /// Packed weights beside it, of all accelerations together; those with the same quantizer share them.
    pub packed: u64,
    /// The weights once more, for controls that keep or compute them otherwise.
    pub copies: u64,
    /// Weights of other checkpoints that answer beside it.
    pub beside: u64,
    /// Keys and values.
    pub cache: u64,
    /// What is computed on the way from pixels to an answer, as far as it is alive at once; an upper bound.
    pub activations: u64,
    /// The largest tensor on its way into the device's memory; 0 where that way is through another.
    pub passing: u64,
}

/// A way of running a model.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What weights are kept as, and what is computed in.
    pub precision: Precision,
    /// What is held in memory at once, beside the baseline.
    pub accelerations: &'a [Acceleration],
    /// Precisions in which controls hold the weights once more.
    pub copies: &'a [Precision],
    /// Bytes of the weights of other checkpoints that answer beside it.
    pub beside: u64,
    /// The image asked about that takes most.
    pub image: Extent,
    /// Tokens of the longest prompt with it.
    pub prompt: usize,
    /// Tokens that are remembered at once: of a prompt and its answer, twice where a prompt is shared.
    pub tokens: usize,
}

/// What a device has to offer.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Free bytes where the model is to be; `None` where nobody says.
    pub free: Option<u64>,
    /// Bytes that the program itself may still take, where the model is to be elsewhere: tensors pass through it one by one. `None` where
    /// both are one, or nobody says.
    pub host: Option<u64>,
}

/// Why a model cannot be run as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The largest tensor does not fit through the program's own memory.
    Passing {
        /// Its bytes on the way.
        bytes: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// All of it together is too much.
    Shortage(Shortage),
}

/// A way of running a model that takes more memory than there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    precision: Precision,
    /// What it takes.
    pub need: Need,
    /// Bytes that there are.
    pub available: u64,
    /// The first smaller way of running it that fits, with what it takes.
    pub instead: Option<(String, u64)>,
    /// The smallest of these ways, whether it fits or not; `None` where there is none.
    pub least: Option<(String, u64)>,
}

impl Need {
    /// What `run` takes.
    ///
    /// # Errors
    /// [`AccelError`] when a quantizer does not fit the model.
    pub fn of(footprint: &Footprint, run: Run<'_>) -> Result<Self, AccelError> {
        let packed = Packed::of(run.accelerations, footprint)?;
        // An image is held as the weights as they are see it, as each packed ones do, and as each reducer before or inside the tower leaves it.
        let changing = run.accelerations.iter().filter_map(Acceleration::reducer).filter(|reducer| changes_the_image(*reducer));
        let held = 1 + packed.forms + changing.count() + run.copies.len();
        Ok(Self {
            weights: footprint.weight_bytes(run.precision),
            packed: packed.bytes,
            copies: run.copies.iter().map(|&precision| footprint.weight_bytes(precision)).sum(),
            beside: run.beside,
            cache: footprint.cache_bytes(run.precision, run.tokens),
            activations: footprint.activation_bytes(run.precision, &run.image, run.prompt, held),
            passing: footprint.passing_bytes(run.precision),
        })
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.packed + self.copies + self.beside + self.cache + self.activations + self.passing
    }
}

/// Why a device with this budget cannot `run` the model, with the numbers and with what would fit; `None` where it can.
///
/// # Errors
/// [`AccelError`] when a quantizer does not fit the model.
pub fn misfit(footprint: &Footprint, run: Run<'_>, budget: Budget) -> Result<Option<Misfit>, AccelError> {
    let bytes = footprint.passing_bytes(run.precision);
    if let Some(available) = budget.host.filter(|available| bytes > *available) {
        return Ok(Some(Misfit::Passing { bytes, available }));
    }
    Ok(shortage(footprint, run, budget)?.map(Misfit::Shortage))
}

/// What `run` lacks, if it takes more than what is free, and the first of these that would fit: without the controls that hold the weights
/// once more; and then, without them, without the accelerations that keep packed weights beside the baseline's; in half the precision of
/// `f32`, which is bf16, or `f16` if the device computes in that; both.
///
/// # Errors
/// [`AccelError`] when a quantizer does not fit the model.
pub fn shortage(footprint: &Footprint, run: Run<'_>, budget: Budget) -> Result<Option<Shortage>, AccelError> {
    let Some(available) = budget.free else { return Ok(None) };
    let need = |run: Run<'_>| -> Result<Need, AccelError> {
        let need = Need::of(footprint, run)?;
        Ok(if budget.host.is_some() { Need { passing: 0, ..need } } else { need })
    };
    let asked = need(run)?;
    if asked.total() <= available {
        return Ok(None);
    }
    let (packing, light): (Vec<_>, Vec<_>) = run.accelerations.iter().cloned().partition(|acceleration| acceleration.quantizer().is_some());
    let left_out = packing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let mut smaller = Vec::new();
    let without_copies = (!run.copies.is_empty()).then(|| "without controls that copy the weights".to_owned());
    let mut consider = |way: Option<String>, precision: Precision, accelerations: &[Acceleration]| -> Result<(), AccelError> {
        let total = need(Run { precision, accelerations, copies: &[], ..run })?.total();
        let ways: Vec<String> = way.into_iter().chain(without_copies.clone()).collect();
        smaller.push((ways.join(" and "), total));
        Ok(())
    };
    if !run.copies.is_empty() {
        consider(None, run.precision, run.accelerations)?;
    }
    if !packing.is_empty() {
        consider(Some(format!("without {left_out}")), run.precision, &light)?;
    }
    let smaller_precisions: &[Precision] = match run.precision {
        Precision::F32 => &[Precision::Bf16, Precision::F16],
        Precision::F16 | Precision::Bf16 => &[],
    };
    for &precision in smaller_precisions {
        consider(Some(format!("in {precision}")), precision, run.accelerations)?;
    }
    for &precision in smaller_precisions.iter().filter(|_| !packing.is_empty()) {
        consider(Some(format!("in {precision} without {left_out}")), precision, &light)?;
    }
    let instead = smaller.iter().find(|(_, total)| *total <= available).cloned();
    let least = smaller.into_iter().min_by_key(|(_, total)| *total);
    Ok(Some(Shortage { precision: run.precision, need: asked, available, instead, least }))
}

/// The accelerations in groups that share packed weights, to be held one after the other where not all fit: those that pack nothing first, if there are any,
/// then by their quantizers in the order in which they come up.
///
/// # Errors
/// [`AccelError`] when a quantizer does not fit the model.
pub fn by_packing(footprint: &Footprint, accelerations: &[Acceleration]) -> Result<Vec<Vec<Acceleration>>, AccelError> {
    let mut groups: Vec<(Option<String>, Vec<Acceleration>)> = Vec::new();
    for acceleration in accelerations {
        let packed = acceleration.settle_on(linears(footprint))?.map(|settled| settled.fitted.method());
        match groups.iter_mut().find(|(other, _)| *other == packed) {
            Some((_, group)) => group.push(acceleration.clone()),
            None => groups.push((packed, vec![acceleration.clone()])),
        }
    }
    groups.sort_by_key(|(packed, _)| packed.is_some());
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// Bytes of the weights as somebody would publish them: what the acceleration packs as packed, all else as the checkpoint has it. The
/// precision that a study computes in has no part in it.
///
/// # Errors
/// [`AccelError`] when a quantizer does not fit the model.
pub fn stored_bytes(footprint: &Footprint, acceleration: &Acceleration) -> Result<u64, AccelError> {
    let Some(Settled { fitted, packed, eight, .. }) = acceleration.settle_on(linears(footprint))? else {
        return Ok(footprint.stored_bytes());
    };
    let in_eight = eight.iter().flat_map(|eight| eight.linears.iter().map(|linear| (eight.fitted.as_ref(), linear)));
    let all: Vec<_> = packed.iter().map(|linear| (fitted.as_ref(), linear)).chain(in_eight).collect();
    let bytes: u64 = all.iter().map(|(fitted, linear)| fitted.stored_bytes(linear)).sum();
    let names: BTreeSet<&str> = all.iter().map(|(_, linear)| linear.name.as_str()).collect();
    let replaced: u64 = sizes(footprint).filter(|linear| names.contains(linear.name.as_str())).map(|linear| linear.stored).sum();
    Ok(footprint.stored_bytes() - replaced + bytes)
}

/// A model's linear layers, and its head.
fn sizes(footprint: &Footprint) -> impl Iterator<Item = &LinearSize> {
    footprint.linears().iter().chain(footprint.head())
}

/// Their names and shapes. The head is taken only where a spec asks for it.
pub(crate) fn linears(footprint: &Footprint) -> Vec<LinearShape> {
    let shape = |linear: &LinearSize| LinearShape { name: linear.name.clone(), out: linear.out, input: linear.input };
    sizes(footprint).map(shape).collect()
}

/// What several accelerations pack.
struct Packed {
    /// Bytes. Layers that are packed alike are there once, also where only some of them stay so.
    bytes: u64,
    /// Different models that this makes.
    forms: usize,
}

impl Packed {
    fn of(accelerations: &[Acceleration], footprint: &Footprint) -> Result<Self, AccelError> {
        let (mut bytes, mut forms) = (BTreeMap::new(), BTreeSet::new());
        for acceleration in accelerations {
            let Some(Settled { fitted, method, codes, packed, float, eight, .. }) = acceleration.settle_on(linears(footprint))? else {
                continue;
            };
            let in_eight = eight.iter().flat_map(|eight| &eight.linears);
            bytes.insert(codes, packed.iter().chain(&float).chain(in_eight).map(|linear| fitted.packed_bytes(linear)).sum::<u64>());
            if let Some(InEight { fitted, linears }) = &eight {
                bytes.insert(method.clone(), linears.iter().map(|linear| fitted.packed_bytes(linear)).sum());
            }
            forms.insert(method);
        }
        Ok(Self { bytes: bytes.values().sum(), forms: forms.len() })
    }
}

impl Shortage {
    /// Bytes that are missing.
    pub fn short_by(&self) -> u64 {
        self.need.total() - self.available
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { need, precision, .. } = self;
        write!(f, "it takes {} in {precision} (weights {}", Bytes(need.total()), Bytes(need.weights))?;
        if need.packed > 0 {
            write!(f, ", packed copies {}", Bytes(need.packed))?;
        }
        if need.copies > 0 {
            write!(f, ", copies for controls {}", Bytes(need.copies))?;
        }
        if need.beside > 0 {
            write!(f, ", other checkpoints {}", Bytes(need.beside))?;
        }
        write!(f, ", keys and values {}, activations {}", Bytes(need.cache), Bytes(need.activations))?;
        if need.passing > 0 {
            write!(f, ", loading {}", Bytes(need.passing))?;
        }
        write!(f, "), ")?;
        write!(f, "{} are free: {} too few; ", Bytes(self.available), Bytes(self.short_by()))?;
        match (&self.instead, &self.least) {
            (Some((way, total)), _) => write!(f, "{way} it would fit, with {}", Bytes(*total)),
            (None, Some((way, total))) => write!(f, "no way of running it fits, the least is {way}, with {}", Bytes(*total)),
            (None, None) => write!(f, "there is no smaller way of running it"),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing { bytes, available } => write!(
                f,
                "its largest tensor takes {} on its way to the device, and this program may take {} more",
                Bytes(*bytes),
                Bytes(*available)
            ),
            Self::Shortage(shortage) => shortage.fmt(f),
        }
    }
}

/// As people read them: three digits, powers of ten.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (value, unit) = match bytes {
            1e9.. => (bytes / 1e9, "GB"),
            1e6.. => (bytes / 1e6, "MB"),
            _ => (bytes / 1e3, "kB"),
        };
        write!(f, "{value:.*} {unit}", usize::from(value < 100.0) + usize::from(value < 10.0))
    }
}
