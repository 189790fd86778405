//! Files and sizes against Pillow and torchvision. The cases were made by `jpeg_cases.py`, `orientation_cases.py`, `decoded.py`
//! and `resize_cases.py` in `tests/reference`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use image::RgbImage;
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use steady_pixels::{Filter, MAX_PIXELS, PixelBackend, decode, load, resize, size};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn cases(file: &Path) -> Vec<Value> {
    let json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    json["cases"].as_array().unwrap().clone()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Every file of the folder gives Pillow's pixels, or is refused by its name where Pillow refuses it.
fn all_as_pillow(folder: &str, files: usize, refused: usize) {
    let folder = tests().join(folder);
    let cases = cases(&folder.join("cases.json"));
    assert_eq!((cases.len(), cases.iter().filter(|case| case["refused"].is_string()).count()), (files, refused));
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["image"].as_str().unwrap();
        let found = match load(&folder.join(name)) {
            Ok(image) => format!("{}x{} {}", image.width(), image.height(), sha256(image.as_raw())),
            Err(error) if error.to_string().contains(name) => "refused".to_owned(),
            Err(error) => format!("refused without its name: {error}"),
        };
        let read = cfg!(feature = "formats") || Path::new(name).extension().is_none_or(|kind| kind != "webp");
        let expected = match case["sha256"].as_str().filter(|_| read) {
            Some(hash) => {
                // the headers alone tell the size
                let (width, height) = size(&fs::read(folder.join(name)).unwrap(), name).unwrap();
                assert_eq!(format!("{width}x{height}"), format!("{}x{}", case["width"], case["height"]), "{name}");
                format!("{width}x{height} {hash}")
            }
            None => "refused".to_owned(),
        };
        if found != expected {
            wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jpegs_of_every_kind_give_pillows_pixels() {
    all_as_pillow("jpeg", 83, 5);
}

#[test]
fn pictures_are_turned_as_pillow_turns_them() {
    all_as_pillow("upright", 57, 4);
}

#[test]
fn files_from_public_reports_give_pillows_pixels() {
    all_as_pillow("reported", 11, 2);
}

#[test]
fn a_cut_file_is_refused_in_pillows_words() {
    for file in ["jpeg/cut.jpg", "jpeg/without-end.jpg", "jpeg/cut-progressive.jpg", "reported/no-eoi.jpg"] {
        let error = load(&tests().join(file)).unwrap_err().to_string();
        assert!(error.contains("image file is truncated") && error.contains(file.split_once('/').unwrap().1), "{error}");
    }
}

#[test]
fn what_is_not_decoded_says_what_it_is() {
    let whole = fs::read(tests().join("jpeg/grey.jpg")).unwrap();
    let frame = whole.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[frame + at] = value;
        decode(&bytes, "photo.jpg").unwrap_err().to_string()
    };
    assert!(changed(1, 0xC9).contains("photo.jpg: is a JPEG with arithmetic coding"));
    assert!(changed(1, 0xC3).contains("photo.jpg: is a JPEG with lossless coding"));
    assert!(changed(4, 12).contains("photo.jpg: has 12 bits a sample"));
}

/// The size counts before anything is decoded: a side of 65,535 by 2,731 is more than Pillow takes, by 2,730 less.
#[test]
fn the_limit_of_pixels_is_pillows() {
    assert_eq!(MAX_PIXELS, 178_956_970);
    let mut bytes = fs::read(tests().join("jpeg/grey.jpg")).unwrap();
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x0A, 0xAB, 0xFF, 0xFF]);
    let error = decode(&bytes, "large.jpg").unwrap_err().to_string();
    assert!(error.contains("large.jpg: has 65535x2731 pixels, more than the 178956970 that are read"), "{error}");
}

/// The formula of `resize_cases.py`.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    let level = |x: u32, y: u32, c: u32| {
        if seed % 3 == 2 {
            return (x * 5 + y * 3 + c * 40 + seed) as u8;
        }
        let noise = (x + 1).wrapping_mul(2_654_435_761).wrapping_add((y + 1).wrapping_mul(40_503).wrapping_mul(c + 3));
        let noise = noise.wrapping_add(seed.wrapping_mul(2_246_822_519));
        let level = ((noise ^ (noise >> 15)).wrapping_mul(2_246_822_519) >> 13) as u8;
        if seed.is_multiple_of(3) { level } else { u8::from(level > 127) * 255 }
    };
    RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| level(x, y, c))))
}

#[test]
fn resizing_gives_torchvisions_bytes() {
    let cases = cases(&tests().join("torchvision.json"));
    assert_eq!(cases.len(), 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let number = |name: &str, at: usize| u32::try_from(case[name][at].as_u64().unwrap()).unwrap();
        let image = picture(number("from", 0), number("from", 1), u32::try_from(case["seed"].as_u64().unwrap()).unwrap());
        for (name, filter) in [("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic), ("lanczos", Filter::Lanczos)] {
            let resized = resize(&image, number("to", 0), number("to", 1), filter, PixelBackend::Torchvision);
            if !sha256(resized.as_raw()).starts_with(case[name].as_str().unwrap()) {
                wrong.push(format!("{name} {case}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn backends_go_by_name() {
    for backend in PixelBackend::ALL {
        assert_eq!(PixelBackend::named(backend.name()), Some(backend));
    }
    assert_eq!(PixelBackend::named("PIL"), None);
}

/// Files with all there is to go wrong.
fn seeds() -> Vec<Vec<u8>> {
    [
        "jpeg/pillow-420-tiny.jpg",
        "jpeg/scans-kept-4-wide.jpg",
        "jpeg/restarts-astray.jpg",
        "jpeg/ycck-halved.jpg",
        "upright/profile-packed.png",
    ]
    .map(|file| fs::read(tests().join(file)).unwrap())
    .to_vec()
}

proptest! {
    #[test]
    fn damage_never_panics(which in 0_usize..5, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = seeds()[which].clone();
        for (place, value) in damage {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        // A size that damage made huge is only slow.
        prop_assume!(bytes.windows(9).all(|part| part[0] != 0xFF || !matches!(part[1], 0xC0..=0xC2) || (part[5] == 0 && part[7] == 0)));
        if let Err(error) = decode(&bytes, "damaged") {
            prop_assert!(error.to_string().contains("damaged"));
        }
    }

    #[test]
    fn every_cut_is_refused(which in 0_usize..4, place in any::<prop::sample::Index>()) {
        let bytes = &seeds()[which];
        prop_assert!(decode(&bytes[..place.index(bytes.len())], "cut").is_err());
    }

    #[test]
    fn one_colour_stays_that_colour(
        from in (1_u32..90, 1_u32..90), to in (1_u32..90, 1_u32..90), colour in any::<[u8; 3]>(),
        filter in prop::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos]),
    ) {
        let image = RgbImage::from_pixel(from.0, from.1, image::Rgb(colour));
        let resized = resize(&image, to.0, to.1, filter, PixelBackend::Pil);
        prop_assert_eq!(resized.dimensions(), to);
        prop_assert!(resized.pixels().all(|pixel| pixel.0 == colour));
        // Weights of 16 bits do not quite add up to 1.
        let resized = resize(&image, to.0, to.1, filter, PixelBackend::Torchvision);
        prop_assert!(resized.pixels().all(|pixel| (0..3).all(|c| pixel.0[c].abs_diff(colour[c]) <= 1)));
    }
}
