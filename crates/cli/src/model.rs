//! Which model, on which device.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pollster::FutureExt;
use steady_accel::{Acceleration, Registry};
use steady_methods::{Preset, Spec, Sweep};
use steady_vlm::files::is_gguf;
use steady_vlm::image::ImageOptions;
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, OpenDevice, Precision, Vlm, Work, open_faster};

use crate::args::{DeviceArg, DtypeArg, ImageArgs, ModelArgs};
use crate::console;
use crate::embedded;
use crate::hub_id::HubId;

/// A checkpoint, and what names it on a command line.
pub(crate) struct Chosen {
    pub(crate) checkpoint: Checkpoint,
    /// `--model ...`, so that the same checkpoint is chosen again: a model on the hub with its commit.
    pub(crate) arguments: Vec<String>,
}

/// A folder, the name of an embedded checkpoint, an id on the hub, or by default the first embedded one.
pub(crate) fn choose(args: &ModelArgs) -> Result<Chosen> {
    let Chosen { checkpoint, mut arguments } = named(args.model.as_deref(), args.vision_tower.as_deref())?;
    let Some(limit) = args.max_pixels else { return Ok(Chosen { checkpoint, arguments }) };
    arguments.extend(["--max-pixels".to_owned(), limit.to_string()]);
    let images = ImageOptions { max_pixels: Some(limit as usize), ..checkpoint.images() };
    let checkpoint = checkpoint.with_images(images);
    checkpoint.image_processor().with_context(|| format!("--max-pixels {limit}"))?;
    Ok(Chosen { checkpoint, arguments })
}

impl Chosen {
    /// The same, shown these pixels.
    pub(crate) fn shown(self, images: ImageArgs) -> Self {
        let (backend, said) = images.chosen();
        let images = ImageOptions { backend, ..self.checkpoint.images() };
        Self { checkpoint: self.checkpoint.with_images(images), arguments: [self.arguments, said].concat() }
    }
}

/// A checkpoint that a study compares another with.
pub(crate) struct Other {
    pub(crate) checkpoint: Checkpoint,
    /// What it was called on the command line, a model on the hub with its commit.
    pub(crate) named: String,
}

/// The checkpoint at `path`, whose images are shown as `base`'s.
pub(crate) fn other(path: &Path, base: &Checkpoint) -> Result<Other> {
    if is_gguf(path) {
        let checkpoint = Checkpoint::open_gguf(path, base).with_context(|| format!("--against {}", path.display()))?;
        return Ok(Other { checkpoint, named: path.to_string_lossy().into_owned() });
    }
    let Chosen { checkpoint, arguments } = named(Some(path), None).with_context(|| format!("--against {}", path.display()))?;
    let named = arguments.get(1).cloned().unwrap_or_default();
    Ok(Other { checkpoint: checkpoint.with_images(base.images()), named })
}

fn named(model: Option<&Path>, tower: Option<&Path>) -> Result<Chosen> {
    let Some(path) = model else { return embedded(embedded::default_name()?) };
    if is_gguf(path) {
        bail!(
            "--model {}: holds weights alone; put it with its mmproj*.gguf into a folder that has the float checkpoint's config.json, tokenizer and \
             processor, or compare it with that checkpoint: --model BASE --against {}",
            path.display(),
            path.display()
        );
    }
    if path.is_dir() {
        return Ok(Chosen { checkpoint: open(path, tower)?, arguments: arguments(&path.to_string_lossy(), tower) });
    }
    let name = path.to_string_lossy();
    if embedded::names().contains(&&*name) {
        if let Some(tower) = tower {
            bail!("--vision-tower {}: --model {name} is compiled in, with its tower", tower.display());
        }
        return embedded(&name);
    }
    if let Some(id) = HubId::parse(&name) {
        return on_the_hub(&id, tower).with_context(|| format!("--model {name}"));
    }
    let embedded = embedded::names();
    let known = if embedded.is_empty() { "there is none".to_owned() } else { embedded.join(", ") };
    bail!(
        "--model {name}: neither a checkpoint folder, nor an embedded model ({known}), nor an id on the hub (org/name or org/name@revision)"
    )
}

