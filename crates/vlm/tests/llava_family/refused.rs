//! Files that disagree, files that are not there, and methods that do not fit.

use pollster::FutureExt;
use serde_json::json;
use steady_vlm::{Checkpoint, Decoding, Evidence, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::folder::{Folder, load, reference, says};

const MISTRAL: &str = "tiny-llava-next-mistral";
const VICUNA: &str = "tiny-llava-next-vicuna";
const MED: &str = "tiny-llava-med";

fn open(folder: &Folder) -> Result<Checkpoint, VlmError> {
    Checkpoint::open(&folder.checkpoint())
}

/// Field, value, and what the message must name beside file and field.
#[test]
fn configs_of_next_that_cannot_be_run() {
    for (pointer, value, names) in [
        ("/vision_feature_select_strategy", json!("full"), ["`vision_feature_select_strategy`", "class token", "`default`"]),
        ("/image_grid_pinpoints", json!([[24, 40]]), ["`image_grid_pinpoints`", "24x40", "24 pixels"]),
        ("/image_grid_pinpoints", json!([]), ["`image_grid_pinpoints`", "a list of", "[]"]),
        ("/image_grid_pinpoints", json!([[24]]), ["`image_grid_pinpoints`", "[height, width]", "[[24]]"]),
        ("/text_config/model_type", json!("mixtral"), ["`text_config.model_type`", "mixtral", "mistral"]),
        ("/text_config/sliding_window", json!(-4), ["`text_config.sliding_window`", "an integer", "-4"]),
        ("/text_config/rope_scaling", json!({"rope_type": "longrope"}), ["`text_config.rope_scaling.rope_type`", "longrope", "llama3"]),
    ] {
        let folder = Folder::copy_of(MISTRAL);
        folder.set("config.json", pointer, value);
        let mut parts = names.to_vec();
        parts.push("config.json");
        says(open(&folder), &parts);
    }
}

#[test]
fn config_and_tensors_that_disagree() {
    for (pointer, value, parts) in [
        ("/text_config/num_key_value_heads", json!(4), ["model.safetensors", "k_proj", "[48, 40]", "[24, 40]"]),
        ("/text_config/num_hidden_layers", json!(4), ["layers.3.", "is missing", "", ""]),
        ("/text_config/num_hidden_layers", json!(2), ["9 tensors are not part", "layers.2.", "", ""]),
        ("/vision_config/image_size", json!(48), ["position_embedding", "[37, 24]", "[10, 24]", ""]),
    ] {
        let folder = Folder::copy_of(MISTRAL);
        folder.set("config.json", pointer, value);
        if pointer.ends_with("image_size") {
            folder.set("config.json", "/image_grid_pinpoints", json!([[48, 96]]));
        }
        says(load(&folder.checkpoint()), &parts);
    }
}

#[test]
fn the_processor_must_cut_the_tiles_that_the_model_joins() {
    let folder = Folder::copy_of(MISTRAL);
    folder.set("preprocessor_config.json", "/image_grid_pinpoints", json!([[24, 48]]));
    says(open(&folder).unwrap().processor(), &["preprocessor_config.json", "tiles of 24 pixels at", "(24, 48)", "(72, 24)"]);
    folder.set("preprocessor_config.json", "/image_processor_type", json!("CLIPImageProcessor"));
    folder.set("preprocessor_config.json", "/do_pad", json!(false));
    says(open(&folder).unwrap().processor(), &["preprocessor_config.json", "no tiles", "tiles of 24 pixels"]);
    folder.set("preprocessor_config.json", "/image_processor_type", json!("LlavaNextImageProcessor"));
    folder.set("preprocessor_config.json", "/crop_size", json!({"height": 20, "width": 20}));
    says(open(&folder).unwrap().image_processor(), &["preprocessor_config.json", "`image_grid_pinpoints`", "tiles of 20 pixels"]);
}

/// The number of placeholders is the processor's affair, the number of features the model's.
#[test]
fn image_token_counts_that_differ_from_the_features() {
    for (field, value) in [("num_additional_image_tokens", json!(0)), ("vision_feature_select_strategy", json!("full"))] {
        let folder = Folder::copy_of(MISTRAL);
        folder.set("processor_config.json", &format!("/{field}"), value);
        says(open(&folder).unwrap().processor(), &["processor_config.json", "placeholders", "9 visual tokens"]);
    }
}

#[test]
fn files_that_are_missing_or_cut_short() {
    let folder = Folder::copy_of(MISTRAL);
    std::fs::remove_file(folder.file("preprocessor_config.json")).unwrap();
    says(open(&folder).unwrap().processor(), &["has no preprocessor_config.json", "processor_config.json"]);

    let folder = Folder::copy_of(VICUNA);
    let shard = folder.file("model-00002-of-00004.safetensors");
    let whole = std::fs::read(&shard).unwrap();
    for length in [4, 100, whole.len() - 1] {
        std::fs::write(&shard, &whole[..length]).unwrap();
        says(load(&folder.checkpoint()), &["model-00002-of-00004.safetensors", "not a usable safetensors file"]);
    }
    std::fs::remove_file(&shard).unwrap();
    says(load(&folder.checkpoint()), &["has no model-00002-of-00004.safetensors", "model.safetensors.index.json"]);

    let folder = Folder::copy_of(MED);
    std::fs::rename(folder.file("tokenizer.json"), folder.file("tokenizer.model")).unwrap();
    says(open(&folder).unwrap().processor(), &["has no tokenizer.json", "tokenizer.model", "save_pretrained"]);

    // A tokenizer that does not know the placeholder cannot stand in for the one that does.
    let folder = Folder::copy_of(MISTRAL);
    std::fs::copy(reference(MED).join("checkpoint/tokenizer.json"), folder.file("tokenizer.json")).unwrap();
    std::fs::remove_file(folder.file("tokenizer_config.json")).unwrap();
    says(open(&folder).unwrap().processor(), &["tokenizer.json", "no image token `<image>`"]);
}

#[test]
fn towers_that_are_missing_or_another() {
    let folder = Folder::copy_of(MED);
    let tower = folder.root().join("clip-tiny-patch8-24");
    std::fs::remove_file(tower.join("model.safetensors")).unwrap();
    says(load(&folder.checkpoint()), &["clip-tiny-patch8-24", "has no model.safetensors"]);
    std::fs::remove_file(tower.join("preprocessor_config.json")).unwrap();
    says(open(&folder).unwrap().processor(), &["clip-tiny-patch8-24", "has no preprocessor_config.json"]);
    std::fs::remove_dir_all(&tower).unwrap();
    let parts = ["config.json", "`mm_vision_tower`", "`steady/clip-tiny-patch8-24`", "preprocessor_config.json", "beside the checkpoint"];
    says(open(&folder), &parts);
    says(Checkpoint::open_with_tower(&folder.checkpoint(), &folder.root().join("nowhere")), &["`mm_vision_tower`", "nowhere"]);
    let own = Folder::copy_of(VICUNA);
    says(Checkpoint::open_with_tower(&own.checkpoint(), &tower), &["vision tower", "holds its vision tower itself"]);
}

#[test]
fn settings_of_the_llava_repository_that_are_not_known() {
    for (pointer, value, names) in [
        ("/mm_hidden_size", json!(1024), ["`mm_hidden_size`", "1024", "24 wide"]),
        ("/mm_projector_type", json!("linear"), ["`mm_projector_type`", "linear", "mlp2x_gelu"]),
        ("/mm_use_im_start_end", json!(true), ["`mm_use_im_start_end`", "false", ""]),
        ("/mm_vision_select_layer", json!(-9), ["`mm_vision_select_layer`", "-9", "4 hidden states"]),
        ("/mm_vision_select_feature", json!("cls"), ["`mm_vision_select_feature`", "cls", "cls_patch"]),
        ("/image_aspect_ratio", json!("anyres"), ["`image_aspect_ratio`", "anyres", "transformers' layout"]),
        ("/image_aspect_ratio", json!("stretch"), ["`image_aspect_ratio`", "stretch", "pad"]),
        ("/mm_vision_tower", json!(null), ["`mm_vision_tower`", "is missing", ""]),
    ] {
        let folder = Folder::copy_of(MED);
        folder.set("config.json", pointer, value);
        let mut parts = names.to_vec();
        parts.push("config.json");
        says(open(&folder), &parts);
    }
}

/// Asks for the tower's attention, or acts on its features.
struct LooksAtTheTower(Site, Needs);

impl TokenReducer for LooksAtTheTower {
    fn name(&self) -> String {
        "tower-reader".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(self.0, PositionPolicy::Renumber).seeing(self.1.clone())]
    }

    fn reduce(&self, _: usize, _: &Evidence<'_>) -> Result<Reduction, VlmError> {
        Ok(Reduction::keep(vec![0]))
    }
}

