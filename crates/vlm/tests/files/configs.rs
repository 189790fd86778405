//! Both generations of configuration files, with what transformers assumes where they are silent.

use serde_json::json;
use steady_vlm::decoder::RopeScaling;
use steady_vlm::families::llava::{FeatureSelect, LlavaConfig};
use steady_vlm::nn::Activation;

use super::folder::Folder;

fn llava(folder: &Folder) -> LlavaConfig {
    folder.open().config::<LlavaConfig>().unwrap().clone()
}

/// The fields that llava-hf/llava-1.5-7b-hf states; the rest are the classes' defaults.
#[test]
fn a_sparse_config_of_the_older_generation_is_filled_in() {
    let folder = Folder::tiny();
    folder.remove("generation_config.json").write(
        "config.json",
        json!({
            "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "ignore_index": -100,
            "image_token_index": 32000, "pad_token_id": 32001, "projector_hidden_act": "gelu", "torch_dtype": "float16",
            "text_config": {
                "_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096,
                "model_type": "llama", "rms_norm_eps": 1e-5, "torch_dtype": "float16", "vocab_size": 32064
            },
            "vision_config": {
                "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
                "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000
            },
            "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": 32064
        })
        .to_string(),
    );
    let config = llava(&folder);
    let (vision, text) = (&config.vision, &config.text);
    assert_eq!((vision.act, vision.layer_norm_eps, vision.num_channels, vision.grid()), (Activation::QuickGelu, 1e-5, 3, 24));
    assert_eq!((text.hidden_size, text.intermediate_size, text.num_layers), (4096, 11008, 32));
    assert_eq!((text.num_heads, text.num_kv_heads, text.head_dim), (32, 32, 128));
    assert_eq!((text.rms_norm_eps, text.max_position_embeddings, text.act), (1e-5, 4096, Activation::Silu));
    assert_eq!((text.rope.theta, &text.rope.scaling), (10_000.0, &RopeScaling::Default));
    assert!(!(text.attention_bias || text.mlp_bias || config.tie_word_embeddings));
    assert!(config.projector_bias);
    assert_eq!((config.feature_layers.as_slice(), config.feature_select), ([23].as_slice(), FeatureSelect::Default));
    assert_eq!((config.image_token_id, config.view_tokens()), (32_000, 576));
    let checkpoint = folder.open();
    let generation = checkpoint.generation_config();
    // Neither the files nor transformers name an end token then: the class's own is not asked.
    assert_eq!((generation.eos_token_ids.as_slice(), generation.bos_token_id), ([].as_slice(), Some(1)));
    assert!(generation.ignored[0].contains("no end token"), "{:?}", generation.ignored);
    assert_eq!(generation.repetition_penalty, 1.0);
}

#[test]
fn without_a_vision_config_it_is_the_336_pixel_tower() {
    let folder = Folder::tiny();
    folder.set("config.json", "/vision_config", json!(null)).set("config.json", "/vision_feature_layer", json!(null));
    let config = llava(&folder);
    assert_eq!((config.vision.hidden_size, config.vision.num_layers, config.vision.image_size), (1024, 24, 336));
    assert_eq!(config.feature_layers, [23]);
}

