//! `steady models`, `accels`, `perturbs`, `controls`, `devices`: what there is to choose from.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use steady_bench::perturb::{LEVELS, PERTURBATIONS, TEXT_PERTURBATIONS};
use steady_methods::{CONTROLS, METHODS, MethodKind, PRESETS, Parameter, Place};
use steady_vlm::device::list_devices;
use steady_vlm::{DeviceChoice, DeviceMemory, Pace, Precision};

use crate::args::ListArgs;
use crate::memory::Room;
use crate::{console, embedded, model};

#[derive(Serialize)]
struct ModelRow {
    name: String,
    architecture: String,
    parameters: usize,
    bytes: usize,
    visual_tokens: usize,
    sha256: String,
    card: Vec<CardRow>,
}

/// A line of the model card's accuracy table, as written there.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct CardRow {
    family: String,
    accuracy: String,
    blind: String,
}

pub(crate) fn models(args: &ListArgs) -> Result<()> {
    let device = DeviceChoice::Cpu.open()?;
    let mut rows = Vec::new();
    for name in embedded::names() {
        let checkpoint = embedded::open(name)?;
        let vlm = model::load(&checkpoint, &device, Precision::F32)?;
        rows.push(ModelRow {
            name: name.to_owned(),
            architecture: vlm.info().architecture.clone(),
            parameters: vlm.weight_bytes() / size_of::<f32>(),
            bytes: embedded::size(name),
            visual_tokens: vlm.info().visual_tokens,
            sha256: checkpoint.sha256()?,
            card: embedded::file(name, "README.md").map(|card| accuracies(&String::from_utf8_lossy(card))).unwrap_or_default(),
        });
    }
    if args.json {
        return console::json(&rows);
    }
    if rows.is_empty() {
        return console::result("No model is compiled into this program; give a folder with --model DIR.");
    }
    let mut overview = console::table(&["model", "architecture", "parameters", "MB", "visual tokens"]);
    let mut cards = String::new();
    for row in &rows {
        let parameters = format!("{:.2} M", row.parameters as f64 / 1e6);
        overview.add_row([
            row.name.clone(),
            row.architecture.clone(),
            parameters,
            format!("{:.1}", row.bytes as f64 / 1e6),
            row.visual_tokens.to_string(),
        ]);
        if !row.card.is_empty() {
            let mut card = console::table(&["family", "accuracy", "blind (grey image)"]);
            for line in &row.card {
                card.add_row([&line.family, &line.accuracy, &line.blind]);
            }
            let _ = write!(cards, "\n\n{}, from its model card\n{card}", row.name);
        }
    }
    console::result(&format!("{overview}{cards}"))
}

/// Rows `| family | accuracy % | blind % |` of a card, bold or not.
fn accuracies(card: &str) -> Vec<CardRow> {
    let row = |line: &str| {
        let cells: Vec<String> =
            line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(|cell| cell.replace('*', "").trim().to_owned()).collect();
        let [family, accuracy, blind] = <[String; 3]>::try_from(cells).ok()?;
        (accuracy.ends_with('%') && blind.ends_with('%')).then_some(CardRow { family, accuracy, blind })
    };
    card.lines().filter_map(row).collect()
}

#[derive(Serialize)]
struct MethodRow {
    name: &'static str,
    kind: &'static str,
    canonical: String,
    summary: &'static str,
    source: &'static str,
    parameters: Vec<ParameterRow>,
}

#[derive(Serialize)]
struct ParameterRow {
    name: &'static str,
    default: &'static str,
    expects: &'static str,
    meaning: &'static str,
}

