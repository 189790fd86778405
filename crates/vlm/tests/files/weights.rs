//! Weight files, right and wrong.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;

use super::folder::{Folder, safetensors};

type Parts = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn file(parts: &Parts) -> Vec<u8> {
    let views = parts.iter().map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    serialize(views, None).unwrap()
}

fn part(dtype: Dtype, shape: &[usize], data: &[u8]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (dtype, shape.to_vec(), data.to_vec())
}

#[test]
fn every_element_type_becomes_f32() {
    let folder = Folder::tiny();
    // 1.5 and -2 in each format, from the IEEE 754 layouts.
    folder.single(file(&Parts::from([
        ("a".to_owned(), part(Dtype::F32, &[2], &[0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0])),
        ("b".to_owned(), part(Dtype::F16, &[2, 1], &[0, 0x3E, 0, 0xC0])),
        ("c".to_owned(), part(Dtype::BF16, &[1, 2], &[0xC0, 0x3F, 0, 0xC0])),
    ])));
    let mut weights = folder.open().weights().unwrap();
    for (name, shape) in [("a", vec![2]), ("b", vec![2, 1]), ("c", vec![1, 2])] {
        assert!(weights.contains(name));
        assert_eq!(weights.shape(name), Some(shape.as_slice()));
        let tensor = weights.take(name, &shape).unwrap();
        assert_eq!((tensor.shape, tensor.data), (shape, vec![1.5, -2.0]));
    }
    weights.finish().unwrap();
}