#[test]
fn both_spellings_of_rotary_settings_mean_the_same() {
    let folder = Folder::tiny();
    let now = llava(&folder).text.rope;
    assert_eq!(now.theta, 500.0);
    let expected = RopeScaling::Llama3 { factor: 4.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 32 };
    assert_eq!(now.scaling, expected);
    folder.set("config.json", "/text_config/rope_parameters", json!(null)).set("config.json", "/text_config/rope_theta", json!(500.0)).set(
        "config.json",
        "/text_config/rope_scaling",
        json!({"type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    );
    assert_eq!(llava(&folder).text.rope, now);
    folder.set("config.json", "/text_config/rope_scaling", json!({"rope_type": "linear", "factor": 2.0}));
    assert_eq!(llava(&folder).text.rope.scaling, RopeScaling::Linear { factor: 2.0 });
}

#[test]
fn feature_layers_count_from_either_end() {
    let folder = Folder::tiny();
    for (written, resolved) in [(json!(-1), vec![3]), (json!(0), vec![0]), (json!([2, -4]), vec![2, 0])] {
        folder.set("config.json", "/vision_feature_layer", written);
        assert_eq!(llava(&folder).feature_layers, resolved);
    }
}

#[test]
fn the_head_may_be_tied_in_either_place() {
    for place in ["/tie_word_embeddings", "/text_config/tie_word_embeddings"] {
        let folder = Folder::tiny();
        folder.set("config.json", place, json!(true));
        assert!(llava(&folder).tie_word_embeddings);
    }
}

#[test]
fn decoding_settings_that_are_not_followed_are_said() {
    let folder = Folder::tiny();
    folder.write(
        "generation_config.json",
        r#"{"do_sample": true, "temperature": 0.7, "num_beams": 4, "no_repeat_ngram_size": 0, "eos_token_id": 5, "max_new_tokens": 9}"#,
    );
    let checkpoint = folder.open();
    let generation = checkpoint.generation_config();
    assert_eq!((generation.eos_token_ids.as_slice(), generation.max_new_tokens), ([5].as_slice(), Some(9)));
    assert_eq!(generation.ignored.len(), 2, "{:?}", generation.ignored);
    assert!(generation.ignored[0].contains("do_sample") && generation.ignored[1].contains("num_beams"));
}

/// Field, value, and what the message must name beside file and field.
#[test]
fn what_is_not_known_is_refused_by_name() {
    for (pointer, value, names) in [
        ("/architectures", json!(["MllamaForConditionalGeneration"]), ["`architectures`", "Mllama", "LlavaForConditionalGeneration"]),
        ("/model_type", json!("mistral3"), ["`model_type`", "mistral3", "llava"]),
        ("/model_type", json!(null), ["`model_type`", "missing", "llava"]),
        ("/text_config", json!(7), ["`text_config`", "an object", "7"]),
        ("/text_config/model_type", json!("mamba"), ["`text_config.model_type`", "mamba", "llama, mistral"]),
        ("/vision_config/model_type", json!("siglip_vision_model"), ["`vision_config.model_type`", "siglip", "clip_vision_model"]),
        ("/vision_config/hidden_act", json!("mish"), ["`vision_config.hidden_act`", "mish", "quick_gelu"]),
        ("/projector_hidden_act", json!("tanh"), ["`projector_hidden_act`", "tanh", "gelu"]),
        ("/text_config/rope_parameters/rope_type", json!("yarn"), ["`text_config.rope_parameters.rope_type`", "yarn", "llama3"]),
        ("/text_config/rope_parameters/factor", json!(null), ["`text_config.rope_parameters.factor`", "missing", ""]),
        ("/text_config/hidden_size", json!("wide"), ["`text_config.hidden_size`", "an integer", "wide"]),
        ("/text_config/hidden_size", json!(0), ["`text_config.hidden_size`", "from 1", "0"]),
        ("/text_config/num_hidden_layers", json!(1_u64 << 60), ["`text_config.num_hidden_layers`", "16777216", "1152921504606846976"]),
        ("/text_config/num_key_value_heads", json!(3), ["`text_config.num_key_value_heads`", "3", "num_attention_heads"]),
        ("/text_config/head_dim", json!(11), ["`text_config.head_dim`", "even", "11"]),
        ("/vision_config/num_attention_heads", json!(5), ["`vision_config.num_attention_heads`", "5", "32"]),
        ("/vision_config/image_size", json!([40, 80]), ["`vision_config.image_size`", "square", ""]),
        ("/vision_config/patch_size", json!(41), ["`vision_config.patch_size`", "41", "40"]),
        ("/vision_feature_layer", json!(9), ["`vision_feature_layer`", "9", "4 hidden states"]),
        ("/vision_feature_layer", json!([]), ["`vision_feature_layer`", "an integer", "[]"]),
        ("/vision_feature_select_strategy", json!("cls"), ["`vision_feature_select_strategy`", "cls", "default, full"]),
        ("/image_token_index", json!(5000), ["`image_token_index`", "5000", "416"]),
        ("/image_token_id", json!(3), ["`image_token_id`", "3", "400"]),
        (
            "/quantization_config",
            json!({"quant_method": "exl2"}),
            ["`quantization_config.quant_method`", "compressed-tensors, awq, gptq, bitsandbytes; found `exl2`", "float checkpoint"],
        ),
    ] {
        let folder = Folder::tiny();
        folder.set("config.json", pointer, value);
        let error = steady_vlm::Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("config.json") && names.iter().all(|name| error.contains(name)), "{pointer}: {error}");
    }
}
