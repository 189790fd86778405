//! Which model, on which device.

use anyhow::{Context, Result, bail};
use steady_accel::Acceleration;
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, OpenDevice, Precision, Vlm};

use crate::args::{DeviceArg, DtypeArg, ModelArgs};
use crate::embedded;

/// A folder, the name of an embedded checkpoint, or by default the first embedded one.
pub(crate) fn checkpoint(ModelArgs { model, vision_tower }: &ModelArgs) -> Result<Checkpoint> {
    let Some(path) = model else { return embedded::default_checkpoint() };
    if path.is_dir() {
        return Ok(match vision_tower {
            Some(tower) => Checkpoint::open_with_tower(path, tower)?,
            None => Checkpoint::open(path)?,
        });
    }
    if let Some(tower) = vision_tower {
        bail!(
            "--vision-tower {}: --model {} is no checkpoint folder, and no other model has a tower apart",
            tower.display(),
            path.display()
        );
    }
    if let Some(checkpoint) = path.to_str().and_then(|name| embedded::open(name).transpose()) {
        return checkpoint;
    }
    let embedded = embedded::names();
    let known = if embedded.is_empty() { "there is none".to_owned() } else { embedded.join(", ") };
    bail!("--model {}: neither a checkpoint folder nor an embedded model ({known})", path.display())
}

/// The model on its device.
pub(crate) fn load(checkpoint: &Checkpoint, device: &OpenDevice, dtype: DtypeArg) -> Result<Vlm> {
    let precision = match dtype {
        DtypeArg::F32 => Precision::F32,
        DtypeArg::F16 => Precision::F16,
    };
    Vlm::load(checkpoint, &device.device, precision).with_context(|| format!("model {}", checkpoint.name()))
}

pub(crate) fn device(choice: DeviceArg) -> Result<OpenDevice> {
    let choice = match choice {
        DeviceArg::Auto => DeviceChoice::Auto,
        DeviceArg::Cpu => DeviceChoice::Cpu,
        DeviceArg::Gpu => DeviceChoice::Gpu,
    };
    choice.open().with_context(|| format!("--device {choice}"))
}

pub(crate) fn accelerations(specs: &[String]) -> Result<Vec<Acceleration>> {
    specs.iter().map(|spec| Acceleration::parse(spec).with_context(|| format!("--accel {spec}"))).collect()
}

/// Greedy, as the checkpoint says, with at most `max_new_tokens` where the user sets a limit.
pub(crate) fn decoding(checkpoint: &Checkpoint, max_new_tokens: Option<u32>) -> Decoding {
    let own = Decoding::of(checkpoint.generation_config());
    Decoding { max_new_tokens: max_new_tokens.map_or(own.max_new_tokens, |limit| limit as usize), ..own }
}
