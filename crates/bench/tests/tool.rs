//! `steady-world` as a process.

#![allow(clippy::unwrap_used, reason = "clippy.toml lets tests unwrap, but not the functions they share")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

fn steady_world(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_steady-world")).args(arguments).output().unwrap()
}

fn refused(arguments: &[&str], said: &[&str]) {
    let output = steady_world(arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    for word in said {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
}

#[test]
fn a_stream_has_frames_of_one_size_plus_their_json() {
    let output = steady_world(&["stream", "--start", "7", "--count", "2", "--questions", "3", "--families", "chart"]);
    assert!(output.status.success());
    let mut bytes = &output.stdout[..];
    let mut header = String::new();
    bytes.read_line(&mut header).unwrap();
    assert!(header.starts_with('{') && header.contains("\"image_size\":144"), "{header}");
    for id in ["train-00007", "train-00008"] {
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let about = std::str::from_utf8(&bytes[4..4 + length]).unwrap();
        assert!(about.contains(id) && about.contains("\"family\":\"chart\""), "{about}");
        // RGB, five planes of 144 patches, five image labels.
        bytes = &bytes[4 + length + 144 * 144 * 3 + 5 * 144 + 5..];
    }
    assert!(bytes.is_empty());
}

#[test]
fn the_suite_carries_ids_and_golds() {
    let output = steady_world(&["suite", "--per-family", "2"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for id in ["existence/", "pairs/", "scan/"] {
        assert!(text.contains(&format!("{{\"id\":\"{id}")), "{id}");
    }
    assert_eq!(text.matches("\"gold\":[").count(), 20);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_steady-world"))
        .args(["stream", "--count", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_sheet_is_a_picture_with_its_questions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sheet.png");
    let output = steady_world(&["sheet", "--count", "6", "--out", path.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(image::open(&path).unwrap().to_rgb8().dimensions(), (5 * 148 + 4, 2 * 148 + 4));
    assert_eq!(String::from_utf8(output.stdout).unwrap().matches("train-0000").count(), 6);
}

#[test]
fn bad_input_is_named() {
    refused(&["stream", "--families", "compose,colour"], &["--families", "\"colour\"", "existence", "scan"]);
    refused(&["stream", "--split", "validation"], &["--split", "\"validation\"", "train, test"]);
    refused(&["stream", "--level", "3"], &["--level", "\"3\"", "0, 1, 2"]);
    refused(&["stream", "--start", "1099511627776", "--count", "1"], &["--start 1099511627776", "1099511627776 images"]);
    refused(&["stream", "--start", "18446744073709551615"], &["--start"]);
    refused(&["sheet", "--out", "/nowhere/at/all/sheet.png"], &["/nowhere/at/all/sheet.png"]);
}
