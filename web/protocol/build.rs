//! Lists the checkpoints of `models/` with size and hash of every file: the page offers them, and the worker takes no other file for one of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

#[allow(unreachable_pub, reason = "public in the crate that it belongs to")]
#[path = "../../crates/vlm/src/files/decisive.rs"]
mod decisive;

fn main() -> io::Result<()> {
    let models = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../../models");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", models.display());
    let mut code = String::from(
        "/// Every one there is, by name.\n\
         #[allow(clippy::unreadable_literal, reason = \"written by a program\")]\n\
         pub static EMBEDDED: &[Embedded] = &[\n",
    );
    for folder in sorted(&models)?.into_iter().filter(|folder| folder.join("config.json").is_file()) {
        let _ = writeln!(code, "    Embedded {{ name: {:?}, files: &[", name(&folder));
        for file in sorted(&folder)?.into_iter().filter(|file| decisive::decides(&name(file))) {
            println!("cargo:rerun-if-changed={}", file.display());
            let content = fs::read(&file)?;
            let hash = HEXLOWER.encode(&Sha256::digest(&content));
            let _ = writeln!(code, "        EmbeddedFile {{ name: {:?}, bytes: {}, sha256: {hash:?} }},", name(&file), content.len());
        }
        code.push_str("    ] },\n");
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("embedded.rs"), code)
}

/// Entries in the order of their names, the same on every file system.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