/// The embedded checkpoint of this name, whatever folder is called so.
pub(crate) fn embedded(name: &str) -> Result<Chosen> {
    Ok(Chosen { checkpoint: embedded::open(name)?, arguments: arguments(name, None) })
}

fn open(folder: &Path, tower: Option<&Path>) -> Result<Checkpoint> {
    Ok(match tower {
        Some(tower) => Checkpoint::open_with_tower(folder, tower)?,
        None => Checkpoint::open(folder)?,
    })
}

#[cfg(feature = "hub")]
fn on_the_hub(id: &HubId, tower: Option<&Path>) -> Result<Chosen> {
    let snapshot = crate::hub::fetch(id, tower.is_some())?;
    let checkpoint = open(&snapshot.folder, tower)?.named(&id.repository);
    Ok(Chosen { checkpoint, arguments: arguments(&id.at(&snapshot.commit).to_string(), tower) })
}

#[cfg(not(feature = "hub"))]
fn on_the_hub(_: &HubId, _: Option<&Path>) -> Result<Chosen> {
    bail!("there is no such folder, and this program was built without the hub (cargo feature `hub`)")
}

fn arguments(model: &str, tower: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["--model".to_owned(), model.to_owned()];
    if let Some(tower) = tower {
        arguments.extend(["--vision-tower".to_owned(), tower.to_string_lossy().into_owned()]);
    }
    arguments
}

/// The model on its device.
pub(crate) fn load(checkpoint: &Checkpoint, device: &OpenDevice, precision: Precision) -> Result<Vlm> {
    Vlm::load(checkpoint, &device.device, precision).with_context(|| format!("model {}", checkpoint.name()))
}

/// Waits for a GPU to compile what the weights on it will need, and says how far it is.
pub(crate) fn prepare(device: &OpenDevice) -> Result<()> {
    let bar = console::preparing_bar()?;
    let progress = |ready: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(ready as u64);
    };
    device.device.prepare(&progress).block_on();
    bar.finish_and_clear();
    Ok(())
}

/// What `dtype` comes to for this checkpoint.
pub(crate) fn precision(dtype: DtypeArg, checkpoint: &Checkpoint) -> Result<Precision> {
    Ok(match dtype {
        DtypeArg::Auto => checkpoint.published()?,
        DtypeArg::F32 => Precision::F32,
        DtypeArg::F16 => Precision::F16,
        DtypeArg::Bf16 => Precision::Bf16,
    })
}

/// The device that was asked for by name, or else the one that a study began on (`begun`), or else the one that is done first with `work` and has
/// room for it, which `fits` checks.
pub(crate) fn device(
    choice: DeviceArg,
    begun: Option<&str>,
    work: impl FnOnce() -> Result<Work>,
    fits: &dyn Fn(&OpenDevice) -> Result<()>,
) -> Result<OpenDevice> {
    let named = |choice: DeviceChoice| choice.open().with_context(|| format!("--device {choice}"));
    let here = || named(DeviceChoice::Cpu);
    let began = |device: &OpenDevice| begun == Some(device.identity.as_str());
    let (device, reason) = match choice {
        DeviceArg::Cpu => (here()?, None),
        DeviceArg::Gpu => (named(DeviceChoice::Gpu)?, None),
        DeviceArg::Auto if begun.is_some() => {
            let device = match here()? {
                cpu if began(&cpu) => cpu,
                cpu => DeviceChoice::Gpu.open().ok().filter(began).unwrap_or(cpu),
            };
            (device, Some("it was begun there".to_owned()))
        }
        DeviceArg::Auto => {
            let (faster, reason) = open_faster(&work()?)?;
            let cpu = here()?;
            match fits(&faster) {
                Err(error) if faster.identity != cpu.identity => (cpu, Some(format!("the GPU is too small: {error:#}"))),
                _ => (faster, Some(reason)),
            }
        }
    };
    fits(&device)?;
    if let Some(reason) = reason {
        console::note(&format!("on {}: {reason}", device.identity));
    }
    Ok(device)
}

/// What `--accel` asks for: specs, and names of presets that stand for theirs. What a preset brings a second time is left out.
/// A spec as reports have it: with every default filled in, so that `int8` finds `int8:threshold=6`. What is no spec, as the columns of other tools'
/// logs, stays as it is.
pub(crate) fn spelt(spec: &str) -> String {
    Acceleration::parse(spec).map_or_else(|_| spec.to_owned(), |acceleration| acceleration.to_string())
}

