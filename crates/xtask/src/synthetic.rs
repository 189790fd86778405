//! A checkpoint with the true shapes of Qwen2-VL-2B-Instruct and random weights, to see that a model of that size loads within the memory
//! that it should take. What it answers means nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use half::f16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use safetensors::tensor::View;
use safetensors::{Dtype, serialize_to_file};
use serde_json::{Value, json};

use crate::shell::announce;

/// A tiny model of the family as published: its small files are those of the large one but for numbers.
const TEMPLATE: &str = "tests/reference/tiny-qwen2-vl/published";
/// Bytes of a shard, as published.
const SHARD: usize = 4_000_000_000;

/// Sizes of a Qwen2-VL.
struct Sizes {
    vocabulary: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    vision_depth: usize,
    vision_width: usize,
    vision_ratio: usize,
    vision_heads: usize,
}

/// Blocks of the vision tower as published.
pub(crate) const VISION_DEPTH: usize = 32;

/// From the config.json of Qwen/Qwen2-VL-2B-Instruct.
const TRUE_SIZES: Sizes = Sizes {
    vocabulary: 151_936,
    width: 1536,
    inner: 8960,
    layers: 28,
    heads: 12,
    kv_heads: 2,
    head_width: 128,
    vision_depth: VISION_DEPTH,
    vision_width: 1280,
    vision_ratio: 4,
    vision_heads: 16,
};

/// Special tokens and their ids, from the same place.
const SPECIAL: [(&str, usize); 7] = [
    ("<|endoftext|>", 151_643),
    ("<|im_start|>", 151_644),
    ("<|im_end|>", 151_645),
    ("<|vision_start|>", 151_652),
    ("<|vision_end|>", 151_653),
    ("<|image_pad|>", 151_655),
    ("<|video_pad|>", 151_656),
];

