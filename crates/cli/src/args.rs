//! What can be typed.

mod decide;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use steady_bench::perturb::PerturbationSpec;
use steady_bench::world::EMBEDDED;
use steady_bench::{BENCHMARK_PRESETS, BENCHMARKS, BenchError, PostPrompts};
use steady_logs::{FORMATS, LogFormat};
use steady_methods::{CONTROLS, Control, Sweep};
use steady_records::Shard;
use steady_vlm::image::PixelBackend;

pub(crate) use decide::{GateArgs, GuardArgs, PlanSizeArgs};

/// Does an accelerated vision-language model still give the same answers to the same questions?
///
/// Without a command: the study of the embedded models. It asks each 300 questions before and after five accelerations, prints which
/// answers changed, broke and were repaired, and writes a report.
#[derive(Debug, Parser)]
#[command(name = "steady", bin_name = "steady", version, args_conflicts_with_subcommands = true, after_help = STUDY_EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Embedded models to study one after the other: names with commas between them, or `all` [default: those of steady-llava and
    /// steady-qwen2.5-vl that are compiled in]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    #[command(flatten)]
    pub(crate) study: StudyArgs,
}

impl Cli {
    /// Where a trace is to be written, if it is.
    pub(crate) fn trace(&self) -> Option<&Path> {
        match &self.command {
            None => self.study.trace.as_deref(),
            Some(Command::Run(args)) => args.study.trace.as_deref(),
            Some(Command::Locate(args)) => args.study.trace.as_deref(),
            Some(_) => None,
        }
    }

    /// Everything typed that may be a run folder, and so a place in a bucket.
    pub(crate) fn run_folders(&mut self) -> Vec<&mut PathBuf> {
        match &mut self.command {
            None => self.study.out.iter_mut().collect(),
            Some(Command::Run(args)) => args.study.out.iter_mut().chain(&mut args.baseline).collect(),
            Some(Command::Locate(args)) => args.study.out.iter_mut().collect(),
            Some(Command::Compare(args)) => args.runs.iter_mut().chain(&mut args.controls).chain(&mut args.out).collect(),
            Some(Command::Merge(args)) => args.shards.iter_mut().chain(&mut args.out).collect(),
            Some(Command::Report(args)) => args.runs.iter_mut().collect(),
            Some(Command::Share(args)) => args.run.iter_mut().collect(),
            Some(Command::Gate(args)) => args.runs.iter_mut().collect(),
            Some(Command::Guard(args)) => args.run.iter_mut().collect(),
            Some(_) => Vec::new(),
        }
    }
}

const STUDY_EXAMPLES: &str = "\
Examples:
  steady                                          the whole study, report in ./steady-out/
  steady --questions 50 --accel w4:rtn            a short one, of one acceleration
  steady --accel w4:rtn+divprune:keep=0.33 --json both at once, report.json on stdout
  steady --accel reducers --questions 100         one of each token reducer; `steady accels` lists the presets
  steady --accel random --accel divprune --sweep keep=0.1..0.9
                                                  how answers change as more and more visual tokens are kept
  steady --perturb noise=20 --perturb jpeg=20     does acceleration make the model more brittle?
  steady --models all                             every embedded model, a report each
  steady ask --image photo.jpg --question \"Is there a red circle?\"
  steady locate --accel w4:rtn                    in which layers does it break?
  steady compare base.jsonl w4.jsonl              what changed between two runs of another tool
  steady accels                                   what can be given to --accel
  steady perturbs                                 what can be given to --perturb
  steady controls                                 what can be given to --control
  steady gate --max-ndr 2%                        PASS, FAIL or INCONCLUSIVE of the newest run

