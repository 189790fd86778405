//! Broken text-side files, and files that are not there.

use serde_json::json;
use steady_vlm::Checkpoint;
use steady_vlm::VlmError;
use steady_vlm::families::llava::LlavaConfig;

use super::folder::Folder;

fn says<T>(result: Result<T, VlmError>, parts: &[&str]) {
    let Err(error) = result else { panic!("expected an error with {parts:?}") };
    let error = error.to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "expected {parts:?}: {error}");
}

#[test]
fn folders_that_are_none() {
    let folder = Folder::tiny();
    says(Checkpoint::open(&folder.path().join("nowhere")), &["nowhere", "cannot read"]);
    says(Checkpoint::open(&folder.path().join("config.json")), &["config.json", "a checkpoint is a folder"]);
    folder.remove("config.json");
    says(Checkpoint::open(folder.path()), &["has no config.json", "architecture"]);
    folder.write("config.json", "{\"model_type\": ");
    says(Checkpoint::open(folder.path()), &["config.json", "not valid JSON", "line 1"]);
    folder.write("config.json", "[]");
    says(Checkpoint::open(folder.path()), &["config.json", "an object", "[]"]);
    folder.remove("config.json");
    std::fs::create_dir(folder.path().join("config.json")).unwrap();
    says(Checkpoint::open(folder.path()), &["config.json", "folder"]);
}

#[test]
fn broken_tokenizers() {
    let folder = Folder::tiny();
    let whole = folder.read("tokenizer.json");
    for (content, reason) in [
        (whole[..whole.len() / 2].to_vec(), "EOF"),
        (b"not json".to_vec(), "expected"),
        (br#"{"version":"1.0","model":{"type":"Oracle"}}"#.to_vec(), ""),
        (Vec::new(), "EOF"),
    ] {
        folder.write("tokenizer.json", content);
        says(folder.open().tokenizer(), &["tokenizer.json", reason]);
        says(folder.open().processor(), &["tokenizer.json", reason]);
    }
    folder.remove("tokenizer.json");
    says(folder.open().tokenizer(), &["has no tokenizer.json"]);
}

#[test]
fn image_tokens_that_disagree() {
    let folder = Folder::tiny();
    folder.set("processor_config.json", "/image_token", json!("<picture>"));
    says(folder.open().processor(), &["tokenizer.json", "no image token `<picture>`"]);
    folder.set("processor_config.json", "/image_token", json!("</s>"));
    says(folder.open().processor(), &["config.json", "`image_token_index`", "400", "`</s>` has id 2"]);
    let folder = Folder::tiny();
    folder.set("processor_config.json", "/num_additional_image_tokens", json!(0));
    says(folder.open().processor(), &["processor_config.json", "25 placeholders", "26 visual tokens"]);
    folder.set("processor_config.json", "/num_additional_image_tokens", json!(-1));
    says(folder.open().processor(), &["processor_config.json", "`num_additional_image_tokens`", "negative"]);
}

#[test]
fn broken_image_processors() {
    let folder = Folder::tiny();
    folder.remove("processor_config.json");
    says(folder.open().image_processor(), &["has no preprocessor_config.json", "processor_config.json"]);
    for (pointer, value, parts) in [
        (
            "/image_processor_type",
            json!("SiglipImageProcessor"),
            ["`image_processor.image_processor_type`", "Siglip", "CLIPImageProcessor"],
        ),
        ("/do_flip", json!(true), ["`image_processor.do_flip`", "not a known setting", "do_resize"]),
        ("/do_pad", json!(true), ["`image_processor.do_pad`", "false", "LlavaImageProcessor"]),
        ("/do_convert_rgb", json!(false), ["`image_processor.do_convert_rgb`", "true", ""]),
        ("/resample", json!(0), ["`image_processor.resample`", "0", "3 (bicubic)"]),
        ("/size", json!({"longest_edge": 40}), ["`image_processor.size`", "shortest_edge", "longest_edge"]),
        ("/size/shortest_edge", json!(1_000_000), ["`image_processor.size.shortest_edge`", "8192", "1000000"]),
        ("/crop_size", json!({"height": 40}), ["`image_processor.crop_size.width`", "missing", ""]),
        ("/image_mean", json!([0.5, 0.5]), ["`image_processor.image_mean`", "three numbers", "[0.5,0.5]"]),
        ("/image_std", json!([0.5, 0.0, 0.5]), ["`image_processor.image_std`", "other than 0", ""]),
        ("/rescale_factor", json!("1/255"), ["`image_processor.rescale_factor`", "a number", "1/255"]),
    ] {
        let folder = Folder::tiny();
        folder.set("processor_config.json", &format!("/image_processor{pointer}"), value);
        let mut parts = parts.to_vec();
        parts.push("processor_config.json");
        says(folder.open().image_processor(), &parts);
    }
}

#[test]
fn pixels_of_a_size_that_the_tower_does_not_take() {
    let folder = Folder::tiny();
    folder.set("processor_config.json", "/image_processor/crop_size", json!({"height": 32, "width": 40}));
    let processor = folder.open().processor().unwrap();
    says(processor.prepare(&image::RgbImage::new(50, 50), "<image>"), &["processor_config.json", "[1, 3, 32, 40]", "[1, 3, 40, 40]"]);
}

#[test]
fn broken_generation_settings() {
    let folder = Folder::tiny();
    for (content, parts) in [
        (json!({"repetition_penalty": 0.0}), ["`repetition_penalty`", "above 0"]),
        (json!({"eos_token_id": ["</s>"]}), ["`eos_token_id`", "token id"]),
        (json!({"max_new_tokens": -3}), ["`max_new_tokens`", "-3"]),
    ] {
        folder.write("generation_config.json", content.to_string());
        says(Checkpoint::open(folder.path()), &["generation_config.json", parts[0], parts[1]]);
    }
}

/// A folder and the same files compiled in are the same checkpoint; a file that decides nothing does not count.
#[test]
fn the_hash_names_the_model_and_not_the_folder() {
    let folder = Folder::tiny();
    let hash = folder.open().sha256().unwrap();
    assert_eq!(hash.len(), 64);
    folder.write("README.md", "a model card").write("training.json", "{}");
    assert_eq!(folder.open().sha256().unwrap(), hash);
    let files: Vec<(&'static str, &'static [u8])> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| (&*name.clone().leak(), &*folder.read(&name).leak()))
        .collect();
    let embedded = Checkpoint::from_files("compiled-in", files.leak()).unwrap();
    assert_eq!((embedded.sha256().unwrap(), embedded.name()), (hash.clone(), "compiled-in"));
    assert_eq!(embedded.config::<LlavaConfig>().unwrap(), folder.open().config::<LlavaConfig>().unwrap());
    folder.set("generation_config.json", "/repetition_penalty", json!(1.2));
    assert_ne!(folder.open().sha256().unwrap(), hash);
}
