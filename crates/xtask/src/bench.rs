//! steady beside its peers: pairs of programs that do the same work by turns, and what came out as `docs/performance.md`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::shell::{announce, native, output, program, run, target_dir};

/// What is measured, and with what.
#[derive(Args)]
pub(crate) struct Bench {
    /// Python with what tests/peers asks for: torch, transformers and, for its rows, xllamacpp.
    #[arg(long, default_value = "python3")]
    python: String,
    /// How often each pair takes its turns; the first turn of each program is thrown away.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the checkpoint of 0.7 billion parameters is, or is made (3 GB).
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Where the table goes.
    #[arg(long, default_value = "docs/performance.md")]
    out: PathBuf,
}

/// Tokens of a long answer: what it takes more than an answer of one token is decoding.
const LONG: usize = 33;
/// Questions of the embedded suite that a round of the transformers loop asks.
const LOOP: usize = 60;
/// Questions of the study beside it.
const SUITE: usize = 300;
/// The eight accelerations of the study of the larger checkpoint.
const STUDY_ACCELERATIONS: [&str; 8] =
    ["w4:rtn", "int8", "nf4", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "visionzip:keep=0.33", "vtw:k=12", "dart:keep=0.33"];
/// The preset of the embedded study, which a plain `steady` takes, and how many accelerations it has.
const EMBEDDED: (&str, usize) = ("first5", 5);
const QUESTION: &str = "What is it?";

