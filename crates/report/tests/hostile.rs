//! Links made to hurt: their checksum is right, their lengths and references are whatever somebody wanted. Nothing panics, and reading takes no more memory
//! than it says. The layout is written down here a second time, by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use steady_report::share::{LONGEST, MOST_EXPANDED, ShareError, SharedReport, open};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

type Texts = BTreeMap<String, String>;
/// Weights, KV cache, visual tokens, prompt tokens, operations, seconds.
type Cost = (u64, f64, f64, f64, f64, Option<f64>);
/// Outcomes, words, scores, and four numbers about the first token.
type Answers = (Vec<u8>, Vec<u32>, Vec<f32>, [Option<f64>; 4]);

#[derive(Clone, Serialize)]
struct Layout {
    /// Model, checkpoint, benchmark, its fingerprint.
    names: [String; 4],
    specs: Vec<String>,
    prompt: String,
    processor: Texts,
    decoding: Texts,
    precision: String,
    device: String,
    versions: Texts,
    seeds: BTreeMap<String, u64>,
    command: String,
    families: Vec<String>,
    family: Vec<u32>,
    image: Vec<u32>,
    kind: Vec<u8>,
    words: Words,
    said: Vec<(String, Parsed)>,
    correct: Vec<u8>,
    baseline: Vec<u32>,
    scores: Vec<f32>,
    baseline_cost: Cost,
    accelerations: Vec<(String, String, Answers, Cost)>,
    noise_floor: Option<(String, Answers)>,
    perturbations: Vec<String>,
    baseline_outcomes: Vec<u8>,
    controls: Vec<(String, String, Answers)>,
    ties: Vec<Option<(f64, u64)>>,
    flagged: Vec<(u32, String, u8)>,
    stored: Vec<Option<u64>>,
    post_prompts: Texts,
    left_out: Texts,
}

#[derive(Clone, Serialize)]
enum Words {
    OfSuite { size: u32, skipped: Vec<u32> },
    Listed(Vec<(u32, String, String, Vec<String>)>),
}

#[derive(Clone, Serialize)]
enum Parsed {
    Trimmed,
    #[expect(dead_code, reason = "has its place in the layout")]
    Unread,
    As(String),
}

/// How much of everything; the lists fit each other.
#[derive(Clone, Copy, Debug)]
struct Size {
    questions: usize,
    perturbations: usize,
    accelerations: usize,
    controls: usize,
    families: usize,
    /// Bytes of what every model said every time.
    said: usize,
    /// Bytes of every other text.
    text: usize,
}

const SMALL: Size = Size { questions: 4, perturbations: 0, accelerations: 1, controls: 1, families: 2, said: 3, text: 5 };

fn layout(size: Size) -> Layout {
    let rows = size.questions * (1 + size.perturbations);
    let text = |i: usize| format!("{i}{}", "x".repeat(size.text));
    let texts = || Texts::from([(text(0), text(1))]);
    let cost = (1, 1.0, 1.0, 1.0, 1.0, None);
    // all the same, so that all of it is made again in the baseline's words
    let answers = || (vec![0; rows], Vec::new(), Vec::new(), [None; 4]);
    Layout {
        names: [0, 1, 2, 3].map(text),
        specs: vec![text(0)],
        prompt: text(0),
        processor: texts(),
        decoding: texts(),
        precision: text(0),
        device: text(0),
        versions: texts(),
        seeds: BTreeMap::from([(text(0), 1)]),
        command: text(0),
        families: (0..size.families).map(text).collect(),
        family: (0..size.questions).map(|i| (i % size.families.max(1)) as u32).collect(),
        image: (0..size.questions).map(|i| (i % 3) as u32).collect(),
        kind: vec![2; size.questions],
        words: Words::Listed(Vec::new()),
        said: vec![("y".repeat(size.said), Parsed::Trimmed)],
        correct: vec![1; rows],
        baseline: vec![1; rows],
        scores: Vec::new(),
        baseline_cost: cost,
        accelerations: (0..size.accelerations).map(|i| (text(i), text(i), answers(), cost)).collect(),
        noise_floor: None,
        perturbations: (0..size.perturbations).map(text).collect(),
        baseline_outcomes: vec![0; rows - size.questions],
        controls: (0..size.controls).map(|i| (text(i), text(i), answers())).collect(),
        ties: Vec::new(),
        flagged: Vec::new(),
        stored: vec![Some(1); 1 + size.accelerations],
        post_prompts: texts(),
        left_out: texts(),
    }
}