Exit codes: 0 ok, 1 a gate failed, 2 wrong usage or input, 3 a gate is inconclusive.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Study a checkpoint folder (or the embedded model)
    Run(RunArgs),
    /// Find the layers in which a quantizer breaks answers
    Locate(LocateArgs),
    /// Write a quantized checkpoint that other tools load
    Quantize(QuantizeArgs),
    /// Ask one question about one image, before and after acceleration
    Ask(AskArgs),
    /// Compare what two or three runs logged, whichever tool ran them; needs no model
    Compare(CompareArgs),
    /// Put the shards of a study together, and report it
    Merge(MergeArgs),
    /// Rebuild the report of a run folder from its records and print it
    Report(ReportArgs),
    /// Print a link that holds the whole report of a run
    Share(ShareArgs),
    /// Judge a run by a policy: PASS, FAIL or INCONCLUSIVE
    Gate(GateArgs),
    /// Choose where the baseline shall answer instead of an acceleration, so that what breaks stays under a limit
    Guard(GuardArgs),
    /// Say how many questions it takes to show something
    PlanSize(PlanSizeArgs),
    /// List the embedded models
    #[command(after_help = "Examples:\n  steady models\n  steady models --json | jq '.[0].parameters'")]
    Models(ListArgs),
    /// List the benchmarks, with an example of each family; `show` looks into one
    Benches(BenchesArgs),
    /// List the accelerations, their parameters and defaults
    #[command(after_help = "Examples:\n  steady accels\n  steady accels --json | jq -r '.[].canonical'")]
    Accels(ListArgs),
    /// List the perturbations of images and words and their ranges
    #[command(after_help = "Examples:\n  steady perturbs\n  steady perturbs --json | jq -r '.[].example'")]
    Perturbs(ListArgs),
    /// List the controls: changes that should not matter, against which an acceleration is measured
    #[command(after_help = "Examples:\n  steady controls\n  steady controls --json | jq -r '.[].name'")]
    Controls(ListArgs),
    /// List the devices, and how fast they are
    #[command(after_help = "Examples:\n  steady devices\n  steady devices --json | jq '.choices[] | select(.f16)'")]
    Devices(ListArgs),
}

/// Which checkpoint.
#[derive(Debug, Default, Args)]
pub(crate) struct ModelArgs {
    /// Checkpoint folder in the published Hugging Face layout, the name of an embedded model, or a model on the hub
    /// (org/name or org/name@revision; fetched once into the hub's cache) [default: the embedded model]
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: Option<PathBuf>,
    /// CLIP folder of a checkpoint in the LLaVA repository's layout [default: beside the checkpoint, else from the hub's cache]
    #[arg(long, value_name = "DIR", requires = "model")]
    pub(crate) vision_tower: Option<PathBuf>,
    /// Most pixels that an image is scaled to before the model sees it, for models that scale to a range of pixels: Qwen2-VL, Qwen2.5-VL
    /// [default: what the checkpoint says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_pixels: Option<u32>,
}

/// How images become pixels.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ImageArgs {
    /// Whose resizing and normalising is computed, to the bit
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = PixelsArg::Torchvision)]
    pub(crate) pixels: PixelsArg,
}