#[test]
fn reducers_that_need_one_grid_of_patches() {
    let vlm = load(&reference(VICUNA).join("checkpoint")).unwrap();
    let picture = steady_vlm::image::load(&reference(VICUNA).join("images/wide.png")).unwrap();
    let prepared = vlm.prepare(&picture, "<image> how many?").unwrap();
    let cls = Needs { cls_attention: [-1].into(), ..Needs::default() };
    let joined = LooksAtTheTower(Site::AfterProjector, cls.clone());
    says(vlm.ask(&prepared, Some(&joined), &Decoding::default()).block_on(), &["tower-reader", "several views", "view by view"]);
    // Behind the tower it acts view by view: one token of each.
    let apart = LooksAtTheTower(Site::AfterTower, cls);
    let answer = vlm.ask(&prepared, Some(&apart), &Decoding::default()).block_on().unwrap();
    let text = prepared.input_ids.len() - prepared.layout.tokens();
    assert_eq!(answer.kv_lengths[0] - text, prepared.pixels.shape[0]);
    let mut cut = prepared;
    cut.pixels.shape[0] -= 1;
    cut.pixels.data.truncate(cut.pixels.shape.iter().product());
    says(vlm.ask(&cut, None, &Decoding::default()).block_on(), &["pixel values", "views of an image of 121x37"]);
}