/// A program that says `ready`, and then for each line that it reads the seconds that its work took.
struct Peer {
    name: String,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let to = child.stdin.take().context("a peer that listens")?;
        let from = BufReader::new(child.stdout.take().context("a peer that answers")?);
        let mut peer = Self { name: name.to_owned(), child, to, from };
        let ready = peer.line()?;
        announce(&format!("{name}: {ready}"));
        // The first turn of a program does not count.
        peer.take("1")?;
        Ok(peer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.from.read_line(&mut line)? > 0, "{} ended: {:?}", self.name, self.child.wait()?);
        Ok(line.trim().to_owned())
    }

    /// The numbers that it answers with, seconds first.
    fn take(&mut self, order: &str) -> Result<Vec<f64>> {
        writeln!(self.to, "{order}")?;
        let line = self.line()?;
        line.split(' ').map(|word| word.parse().with_context(|| format!("{} said {line:?}, expected seconds", self.name))).collect()
    }

    fn seconds(&mut self, order: &str) -> Result<f64> {
        self.take(order)?.first().copied().context("seconds")
    }

    /// Seconds to the first token, and of each token behind it.
    fn answer(&mut self) -> Result<[f64; 2]> {
        let first = self.seconds("1")?;
        let long = self.seconds(&LONG.to_string())?;
        Ok([first, (long - first) / (LONG - 1) as f64])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing to do for one that has gone by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What ours and theirs took in each round.
struct Pair {
    what: &'static str,
    unit: &'static str,
    peer: &'static str,
    /// The ratio that is aimed at, theirs over ours.
    goal: Option<f64>,
    rounds: Vec<(f64, f64)>,
}

/// Least, median, most.
fn spread(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    let [first, .., last] = numbers.as_slice() else { return [numbers.first().copied().unwrap_or(f64::NAN); 3] };
    [*first, numbers[numbers.len() / 2], *last]
}

impl Pair {
    fn row(&self) -> String {
        let range = |[least, median, most]: [f64; 3], digits: usize| format!("{median:.digits$} ({least:.digits$} to {most:.digits$})");
        let [ours, theirs] = [|(ours, _): &(f64, f64)| *ours, |(_, theirs): &(f64, f64)| *theirs]
            .map(|side| range(spread(self.rounds.iter().map(side).collect()), 1));
        let ratio = range(spread(self.rounds.iter().map(|(ours, theirs)| theirs / ours).collect()), 2);
        let goal = self.goal.map_or_else(String::new, |goal| format!("{goal}"));
        format!("| {}, {} | {} | {ours} | {theirs} | {ratio} | {goal} |", self.what, self.unit, self.peer)
    }
}

/// Runs all pairs, one after the other, and writes the page.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    run(native("build", false).args(["--bin", "steady", "--bin", "steady-world", "--example", "answer"]))?;
    let built = target_dir().join("release");
    let (steady, answer) = (built.join("steady"), built.join("examples/answer"));
    let model = &bench.folder;
    if !model.join("model.safetensors").exists() {
        run(&mut program(&bench.python, [Path::new("tests/peers/checkpoint.py"), model.as_path()]))?;
    }
    let picture = model.join("picture.png");
    let transformers = |task: &str| {
        let mut command = program(&bench.python, ["tests/peers/by_transformers.py", task]);
        command.env("HF_HUB_OFFLINE", "1");
        command
    };
    let mut pairs = Vec::new();

    let mut ours = Peer::start("steady", Command::new(&answer).arg(model).args([&picture]).arg(QUESTION))?;
    let mut theirs = Peer::start("transformers", transformers("answer").arg(model).arg(&picture).arg(QUESTION))?;
    let flops = *ours.take("1")?.get(1).context("operations")?;
    let [first, decode] = by_turns(bench.rounds, || ours.answer(), || theirs.answer())?;
    let pace = spread(first.iter().map(|(ours, _)| flops / ours / 1e9).collect())[1];
    pairs.push(pair("picture and prompt to the first token, f32", "ms", "transformers", Some(1.0), &first, 1e3));
    pairs.push(pair("each token behind it, f32", "ms", "transformers", Some(2.0), &decode, 1e3));
    let bandwidth = read_per_token(model)? / 1e9 / spread(decode.iter().map(|(ours, _)| *ours).collect())[1];
    drop((ours, theirs));

    if output(&mut program(&bench.python, ["-c", "import xllamacpp"])).is_some() {
        let packed = model.join("q4_0");
        if !packed.join("mmproj.gguf").exists() {
            run(Command::new(&steady)
                .args(["quantize", "--accel", "q4_0", "--format", "gguf", "--model"])
                .arg(model)
                .arg("--out")
                .arg(&packed))?;
        }
        let mut ours = Peer::start("steady, q4_0", Command::new(&answer).arg(model).arg(&picture).args([QUESTION, "q4_0"]))?;
        let threads = thread::available_parallelism()?.to_string();
        let mut theirs = Peer::start(
            "llama.cpp",
            program(&bench.python, ["tests/peers/by_llama_cpp.py"]).arg(&packed).arg(&picture).args([QUESTION, &threads]),
        )?;
        let [first, decode] = by_turns(bench.rounds, || ours.answer(), || theirs.answer())?;
        pairs.push(pair("picture and prompt to the first token, Q4_0", "ms", "llama.cpp", None, &first, 1e3));
        pairs.push(pair("each token behind it, Q4_0", "ms", "llama.cpp", Some(0.8), &decode, 1e3));
    }

    let mut theirs = Peer::start("transformers, a loop over questions", transformers("loop").arg(model).arg(model.join("questions.csv")))?;
    let asked = format!("file:{}", model.join("questions.csv").display());
    let study = |model: &Path, bench_name: &str, questions: usize, (specs, accelerations): (&[&str], usize)| -> Result<f64> {
        let out = tempfile::tempdir()?;
        let mut command = Command::new(&steady);
        command
            .args(["run", "--device", "cpu", "--control", "none", "--post-prompt", "none", "--json", "--bench", bench_name])
            .arg("--model")
            .arg(model);
        command.args(["--questions", &questions.to_string(), "--out"]).arg(out.path().join("run"));
        for spec in specs {
            command.args(["--accel", spec]);
        }
        let start = Instant::now();
        let done = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        if !done.status.success() {
            bail!("{}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(start.elapsed().as_secs_f64() / (questions * (accelerations + 1)) as f64)
    };
    let [rounds] = by_turns(
        bench.rounds,
        || Ok([study(model, &asked, 6, (&STUDY_ACCELERATIONS, STUDY_ACCELERATIONS.len()))?]),
        || Ok([theirs.seconds("all")? / 6.0]),
    )?;
    pairs.push(pair(
        "a study of 6 questions about a picture under 8 accelerations, whole process",
        "ms an answer",
        "a loop in transformers",
        Some(8.0),
        &rounds,
        1e3,
    ));
    drop(theirs);

    let world = built.join("steady-world");
    let mut theirs = Peer::start(
        "transformers, a loop over the suite",
        transformers("suite").arg("models/steady-llava").arg(&world).arg(LOOP.to_string()),
    )?;
    let [rounds] = by_turns(
        bench.rounds,
        || Ok([study(Path::new("models/steady-llava"), "embedded", SUITE, (&[EMBEDDED.0], EMBEDDED.1))?]),
        || Ok([theirs.seconds("all")? / LOOP as f64]),
    )?;
    pairs.push(pair(
        "the embedded study, 300 questions under 5 accelerations, whole process",
        "ms an answer",
        "a loop in transformers",
        Some(10.0),
        &rounds,
        1e3,
    ));
    drop(theirs);

    fs::write(&bench.out, page(bench, &pairs, pace, bandwidth)?).with_context(|| bench.out.display().to_string())?;
    announce(&format!("wrote {}", bench.out.display()));
    Ok(())
}

/// So many rounds of both by turns, of each measure ours and theirs.
fn by_turns<const N: usize>(
    rounds: usize,
    mut ours: impl FnMut() -> Result<[f64; N]>,
    mut theirs: impl FnMut() -> Result<[f64; N]>,
) -> Result<[Vec<(f64, f64)>; N]> {
    let mut found: [Vec<(f64, f64)>; N] = std::array::from_fn(|_| Vec::new());
    for round in 1..=rounds {
        let [ours, theirs] = [ours()?, theirs()?];
        announce(&format!("round {round}: {ours:.4?} beside {theirs:.4?} s"));
        for (pairs, pair) in found.iter_mut().zip(ours.into_iter().zip(theirs)) {
            pairs.push(pair);
        }
    }
    Ok(found)
}

fn pair(what: &'static str, unit: &'static str, peer: &'static str, goal: Option<f64>, rounds: &[(f64, f64)], times: f64) -> Pair {
    Pair { what, unit, peer, goal, rounds: rounds.iter().map(|(ours, theirs)| (ours * times, theirs * times)).collect() }
}

/// Bytes of weights that a decoded token reads: those of the decoder's layers and of the head.
fn read_per_token(model: &Path) -> Result<f64> {
    let file = fs::File::open(model.join("model.safetensors"))?;
    let mut file = BufReader::new(file);
    let mut length = [0; 8];
    std::io::Read::read_exact(&mut file, &mut length)?;
    let mut header = vec![0; usize::try_from(u64::from_le_bytes(length))?];
    std::io::Read::read_exact(&mut file, &mut header)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&header)?;
    let read = header
        .iter()
        .filter(|(name, _)| (name.contains("language_model") && !name.contains("embed_tokens")) || name.starts_with("lm_head"));
    let bytes = read.map(|(name, tensor)| {
        let at = |end: usize| tensor["data_offsets"][end].as_u64().with_context(|| format!("{name} without offsets"));
        Ok(at(1)? - at(0)?)
    });
    Ok(bytes.sum::<Result<u64>>()? as f64)
}

fn page(bench: &Bench, pairs: &[Pair], pace: f64, bandwidth: f64) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("a processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let threads = thread::available_parallelism()?;
    let mut versions = String::new();
    for package in ["transformers", "torch", "xllamacpp"] {
        let said =
            output(&mut program(&bench.python, ["-c", &format!("from importlib.metadata import version; print(version('{package}'))")]));
        if let Some(version) = said {
            write!(versions, "{}{package} {version}", if versions.is_empty() { "" } else { ", " })?;
        }
    }
    let mut page = format!(
        "# Beside others

Written by `cargo xtask bench --rounds {}` on {threads} cores of {cpu} ({}); {versions}. Do not edit.

Two programs hold the same checkpoint and do the same work by turns, on all cores, with nothing beside them. A ratio is of two turns that followed each other: how many times as long the
other program took. What stands in brackets is the least and the most of the rounds. Random weights of LLaVA-1.5's form (a CLIP tower of 336 pixels, 576 visual tokens, a decoder of the
widths of Qwen2-0.5B; 0.72 billion parameters, `tests/peers/checkpoint.py`), greedy, a batch of one. What they answer means nothing; that both compute the same is held by the
reference cases.

| work | peer | steady | peer's | ratio | goal |
| --- | --- | --- | --- | --- | --- |
",
        bench.rounds,
        env::consts::OS,
    );
    for pair in pairs {
        writeln!(page, "{}", pair.row())?;
    }
    write!(
        page,
        "
In the median steady computes {pace:.0} GFLOP/s up to the first token, and reads {bandwidth:.1} GB/s of weights while it decodes in f32. What the machine can do by itself stands in
[speed.md](speed.md).

The larger study's accelerations are {}. It counts everything: loading, packing, records, the report. The loop in transformers is counted without loading, for the model as it is, and asks every question with nothing shared, which is what a
script does for each acceleration in turn.
",
        STUDY_ACCELERATIONS.map(|spec| format!("`{spec}`")).join(", ")
    )?;
    Ok(page)
}