/// What `--accel` asks for, presets by what they stand for.
pub(crate) fn accelerations(specs: &[impl AsRef<str>]) -> Result<Vec<Acceleration>> {
    let mut accelerations = Vec::new();
    for spec in specs.iter().map(AsRef::as_ref) {
        let preset = Preset::named(spec);
        for text in preset.map_or(&[spec][..], |preset| preset.specs) {
            let acceleration = Acceleration::parse(text).with_context(|| format!("--accel {text}"))?;
            if preset.is_none() || !accelerations.contains(&acceleration) {
                accelerations.push(acceleration);
            }
        }
    }
    Ok(accelerations)
}

/// Those of `accelerations` with the parameter of `sweep` at each of its values.
pub(crate) fn swept(accelerations: Vec<Acceleration>, sweep: Option<&Sweep>) -> Result<Vec<Acceleration>> {
    let Some(sweep) = sweep else { return Ok(accelerations) };
    let specs: Vec<Spec> = accelerations.iter().map(|acceleration| acceleration.spec().clone()).collect();
    sweep.over(&specs).context("--sweep")?.into_iter().map(|spec| Ok(Registry::built_in().build(spec)?)).collect()
}

/// Greedy, as the checkpoint says, with at most `max_new_tokens` where the user sets a limit.
pub(crate) fn decoding(checkpoint: &Checkpoint, max_new_tokens: Option<u32>) -> Decoding {
    let own = Decoding::of(checkpoint.generation_config());
    Decoding { max_new_tokens: max_new_tokens.map_or(own.max_new_tokens, |limit| limit as usize), ..own }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(model: &str, max_pixels: u32) -> Result<Chosen> {
        choose(&ModelArgs { model: Some(model.into()), max_pixels: Some(max_pixels), ..ModelArgs::default() })
    }

    fn refused(model: &str, max_pixels: u32) -> String {
        chosen(model, max_pixels).map(|_| ()).map_err(|error| format!("{error:#}")).unwrap_err()
    }

    #[test]
    fn a_preset_stands_for_its_specs() {
        let texts = |specs: &[&str]| -> Vec<String> { accelerations(specs).unwrap().iter().map(ToString::to_string).collect() };
        let canonical = |specs: &[&'static str]| texts(specs);
        assert_eq!(texts(&["first5"]), canonical(steady_methods::FIRST5.specs));
        // What is there already does not come again; what is typed twice is for the study to refuse.
        assert_eq!(texts(&["int8", "first5"])[..2], ["int8:threshold=6", "w4:rtn,g=auto"]);
        assert_eq!(texts(&["int8", "first5"]).len(), 5);
        assert_eq!(texts(&["int8", "int8"]).len(), 2);
        let error = format!("{:#}", accelerations(&["sixth"]).unwrap_err());
        assert!(error.starts_with("--accel sixth: unknown acceleration `sixth`"), "{error}");
    }

    const QWEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/tiny-qwen2-vl/resaved");

    /// The file says 576 to 8640 pixels, of which what is asked for replaces the second.
    #[test]
    fn a_limit_of_pixels_is_chosen_with_the_checkpoint() {
        for limit in [576, 2000, 20_000] {
            let Chosen { checkpoint, arguments } = chosen(QWEN, limit).unwrap();
            assert_eq!(arguments, ["--model", QWEN, "--max-pixels", &limit.to_string()]);
            let [(_, resize), ..] = checkpoint.image_processor().unwrap().settings();
            assert!(resize.starts_with(&format!("to 576 to {limit} pixels")), "{resize}");
        }
        let message = refused(QWEN, 575);
        assert!(message.starts_with("--max-pixels 575: ") && message.contains("at least the 576 pixels"), "{message}");
        assert!(refused(QWEN, 100_000_001).contains("at most 100000000, found 100000001"));
    }

    #[test]
    fn a_model_whose_images_are_of_one_size_has_no_limit_of_pixels() {
        let llava = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/steady-llava");
        let message = refused(llava, 2000);
        assert!(message.contains("--max-pixels 2000") && message.contains("gives images of one size"), "{message}");
    }
}