/// Options of every study.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// Acceleration to compare with the baseline, or a preset of several; repeatable [default: first5]
    #[arg(long = "accel", value_name = "SPEC")]
    pub(crate) accelerations: Vec<String>,
    /// A parameter at several values, for a curve per acceleration that has it: keep=0.1..0.9, keep=0.1..0.9/0.1 or keep=64,128,192
    #[arg(long, value_name = "PARAMETER=VALUES")]
    pub(crate) sweep: Option<Sweep>,
    /// What is done to the images, e.g. noise=20 or blur=1.5+jpeg=30, or to the words of the questions, e.g. shuffle=2 or typos=3; repeatable. Every
    /// question is asked as it is and under each of them [default: as it is alone]
    #[arg(long = "perturb", value_name = "SPEC")]
    pub(crate) perturbations: Vec<PerturbationSpec>,
    /// Change that should not matter, under which the baseline answers once more; repeatable, or `none`. The one under which most answers change
    /// is the noise floor [default: order, split, pixels=.. and, of a model of up to 1 GiB, bf16 or f16: whichever is not what it has]
    #[arg(long = "control", value_name = "NAME", value_parser = controls())]
    pub(crate) controls: Vec<String>,
    #[command(flatten)]
    pub(crate) calibration: CalibrationArgs,
    #[command(flatten)]
    pub(crate) images: ImageArgs,
    /// What stands behind a question, to say which form of answer is asked for; also behind those that are calibrated with
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = PostPromptArg::Auto)]
    pub(crate) post_prompt: PostPromptArg,
    /// Number of questions, spread evenly over the families
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) questions: u32,
    /// Run folder, with a folder in it for each of several models; running into it again continues where it stopped [default:
    /// ./steady-out/<model>-<benchmark>-<plan>]
    #[allow(rustdoc::invalid_html_tags, reason = "printed as help, where these are no tags")]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Answer one shard of N, counted from 1, into a folder of its own in the run folder; `steady merge` puts them together. An image's questions are in
    /// one shard, by the hash of its id
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Hold the baseline and one accelerated variant in memory at a time, one after the other, as is done unasked where not all fit. The records are the same; the
    /// baseline answers once for each
    #[arg(long)]
    pub(crate) one_at_a_time: bool,
    /// Where the model runs
    #[arg(long, value_enum, default_value_t = DeviceArg::Auto)]
    pub(crate) device: DeviceArg,
    /// What weights are kept as and computed in
    #[arg(long, value_enum, default_value_t = DtypeArg::F32)]
    pub(crate) dtype: DtypeArg,
    /// Write what took how long, thread by thread, to a file that https://ui.perfetto.dev and chrome://tracing open
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the report of each model as JSON on stdout instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  steady run --model ~/models/llava-1.5-7b-hf --accel w4:rtn,g=128 --accel fastv:k=2,keep=0.5
  steady run --model Qwen/Qwen2-VL-2B-Instruct --dtype auto
  steady run --model Qwen/Qwen2-VL-2B-Instruct --against Qwen/Qwen2-VL-2B-Instruct-AWQ --dtype auto
  steady run --model llava-hf/llava-1.5-7b-hf --against llava-v1.5-7b-Q4_K_M.gguf --dtype auto
  steady run --model llava-1.5-7b-w4 --baseline runs/base --bench pope:data   the baseline answered on another machine
  steady run --accel w4:rtn --perturb noise=20 --perturb blur=1.5+jpeg=30
  steady run --bench embedded --questions 100 --out runs/first
  steady run --bench file:photos.csv                   your own questions; `steady benches show photos.csv` says how they are read
  steady run --bench file:q.csv,question=prompt,images=pictures.zip
  steady run --endpoint http://localhost:8000/v1 --against http://localhost:8001/v1 --bench file:photos.csv
  steady run --endpoint http://localhost:11434#llava:7b-fp16 --against http://localhost:11434#llava:7b-q4 --bench file:photos.csv
  steady run --out runs/first --bench embedded --questions 100   again: continues, asks nothing twice
  steady run --bench file:photos.csv --out runs/big --shard 2/4  a quarter of it, on one of four machines; then steady merge runs/big

An answer has at most as many tokens as `max_new_tokens` in the checkpoint's generation_config.json says, else 64. How many answers were cut \
there stands under the table, and `cut` in the records says which.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What is asked: a name that `steady benches` lists; your own questions as file:PATH, and others that lie in files as NAME:PATH. A preset,
    /// paper10:DIR or medical:DIR, is several of them, with a report each: DIR has a folder for every one
    #[arg(long, value_name = "BENCH", value_parser = benchmark, default_value = EMBEDDED.name)]
    pub(crate) bench: String,
    /// Another checkpoint of the same model, such as one that was quantized and published, that answers beside it; repeatable. It loads as it
    /// is: float, or packed (compressed-tensors, AWQ, GPTQ, bitsandbytes, or a GGUF with its mmproj beside it). Beside --endpoint: another server
    #[arg(long, value_name = "DIR|ID|GGUF|URL")]
    pub(crate) against: Vec<PathBuf>,
    /// Run folder whose baseline is taken over, with its controls, where it does not fit here: --model is an accelerated form of it, and so is each --accel of that.
    /// Both must have been asked the same in the same way
    #[arg(long, value_name = "RUN", conflicts_with_all = ["against", "endpoint", "controls"], requires = "model")]
    pub(crate) baseline: Option<PathBuf>,
    /// With --baseline: what may differ, by the name that a refusal gives it, or by what stands before its first dot; repeatable
    #[arg(long, value_name = "FIELD", requires = "baseline")]
    pub(crate) allow: Vec<String>,
    #[command(flatten)]
    pub(crate) study: StudyArgs,
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
}