pub(crate) fn accels(args: &ListArgs) -> Result<()> {
    let kind = |kind: MethodKind| match kind {
        MethodKind::Quantizer => "weights",
        MethodKind::Cache => "keys and values",
        MethodKind::TokenReducer(Place::Picture) => "what the image shows",
        MethodKind::TokenReducer(Place::Tower) => "visual tokens, in the vision tower",
        MethodKind::TokenReducer(Place::BeforeDecoder) => "visual tokens, before the decoder",
        MethodKind::TokenReducer(Place::Decoder) => "visual tokens, in the decoder",
    };
    let parameter = |parameter: &Parameter| ParameterRow {
        name: parameter.name,
        default: parameter.default,
        expects: parameter.kind.expects(),
        meaning: parameter.meaning,
    };
    let rows: Vec<MethodRow> = METHODS
        .iter()
        .map(|method| MethodRow {
            name: method.name,
            kind: kind(method.kind),
            canonical: method.to_string(),
            summary: method.summary,
            source: method.source,
            parameters: method.parameters.iter().map(parameter).collect(),
        })
        .collect();
    if args.json {
        return console::json(&rows);
    }
    let mut text = String::from(
        "The first line of each is the whole spec with its defaults; the name alone means the same.\nOne that changes weights and one for each place of visual tokens can be joined: w4:rtn+divprune:keep=0.33+fastv\nA preset's name stands for its specs: --accel reducers\n",
    );
    for row in &rows {
        let _ = writeln!(text, "\n{}  ({})\n    {}\n    {}", row.canonical, row.kind, row.summary, row.source);
        for parameter in &row.parameters {
            let _ = writeln!(text, "      {:<10} {}; {}", parameter.name, parameter.meaning, parameter.expects);
        }
    }
    for preset in &PRESETS {
        let _ = writeln!(text, "\nPreset {}: {}\n    {}", preset.name, preset.summary, preset.specs.join("\n    "));
    }
    console::result(&text)
}

#[derive(Serialize)]
struct PerturbationRow {
    name: &'static str,
    what: &'static str,
    example: String,
    low: f64,
    high: f64,
    unit: &'static str,
    /// The amount that leaves the image as it is, which no spec may name.
    neutral: f64,
}

pub(crate) fn perturbs(args: &ListArgs) -> Result<()> {
    let of_words = TEXT_PERTURBATIONS.iter().map(|perturbation| PerturbationRow {
        name: perturbation.name,
        what: perturbation.label,
        example: perturbation.example(),
        low: 1.0,
        high: LEVELS.into(),
        unit: perturbation.level,
        neutral: 0.0,
    });
    let of_images = PERTURBATIONS.iter().map(|perturbation| PerturbationRow {
        name: perturbation.name,
        what: perturbation.label,
        example: perturbation.example(),
        low: perturbation.low,
        high: perturbation.high,
        unit: perturbation.unit,
        neutral: perturbation.neutral,
    });
    let rows: Vec<PerturbationRow> = of_images.chain(of_words).collect();
    if args.json {
        return console::json(&rows);
    }
    let mut table = console::table(&["example", "what", "from", "to", "counts", "clean at"]);
    for row in &rows {
        let [low, high, neutral] = [row.low, row.high, row.neutral].map(|amount| amount.to_string());
        table.add_row([&row.example, row.what, &low, &high, row.unit, &neutral]);
    }
    console::result(&format!(
        "Several at once are joined by `+` and applied in this order: blur=1.5+jpeg=30. The last five are done to the words of a question. Seeds derive from \
         image and question, so all models meet the same.\n{table}"
    ))
}

#[derive(Serialize)]
struct ControlRow {
    name: &'static str,
    summary: &'static str,
    what: &'static str,
}

pub(crate) fn controls(args: &ListArgs) -> Result<()> {
    let rows: Vec<ControlRow> =
        CONTROLS.iter().map(|control| ControlRow { name: control.name, summary: control.summary, what: control.plain }).collect();
    if args.json {
        return console::json(&rows);
    }
    let mut table = console::table(&["control", "in plans", "what"]);
    for row in &rows {
        table.add_row([row.name, row.summary, row.what]);
    }
    console::result(&format!(
        "Changes that should not matter. The one under which most answers change is the noise floor of a study.\n{table}"
    ))
}

#[derive(Serialize)]
struct DeviceRow {
    choice: String,
    identity: Option<String>,
    memory: Option<MemoryRow>,
    pace: Option<Pace>,
    problem: Option<String>,
}

