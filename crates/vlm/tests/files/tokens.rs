//! Encoding, decoding and placeholders. Ids of whole prompts are compared in the workspace's parity tests.

use serde_json::json;
use steady_vlm::text::Processor;
use steady_vlm::{Cell, PixelValues};

use super::folder::{Folder, rows};

/// Pixels of any picture.
fn pixels(processor: &Processor) -> PixelValues {
    processor.pixels(&image::RgbImage::new(9, 9)).unwrap()
}

#[test]
fn answers_decode_as_in_transformers() {
    let tokenizer = Folder::tiny().open().tokenizer().unwrap();
    for row in rows("tiny-llava/cases.json") {
        let ids: Vec<u32> = serde_json::from_value(row["output_ids"].clone()).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), row["text"].as_str().unwrap(), "{}", row["id"]);
        let top = row["top"].as_array().unwrap();
        assert_eq!(top.len(), 20, "{}", row["id"]);
        for top in top {
            let id = u32::try_from(top["id"].as_u64().unwrap()).unwrap();
            assert_eq!(json!(tokenizer.token(id)), top["token"]);
        }
    }
}

#[test]
fn no_second_bos_and_no_leftovers_of_training() {
    let folder = Folder::tiny();
    let mut json: serde_json::Value = serde_json::from_slice(&folder.read("tokenizer.json")).unwrap();
    json["truncation"] = json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 3, "pad_type_id": 0, "pad_token": "<pad>"});
    folder.write("tokenizer.json", json.to_string());
    let tokenizer = folder.open().tokenizer().unwrap();
    let ids = tokenizer.encode("how many triangles are above the line?").unwrap();
    assert!(ids.len() > 3 && !ids.contains(&3) && ids[0] == 1, "{ids:?}");
    assert_eq!(tokenizer.encode("<s>yes").unwrap().iter().filter(|id| **id == 1).count(), 1);
    assert_eq!(tokenizer.id("<image>").and_then(|id| tokenizer.token(id)).as_deref(), Some("<image>"));
}

#[test]
fn the_layout_is_where_the_image_is() {
    let processor = Folder::tiny().open().processor().unwrap();
    let (ids, layout) = processor.encode("look: <image> what is it?", &pixels(&processor)).unwrap();
    let image = processor.tokenizer().id("<image>").unwrap();
    assert_eq!((layout.tokens(), layout.runs().len()), (26, 1));
    // The class token comes first and shows nothing; then the patches, row by row.
    let cells = layout.cells();
    assert_eq!((cells.views()[0].rows, cells.views()[0].columns, cells.shown()[0]), (5, 5, None));
    let seventh = Cell { view: 0, row: 1, column: 2 };
    assert_eq!((cells.shown()[1 + 7], cells.shown()[25].unwrap().row), (Some(seventh), 4));
    let span = layout.runs()[0].clone();
    assert!(ids[span.clone()].iter().all(|id| *id == image));
    assert!(ids[..span.start].iter().chain(&ids[span.end..]).all(|id| *id != image));
}

#[test]
fn placeholders_must_match_the_one_image() {
    let processor = Folder::tiny().open().processor().unwrap();
    for (prompt, found) in [("no picture here", "found 0"), ("<image> and <image>", "found 2")] {
        let error = processor.encode(prompt, &pixels(&processor)).unwrap_err().to_string();
        assert!(error.contains("`<image>`") && error.contains(found), "{error}");
    }
}

#[test]
fn older_checkpoints_without_processor_settings_still_expand() {
    let folder = Folder::tiny();
    let encode = || {
        let processor = folder.open().processor().unwrap();
        processor.encode("<image>?", &pixels(&processor)).unwrap()
    };
    let before = encode();
    for name in ["patch_size", "vision_feature_select_strategy", "num_additional_image_tokens", "image_token"] {
        folder.set("processor_config.json", &format!("/{name}"), serde_json::Value::Null);
    }
    assert_eq!(encode(), before);
}

#[test]
fn spaces_are_cleaned_up_only_where_the_checkpoint_and_its_model_ask_for_it() {
    let folder = Folder::tiny();
    let text = |folder: &Folder| {
        let tokenizer = folder.open().tokenizer().unwrap();
        tokenizer.decode(&tokenizer.encode("is it red ? yes , it is").unwrap()).unwrap()
    };
    folder.set("tokenizer_config.json", "/clean_up_tokenization_spaces", json!(true));
    assert_eq!(text(&folder), "is it red ? yes , it is", "byte-pair models are left alone");
    folder.set("tokenizer_config.json", "/clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", json!(true));
    assert_eq!(text(&folder), "is it red? yes, it is");
}