/// Models behind somebody else's server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Somebody else's servers")]
pub(crate) struct ServerArgs {
    /// OpenAI-compatible server whose model is the baseline, in place of --model: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`. The others, each
    /// given by --against, are the accelerated ones. #MODEL behind the address names one of several. The baseline is asked everything twice: how often it
    /// contradicts itself is the noise floor, which --control none leaves out
    #[arg(long, value_name = "URL[#MODEL]", conflicts_with_all = ["model", "vision_tower", "max_pixels", "accelerations", "calibrate", "pixels", "device", "dtype"], requires = "against")]
    pub(crate) endpoint: Option<String>,
    /// Environment variable that holds the key of every server, or HOST=NAME of the one at this host; repeatable [default: OPENAI_API_KEY]
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub(crate) key_env: Vec<String>,
    /// Most requests at a time of one server
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), requires = "endpoint")]
    pub(crate) in_flight: u16,
    /// Seconds after which an answer does not come any more
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600), requires = "endpoint")]
    pub(crate) timeout: u32,
    /// How often a question is asked again that failed by a 429, a 5xx, half an answer or none in time, after pauses that double or are the server's
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=100), requires = "endpoint")]
    pub(crate) retries: u32,
    /// What becomes of a run in which a server refuses a question (400, 413, 422): it is too long for it, too large or filtered
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Refused::End, requires = "endpoint")]
    pub(crate) refused: Refused,
}

/// What a refused question does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Refused {
    /// The run ends; the same command goes on from there
    End,
    /// The question counts as unread and wrong, with the server's reason in the records
    Count,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --accel it is w4:rtn. Every question is asked under the acceleration as it is, and once more for each block, kind or layer that is put back into float. What brings the
answers back is where it breaks. The table has those layers first without which the first token's distribution is nearest to the baseline's.

Examples:
  steady locate --accel w4:rtn                                 the blocks of the embedded model
  steady locate --accel w4:rtn --by kind --questions 100       q_proj, k_proj, ..: which kind of layer is it?
  steady locate --accel w4:rtn --by layer --mixed 3.5MB        and which of them are worth their bytes, in 8 bits or in float?
  steady locate --model ~/models/llava-1.5-7b-hf --accel int8 --bench pope:data
  steady run --accel w4:rtn,float=down_proj                    and then leave these layers in float
  steady run --accel w4:rtn,w8=down_proj                       or have them in 8 bits")]
pub(crate) struct LocateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What is asked: a name that `steady benches` lists; your own questions as file:PATH, and others that lie in files as NAME:PATH
    #[arg(long, value_name = "BENCH", value_parser = benchmark, default_value = EMBEDDED.name)]
    pub(crate) bench: String,
    /// Which layers are put back together
    #[arg(long, value_enum, default_value_t = GrainArg::Block)]
    pub(crate) by: GrainArg,
    /// Put all layers into 8 bits as well, some at a time, and then ask once more with those in 8 bits or in float that bring most back for their bytes, as many
    /// as fit into files of this size, like 3.5MB or 4GB; that run is in the folder `mixed` of this one
    #[arg(long, value_name = "SIZE", value_parser = bytes, conflicts_with = "shard")]
    pub(crate) mixed: Option<u64>,
    // Its `--accel` has a default of its own: w4:rtn.
    #[command(flatten)]
    pub(crate) study: StudyArgs,
}

/// What quantizers calibrate with.
#[derive(Debug, Default, Args)]
pub(crate) struct CalibrationArgs {
    /// Benchmark in files whose questions are calibrated with, like pope:DIR or file:train.csv, by accelerations that look at prompts; not one that the study
    /// asks [default: the training half of the embedded world]
    #[arg(long, value_name = "BENCH")]
    pub(crate) calibrate: Option<String>,

