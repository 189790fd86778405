//! Controls carried out: the baseline, changed in a way that should not matter.

use std::sync::Arc;

use steady_methods::{Change, Control};
use steady_records::plan::ControlPlan;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, DeviceChoice, OpenDevice, Precision, Vlm};

use crate::{Held, StudyError};

/// Most bytes of a second copy of the weights with which a study that names no controls has one in another number format.
pub const SECOND_COPY: u64 = 1 << 30;

/// The baseline, changed by a control.
pub struct Controlled {
    pub(crate) control: &'static Control,
    /// The baseline, or what became of it; `None` where it is not held.
    pub(crate) model: Option<Vlm>,
    /// What the control comes to here.
    describe: String,
}

/// What controls are opened with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The baseline's.
    pub checkpoint: &'a Checkpoint,
    /// What the baseline computes on.
    pub device: &'a OpenDevice,
}

/// The controls of these names; none for `none`, which stands alone.
///
/// # Errors
/// [`StudyError::Plan`] for a name that there is not, and for `none` beside others.
pub fn named(names: &[impl AsRef<str>]) -> Result<Vec<&'static Control>, StudyError> {
    match names {
        [none] if none.as_ref() == "none" => Ok(Vec::new()),
        _ => names.iter().map(|name| Control::named(name.as_ref()).map_err(|error| StudyError::Plan(error.to_string()))).collect(),
    }
}

/// The precisions in which these controls hold a copy of the weights beside the baseline's, on its device.
pub fn copies(controls: &[&'static Control]) -> Vec<Precision> {
    let precision = |control: &&'static Control| match control.change {
        Change::Precision(name) => name.parse().ok(),
        Change::Order | Change::Split | Change::Pixels(_) | Change::Device(_) => None,
    };
    controls.iter().filter_map(precision).collect()
}

/// The controls of a study that names none: [`Control::usual`] for this checkpoint in this precision.
///
/// # Errors
/// [`StudyError::Vlm`] when the checkpoint's weights or image settings cannot be read.
pub fn usual(checkpoint: &Checkpoint, precision: Precision) -> Result<Vec<&'static Control>, StudyError> {
    let footprint = checkpoint.footprint()?;
    Ok(Control::usual(steady_methods::Baseline {
        precision: &precision.to_string(),
        published: &footprint.published().to_string(),
        pixels: checkpoint.images().backend.name(),
        small: footprint.weight_bytes(Precision::Bf16) <= SECOND_COPY,
    }))
}

impl Controlled {
    /// Makes of `baseline` what the control says. A copy of the weights is loaded where they change.
    ///
    /// # Errors
    /// [`StudyError::Plan`] when the control changes nothing of this baseline, [`StudyError::Vlm`] when the changed model cannot be loaded.
    pub fn open(control: &'static Control, baseline: &Vlm, opening: Opening<'_>) -> Result<Self, StudyError> {
        Self::open_held(control, baseline, opening, &Held::All)
    }

    /// As [`Self::open`]; one that is not held is named in plans and not loaded.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_held(control: &'static Control, baseline: &Vlm, opening: Opening<'_>, held: &Held) -> Result<Self, StudyError> {
        let Opening { checkpoint, device } = opening;
        let same = |what: String| StudyError::Plan(format!("control {}: {what}, so it would change nothing", control.name));
        let precision = baseline.info().precision;
        let held = held.holds(control.name);
        let summary = control.summary.to_owned();
        let (model, describe) = match control.change {
            Change::Order | Change::Split => (held.then(|| baseline.clone()), summary),
            Change::Precision(name) => {
                let other: Precision = name.parse()?;
                if other == precision {
                    return Err(same(format!("the baseline is computed in {precision} already")));
                }
                (held.then(|| Vlm::load(checkpoint, &device.device, other)).transpose()?, summary)
            }
            Change::Pixels(name) => {
                let images = checkpoint.images();
                let backend = PixelBackend::named(name).filter(|backend| *backend != images.backend);
                let backend = backend.ok_or_else(|| same(format!("the baseline is shown {}'s pixels already", images.backend.name())))?;
                let processor = checkpoint.processor_with(ImageOptions { backend, ..images })?;
                (held.then(|| baseline.with_processor(Arc::new(processor))), summary)
            }
            Change::Device(name) => {
                let other = name.parse::<DeviceChoice>()?.open()?;
                if other.identity == device.identity {
                    return Err(same(format!("the baseline is computed there already ({})", other.identity)));
                }
                let model = held.then(|| Vlm::load(checkpoint, &other.device, precision)).transpose()?;
                (model, format!("{summary} ({})", other.identity))
            }
        };
        Ok(Self { control, model, describe })
    }

    /// Its part of a plan.
    pub(crate) fn plan(&self) -> ControlPlan {
        ControlPlan { spec: self.control.name.to_owned(), describe: self.describe.clone() }
    }
}

/// The baseline in another order, with nothing shared.
pub(crate) fn order(baseline: &Vlm) -> Controlled {
    let control = Control::order();
    Controlled { control, model: Some(baseline.clone()), describe: control.summary.to_owned() }
}