/// Writes the checkpoint into `folder`, with so many blocks in its vision tower.
pub(crate) fn run(folder: &Path, vision_depth: usize) -> Result<()> {
    let sizes = Sizes { vision_depth, ..TRUE_SIZES };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for file in ["chat_template.json", "tokenizer_config.json"] {
        fs::copy(Path::new(TEMPLATE).join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    edit(folder, "config.json", |settings| config(settings, &sizes))?;
    edit(folder, "generation_config.json", |settings| {
        settings["bos_token_id"] = 151_643.into();
        settings["pad_token_id"] = 151_643.into();
        settings["eos_token_id"] = json!([151_645, 151_643]);
    })?;
    edit(folder, "preprocessor_config.json", |settings| settings["max_pixels"] = 12_845_056.into())?;
    edit(folder, "tokenizer.json", tokenizer)?;
    weights(folder, &sizes)
}

/// Writes a JSON file of the template with other numbers.
fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
    let path = Path::new(TEMPLATE).join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut json = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    change(&mut json);
    fs::write(folder.join(file), json.to_string()).with_context(|| format!("cannot write {file}"))
}

fn config(config: &mut Value, sizes: &Sizes) {
    let fields = json!({
        "vocab_size": sizes.vocabulary, "hidden_size": sizes.width, "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers, "max_window_layers": sizes.layers, "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads, "max_position_embeddings": 32_768, "sliding_window": 32_768,
        "bos_token_id": 151_643, "eos_token_id": 151_645, "vision_start_token_id": 151_652, "vision_end_token_id": 151_653,
        "image_token_id": 151_655, "video_token_id": 151_656, "torch_dtype": "float16",
        "rope_scaling": { "type": "mrope", "mrope_section": [16, 24, 24] },
    });
    let vision = json!({
        "depth": sizes.vision_depth, "embed_dim": sizes.vision_width, "mlp_ratio": sizes.vision_ratio, "num_heads": sizes.vision_heads,
        "hidden_size": sizes.width,
    });
    for (into, fields) in [("/vision_config", vision), ("", fields)] {
        if let (Some(into), Value::Object(fields)) = (config.pointer_mut(into), fields) {
            for (name, value) in fields {
                into[name] = value;
            }
        }
    }
}

/// The template's tokens, fillers up to the published size, and the special tokens at their published ids.
fn tokenizer(tokenizer: &mut Value) {
    let special: BTreeMap<usize, &str> = SPECIAL.iter().map(|(token, id)| (*id, *token)).collect();
    if let Some(tokens) = tokenizer["model"]["vocab"].as_object_mut() {
        let last = special.keys().last().copied().unwrap_or(0);
        for id in tokens.len()..=last {
            tokens.insert(special.get(&id).map_or_else(|| format!("<filler {id}>"), |token| (*token).to_owned()), id.into());
        }
    }
    for token in tokenizer["added_tokens"].as_array_mut().into_iter().flatten() {
        let id = SPECIAL.iter().find(|(name, _)| token["content"] == *name).map(|(_, id)| *id);
        token["id"] = id.into();
    }
}

/// Names and shapes as published.
fn tensors(sizes: &Sizes) -> Vec<(String, Vec<usize>)> {
    let Sizes { vocabulary, width, inner, vision_width: vision, .. } = *sizes;
    let (queries, keys) = (sizes.heads * sizes.head_width, sizes.kv_heads * sizes.head_width);
    let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![vocabulary, width])];
    let mut add = |prefix: &str, parts: &[(&str, &[usize])]| {
        all.extend(parts.iter().map(|(part, shape)| (format!("{prefix}.{part}"), shape.to_vec())));
    };
    for layer in 0..sizes.layers {
        let parts: [(&str, &[usize]); 12] = [
            ("input_layernorm.weight", &[width]),
            ("self_attn.q_proj.weight", &[queries, width]),
            ("self_attn.q_proj.bias", &[queries]),
            ("self_attn.k_proj.weight", &[keys, width]),
            ("self_attn.k_proj.bias", &[keys]),
            ("self_attn.v_proj.weight", &[keys, width]),
            ("self_attn.v_proj.bias", &[keys]),
            ("self_attn.o_proj.weight", &[width, queries]),
            ("post_attention_layernorm.weight", &[width]),
            ("mlp.gate_proj.weight", &[inner, width]),
            ("mlp.up_proj.weight", &[inner, width]),
            ("mlp.down_proj.weight", &[width, inner]),
        ];
        add(&format!("model.layers.{layer}"), &parts);
    }
    add("model.norm", &[("weight", &[width])]);
    add("visual.patch_embed.proj", &[("weight", &[vision, 3, 2, 14, 14])]);
    let wide = vision * sizes.vision_ratio;
    for block in 0..sizes.vision_depth {
        let parts: [(&str, &[usize]); 12] = [
            ("norm1.weight", &[vision]),
            ("norm1.bias", &[vision]),
            ("attn.qkv.weight", &[3 * vision, vision]),
            ("attn.qkv.bias", &[3 * vision]),
            ("attn.proj.weight", &[vision, vision]),
            ("attn.proj.bias", &[vision]),
            ("norm2.weight", &[vision]),
            ("norm2.bias", &[vision]),
            ("mlp.fc1.weight", &[wide, vision]),
            ("mlp.fc1.bias", &[wide]),
            ("mlp.fc2.weight", &[vision, wide]),
            ("mlp.fc2.bias", &[vision]),
        ];
        add(&format!("visual.blocks.{block}"), &parts);
    }
    let square = 4 * vision;
    let merger: [(&str, &[usize]); 6] = [
        ("ln_q.weight", &[vision]),
        ("ln_q.bias", &[vision]),
        ("mlp.0.weight", &[square, square]),
        ("mlp.0.bias", &[square]),
        ("mlp.2.weight", &[width, square]),
        ("mlp.2.bias", &[width]),
    ];
    add("visual.merger", &merger);
    all
}

/// A tensor that is drawn when it is written, so that no more than one is in memory.
struct Drawn<'a> {
    shape: Vec<usize>,
    seed: u64,
    /// Norms' weights are ones.
    ones: bool,
    /// Value of each of the 65,536 draws, as it is written.
    values: &'a [[u8; 2]],
}