    /// Calibrate anew, and keep nothing of it; otherwise weights that were packed with prompts are kept in the user's cache folder
    #[arg(long)]
    pub(crate) no_packed_cache: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The decoder is packed, on the CPU; all else is copied as it is. What AWQ and SmoothQuant divide inputs by is folded into the norms and layers before.
4-bit integers fit compressed-tensors, awq and gptq; 8 bits and FP8 fit compressed-tensors. gguf holds 4 and 8 bits without zero points, a scale for 32 weights or for a
multiple of them: q4_0 and q8_0 are llama.cpp's own, w4:gptq and w4:rtn,sym fit too.

Examples:
  steady quantize --accel w4:gptq --out llava-gptq                                         the embedded model
  steady quantize --model ~/models/llava-1.5-7b-hf --accel w4:awq --format awq --out llava-awq
  steady quantize --model ~/models/Qwen2-VL-2B-Instruct --accel w8a8:smooth --out qwen-w8a8
  steady quantize --model ~/models/Qwen2-VL-2B-Instruct --accel q8_0 --format gguf --out qwen-q8_0
  steady run --model ~/models/llava-1.5-7b-hf --against llava-awq                          and what that does to answers")]
pub(crate) struct QuantizeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What is done to the weights: a quantizer that `steady accels` lists
    #[arg(long = "accel", value_name = "SPEC")]
    pub(crate) acceleration: String,
    #[command(flatten)]
    pub(crate) calibration: CalibrationArgs,
    /// What stands behind a question that is calibrated with: what `steady run` puts behind those that it asks
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = PostPromptArg::Auto)]
    pub(crate) post_prompt: PostPromptArg,
    /// How the files are laid out
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LayoutArg::CompressedTensors)]
    pub(crate) format: LayoutArg,
    /// Where the checkpoint goes: a new folder, or an empty one
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// What weights are kept as while they are packed
    #[arg(long, value_enum, value_name = "DTYPE", default_value_t = DtypeArg::F32)]
    pub(crate) dtype: DtypeArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutArg {
    /// What vLLM, llm-compressor and transformers load
    CompressedTensors,
    /// AutoAWQ, "gemm"
    Awq,
    /// GPTQ, version 1
    Gptq,
    /// llama.cpp: model.gguf in Q4_0 or Q8_0, and mmproj.gguf
    Gguf,
}

/// Bytes, with a unit of powers of ten behind them or none.
fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "" | "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return Err("expected a number of bytes, or one with kB, MB or GB behind it".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "expected a number, like 3.5MB".to_owned())?;
    Ok((number * scale) as u64)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrainArg {
    /// A block of the decoder, or of the tower
    Block,
    /// All layers of a kind, like down_proj
    Kind,
    /// One layer
    Layer,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("text").required(true).args(["question", "prompt"]),
    after_help = "\
Examples:
  steady ask --image photo.jpg --question \"How many circles are there?\"
  steady ask --model ~/models/llava-1.5-7b-hf --image scan.png --question \"A fracture?\" --accel w4:rtn --accel int8
  steady ask --image photo.jpg --question \"A circle?\" --guard guard.json
  steady ask --image photo.jpg --prompt \"USER: <image>\\nWhat is this? ASSISTANT:\" --json"
)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// PNG, JPEG or WebP file; at most 178,956,970 pixels, as Pillow has it
    #[arg(long, value_name = "FILE")]
    pub(crate) image: PathBuf,
    /// The question; goes through the checkpoint's chat template
    #[arg(long, value_name = "TEXT")]
    pub(crate) question: Option<String>,
    /// The whole prompt, taken verbatim, with one image placeholder in it; needs no chat template
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Acceleration to ask under besides the baseline, or a preset of several; repeatable
    #[arg(long = "accel", value_name = "SPEC")]
    pub(crate) accelerations: Vec<String>,
    /// Ask the guard's acceleration, and the baseline only where that is unsure; a file by `steady guard`
    #[arg(long, value_name = "FILE", conflicts_with = "accelerations")]
    pub(crate) guard: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) calibration: CalibrationArgs,
    #[command(flatten)]
    pub(crate) images: ImageArgs,
    /// Where the model runs
    #[arg(long, value_enum, default_value_t = DeviceArg::Auto)]
    pub(crate) device: DeviceArg,
    /// What weights are kept as and computed in
    #[arg(long, value_enum, default_value_t = DtypeArg::F32)]
    pub(crate) dtype: DtypeArg,
    /// Most tokens an answer may have; one that has not ended by then is marked as cut [default: `max_new_tokens` of the checkpoint's
    /// generation_config.json, else 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_new_tokens: Option<u32>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is read, told by what a file holds and not by its name: runs of steady (folder or report.json; RUN#SPEC is one of its accelerations), samples of
lmms-eval and lm-evaluation-harness, sheets of VLMEvalKit, results of NeMo Evaluator, logs of Inspect, CSV of OpenVINO's who-what benchmark, answers of
LLaVA, and any table or JSON lines. Three runs are the original, the previous version and the new one.

Runs that were not asked the same in the same way are refused, and what differs is named.

