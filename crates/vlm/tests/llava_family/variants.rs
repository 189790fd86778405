//! The same models from other files: a tower that the checkpoint brings itself, in another place, classes' defaults left out.

use std::collections::BTreeMap;

use pollster::FutureExt;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;
use steady_vlm::families::llava::{LlavaConfig, MISTRAL, VICUNA as VICUNA_CONVERSATION};
use steady_vlm::families::llava_next::LlavaNextConfig;
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, Precision, Vlm};

use super::folder::{Folder, load, reference};
use super::parity::compare;

const CLIP: &str = "clip-tiny-patch8-24";

fn config<C: Clone + 'static>(folder: &Folder) -> C {
    Checkpoint::open(&folder.checkpoint()).unwrap().config::<C>().unwrap().clone()
}

/// LLaVA-Med v1.5 publishes the tower it was trained with in its own shards, under the module names of the repository.
#[test]
fn a_tower_among_the_checkpoints_own_weights_wins() {
    let folder = Folder::copy_of("tiny-llava-med");
    let own = std::fs::read(folder.file("model.safetensors")).unwrap();
    let clip = std::fs::read(folder.root().join(CLIP).join("model.safetensors")).unwrap();
    let (own, clip) = (SafeTensors::deserialize(&own).unwrap(), SafeTensors::deserialize(&clip).unwrap());
    let mut tensors: BTreeMap<String, TensorView<'_>> = own.tensors().into_iter().collect();
    let tower = clip.tensors().into_iter().filter(|(name, _)| name.starts_with("vision_model."));
    tensors.extend(tower.map(|(name, tensor)| (format!("model.vision_tower.vision_tower.{name}"), tensor)));
    std::fs::write(folder.file("model.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    // What is left of the second folder is its settings.
    std::fs::remove_file(folder.root().join(CLIP).join("model.safetensors")).unwrap();
    compare("tiny-llava-med", &load(&folder.checkpoint()).unwrap());
}

#[test]
fn the_tower_is_found_by_its_id_or_taken_from_where_the_user_says() {
    let folder = Folder::copy_of("tiny-llava-med");
    let whole = Checkpoint::open(&folder.checkpoint()).unwrap().sha256().unwrap();
    let (beside, inside) = (folder.root().join(CLIP), folder.checkpoint().join(CLIP));
    std::fs::create_dir(folder.root().join("steady")).unwrap();
    let by_owner = folder.root().join("steady").join(CLIP);
    let elsewhere = folder.root().join("elsewhere");
    std::fs::rename(&beside, &by_owner).unwrap();
    assert_eq!(Checkpoint::open(&folder.checkpoint()).unwrap().sha256().unwrap(), whole);
    std::fs::rename(&by_owner, &inside).unwrap();
    assert_eq!(Checkpoint::open(&folder.checkpoint()).unwrap().sha256().unwrap(), whole);
    std::fs::rename(&inside, &elsewhere).unwrap();
    assert!(Checkpoint::open(&folder.checkpoint()).is_err());
    let checkpoint = Checkpoint::open_with_tower(&folder.checkpoint(), &elsewhere).unwrap();
    assert_eq!(checkpoint.sha256().unwrap(), whole);
    // The tower's settings are part of what the model is.
    let settings = elsewhere.join("preprocessor_config.json");
    let changed = std::fs::read_to_string(&settings).unwrap().replace("\"resample\": 3", "\"resample\": 2");
    std::fs::write(&settings, changed).unwrap();
    assert_ne!(Checkpoint::open_with_tower(&folder.checkpoint(), &elsewhere).unwrap().sha256().unwrap(), whole);
}

/// The fields that llava-hf/llava-v1.6-mistral-7b-hf states; the rest are the classes' defaults.
#[test]
fn the_published_config_of_next_with_mistral() {
    let folder = Folder::copy_of("tiny-llava-next-mistral");
    let published = json!({
        "architectures": ["LlavaNextForConditionalGeneration"], "ignore_index": -100,
        "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        "image_token_index": 32000, "model_type": "llava_next", "projector_hidden_act": "gelu",
        "text_config": {
            "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2", "architectures": ["MistralForCausalLM"], "intermediate_size": 14336,
            "max_position_embeddings": 32768, "model_type": "mistral", "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000.0, "sliding_window": null, "torch_dtype": "float16", "vocab_size": 32064
        },
        "torch_dtype": "float16", "use_image_newline_parameter": true,
        "vision_config": {
            "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000
        },
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": 32064
    });
    std::fs::write(folder.file("config.json"), published.to_string()).unwrap();
    let config: LlavaNextConfig = config(&folder);
    let text = &config.llava.text;
    assert_eq!((text.hidden_size, text.num_layers, text.num_heads, text.num_kv_heads, text.head_dim), (4096, 32, 32, 8, 128));
    assert_eq!((text.rope.theta.to_bits(), text.sliding_window), (1e6_f64.to_bits(), None));
    assert_eq!((config.tiles.most_tokens(), config.llava.view_tokens()), (576 + 48 * 49, 576));
    // 640 x 480 (width x height): the base view and 36 rows of 48 patches, each with a newline.
    assert_eq!(config.tiles.tokens((480, 640)), 576 + 36 * 49);

    // What Mistral 7B v0.1 means by saying nothing.
    let mut sparse = published;
    sparse["text_config"] = json!({"model_type": "mistral", "vocab_size": 32064});
    sparse["image_grid_pinpoints"] = json!(null);
    std::fs::write(folder.file("config.json"), sparse.to_string()).unwrap();
    let silent: LlavaNextConfig = self::config(&folder);
    assert_eq!(
        (silent.llava.text.sliding_window, silent.llava.text.num_kv_heads, silent.llava.text.intermediate_size),
        (Some(4096), 8, 14_336)
    );
    assert_eq!(silent.llava.text.max_position_embeddings, 131_072);
    assert_eq!(silent.tiles, config.tiles);
}

/// The names that the LLaVA repository has used, and the conversations that belong to them.
#[test]
fn conversations_of_the_llava_repository() {
    let folder = Folder::copy_of("tiny-llava-med");
    let prompt = |folder: &Folder| Checkpoint::open(&folder.checkpoint()).unwrap().chat_template().unwrap().prompt("is it red?").unwrap();
    assert_eq!(config::<LlavaConfig>(&folder).original.unwrap().conversation, MISTRAL);
    assert_eq!(prompt(&folder), "[INST] <image>\nis it red? [/INST]");
    let vicuna = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite \
                  answers to the user's questions. USER: <image>\nis it red? ASSISTANT:";
    for name in ["llava_llama", "llava"] {
        folder.set("config.json", "/model_type", json!(name));
        assert_eq!(config::<LlavaConfig>(&folder).original.unwrap().conversation, VICUNA_CONVERSATION);
        assert_eq!(prompt(&folder), vicuna);
    }
    std::fs::write(folder.file("chat_template.jinja"), "{% for m in messages %}Q: {{ m['content'] }}{% endfor %} A:").unwrap();
    assert_eq!(prompt(&folder), "Q: <image>\nis it red? A:");
}

/// With one tile layout and nothing dropped, sharing the prefix answers as asking in one go, and a reducer that acts on visual
/// tokens sees all of them.
#[test]
fn the_prefix_of_a_tiled_image_is_shared() {
    let name = "tiny-llava-next-mistral";
    let device = DeviceChoice::Cpu.open().unwrap().device;
    let checkpoint = Checkpoint::open(&reference(name).join("checkpoint")).unwrap();
    let vlm = Vlm::load(&checkpoint, &device, Precision::F32).unwrap();
    let picture = steady_vlm::image::load(&reference(name).join("images/large.png")).unwrap();
    let prepared = vlm.prepare(&picture, "see <image> how many?").unwrap();
    let image = vlm.encode(&prepared.pixels).block_on().unwrap();
    let layout = &prepared.layout;
    assert_eq!((image.visual_tokens(), layout.runs().len()), (layout.tokens(), 1));
    // The base view, 3x3 patches; then 6x6 in the image's own rows, a newline behind each.
    let cells = layout.cells();
    let views: Vec<_> = cells.views().iter().map(|view| (view.rows, view.columns)).collect();
    let newlines: Vec<usize> = (0..layout.tokens()).filter(|token| cells.shown()[*token].is_none()).collect();
    assert_eq!((views, newlines), (vec![(3, 3), (6, 6)], (0..6).map(|row| 9 + 7 * row + 6).collect()));
    let prefix = vlm.prefix(&prepared.input_ids, &prepared.layout, &image, None).block_on().unwrap();
    let options = Decoding { max_new_tokens: 8, ..Decoding::default() };
    let shared = vlm.answer(&prefix, &prepared.input_ids[prepared.layout.end()..], &options).block_on().unwrap();
    let alone = vlm.ask(&prepared, None, &options).block_on().unwrap();
    assert_eq!((&shared.output_ids, shared.cost), (&alone.output_ids, alone.cost));
    // Five views are looked at, so seeing costs five times what one view costs.
    assert_eq!(prepared.pixels.shape, [5, 3, 24, 24]);
    let tiny = steady_vlm::image::load(&reference(name).join("images/tiny.png")).unwrap();
    let small = vlm.ask(&vlm.prepare(&tiny, "see <image> how many?").unwrap(), None, &options).block_on().unwrap();
    assert!(small.cost.flops < alone.cost.flops && small.visual_tokens < alone.visual_tokens);
}