impl View for Drawn<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = f16::ONE.to_le_bytes().repeat(self.data_len() / 2);
        if !self.ones {
            ChaCha8Rng::seed_from_u64(self.seed).fill_bytes(&mut bytes);
            for pair in bytes.chunks_exact_mut(2) {
                pair.copy_from_slice(&self.values[usize::from(u16::from_le_bytes([pair[0], pair[1]]))]);
            }
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        2 * self.shape.iter().product::<usize>()
    }
}

/// Uniform with the published standard deviation of 0.02, in shards with their index.
fn weights(folder: &Path, sizes: &Sizes) -> Result<()> {
    let reach = 0.02 * 3.0f32.sqrt();
    let values: Vec<[u8; 2]> = (0..=u16::MAX).map(|draw| f16::from_f32((f32::from(draw) / 32_767.5 - 1.0) * reach).to_le_bytes()).collect();
    let mut shards: Vec<Vec<(String, Drawn<'_>)>> = vec![Vec::new()];
    let mut filled = 0;
    for (seed, (name, shape)) in (0..).zip(tensors(sizes)) {
        let ones = (name.contains("norm") || name.contains("ln_q")) && Path::new(&name).extension().is_some_and(|part| part == "weight");
        let tensor = Drawn { shape, seed, ones, values: &values };
        filled += tensor.data_len();
        if filled > SHARD {
            shards.push(Vec::new());
            filled = tensor.data_len();
        }
        if let Some(shard) = shards.last_mut() {
            shard.push((name, tensor));
        }
    }
    let count = shards.len();
    let (mut map, mut total) = (serde_json::Map::new(), 0);
    for (number, shard) in (1..).zip(shards) {
        let file = format!("model-{number:05}-of-{count:05}.safetensors");
        let bytes: usize = shard.iter().map(|(_, tensor)| tensor.data_len()).sum();
        announce(&format!("{}: {:.2} GB", folder.join(&file).display(), bytes as f64 / 1e9));
        map.extend(shard.iter().map(|(name, _)| (name.clone(), file.clone().into())));
        total += bytes;
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        serialize_to_file(shard, Some(metadata), &folder.join(&file)).with_context(|| format!("cannot write {file}"))?;
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).context("cannot write the index")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Sizes = Sizes {
        vocabulary: 296,
        width: 48,
        inner: 64,
        layers: 2,
        heads: 3,
        kv_heads: 1,
        head_width: 16,
        vision_depth: 2,
        vision_width: 24,
        vision_ratio: 2,
        vision_heads: 2,
    };

    /// The tiny model was written by transformers.
    #[test]
    fn names_and_shapes_are_those_of_transformers() {
        let file = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(TEMPLATE).join("model.safetensors")).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&file).unwrap();
        let found: BTreeMap<String, Vec<usize>> = metadata.tensors().into_iter().map(|(name, info)| (name, info.shape.clone())).collect();
        assert_eq!(tensors(&TINY).into_iter().collect::<BTreeMap<_, _>>(), found);
    }

    #[test]
    fn weights_are_written_as_the_index_says() {
        let folder = tempfile::tempdir().unwrap();
        weights(folder.path(), &TINY).unwrap();
        let index: Value = serde_json::from_slice(&fs::read(folder.path().join("model.safetensors.index.json")).unwrap()).unwrap();
        let file = fs::read(folder.path().join("model-00001-of-00001.safetensors")).unwrap();
        let held = safetensors::SafeTensors::deserialize(&file).unwrap();
        for (name, shape) in tensors(&TINY) {
            assert_eq!(index["weight_map"][&name], "model-00001-of-00001.safetensors");
            let tensor = held.tensor(&name).unwrap();
            assert_eq!(tensor.shape(), shape);
            let values: Vec<f32> = tensor.data().chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect();
            if name.ends_with("norm1.weight") {
                assert!(values.iter().all(|value| (value - 1.0).abs() < 1e-6), "{name}");
            } else if shape.len() > 1 {
                let deviation = (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt();
                assert!((deviation - 0.02).abs() < 0.002, "{name}: {deviation}");
            }
        }
    }

    /// 2,208,985,600 parameters, as its card says: 2.21 billion.
    #[test]
    fn the_true_model_has_its_parameters() {
        let parameters: usize = tensors(&TRUE_SIZES).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(parameters, 2_208_985_600);
    }
}
