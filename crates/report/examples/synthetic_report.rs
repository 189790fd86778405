//! Writes the HTML of a made-up report, to look at the page without running a model: `cargo run --example synthetic_report -- report.html`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::io::{Cursor, Write};

use image::{Rgb, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, QuestionKind, QuestionRow, Report,
    TokenLogit,
};

/// Task families with a question, its possible answers and how often the baseline is right.
const FAMILIES: [(&str, QuestionKind, &str, &[&str], f64); 10] = [
    ("existence", QuestionKind::YesNo, "Is there a {} circle in the image?", &["yes", "no"], 0.95),
    ("pairs", QuestionKind::YesNo, "Is the {} shape left of the square?", &["yes", "no"], 0.9),
    ("compose", QuestionKind::Short, "What colour is the shape above the {} triangle?", &["red", "blue", "green", "yellow"], 0.86),
    ("reading", QuestionKind::Short, "Which word is printed next to the {} mark?", &["lamp", "door", "tree", "rain"], 0.91),
    ("counting", QuestionKind::Number, "How many {} shapes are there?", &["1", "2", "3", "4", "5"], 0.78),
    (
        "choice",
        QuestionKind::Choice,
        "Which shape is {}?\nA. circle\nB. square\nC. triangle\nAnswer with the option's letter.",
        &["a", "b", "c"],
        0.88,
    ),
    ("chart", QuestionKind::Number, "What is the value of the {} bar?", &["2", "4", "6", "8"], 0.82),
    ("diagram", QuestionKind::Short, "Which box does the {} arrow point to?", &["input", "filter", "output"], 0.87),
    ("unanswerable", QuestionKind::Short, "What does the {} sign say?", &["unanswerable", "stop", "exit"], 0.84),
    ("scan", QuestionKind::YesNo, "Is there a finding in the {} region of the scan?", &["yes", "no"], 0.89),
];
const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [214, 69, 65]), ("blue", [52, 108, 190]), ("green", [67, 150, 90]), ("yellow", [232, 190, 62])];

/// Specs with what they are, the chance of another answer, and weights, visual tokens, FLOPs and time beside the baseline's.
const ACCELERATIONS: [(&str, &str, f64, [f64; 4]); 5] = [
    ("int8", "LLM.int8: eight-bit weights and activations, outliers in float", 0.02, [0.29, 1.0, 1.0, 0.85]),
    ("w4:rtn,g=64", "four-bit weights in groups of 64, rounded to nearest", 0.12, [0.18, 1.0, 1.0, 0.9]),
    ("divprune:keep=0.33", "keeps the third of the visual tokens that differ most from each other", 0.15, [1.0, 0.333, 0.45, 0.52]),
    ("fastv:k=2,keep=0.5", "drops the half of the visual tokens that receive least attention in layer 2", 0.08, [1.0, 0.667, 0.71, 0.77]),
    ("w4:rtn,g=64+random:keep=64,seed=7", "four-bit weights, and 64 visual tokens drawn by chance", 0.27, [0.18, 0.444, 0.55, 0.6]),
];

struct Chance(ChaCha8Rng);

impl Chance {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: synthetic_report PATH.html")?;
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(5));
    let report = Report::new(measurements(&mut chance)?)?;
    let mut images = BTreeMap::new();
    for question in report.questions() {
        if let Entry::Vacant(vacant) = images.entry(question.picture()) {
            vacant.insert(picture(&mut chance)?);
        }
    }
    std::fs::write(&path, report.html(&images))?;
    std::fs::write(format!("{path}.json"), report.to_json()?)?;
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{}", report.table())?;
    for summary in report.summaries() {
        writeln!(stdout, "{}: {}", summary.spec, summary.finding())?;
    }
    Ok(())
}

