//! Prompts, ids and pixels are those of transformers with Pillow's image processors, bit for bit, for every reference case.

#![expect(clippy::unwrap_used, clippy::float_cmp, reason = "a case that cannot be read fails the test; bit for bit means bit for bit")]

use steady_tests::reference::{ReferenceCase, cases_of, checkpoint_of, embedded, sha256};
use steady_vlm::Checkpoint;
use steady_vlm::image::{ImageOptions, PixelBackend};

fn compare(name: &str, at_least: usize) {
    let folder = cases_of(name);
    let cases = ReferenceCase::load_all(&folder).unwrap();
    assert!(cases.len() >= at_least, "{name} has {} cases", cases.len());
    let checkpoint = Checkpoint::open(&checkpoint_of(&folder))
        .unwrap()
        .with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() });
    let processor = checkpoint.processor().unwrap();
    let template = checkpoint.chat_template().unwrap();
    for case in cases {
        let id = format!("{name}/{}", case.id);
        if let Some(question) = &case.question {
            assert_eq!(template.prompt(question).unwrap(), case.prompt, "{id}: prompt");
        }
        let image = steady_vlm::image::load(&case.image).unwrap();
        let prepared = processor.prepare(&image, &case.prompt).unwrap();
        assert_eq!(prepared.input_ids, case.input_ids, "{id}: input ids");
        assert_eq!(prepared.pixels.shape, case.pixels_shape, "{id}: pixel shape");
        if let Some(pixels) = &case.pixels {
            let furthest = pixels.iter().zip(&prepared.pixels.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!(furthest, 0.0, "{id}: pixels differ by up to {furthest}");
        }
        let bytes: Vec<u8> = prepared.pixels.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sha256(&bytes), case.pixels_sha256, "{id}: pixels");
        assert_eq!(processor.tokenizer().decode(&case.output_ids).unwrap(), case.text, "{id}: decoded answer");
    }
}

#[test]
fn the_tiny_checkpoint_reads_as_in_transformers() {
    compare("tiny-llava", 12);
}

#[test]
fn the_embedded_checkpoints_read_as_in_transformers() {
    for name in embedded().unwrap() {
        compare(&name, 12);
    }
}
