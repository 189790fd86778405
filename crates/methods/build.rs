//! Makes constants of the presets in `presets.toml`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presets {
    preset: Vec<Preset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    name: String,
    summary: String,
    specs: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=presets.toml");
    let Presets { preset } = toml::from_str(&fs::read_to_string("presets.toml")?)?;
    let (mut code, mut names) = (String::new(), Vec::new());
    for Preset { name, summary, specs } in &preset {
        let constant = name.to_uppercase();
        let fields = format!("name: {name:?}, summary: {summary:?}, specs: &{specs:?}");
        writeln!(code, "/// `{name}`: {summary}.\npub const {constant}: Preset = Preset {{ {fields} }};")?;
        names.push(constant);
    }
    writeln!(code, "/// Every preset.\npub static PRESETS: [Preset; {}] = [{}];", names.len(), names.join(", "))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("presets.rs"), code)?;
    Ok(())
}