/// What a device computes in.
#[derive(Serialize)]
struct MemoryRow {
    /// `machine` where it is the machine's, `device` where it is the device's own.
    of: &'static str,
    /// Bytes that may still be taken; nothing where the driver does not say.
    free: Option<u64>,
    /// Bytes that there are; nothing where the driver does not say.
    total: Option<u64>,
}

impl MemoryRow {
    fn new(memory: DeviceMemory) -> Self {
        let Room { free, total } = Room::of(memory);
        Self { of: if memory == DeviceMemory::Shared { "machine" } else { "device" }, free, total }
    }

    fn words(&self) -> String {
        let gigabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e9);
        let whose = if self.of == "machine" { ", the machine's" } else { "" };
        match (self.free, self.total) {
            (Some(free), Some(total)) => format!("{} of {} GB free{whose}", gigabytes(free), gigabytes(total)),
            _ => "memory unknown: the driver does not say".to_owned(),
        }
    }
}

#[derive(Serialize)]
struct Devices {
    choices: Vec<DeviceRow>,
    /// Everything that could compute, whether or not a choice leads there.
    present: Vec<String>,
}

pub(crate) fn devices(args: &ListArgs) -> Result<()> {
    let row = |choice: DeviceChoice| {
        let (choice, opened) = (choice.to_string(), choice.open());
        Ok::<_, anyhow::Error>(match opened {
            // A GPU that is the CPU in disguise would take long to say so.
            Ok(open) => DeviceRow {
                choice,
                memory: Some(MemoryRow::new(open.memory)),
                pace: open.is_hardware().then(|| open.measure()).transpose()?,
                identity: Some(open.identity),
                problem: None,
            },
            Err(error) => DeviceRow { choice, memory: None, pace: None, identity: None, problem: Some(error.to_string()) },
        })
    };
    let choices = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(row).into_iter().collect::<Result<_>>()?;
    let devices = Devices { choices, present: list_devices() };
    if args.json {
        return console::json(&devices);
    }
    let mut choices = console::table(&["--device", "memory", "speed", "is"]);
    for row in &devices.choices {
        let is = row.identity.as_ref().or(row.problem.as_ref()).map_or("", String::as_str);
        let memory = row.memory.as_ref().map_or_else(String::new, MemoryRow::words);
        let speed = row.pace.map_or_else(|| "not tried".to_owned(), speed);
        choices.add_row([row.choice.as_str(), &memory, &speed, is]);
    }
    choices.add_row([
        "auto",
        "",
        "",
        "the one of them that is done first, by the size of the model and these speeds; a study stays where it began",
    ]);
    console::result(&format!("{choices}\n\nPresent:\n  {}", devices.present.join("\n  ")))
}

fn speed(pace: Pace) -> String {
    let flops = pace.flops / 1e9;
    let digits = usize::from(flops < 10.0);
    format!("{flops:.digits$} GFLOP/s, {:.1} µs an operation", pace.launch * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_does_not_say_is_said() {
        let words = |memory| MemoryRow::new(memory).words();
        assert_eq!(words(DeviceMemory::Own { free: 11_250_000_000, total: 24_000_000_000 }), "11.2 of 24.0 GB free");
        assert_eq!(words(DeviceMemory::Unknown), "memory unknown: the driver does not say");
        assert!(words(DeviceMemory::Shared).ends_with("GB free, the machine's"), "{}", words(DeviceMemory::Shared));
    }

    #[test]
    fn accuracies_are_read_from_a_card() {
        let card = "# m\n\n| family | accuracy | blind |\n|---|---:|---:|\n| scan | 91.0 % | 40.0 % |\n| **mean** | **88.5 %** | **41.2 %** |\n\n| seeds | 7 |\n";
        let row =
            |family: &str, accuracy: &str, blind: &str| CardRow { family: family.into(), accuracy: accuracy.into(), blind: blind.into() };
        assert_eq!(accuracies(card), [row("scan", "91.0 %", "40.0 %"), row("mean", "88.5 %", "41.2 %")]);
    }
}