Examples:
  steady compare base/samples_gqa.jsonl w4/samples_gqa.jsonl
  steady compare logs/llava-fp16 logs/llava-w4 --control logs/llava-fp16-again
  steady compare original.xlsx v1.xlsx v2.xlsx --out compared
  steady compare base.csv w4.csv --column question=text --column answer=said --column gold=truth
  steady compare fp16.jsonl w4.jsonl --filter flexible-extract --allow settings.batch_size --allow questions
  steady compare steady-out/mine steady-out/mine#int8:threshold=6 --json | jq .summary")]
pub(crate) struct CompareArgs {
    /// Runs: a file, or a folder of files. The first is the one to compare with
    #[arg(value_name = "RUN", required = true, num_args = 2..=3)]
    pub(crate) runs: Vec<PathBuf>,
    /// A rerun of the first, under which nothing should change; repeatable. The one under which most answers change is the noise floor
    #[arg(long = "control", value_name = "RUN")]
    pub(crate) controls: Vec<PathBuf>,
    /// What may differ, by the name that a refusal gives it, or by what stands before its first dot; repeatable
    #[arg(long, value_name = "FIELD")]
    pub(crate) allow: Vec<String>,
    /// Which column of a table has which role: id, question, answer, gold, score, image, family, options; repeatable
    #[arg(long = "column", value_name = "ROLE=NAME", value_parser = role_and_name)]
    pub(crate) columns: Vec<(String, String)>,
    /// Which filter's answers, where lm-evaluation-harness logged several [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) filter: Option<String>,
    /// Which score says what is right, where a log has several [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// The runs' format, where what they hold does not tell it
    #[arg(long, value_name = "NAME", value_parser = log_formats())]
    pub(crate) format: Option<String>,
    /// Folder for report.json and report.html; of three runs, the report against the previous version is in its folder `previous` [default:
    /// ./steady-out/compare-<runs>]
    #[allow(rustdoc::invalid_html_tags, reason = "printed as help, where these are no tags")]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print report.json on stdout instead of the table; of three runs, a line for each report
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ROLE=NAME`.
fn role_and_name(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(role, name)| (role.to_owned(), name.to_owned()))
        .ok_or_else(|| "expected ROLE=NAME, like gold=label".to_owned())
}

#[derive(Debug, Args)]
#[command(after_help = "\
Records, report.json and report.html are, byte for byte, those of one process that answered everything. Folders of another plan are refused, and the \
fields are named in which it differs: the device is one of them, because another device rounds otherwise. What is answered twice must be answered alike. \
Shards that are missing or unfinished are listed, and then nothing is written.

Examples:
  steady run --questions 1000 --out runs/big --shard 1/2        on one machine
  steady run --questions 1000 --out runs/big --shard 2/2        on another, with the same disk
  steady merge runs/big                                         the study is in runs/big
  steady merge from-a/shard-1-of-2 from-b/shard-2-of-2 --out runs/big")]
pub(crate) struct MergeArgs {
    /// Folder in which the shards are, or the shards' own folders
    #[arg(value_name = "DIR", required = true)]
    pub(crate) shards: Vec<PathBuf>,
    /// Where the study goes [default: the folder in which the shards are]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the report as JSON on stdout instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  steady report steady-out/steady-llava-steady-world-1f0c9a2e
  steady report runs/first --open
  steady report runs/first --open --page https://example.org/steady/
  steady report runs/first --policy policy.toml                policy and verdict on top
  steady report runs/med                                       a folder of runs: benchmarks by accelerations
  steady report runs/pope runs/gqa --html both.html
  steady report runs/first --csv > answers.csv
  steady report runs/first --json | jq .
  steady report runs/first --records > records.jsonl")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ReportArgs {
    /// Run folder, as written by `steady` or `steady run`. Several of one model, or a folder that holds them, are put side by side: benchmarks by
    /// accelerations
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Print the report as JSON on stdout instead of the table
    #[arg(long, conflicts_with = "records")]
    pub(crate) json: bool,
    /// Print every record as a line of JSON on stdout instead of the table
    #[arg(long)]
    pub(crate) records: bool,
    /// Print the report as Markdown on stdout instead of the table
    #[arg(long, conflicts_with_all = ["records", "json"])]
    pub(crate) markdown: bool,
    /// Print CSV on stdout instead of the table: every answer of a run, those to the questions that changed most first; of several runs a row for each
    /// benchmark and acceleration
    #[arg(long, conflicts_with_all = ["records", "json", "markdown"])]
    pub(crate) csv: bool,
    /// Judge the run by this policy, as `steady gate` does, and put the verdict on top of the report
    #[arg(long, value_name = "FILE", conflicts_with_all = ["records", "json", "csv"])]
    pub(crate) policy: Option<PathBuf>,
    /// Of several runs: where their page goes [default: report.html in the folder that holds them]
    #[arg(long, value_name = "FILE", conflicts_with = "records")]
    pub(crate) html: Option<PathBuf>,
    /// Open report.html in the browser
    #[arg(long, conflicts_with = "records")]
    pub(crate) open: bool,
    /// With --open: show the report in the page at this address instead, by a link that holds it
    #[arg(long, value_name = "URL", requires = "open")]
    pub(crate) page: Option<String>,
}

/// Where `cargo xtask web serve` serves the page.
const PAGE: &str = "http://127.0.0.1:8080/";

#[derive(Debug, Args)]
#[command(after_help = "\
The link holds the report itself, in the part of an address that no server sees.

Examples:
  steady share                                      the newest run in ./steady-out/
  steady share runs/first --page https://example.org/steady/
  steady share report.json | wl-copy")]
pub(crate) struct ShareArgs {
    /// Run folder or report.json [default: the newest run in ./steady-out/]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Address of the page that shows the report
    #[arg(long, value_name = "URL", default_value = PAGE)]
    pub(crate) page: String,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  steady benches
  steady benches --json | jq -r '.[].family'
  steady benches show photos.csv"
)]
pub(crate) struct BenchesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BenchesCommand>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchesCommand {
    /// Say how a benchmark's files are read: columns, counts, the first questions, what is odd
    Show(ShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A table of your own needs a column of pictures and one of questions. The others are optional: right answers, options to choose from, an id, a group. \
Columns are known by their usual names; ,ROLE=COLUMN behind the file names another, and ,ROLE= none. What can be chosen there: image, question, gold, \
choices, id, group, kind, images (folder or .zip of the pictures), delimiter, broken=skip.

Examples:
  steady benches show photos.csv
  steady benches show photos.csv,question=prompt,gold=label
  steady benches show data/test-00000-of-00001.parquet
  steady benches show easy-vqa:site-packages")]
pub(crate) struct ShowArgs {
    /// File of questions, or a benchmark with the place of its files as `--bench` takes it
    #[arg(value_name = "FILE|BENCH")]
    pub(crate) bench: String,
    /// Print JSON on stdout instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON on stdout instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// The processor or a hardware GPU, whichever is done first with this model and this many questions
    Auto,
    /// The processor
    Cpu,
    /// The first GPU, a software one included
    Gpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeArg {
    /// What most of the checkpoint is published in; f32 for f16 where the device lacks it
    Auto,
    /// 32-bit
    F32,
    /// 16-bit, where the device has it; attention scores are 32-bit all the same
    F16,
    /// Weights rounded to bf16 and kept so, in half the memory; everything is computed in 32-bit
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PixelsArg {
    /// torchvision's, which transformers 5 takes where torchvision is installed, whatever class a checkpoint's files name
    Torchvision,
    /// Pillow's, which transformers takes otherwise, and with `backend="pil"`
    Pil,
}

impl ImageArgs {
    /// Whose pixels, and what says so on a command line.
    pub(crate) fn chosen(self) -> (PixelBackend, Vec<String>) {
        let backend = match self.pixels {
            PixelsArg::Torchvision => PixelBackend::Torchvision,
            PixelsArg::Pil => PixelBackend::Pil,
        };
        let words = ["--pixels".to_owned(), backend.name().to_owned()];
        (backend, if backend == PixelBackend::default() { Vec::new() } else { words.into() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PostPromptArg {
    /// Nothing for the embedded models, which were trained on the questions; `standard` for any other
    Auto,
    /// What the field puts behind its questions, by the form of the answer: "Answer the question using a single word or phrase." and its like
    Standard,
    /// Nothing
    None,
}

impl PostPromptArg {
    /// What stands behind questions to a model that knows their form or does not, and what says so on a command line.
    pub(crate) fn chosen(self, knows_form: bool) -> (PostPrompts, Vec<String>) {
        let post_prompts = match self {
            Self::Auto => PostPrompts::for_model(knows_form),
            Self::Standard => PostPrompts::standard(),
            Self::None => PostPrompts::default(),
        };
        let value = self.to_possible_value().filter(|_| self != Self::Auto);
        (post_prompts, value.into_iter().flat_map(|value| ["--post-prompt".to_owned(), value.get_name().to_owned()]).collect())
    }
}

/// What `--control` takes.
fn controls() -> PossibleValuesParser {
    let value = |control: &Control| PossibleValue::new(control.name).help(control.summary);
    PossibleValuesParser::new(CONTROLS.iter().map(value).chain([PossibleValue::new("none").help("no control: without a noise floor")]))
}

/// What `--format` takes.
fn log_formats() -> PossibleValuesParser {
    PossibleValuesParser::new(FORMATS.iter().map(|format: &LogFormat| PossibleValue::new(format.name).help(format.title)))
}

/// What `--bench` takes.
fn benchmark(spec: &str) -> Result<String, BenchError> {
    if BENCHMARK_PRESETS.iter().all(|preset| spec.split(':').next() != Some(preset.name)) {
        BENCHMARKS.find(spec)?;
    }
    Ok(spec.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_texts() {
        let mut command = Cli::command().term_width(120);
        command.build();
        insta::assert_snapshot!("help", command.render_long_help());
        for subcommand in command.get_subcommands_mut().filter(|subcommand| subcommand.get_name() != "help") {
            insta::assert_snapshot!(format!("help-{}", subcommand.get_name()), subcommand.render_long_help());
        }
    }

    #[test]
    fn the_limit_that_the_help_tells_is_the_one_that_counts() {
        let mut command = Cli::command();
        command.build();
        for name in ["ask", "run"] {
            let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            let told = format!("else {}", steady_vlm::Decoding::default().max_new_tokens);
            assert!(help.split_whitespace().collect::<Vec<_>>().join(" ").contains(&told), "{name}: {help}");
        }
    }

    #[test]
    fn a_vision_tower_belongs_to_a_model() {
        let alone = Cli::try_parse_from(["steady", "run", "--vision-tower", "clip"]).unwrap_err().to_string();
        assert!(alone.contains("--model <DIR|ID>"), "{alone}");
        let Some(Command::Run(run)) = Cli::try_parse_from(["steady", "run", "--model", "med", "--vision-tower", "clip"]).unwrap().command
        else {
            panic!("another command")
        };
        assert_eq!(run.model.vision_tower.as_deref(), Some(std::path::Path::new("clip")));
    }

    #[test]
    fn a_benchmark_goes_by_two_names_and_another_is_told_which_there_are() {
        let chosen = |name: &str| Cli::try_parse_from(["steady", "run", "--bench", name]);
        for name in ["embedded", "steady-world"] {
            let Some(Command::Run(run)) = chosen(name).unwrap().command else { panic!("another command") };
            assert_eq!(BENCHMARKS.find(&run.bench).unwrap().row.title, "steady-world");
        }
        let refused = chosen("poppy").unwrap_err().to_string();
        assert!(refused.contains("unknown benchmark \"poppy\": expected one of embedded, file, "), "{refused}");
        let refused = chosen("file:q.csv,questoin=prompt").unwrap_err().to_string();
        assert!(refused.contains("unknown option \"questoin\": expected one of image, question, "), "{refused}");
    }

    #[test]
    fn run_folders_are_found_wherever_they_are_typed() {
        let found = |words: &[&str]| {
            let mut cli = Cli::try_parse_from(words).unwrap();
            cli.run_folders().into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&["steady", "--out", "s3://b/a"]), ["s3://b/a"]);
        assert_eq!(found(&["steady", "run", "--model", "m", "--out", "a", "--baseline", "b"]), ["a", "b"]);
        assert_eq!(found(&["steady", "merge", "a", "b", "--out", "c"]), ["a", "b", "c"]);
        assert_eq!(found(&["steady", "gate", "a", "--max-ndr", "1%"]), ["a"]);
        assert_eq!(found(&["steady", "models"]), Vec::<String>::new());
    }

    #[test]
    fn options_of_the_study_need_no_command() {
        let cli = Cli::try_parse_from(["steady", "--questions", "40", "--accel", "int8", "--accel", "w4:rtn"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.study.questions, cli.study.accelerations), (40, vec!["int8".to_owned(), "w4:rtn".to_owned()]));
    }
}
