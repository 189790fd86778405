//! Lists the files of every checkpoint in `models/`, so that they can be compiled in.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let models = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../../models");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", models.display());
    let mut code = String::from("pub(super) static CHECKPOINTS: &[(&str, Files)] = &[\n");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_some() {
        for folder in sorted(&models)?.into_iter().filter(|folder| folder.join("config.json").is_file()) {
            let _ = writeln!(code, "    ({:?}, &[", name(&folder));
            for file in sorted(&folder)?.into_iter().filter(|file| file.is_file()) {
                println!("cargo:rerun-if-changed={}", file.display());
                let path = file.canonicalize()?;
                let _ = writeln!(code, "        ({:?}, include_bytes!({:?})),", name(&file), path.to_string_lossy());
            }
            code.push_str("    ]),\n");
        }
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("checkpoints.rs"), code)
}

/// Entries in the order of their names, the same on every file system. No `models` folder is no checkpoints.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
