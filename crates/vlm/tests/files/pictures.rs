//! Decoding, resizing and CLIP's preprocessing, against Pillow and transformers.

use data_encoding::HEXLOWER;
use image::RgbImage;
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};
use steady_pixels::resize;
use steady_vlm::image::{Filter, ImageOptions, PixelBackend, PixelValues, decode, load};

use super::folder::{Folder, reference, rows};

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn sha256_of_pixels(pixels: &PixelValues) -> String {
    sha256(&pixels.data.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

fn side(row: &serde_json::Value, name: &str) -> u32 {
    u32::try_from(row[name].as_u64().unwrap()).unwrap()
}

#[test]
fn resizing_gives_pillows_bytes() {
    let rows = rows("pillow/resize.json");
    assert!(rows.len() > 100);
    let mut wrong = Vec::new();
    for row in rows {
        let filter = match row["filter"].as_str().unwrap() {
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            "lanczos" => Filter::Lanczos,
            other => panic!("{other}"),
        };
        let image = load(&reference().join("pillow/resize").join(row["image"].as_str().unwrap())).unwrap();
        let resized = resize(&image, side(&row, "width"), side(&row, "height"), filter, PixelBackend::Pil);
        if sha256(resized.as_raw()) != row["sha256"].as_str().unwrap() {
            wrong.push(row.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mode_decodes_to_pillows_bytes() {
    let rows = rows("pillow/decode.json");
    assert!(rows.len() > 20);
    let mut wrong = Vec::new();
    for row in rows {
        let image = load(&reference().join("pillow/decode").join(row["image"].as_str().unwrap())).unwrap();
        if image.dimensions() != (side(&row, "width"), side(&row, "height")) || sha256(image.as_raw()) != row["sha256"].as_str().unwrap() {
            wrong.push(row.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jpegs_decode_to_pillows_pixels_upright() {
    for name in ["colour.jpg", "grey.jpg"] {
        let folder = reference().join("pillow/decode");
        let found = load(&folder.join(name)).unwrap();
        let expected = load(&folder.join(format!("{name}.expected.png"))).unwrap();
        assert_eq!(found.dimensions(), expected.dimensions(), "{name}");
        assert!(found == expected, "{name}");
    }
}

#[test]
fn pixels_are_those_of_transformers_pillow_processor() {
    let rows = rows("pillow/processor.json");
    assert!(rows.len() >= 30);
    let folder = Folder::tiny();
    folder.set("processor_config.json", "/image_processor", serde_json::Value::Null);
    let mut wrong = Vec::new();
    for row in rows {
        folder.write("preprocessor_config.json", row["config"].to_string());
        let processor =
            folder.open().with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() }).image_processor().unwrap();
        let image = load(&reference().join("pillow/processor").join(row["image"].as_str().unwrap())).unwrap();
        let pixels = processor.process(&image).unwrap();
        if serde_json::json!(pixels.shape) != row["shape"] || sha256_of_pixels(&pixels) != row["sha256"].as_str().unwrap() {
            wrong.push(format!("{} {} {:?}", row["settings"], row["image"], pixels.shape));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn older_spellings_of_sizes_mean_the_same() {
    let folder = Folder::tiny();
    let shared = folder.open().image_processor().unwrap();
    folder.set("processor_config.json", "/image_processor", serde_json::Value::Null).write(
        "preprocessor_config.json",
        r#"{"feature_extractor_type": "CLIPFeatureExtractor", "size": 44, "crop_size": 40, "resample": 3, "do_resize": true}"#,
    );
    let own = folder.open().image_processor().unwrap();
    let image = load(&reference().join("tiny-llava/images/wide.png")).unwrap();
    assert_eq!(own.process(&image).unwrap(), shared.process(&image).unwrap());
}

#[test]
fn a_frame_tells_where_in_the_image_the_tower_looks() {
    let settings = |kind: &str, resize: bool| {
        let side = json!({"height": 28, "width": 28});
        json!({"image_processor_type": kind, "do_pad": kind.starts_with("Llava"), "do_resize": resize, "size": {"shortest_edge": 28}, "crop_size": side})
    };
    let crop = (settings("CLIPImageProcessor", true), [(60, 40), (40, 90), (50, 50)]);
    let pad = (settings("LlavaImageProcessor", true), [(60, 40), (40, 90), (50, 50)]);
    let as_it_is = (settings("CLIPImageProcessor", false), [(20, 12), (44, 16), (28, 28)]);
    let folder = Folder::tiny();
    folder.set("processor_config.json", "/image_processor", serde_json::Value::Null);
    for (config, sizes) in [crop, pad, as_it_is] {
        folder.write("preprocessor_config.json", config.to_string());
        let processor = folder.open().image_processor().unwrap();
        for (width, height) in sizes {
            let frame = processor.frame(width, height).unwrap();
            for (x, y) in [(width / 3, height / 2), (width / 2, height / 3), (2 * width / 3, 2 * height / 3)] {
                // one white square on black, and where the tower finds it
                let image =
                    RgbImage::from_fn(width, height, |i, j| image::Rgb([if i.abs_diff(x).max(j.abs_diff(y)) < 3 { 255 } else { 0 }; 3]));
                let red = &processor.process(&image).unwrap().data[..28 * 28];
                let brightest = (0..red.len()).max_by(|&a, &b| red[a].total_cmp(&red[b])).unwrap();
                let place = |seen: usize, start: f64, length: f64| start + (seen as f64 + 0.5) * length / 28.0;
                let found = (place(brightest % 28, frame.left, frame.width), place(brightest / 28, frame.top, frame.height));
                let off = (found.0 - f64::from(x) - 0.5).abs().max((found.1 - f64::from(y) - 0.5).abs());
                assert!(off < 2.5, "{width}x{height}, {x} {y}: {found:?}, {frame:?}, {config}");
            }
        }
    }
}

#[test]
fn what_is_not_an_image_is_refused_with_the_reason() {
    let png = std::fs::read(reference().join("tiny-llava/images/wide.png")).unwrap();
    // Width and height are the first two numbers of the header; its checksum follows 13 bytes of content.
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0]);
    let checksum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&checksum.to_be_bytes());
    for (bytes, reason) in [
        (Vec::new(), "the file is empty"),
        (b"once upon a time".to_vec(), "not a PNG, JPEG or WebP"),
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "not a PNG, JPEG or WebP"),
        (png[..png.len() / 2].to_vec(), ""),
        (png[..20].to_vec(), ""),
        (huge, "100000x100000"),
    ] {
        let error = decode(&bytes, "upload.png").unwrap_err().to_string();
        assert!(error.contains("upload.png") && error.contains(reason), "{error}");
    }
    let error = load(&reference().join("no-such.png")).unwrap_err().to_string();
    assert!(error.contains("no-such.png"), "{error}");
}

#[test]
fn a_line_of_pixels_is_refused_before_it_becomes_a_wall() {
    let processor = Folder::tiny().open().image_processor().unwrap();
    let error = processor.process(&RgbImage::new(1, 60_000_000)).unwrap_err().to_string();
    assert!(error.contains("would be resized to 44x2640000000"), "{error}");
    let error = processor.process(&RgbImage::new(0, 5)).unwrap_err().to_string();
    assert!(error.contains("no pixels (0x5)"), "{error}");
}

/// As the PNG specification defines it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

fn backends() -> impl Strategy<Value = PixelBackend> {
    prop::sample::select(PixelBackend::ALL.to_vec())
}

fn filters() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos])
}

proptest! {
    #[test]
    fn one_colour_stays_that_colour(
        from in (1_u32..90, 1_u32..90), to in (1_u32..90, 1_u32..90), colour in any::<[u8; 3]>(), filter in filters(), backend in backends(),
    ) {
        let image = RgbImage::from_pixel(from.0, from.1, image::Rgb(colour));
        let resized = resize(&image, to.0, to.1, filter, backend);
        prop_assert_eq!(resized.dimensions(), to);
        prop_assert!(resized.pixels().all(|pixel| pixel.0 == colour));
    }

    #[test]
    fn bilinear_stays_between_the_extremes(
        from in (1_u32..40, 1_u32..40), to in (1_u32..60, 1_u32..60), seed in any::<u32>(), backend in backends(),
    ) {
        let level = |x: u32, y: u32| 40 + (x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(40_503)) ^ seed) % 150;
        let image = RgbImage::from_fn(from.0, from.1, |x, y| image::Rgb([level(x, y) as u8; 3]));
        let (low, high) = (*image.iter().min().unwrap(), *image.iter().max().unwrap());
        let resized = resize(&image, to.0, to.1, Filter::Bilinear, backend);
        prop_assert!(resized.iter().all(|value| (low..=high).contains(value)));
    }

    #[test]
    fn decoding_noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
        let magic: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xFF\xD8\xFF", b"RIFF\0\0\0\0WEBP", b""];
        bytes.splice(0..0, magic[kind].iter().copied());
        let _ = decode(&bytes, "noise");
    }
}