fn measurements(chance: &mut Chance) -> Result<Measurements, Box<dyn Error>> {
    let mut questions = Vec::new();
    for i in 0..300 {
        let (family, kind, text, answers, accuracy) = FAMILIES[i % 10];
        let (colour, _) = COLOURS[chance.below(4)];
        let gold = chance.below(answers.len());
        let said = if chance.unit() < accuracy - 0.04 { gold } else { (gold + 1) % answers.len() };
        let margin = if said == gold { 0.8 + 8.0 * chance.unit() } else { 0.05 + 0.6 * chance.unit() };
        questions.push(QuestionRow {
            id: format!("{family}/{:05}-{}", i / 40, i % 40),
            family: family.to_owned(),
            image: format!("world/{:05}", i / 4),
            perturbation: None,
            text: text.replace("{}", colour),
            gold: vec![answers[gold].to_owned()],
            kind,
            baseline: answer(answers, said, gold, margin, 144.0, chance),
            weight: 1.0,
        });
    }
    let mut accelerations = Vec::new();
    for (spec, what_it_is, change, [weights, tokens, flops, time]) in ACCELERATIONS {
        let mut answers = Vec::new();
        for question in &questions {
            answers.push(accelerated(question, change, tokens, chance)?);
        }
        accelerations.push(AccelerationReport {
            spec: spec.to_owned(),
            what_it_is: what_it_is.to_owned(),
            answers,
            first_token: None,
            cost: cost(weights, tokens, flops, time),
        });
    }
    let mut repeated = Vec::new();
    for question in &questions {
        repeated.push(accelerated(question, 0.004, 1.0, chance)?);
    }
    let named = |pairs: &[(&str, &str)]| pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let plan = PlanSummary {
        model: "steady-llava".to_owned(),
        checkpoint_sha256: "9f2c1f6a77be0b0c8e5d54b5c1a9e3f7d2b8c4a6e1f3957b8d6c4a2e0f1b3d5c".to_owned(),
        benchmark: "steady-world".to_owned(),
        benchmark_fingerprint: "1c7e9a40d2".to_owned(),
        plan_sha256: String::new(),
        questions: questions.len(),
        perturbations: Vec::new(),
        specs: ACCELERATIONS.iter().map(|acceleration| acceleration.0.to_owned()).collect(),
        left_out: BTreeMap::new(),
        prompt_template: "USER: <image>\n{question} ASSISTANT:".to_owned(),
        post_prompts: BTreeMap::new(),
        processor: named(&[("size", "144 x 144"), ("resample", "bicubic"), ("mean", "0.5 0.5 0.5")]),
        decoding: named(&[("strategy", "greedy"), ("max_new_tokens", "16")]),
        precision: "f32".to_owned(),
        device: "cpu (Flex, 2 threads)".to_owned(),
        versions: named(&[("steady", "0.1.0"), ("burn", "0.22.1")]),
        seeds: BTreeMap::from([("suite".to_owned(), 20_260_101)]),
        command_line: "steady run --model steady-llava --accel int8 --accel w4:rtn --accel divprune:keep=0.33".to_owned(),
    };
    Ok(Measurements {
        plan,
        baseline_cost: cost(1.0, 1.0, 1.0, 1.0),
        questions,
        accelerations,
        controls: vec![ControlReport {
            spec: "none".to_owned(),
            what_it_is: "batch order".to_owned(),
            answers: repeated,
            first_token: None,
        }],
        flagged: Vec::new(),
    })
}

fn answer(answers: &[&str], said: usize, gold: usize, margin: f64, visual_tokens: f64, chance: &mut Chance) -> AnswerRow {
    let logit = 11.0 + 3.0 * chance.unit();
    let top = (0..answers.len().min(3))
        .map(|i| TokenLogit { token: answers[(said + i) % answers.len()].to_owned(), logit: (logit - margin * i as f64) as f32 })
        .collect();
    let text = answers[said].to_owned();
    AnswerRow {
        parsed: Some(text.clone()),
        text,
        correct: said == gold,
        score: f32::from(u8::from(said == gold)),
        margin: Some(margin as f32),
        kl: None,
        outcome: None,
        visual_tokens: visual_tokens as f32,
        top,
    }
}

/// An answer changes the more easily the less firmly the baseline gave it.
fn accelerated(question: &QuestionRow, change: f64, tokens: f64, chance: &mut Chance) -> Result<AnswerRow, Box<dyn Error>> {
    let answers = FAMILIES.iter().find(|family| family.0 == question.family).ok_or("unknown family")?.3;
    let position = |text: &str| answers.iter().position(|&answer| answer == text).ok_or("unknown answer");
    let (before, gold) = (position(&question.baseline.text)?, position(&question.gold[0])?);
    let margin = f64::from(question.baseline.margin.unwrap_or_default());
    let differs = chance.unit() < change * 3.2 * (-margin / 1.6).exp() + change * 0.15;
    let said = match (differs, before == gold) {
        (false, _) => before,
        (true, false) if chance.unit() < 0.85 => gold,
        (true, _) => (before + 1 + chance.below(answers.len() - 1)) % answers.len(),
    };
    let margin = if differs { 0.05 + 0.9 * chance.unit() } else { (margin + change * (chance.unit() - 0.5)).max(0.02) };
    let mut row = answer(answers, said, gold, margin, 144.0 * tokens, chance);
    row.outcome = Some(Outcome::of(said == before, before == gold, said == gold)?);
    row.kl = Some(if differs { 0.1 + chance.unit() } else { change * chance.unit() * 0.4 });
    Ok(row)
}

fn cost(weights: f64, tokens: f64, flops: f64, time: f64) -> CostRow {
    CostRow {
        weight_bytes: (9_450_000.0 * weights) as u64,
        stored_bytes: None,
        kv_bytes: 688_000.0 * (0.12 + 0.88 * tokens),
        visual_tokens: 144.0 * tokens,
        prompt_tokens: 21.4 + 144.0 * tokens,
        flops: 1.12e9 * flops,
        seconds: Some(11.8 * time),
    }
}

/// A few coloured shapes on a pale ground, as PNG.
fn picture(chance: &mut Chance) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut picture = RgbImage::from_pixel(144, 144, Rgb([240, 238, 230]));
    for _ in 0..3 + chance.below(4) {
        let (x, y, r) = (18 + chance.below(108) as i32, 18 + chance.below(108) as i32, 8 + chance.below(12) as i32);
        let (round, colour) = (chance.unit() < 0.5, COLOURS[chance.below(4)].1);
        for (px, py, pixel) in picture.enumerate_pixels_mut() {
            let (dx, dy) = (px as i32 - x, py as i32 - y);
            if if round { dx * dx + dy * dy < r * r } else { dx.abs() < r && dy.abs() < r } {
                *pixel = Rgb(colour);
            }
        }
    }
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png)?;
    Ok(png.into_inner())
}
