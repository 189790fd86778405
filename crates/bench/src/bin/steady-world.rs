//! The world on the command line: a stream for training, the test suite, a contact sheet, and the spread of the answers.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use image::{RgbImage, imageops};
use std::{
    io::{BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use steady_bench::{
    BenchError, Benchmark,
    world::{EmbeddedSuite, Level, Picture, SIZE, Split, TaskFamily, stream},
};

const EXAMPLES: &str = "Examples:
  steady-world stream --split train --start 0 --count 100000 --questions 8 | python3 train.py
  steady-world stream --families reading,chart --level 0 --count 1000 > easy.bin
  steady-world suite --per-family 100 > suite.bin
  steady-world sheet --out sheet.png
  steady-world fingerprint --per-family 100

The stream: one JSON header line (image_size, patch, grid, planes, image_labels); then per image, little-endian:
u32 length + JSON {id, scene, questions}, 144*144*3 bytes RGB, 12*12 class ids per plane, one byte per image label.";

/// Draws the procedural world that the embedded models are trained and tested on.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write images with questions, answers and patch labels to stdout.
    Stream {
        #[command(flatten)]
        select: Select,
        /// Most questions per image; images with little to ask have fewer.
        #[arg(long, default_value_t = 8)]
        questions: usize,
    },
    /// Write the test suite to stdout in the same format, with question ids and gold answers.
    Suite {
        /// Questions per family.
        #[arg(long, default_value_t = 100)]
        per_family: usize,
    },
    /// Draw a contact sheet of 5x4 images and print their questions.
    Sheet {
        #[command(flatten)]
        select: Select,
        /// Most questions per image.
        #[arg(long, default_value_t = 8)]
        questions: usize,
        /// PNG file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the hash over the test suite's questions, answers and pixels.
    Fingerprint {
        /// Questions per family.
        #[arg(long, default_value_t = 100)]
        per_family: usize,
    },
}

#[derive(clap::Args)]
struct Select {
    /// Seed range: train or test.
    #[arg(long, default_value = "train")]
    split: Split,
    /// First image of the split.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Number of images.
    #[arg(long, default_value_t = 20)]
    count: u64,
    /// Comma-separated families; only scenes that serve them are drawn.
    #[arg(long, value_delimiter = ',')]
    families: Vec<TaskFamily>,
    /// Curriculum: 0 easy, 1 middle, 2 the distribution of the tests.
    #[arg(long, default_value = "2")]
    level: Level,
}

impl Select {
    fn families(&self) -> Vec<TaskFamily> {
        if self.families.is_empty() { TaskFamily::ALL.to_vec() } else { self.families.clone() }
    }

    fn pictures(&self) -> Result<impl Iterator<Item = Picture>> {
        let Some(end) = self.start.checked_add(self.count).filter(|end| *end <= Split::SIZE) else {
            bail!("--start {} --count {}: a split has {} images", self.start, self.count, Split::SIZE);
        };
        let (split, level, families) = (self.split, self.level, self.families());
        Ok((self.start..end).map(move |i| Picture::draw(split, i, level, &families)))
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if stderr is closed too.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Stream { select, questions } => {
            let (pictures, families) = (select.pictures()?, select.families());
            to_stdout(|out| {
                stream::write_header(out)?;
                for picture in pictures {
                    stream::write_picture(out, &picture, &families, questions)?;
                }
                Ok(())
            })
        }
        Command::Suite { per_family } => {
            let suite = EmbeddedSuite::test(per_family);
            to_stdout(|out| Ok(stream::write_suite(out, &suite)?))
        }
        Command::Sheet { select, questions, out } => sheet(&select, questions, &out),
        Command::Fingerprint { per_family } => to_stdout(|out| Ok(writeln!(out, "{}", EmbeddedSuite::test(per_family).fingerprint())?)),
    }
}

/// Runs a writer on stdout; a reader that goes away ends the program quietly, as it does `yes`.
fn to_stdout(write: impl FnOnce(&mut BufWriter<std::io::StdoutLock<'static>>) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let result = write(&mut out).and_then(|()| Ok(out.flush()?));
    let closed = |e: &anyhow::Error| {
        let io = match e.downcast_ref::<BenchError>() {
            Some(BenchError::Write(io)) => Some(io),
            _ => e.downcast_ref::<std::io::Error>(),
        };
        io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    };
    result.or_else(|e| if closed(&e) { std::process::exit(0) } else { Err(e) })
}

fn sheet(select: &Select, questions: usize, path: &Path) -> Result<()> {
    const COLUMNS: usize = 5;
    const GAP: usize = 4;
    let pictures: Vec<Picture> = select.pictures()?.take(COLUMNS * 4).collect();
    let step = SIZE + GAP;
    let rows = pictures.len().div_ceil(COLUMNS);
    let mut page = RgbImage::new((COLUMNS * step + GAP) as u32, (rows * step + GAP) as u32);
    for (i, picture) in pictures.iter().enumerate() {
        let (x, y) = ((i % COLUMNS * step + GAP) as i64, (i / COLUMNS * step + GAP) as i64);
        imageops::replace(&mut page, &picture.image, x, y);
    }
    page.save(path).with_context(|| format!("cannot write the sheet to {}", path.display()))?;
    to_stdout(|out| {
        for picture in &pictures {
            writeln!(out, "{} ({})", picture.id, picture.kind.name())?;
            for (family, text, answer) in picture.ask(&select.families(), questions) {
                writeln!(out, "  {:13}{} -> {answer}", family.name(), text.replace('\n', " | "))?;
            }
        }
        Ok(())
    })
}
