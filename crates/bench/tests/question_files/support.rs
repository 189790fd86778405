//! A folder of files to read.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use steady_bench::{BENCHMARKS, BenchError, Benchmark};
use tempfile::TempDir;

pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with pictures `a.png`, `b.png`, `c.png` of different sizes and colours.
    pub(crate) fn with_pictures() -> Self {
        let place = Self::new();
        for (n, name) in ["a.png", "b.png", "c.png"].iter().enumerate() {
            place.write(name, png(n as u8));
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Opens `file:NAME..` in this folder.
    pub(crate) fn open(&self, spec: &str) -> Result<Box<dyn Benchmark>, BenchError> {
        open("file", &self.path(spec))
    }

    /// Why `file:NAME..` is refused, with the folder's own path left out.
    pub(crate) fn refused(&self, spec: &str) -> String {
        self.without_path(&self.open(spec).err().unwrap().to_string())
    }

    pub(crate) fn without_path(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

pub(crate) fn open(name: &str, path: &Path) -> Result<Box<dyn Benchmark>, BenchError> {
    BENCHMARKS.find(&format!("{name}:{}", path.display()))?.open(0, &[])
}

/// Picture number `n`: `10 + n` by 20 pixels of one colour.
pub(crate) fn picture(n: u8) -> RgbImage {
    RgbImage::from_pixel(10 + u32::from(n), 20, Rgb([n, 100, 200]))
}

/// The same as a file.
pub(crate) fn png(n: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture(n).write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// Id, family, image, text, gold and kind of each question, a line each.
pub(crate) fn lines(benchmark: &dyn Benchmark) -> Vec<String> {
    let line = |q: &steady_bench::Question| {
        format!("{} | {} | {} | {} | {} | {}", q.id, q.family, q.image, q.text.replace('\n', "/"), q.gold.join(","), q.kind.name())
    };
    benchmark.questions().iter().map(line).collect()
}