fn sealed(plain: &[u8]) -> String {
    let mut deflate = DeflateEncoder::new(vec![4], Compression::fast());
    deflate.write_all(plain).unwrap();
    let mut sealed = deflate.finish().unwrap();
    let checksum = crc32fast::hash(&sealed);
    sealed.extend(checksum.to_le_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

/// Opens a link and counts what that took: the rows and summaries, and as much again for the link's own content.
fn opened(plain: &[u8]) -> Result<SharedReport, ShareError> {
    let payload = sealed(plain);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let opened = open(&payload, |_| None);
    let took = MEMORY.peak_usage() as u64 - before as u64;
    assert!(took <= 2 * MOST_EXPANDED, "{took} bytes for {} characters", payload.len());
    opened
}

fn bytes(layout: &Layout) -> Vec<u8> {
    postcard::to_stdvec(layout).unwrap()
}

/// One test, since memory is counted for all of them together.
#[test]
fn links_made_to_hurt() {
    small_links_of_huge_reports();
    any_sizes();
    any_damage();
}

fn small_links_of_huge_reports() {
    assert_eq!(opened(&bytes(&layout(SMALL))).unwrap().report.questions().len(), 4);
    // what every model said, once in the link: 198,000 answers of half a megabyte each
    let said = bytes(&layout(Size { questions: 66_000, said: 500_000, ..SMALL }));
    assert!(sealed(&said).len() < 8000, "{} characters", sealed(&said).len());
    assert!(matches!(opened(&said), Err(ShareError::Field { field: "said", .. })));
    let refused = |size: Size| opened(&bytes(&layout(size))).unwrap_err();
    let long = refused(Size { questions: 66_000, said: 2000, ..SMALL });
    assert!(matches!(long, ShareError::Expanded { found } if found > 198_000 * 4000), "{long}");
    // families, conditions and accelerations multiply
    let mut families = layout(SMALL);
    families.families = vec![String::new(); 30_000];
    let mut conditions = layout(SMALL);
    conditions.perturbations = vec![String::new(); 60_000];
    for layout in [families, conditions] {
        let error = opened(&bytes(&layout)).unwrap_err();
        assert!(matches!(error, ShareError::Field { field: "families", .. }), "{error}");
    }
    let answers = refused(Size { questions: 100, accelerations: 2000, text: 0, ..SMALL });
    assert!(matches!(answers, ShareError::Field { field: "answers", .. }), "{answers}");
    for field in ["plan", "families", "words", "accelerations", "controls", "perturbations", "flagged", "left_out"] {
        let mut layout = layout(Size { perturbations: 1, ..SMALL });
        let long = "z".repeat(100_000);
        match field {
            "plan" => layout.prompt = long,
            "families" => layout.families[1] = long,
            "words" => layout.words = Words::Listed(vec![(0, String::new(), String::new(), vec![long])]),
            "accelerations" => layout.accelerations[0].1 = long,
            "controls" => layout.controls[0].0 = long,
            "perturbations" => layout.perturbations[0] = long,
            "flagged" => layout.flagged = vec![(0, long, 0)],
            _ => layout.left_out = Texts::from([(String::new(), long)]),
        }
        let error = opened(&bytes(&layout)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("the link's `{field}` is a text of 100000 bytes")), "{error}");
    }
    let most = opened(&bytes(&layout(Size { questions: 66_000, said: 40, ..SMALL }))).unwrap();
    assert_eq!(most.report.accelerations()[0].answers.len(), 66_000);
    // a list that says it is longer than anything
    let mut cut = bytes(&layout(SMALL));
    cut.extend([0xff; 9]);
    assert!(opened(&cut).is_err());
}

/// Any sizes that an address can hold.
fn any_sizes() {
    let up_to = |most: u32| (0..=most.ilog2(), 0.0..1.0_f64).prop_map(|(power, part)| (f64::from(1_u32 << power) * (1.0 + part)) as usize);
    let sizes = (up_to(50_000), 0_usize..8, 0_usize..12, 0_usize..4, up_to(40), up_to(5000), up_to(5000)).prop_map(
        |(questions, perturbations, accelerations, controls, families, said, text)| Size {
            questions,
            perturbations,
            accelerations,
            controls,
            families,
            said,
            text,
        },
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(20));
    let outcome = runner.run(&sizes, |size| {
        let plain = bytes(&layout(size));
        if sealed(&plain).len() > LONGEST {
            return Ok(());
        }
        if let Ok(shared) = opened(&plain) {
            prop_assert_eq!(shared.report.plan().questions, size.questions);
        }
        Ok(())
    });
    outcome.unwrap();
}

/// Lists of another length, references to nowhere, numbers that are none; and bytes in any place.
fn any_damage() {
    let blows = (0_u8..16, any::<u32>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..6), 0_usize..6);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(250));
    let outcome = runner.run(&blows, |(blow, number, at, put, removed)| {
        let mut layout = layout(Size { perturbations: 1, controls: 2, ..SMALL });
        match blow {
            0 => layout.family[1] = number,
            1 => layout.image[1] = number,
            2 => layout.kind[1] = number as u8,
            3 => layout.baseline[1] = number,
            4 => layout.correct[1] = number as u8,
            5 => layout.accelerations[0].2.0[1] = number as u8,
            6 => layout.accelerations[0].2.1 = vec![number; number as usize % 3],
            7 => layout.controls[1].2.3[0] = Some(f64::from_bits(u64::from(number) << 32)),
            8 => layout.ties = vec![Some((f64::from_bits(u64::from(number) << 32), u64::from(number))); 3],
            9 => layout.flagged = vec![(number, "none".to_owned(), number as u8 % 3)],
            10 => layout.words = Words::OfSuite { size: number, skipped: vec![number; 4] },
            11 => layout.words = Words::Listed(vec![(number, "a".to_owned(), "b".to_owned(), Vec::new()); 3]),
            12 => layout.scores = vec![f32::from_bits(number); 8],
            13 => layout.noise_floor = Some(("again".to_owned(), layout.controls[0].2.clone())),
            14 => layout.said[0].1 = Parsed::As("read".to_owned()),
            _ => layout.perturbations = vec!["same".to_owned(); number as usize % 5],
        }
        let mut plain = bytes(&layout);
        if number % 2 == 0 {
            let from = at.index(plain.len());
            plain.splice(from..plain.len().min(from + removed), put);
        }
        if let Ok(shared) = opened(&plain) {
            prop_assert!(shared.report.html(&BTreeMap::new()).ends_with("</html>"));
        }
        Ok(())
    });
    outcome.unwrap();
}