#[test]
fn shards_are_one_set_and_left_over_buffers_are_no_error() {
    let folder = Folder::tiny();
    let checkpoint = folder.open();
    let mut weights = checkpoint.weights().unwrap();
    assert_eq!(weights.take("lm_head.weight", &[416, 40]).unwrap().data.len(), 416 * 40);
    weights.skip("vision_tower.post_layernorm.weight", &[32]).unwrap();
    let error = weights.finish().unwrap_err().to_string();
    // 88 in all, two used; names as in the files.
    assert!(error.contains("86 tensors") && error.contains("language_model.model.embed_tokens.weight"), "{error}");
    assert!(error.contains("model-00002-of-00004.safetensors") && error.contains("78 more"), "{error}");

    folder.single(file(&Parts::from([
        ("language_model.model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), part(Dtype::F32, &[1], &[0; 4])),
        ("vision_tower.vision_model.embeddings.position_ids".to_owned(), part(Dtype::I64, &[1, 1], &[0; 8])),
    ])));
    folder.open().weights().unwrap().finish().unwrap();
}

/// The other half, with numbers: `published.rs`.
#[test]
fn a_tied_head_may_be_left_out_repeated_or_be_the_only_one() {
    const EMBEDDING: &str = "language_model.embed_tokens.weight";
    let folder = Folder::tiny();
    folder.set("config.json", "/tie_word_embeddings", json!(true));
    let embedding = || ("language_model.model.embed_tokens.weight".to_owned(), part(Dtype::F32, &[1], &[0, 0, 0xC0, 0x3F]));
    let head = |dtype, data: &[u8]| ("language_model.lm_head.weight".to_owned(), part(dtype, &[1], data));
    let same = head(Dtype::F32, &[0, 0, 0xC0, 0x3F]);
    let same_in_f16 = head(Dtype::F16, &[0, 0x3E]);
    for parts in [vec![embedding()], vec![embedding(), same.clone()], vec![embedding(), same_in_f16], vec![same]] {
        folder.single(file(&Parts::from_iter(parts)));
        let mut weights = folder.open().weights().unwrap();
        assert!(!weights.contains("lm_head.weight"));
        assert_eq!(weights.take(EMBEDDING, &[1]).unwrap().data, [1.5]);
        weights.finish().unwrap();
    }
    folder.single(file(&Parts::from([embedding(), head(Dtype::F32, &[0; 4])])));
    let mut weights = folder.open().weights().unwrap();
    assert_eq!(weights.take(EMBEDDING, &[1]).unwrap().data, [1.5]);
    assert_eq!(weights.take("lm_head.weight", &[1]).unwrap().data, [0.0]);
    weights.finish().unwrap();
}

#[test]
fn a_tensor_that_cannot_be_used_is_named_with_its_file() {
    let nan = f32::NAN.to_le_bytes();
    let infinite = [0, 0x7C];
    let folder = Folder::tiny();
    folder.single(file(&Parts::from([
        ("model.language_model.norm.weight".to_owned(), part(Dtype::F32, &[1, 2], &[[0; 4], nan].concat())),
        ("vision_tower.vision_model.pre_layrnorm.weight".to_owned(), part(Dtype::F16, &[1], &infinite)),
        ("lm_head.weight".to_owned(), part(Dtype::F64, &[1], &[0; 8])),
    ])));
    let checkpoint = folder.open();
    for (name, shape, says) in [
        ("language_model.norm.weight", vec![1, 2], ["`model.language_model.norm.weight`", "element 1 is NaN"]),
        ("language_model.norm.weight", vec![2], ["expected shape [2]", "found [1, 2]"]),
        ("vision_tower.pre_layrnorm.weight", vec![1], ["`vision_tower.vision_model.pre_layrnorm.weight`", "is inf"]),
        ("lm_head.weight", vec![1], ["`lm_head.weight`", "F64 is not read; known: F32, F16, BF16"]),
        ("language_model.embed_tokens.weight", vec![1], ["`language_model.embed_tokens.weight`", "is missing from model.safetensors"]),
    ] {
        let error = checkpoint.weights().unwrap().take(name, &shape).unwrap_err().to_string();
        assert!(error.contains("model.safetensors") && says.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn broken_weight_files_are_refused_with_the_reason() {
    let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let whole = safetensors(one, &[0; 8]);
    let two = |first: &str, second: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{first}}},"b":{{"dtype":"F32","shape":[2],"data_offsets":{second}}}}}"#)
    };
    let mut beyond = whole.clone();
    beyond[..8].copy_from_slice(&5000_u64.to_le_bytes());
    let mut absurd = whole.clone();
    absurd[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let cases = [
        (Vec::new(), "has 0 bytes"),
        (vec![1, 2, 3], "has 3 bytes"),
        (beyond, "says 5000 bytes, but the file has 70"),
        (absurd, "says 18446744073709551615 bytes"),
        (whole[..whole.len() - 3].to_vec(), "truncated"),
        ([whole.clone(), vec![0]].concat(), "bytes behind"),
        (safetensors("{\"a\":", &[]), "invalid JSON"),
        (safetensors("\u{e4}", &[])[..9].to_vec(), "header length"),
        (safetensors(r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]), "F99"),
        (safetensors(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, &[0; 8]), "do not span"),
        (safetensors(&format!(r#"{{"a":{{"dtype":"F32","shape":[{0},{0}],"data_offsets":[0,8]}}}}"#, u64::MAX), &[0; 8]), "overflow"),
        (safetensors(&two("[0,8]", "[4,12]"), &[0; 12]), "overlap"),
        (safetensors(&two("[0,8]", "[12,20]"), &[0; 20]), "gap"),
        (safetensors(&two("[0,8]", "[16,8]"), &[0; 16]), "overlap"),
    ];
    let folder = Folder::tiny();
    for (bytes, reason) in cases {
        folder.single(&bytes);
        let error = folder.open().weights().unwrap_err().to_string();
        assert!(error.contains("model.safetensors") && error.contains(reason), "expected {reason}: {error}");
    }
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    const INDEX: &str = "model.safetensors.index.json";
    const HEAD: &str = "language_model.lm_head.weight";
    let first = "model-00001-of-00004.safetensors";
    let pointer = format!("/weight_map/{HEAD}");
    let refused = |folder: &Folder, says: &[&str]| {
        let error = folder.open().weights().unwrap_err().to_string();
        assert!(says.iter().all(|part| error.contains(part)), "expected {says:?}: {error}");
    };
    let folder = Folder::tiny();
    refused(folder.set(INDEX, &pointer, json!("model-00002-of-00004.safetensors")), &["model-00002", HEAD, "does not hold it"]);
    let folder = Folder::tiny();
    refused(folder.set(INDEX, "/weight_map/extra", json!(first)), &[first, "`extra`", "does not hold it"]);
    let folder = Folder::tiny();
    refused(folder.set(INDEX, &pointer, json!("../secret.safetensors")), &[INDEX, HEAD, "../secret"]);
    let folder = Folder::tiny();
    refused(folder.set(INDEX, &pointer, json!(7)), &[INDEX, HEAD, "a string"]);
    let folder = Folder::tiny();
    refused(folder.set(INDEX, "/weight_map", json!(null)), &[INDEX, "`weight_map`", "missing"]);
    let folder = Folder::tiny();
    refused(folder.write(INDEX, "{"), &[INDEX, "not valid JSON"]);
    let folder = Folder::tiny();
    refused(folder.remove(first), &["has no model-00001-of-00004.safetensors", HEAD]);
    let folder = Folder::tiny();
    refused(folder.remove(INDEX), &["model.safetensors or model.safetensors.index.json"]);

    // The same tensor under the names of both generations.
    let folder = Folder::tiny();
    let mut index: serde_json::Value = serde_json::from_slice(&folder.read(INDEX)).unwrap();
    index["weight_map"]["lm_head.weight"] = json!("model-00005-of-00004.safetensors");
    folder.write(INDEX, index.to_string());
    folder.write("model-00005-of-00004.safetensors", file(&Parts::from([("lm_head.weight".to_owned(), part(Dtype::F32, &[1], &[0; 4]))])));
    refused(&folder, &["model-00005", "`lm_head.weight`", first, HEAD]);

    // A tensor in a shard that the index does not know.
    let folder = Folder::tiny();
    let mut index: serde_json::Value = serde_json::from_slice(&folder.read(INDEX)).unwrap();
    index["weight_map"].as_object_mut().unwrap().remove("language_model.model.norm.weight");
    folder.write(INDEX, index.to_string());
    refused(&folder, &["`language_model.model.norm.weight`", "does not list it"]);
}
