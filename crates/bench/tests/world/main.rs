//! The world: what it promises to trainers and to studies.

#![allow(clippy::unwrap_used, reason = "clippy.toml lets tests unwrap, but not the functions they share")]

mod eye;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use steady_bench::{
    AnswerKind, Benchmark, Question, same_answer, score,
    world::{EmbeddedSuite, IMAGE_LABELS, Level, PLANES, Picture, SceneKind, Split, TaskFamily, classes, stream},
};

/// Changing the world means training the embedded models again: they have learned these pixels and these words, and every
/// stored report names this suite. If one of these two literals has to change, retrain, and publish new checkpoints.
const SUITE_FINGERPRINT: &str = "3fb0d629aa57840072ce615e81fac7f539107011bff56ce7ca1709b58a085d00";
/// SHA-256 of the header and the first 60 frames of the training stream, 9 questions each.
const STREAM_HASH: &str = "2ff97df91f58b1771be5388b07d4c8527e3684ac4113d8e2769270df04318fd4";

#[test]
fn the_suite_stays_the_same() {
    assert_eq!(EmbeddedSuite::test(100).fingerprint(), SUITE_FINGERPRINT);
}

#[test]
fn the_training_stream_stays_the_same() {
    let hash = Sha256::digest(stream_bytes(60, 9, Level::Full));
    assert_eq!(HEXLOWER.encode(&hash), STREAM_HASH);
}

fn stream_bytes(count: u64, questions: usize, level: Level) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream::write_header(&mut bytes).unwrap();
    for i in 0..count {
        let picture = Picture::draw(Split::Train, i, level, &TaskFamily::ALL);
        stream::write_picture(&mut bytes, &picture, &TaskFamily::ALL, questions).unwrap();
    }
    bytes
}

/// A frame as a reader in another language sees it.
struct Frame {
    about: serde_json::Value,
    planes: Vec<Vec<u8>>,
    image_labels: Vec<u8>,
}

/// Reads a stream by its documented layout.
fn frames(bytes: &[u8]) -> (serde_json::Value, Vec<Frame>) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let (planes, labels) = (header["planes"].as_array().unwrap().len(), header["image_labels"].as_array().unwrap().len());
    let mut rest = &bytes[end + 1..];
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        (head.to_vec(), tail.is_empty())
    };
    let mut frames = Vec::new();
    loop {
        let length = u32::from_le_bytes(take(4).0.try_into().unwrap());
        let about = serde_json::from_slice(&take(length as usize).0).unwrap();
        take(144 * 144 * 3);
        let planes = (0..planes).map(|_| take(144).0).collect();
        let (image_labels, last) = take(labels);
        frames.push(Frame { about, planes, image_labels });
        if last {
            return (header, frames);
        }
    }
}

#[test]
fn a_stream_reads_back_by_its_documented_layout() {
    for level in [Level::Easy, Level::Middle, Level::Full] {
        let (header, frames) = frames(&stream_bytes(80, 8, level));
        assert_eq!(header["image_size"], 144);
        assert_eq!(header["patch"], 12);
        assert_eq!(header["grid"], 12);
        assert_eq!(frames.len(), 80);
        for (i, frame) in frames.iter().enumerate() {
            assert_eq!(frame.about["id"], format!("train-{i:05}"));
            let questions = frame.about["questions"].as_array().unwrap();
            assert!((1..=8).contains(&questions.len()), "{}", frame.about);
            for question in questions {
                let text = question["text"].as_str().unwrap();
                // The words of the question proper; each costs training time.
                assert!(text.lines().next().unwrap().split_whitespace().count() <= 16, "{text}");
                let answer = question["answer"].as_str().unwrap();
                assert!(!answer.is_empty() && answer == answer.to_lowercase(), "{answer}");
            }
            for (plane, about) in frame.planes.iter().zip(header["planes"].as_array().unwrap()) {
                let classes = about["classes"].as_array().unwrap().len();
                assert!(plane.iter().all(|id| usize::from(*id) < classes), "{}", about["name"]);
            }
            for (value, about) in frame.image_labels.iter().zip(header["image_labels"].as_array().unwrap()) {
                assert!(u64::from(*value) < about["classes"].as_u64().unwrap(), "{}", about["name"]);
            }
        }
    }
}

#[test]
fn an_easy_stream_shows_few_large_objects() {
    let small = classes("size").iter().position(|c| c == "small").unwrap() as u8;
    for i in 0..200 {
        let picture = Picture::draw(Split::Train, i, Level::Easy, &[TaskFamily::Counting]);
        assert_eq!(picture.kind, SceneKind::Objects);
        assert!((1..=3).contains(&picture.image_labels[1]));
        assert!(!picture.labels.planes[2].contains(&small));
    }
}

#[test]
fn one_image_is_asked_different_questions() {
    for i in 0..100 {
        let picture = Picture::draw(Split::Train, i, Level::Full, &TaskFamily::ALL);
        let asked = picture.ask(&TaskFamily::ALL, 10);
        let texts: BTreeSet<&String> = asked.iter().map(|(_, text, _)| text).collect();
        assert_eq!(texts.len(), asked.len());
        if picture.kind == SceneKind::Objects {
            assert_eq!(asked.len(), 10);
            assert!(asked.iter().map(|(family, ..)| *family).collect::<BTreeSet<_>>().len() >= 5);
        }
    }
}

#[test]
fn the_vocabulary_is_small() {
    let mut words = BTreeSet::new();
    for i in 0..1500 {
        let picture = Picture::draw(Split::Train, i, Level::Full, &TaskFamily::ALL);
        for (_, text, answer) in picture.ask(&TaskFamily::ALL, 9) {
            let text = format!("{text} {answer}").to_lowercase();
            words.extend(text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.parse::<u32>().is_err()).map(String::from));
        }
    }
    assert!(words.len() < 250, "{}", words.len());
}

#[test]
fn a_small_suite_is_the_beginning_of_a_large_one() {
    let (small, large) = (EmbeddedSuite::test(30), EmbeddedSuite::test(100));
    assert_eq!(small.questions(), &large.questions()[..300]);
    assert_eq!(EmbeddedSuite::test(1).questions(), &large.questions()[..10]);
    assert!(EmbeddedSuite::test(0).questions().is_empty());
}

#[test]
fn every_family_has_its_share_and_images_are_shared() {
    let suite = EmbeddedSuite::test(100);
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut images: BTreeMap<&str, Vec<&Question>> = BTreeMap::new();
    for question in suite.questions() {
        *families.entry(&question.family).or_default() += 1;
        assert!(ids.insert(&question.id), "{}", question.id);
        assert_eq!(question.benchmark, suite.name());
        assert_eq!(question.id.split('/').next(), Some(question.family.as_str()));
        images.entry(&question.image).or_default().push(question);
    }
    assert_eq!(families, TaskFamily::ALL.map(|f| (f.name(), 100)).into_iter().collect());
    // 100 objects images carry six families, 25 each of three kinds, and about 50 signs.
    assert!((220..=240).contains(&images.len()), "{}", images.len());
    for (image, questions) in &images {
        let texts: BTreeSet<&str> = questions.iter().map(|q| q.text.as_str()).collect();
        assert_eq!(texts.len(), questions.len(), "{image} is asked the same twice");
        assert_eq!(suite.image(image).unwrap().dimensions(), (144, 144));
        assert_eq!(suite.sizes(image).unwrap(), [(144, 144)]);
    }
}

#[test]
fn an_unknown_image_is_named_in_the_error() {
    let suite = EmbeddedSuite::test(1);
    for id in ["train-00000", "test-99999", "", "../etc"] {
        for message in [suite.image(id).unwrap_err().to_string(), suite.sizes(id).unwrap_err().to_string()] {
            assert!(message.contains(&format!("{id:?}")) && message.contains("steady-world"), "{message}");
        }
    }
}

#[test]
fn pairs_ask_about_one_object_twice() {
    let suite = EmbeddedSuite::test(60);
    let pairs: Vec<&Question> = suite.questions().iter().filter(|q| q.family == "pairs").collect();
    assert_eq!(pairs.len(), 60);
    for pair in pairs.chunks(2) {
        assert_eq!(pair[0].image, pair[1].image);
        let mut golds = [&pair[0].gold[0], &pair[1].gold[0]];
        golds.sort();
        assert_eq!(golds, ["no", "yes"]);
    }
}

#[test]
fn answers_are_balanced() {
    let suite = EmbeddedSuite::test(100);
    let mut golds: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for question in suite.questions() {
        *golds.entry(&question.family).or_default().entry(&question.gold[0]).or_default() += 1;
    }
    for family in ["existence", "pairs"] {
        assert!((45..=55).contains(&golds[family]["yes"]), "{family}: {:?}", golds[family]);
    }
    assert!((40..=60).contains(&golds["unanswerable"]["unanswerable"]), "{:?}", golds["unanswerable"]);
    for letter in ["a", "b", "c", "d"] {
        assert!((18..=32).contains(&golds["choice"][letter]), "{:?}", golds["choice"]);
    }
    for family in ["compose", "counting", "chart", "diagram", "scan", "reading"] {
        let most = golds[family].values().max().unwrap();
        assert!(*most <= 32, "{family}: {:?}", golds[family]);
    }
    for count in ["0", "1", "2", "3", "4", "5"] {
        assert!(golds["counting"].contains_key(count), "{:?}", golds["counting"]);
    }
}

/// What a model could score that never looks: for every wording of the suite the most frequent answer in training.
#[test]
fn knowing_the_words_alone_does_not_help_much() {
    let mut seen: HashMap<String, HashMap<String, usize>> = HashMap::new();
    for i in 0..6000 {
        let picture = Picture::draw(Split::Train, i, Level::Full, &TaskFamily::ALL);
        for (family, text, answer) in picture.ask(&TaskFamily::ALL, 9) {
            *seen.entry(pattern(family.name(), &text)).or_default().entry(answer).or_default() += 1;
        }
    }
    let suite = EmbeddedSuite::test(100);
    let mut right: BTreeMap<&str, usize> = BTreeMap::new();
    for question in suite.questions() {
        let answers = seen.get(&pattern(&question.family, &question.text));
        let guess = answers.and_then(|a| a.iter().max_by_key(|(answer, n)| (**n, (*answer).clone()))).map(|(answer, _)| answer.as_str());
        let right = right.entry(&question.family).or_default();
        *right += usize::from(score(question, guess.unwrap_or("yes")).correct);
    }
    let mean = right.values().sum::<usize>() as f32 / 10.0;
    assert!(mean < 42.0 && right.values().all(|n| *n <= 60), "mean {mean}: {right:?}");
}

/// A question with its fillers taken out.
fn pattern(family: &str, text: &str) -> String {
    const FILLERS: &str = " red green blue yellow purple orange black circle square triangle diamond cross star circles squares triangles diamonds crosses stars left right top bottom a an ";
    let text = text.lines().next().unwrap_or_default().to_lowercase();
    let words = text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()));
    let kept: Vec<&str> = words.map(|w| if FILLERS.contains(&format!(" {w} ")) { "_" } else { w }).collect();
    format!("{family}: {}", kept.join(" "))
}

#[test]
fn every_gold_scores_right_and_every_wrong_option_wrong() {
    let suite = EmbeddedSuite::test(100);
    for question in suite.questions() {
        let gold = &question.gold[0];
        let verdict = score(question, gold);
        assert!(verdict.correct, "{question:?}");
        let wrong: Vec<String> = match &question.kind {
            AnswerKind::YesNo => vec![if gold == "yes" { "no" } else { "yes" }.into()],
            AnswerKind::Choice { options } => {
                assert_eq!(options.iter().collect::<BTreeSet<_>>().len(), options.len(), "{question:?}");
                let chosen = usize::from(gold.as_bytes()[0] - b'a');
                assert!(score(question, &options[chosen]).correct, "{question:?}");
                let others = options.iter().enumerate().filter(|(i, _)| *i != chosen);
                others.flat_map(|(i, text)| [text.clone(), char::from(b'a' + i as u8).to_string()]).collect()
            }
            AnswerKind::Short | AnswerKind::ShortOrUnanswerable => vec!["nothing of the kind".into(), format!("{gold} {gold}")],
            AnswerKind::Official(scorer) => panic!("{question:?} is scored as a published benchmark is: {scorer:?}"),
            AnswerKind::Number | AnswerKind::NumberWithin { .. } => vec![(gold.parse::<u32>().unwrap() + 1).to_string(), "many".into()],
        };
        for reply in wrong {
            assert!(!score(question, &reply).correct, "{question:?} {reply}");
            assert!(!same_answer(question, gold, &reply), "{question:?} {reply}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Case, a final period and white space around a reply never matter.
    #[test]
    fn a_gold_survives_small_noise(
        pick in 0usize..300, upper in any::<bool>(), period in any::<bool>(), before in "[ \n]{0,2}", after in "[ \n]{0,2}",
    ) {
        let suite = EmbeddedSuite::test(30);
        let question = &suite.questions()[pick];
        let gold = &question.gold[0];
        let reply = if upper { gold.to_uppercase() } else { gold.clone() };
        let reply = format!("{before}{reply}{}{after}", if period { "." } else { "" });
        prop_assert!(score(question, &reply).correct, "{:?} {:?}", question, reply);
        prop_assert!(same_answer(question, gold, &reply));
    }

    /// A picture is a function of its position, and neighbours differ.
    #[test]
    fn pictures_are_seeded(position in 0..Split::SIZE, test in any::<bool>()) {
        let split = if test { Split::Test } else { Split::Train };
        let draw = |i| Picture::draw(split, i, Level::Full, &TaskFamily::ALL);
        let (first, again, next) = (draw(position), draw(position), draw(position.wrapping_add(1)));
        prop_assert_eq!(first.image.as_raw(), again.image.as_raw());
        prop_assert_eq!(&first.labels, &again.labels);
        prop_assert_eq!(first.ask(&TaskFamily::ALL, 6), again.ask(&TaskFamily::ALL, 6));
        prop_assert_ne!(first.image.as_raw(), next.image.as_raw());
    }
}

#[test]
fn no_test_image_is_a_training_image() {
    let images = |split| -> BTreeSet<Vec<u8>> {
        (0..500).map(|i| Picture::draw(split, i, Level::Full, &TaskFamily::ALL).image.into_raw()).collect()
    };
    assert!(images(Split::Train).is_disjoint(&images(Split::Test)));
}

#[test]
fn labels_mark_every_center_once() {
    let what = classes("what");
    for i in 0..300 {
        let picture = Picture::draw(Split::Train, i, Level::Full, &TaskFamily::ALL);
        let [kinds, _, _, centers, _] = &picture.labels.planes;
        let marked: Vec<&str> = kinds.iter().zip(centers).filter(|(_, c)| **c == 1).map(|(k, _)| what[usize::from(*k)].as_str()).collect();
        let label = |name: &str| usize::from(picture.image_labels[IMAGE_LABELS.iter().position(|l| l.0 == name).unwrap()]);
        let count = |name: &str| marked.iter().filter(|m| **m == name).count();
        match picture.kind {
            SceneKind::Objects => assert_eq!(marked.len(), label("objects")),
            SceneKind::Chart => assert_eq!(count("bar"), label("bars")),
            SceneKind::Scan => assert_eq!(count("nodule"), label("nodules")),
            SceneKind::Diagram => assert!(marked.len() == count("node") && label("arrows") <= marked.len()),
            SceneKind::Sign => assert!(marked.len() >= 2 && marked.iter().all(|m| m.starts_with("glyph "))),
        }
    }
    assert_eq!(PLANES[3], "center");
}

// ---------------------------------------------------------------------------------------------------------------------
// Golds against pixels: an independent reading of the image must give the same answers.

#[derive(Debug)]
struct Seen {
    shape: &'static str,
    color: &'static str,
    size: &'static str,
    x: u32,
    y: u32,
}

/// Answers from what was seen, for questions about objects that name them by colour, shape and size.
fn answer(text: &str, objects: &[Seen]) -> Option<String> {
    let words: Vec<String> = text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()).collect();
    let named = |options: &[&'static str]| options.iter().copied().find(|o| words.iter().any(|w| w == o));
    let shape = named(&["circle", "square", "triangle", "diamond", "cross", "star"]).or_else(|| {
        let plurals = [
            ("circles", "circle"),
            ("squares", "square"),
            ("triangles", "triangle"),
            ("diamonds", "diamond"),
            ("crosses", "cross"),
            ("stars", "star"),
        ];
        plurals.into_iter().find(|(plural, _)| words.iter().any(|w| w == plural)).map(|(_, shape)| shape)
    });
    let color = named(&["red", "green", "blue", "yellow", "purple", "orange", "black"]);
    let size = named(&["small", "large"]);
    let fits = |o: &&Seen| shape.is_none_or(|s| s == o.shape) && color.is_none_or(|c| c == o.color) && size.is_none_or(|s| s == o.size);
    let found: Vec<&Seen> = objects.iter().filter(fits).collect();
    let first = words.first()?.as_str();
    if first == "how" || first == "count" || text.contains("number of") {
        return Some(found.len().to_string());
    }
    if let Some(half) = named(&["left", "right", "top", "bottom"]) {
        let [object] = found[..] else { return None };
        let inside = match half {
            "left" => object.x < 72,
            "right" => object.x > 72,
            "top" => object.y < 72,
            _ => object.y > 72,
        };
        return Some(if inside { "yes" } else { "no" }.into());
    }
    if ["is", "can", "does"].contains(&first) {
        return Some(if found.is_empty() { "no" } else { "yes" }.into());
    }
    match found[..] {
        [] => Some("unanswerable".into()),
        [object] if words.iter().any(|w| w == "color") => Some(object.color.into()),
        [object] if words[..5].iter().any(|w| w == "shape") => Some(object.shape.into()),
        _ => None,
    }
}

#[test]
fn answers_about_objects_agree_with_the_pixels() {
    let families = [TaskFamily::Existence, TaskFamily::Pairs, TaskFamily::Counting, TaskFamily::Unanswerable];
    let mut checked = BTreeMap::new();
    for i in 0..400 {
        let picture = Picture::draw(Split::Test, i, Level::Full, &families);
        let objects: Vec<Seen> = eye::things(&picture.image)
            .iter()
            .map(|r| {
                let (x, y) = r.center();
                // Large radii are 14 pixels and more, small ones less than 10.
                let size = if r.width().max(r.height()) > 22 { "large" } else { "small" };
                Seen { shape: r.shape_name(), color: r.color_name(), size, x, y }
            })
            .collect();
        assert_eq!(objects.len(), usize::from(picture.image_labels[1]), "{}", picture.id);
        for (family, text, gold) in picture.ask(&families, 12) {
            let question = text.split_once(['?', '.']).map_or(text.as_str(), |(question, _)| question);
            if let Some(seen) = answer(question, &objects) {
                assert_eq!(seen, gold, "{}: {text} {objects:?}", picture.id);
                *checked.entry(family).or_insert(0) += 1;
            }
        }
    }
    assert!(checked.len() == families.len() && checked.values().all(|n| *n > 400), "{checked:?}");
}

#[test]
fn bars_are_as_high_as_their_values() {
    let mut checked = 0;
    for i in 0..100 {
        let picture = Picture::draw(Split::Test, i, Level::Full, &[TaskFamily::Chart]);
        // Bars are coloured or black; grid lines are grey and one pixel high.
        let bars: Vec<eye::Region> = eye::regions(&picture.image, 100, |[r, g, b]| {
            let (low, high) = (r.min(g).min(b), r.max(g).max(b));
            high - low > 60 || high < 55
        });
        for (_, text, gold) in picture.ask(&[TaskFamily::Chart], 12) {
            let height = |color: &str| bars.iter().find(|b| b.color_name() == color).map(|b| b.height().div_ceil(12));
            let words: Vec<&str> = text.split([' ', '?', '.']).collect();
            let named: Vec<u32> = words.iter().filter_map(|w| height(w)).collect();
            let seen = match named[..] {
                [height] => height.to_string(),
                [a, b] if text.contains("taller") => if a > b { "yes" } else { "no" }.into(),
                [a, b] => if a < b { "yes" } else { "no" }.into(),
                _ if text.contains("tallest") => bars.iter().max_by_key(|b| b.height()).unwrap().color_name().into(),
                _ if text.contains("shortest") => bars.iter().min_by_key(|b| b.height()).unwrap().color_name().into(),
                _ => bars.len().to_string(),
            };
            assert_eq!(seen, gold, "{}: {text}", picture.id);
            checked += 1;
        }
    }
    assert!(checked > 700, "{checked}");
}

#[test]
fn arrows_are_as_many_as_said() {
    for i in 0..150 {
        let picture = Picture::draw(Split::Test, i, Level::Full, &[TaskFamily::Diagram]);
        let arrows = eye::regions(&picture.image, 60, |[r, g, b]| (55..100).contains(&r) && r.abs_diff(g) < 12 && r.abs_diff(b) < 18);
        assert_eq!(arrows.len(), usize::from(picture.image_labels[3]), "{}", picture.id);
    }
}

#[test]
fn findings_are_in_the_scan() {
    let mut checked = 0;
    for i in 0..150 {
        let picture = Picture::draw(Split::Test, i, Level::Full, &[TaskFamily::Scan]);
        // Nodules are the brightest, fluid is a little darker and large.
        let nodules = eye::regions(&picture.image, 40, |[r, ..]| r > 228);
        let fluid = eye::regions(&picture.image, 250, |[r, ..]| (190..=228).contains(&r));
        let cavity = eye::regions(&picture.image, 100, |[r, ..]| r <= 24);
        let cavity = cavity.iter().any(|c| c.left > 10 && c.right < 134 && c.top > 10 && c.bottom < 134);
        assert!(fluid.len() <= 1);
        let sided = |r: &eye::Region| if r.center().0 < 72 { "left" } else { "right" };
        for (_, text, gold) in picture.ask(&[TaskFamily::Scan], 9) {
            let yes = |b: bool| String::from(if b { "yes" } else { "no" });
            let wording = text.to_lowercase();
            let seen = if wording.contains("how many") || wording.contains("count") {
                nodules.len().to_string()
            } else if wording.contains("normal") {
                yes(nodules.is_empty() && fluid.is_empty() && !cavity)
            } else if wording.contains("nodule") {
                let side = if wording.contains("left") { "left" } else { "right" };
                yes(nodules.iter().any(|n| sided(n) == side))
            } else if wording.contains("the cavity") {
                if cavity == (gold != "none") { gold.clone() } else { "drawn otherwise".into() }
            } else if wording.contains("cavity") {
                yes(cavity)
            } else if gold == "yes" || gold == "no" {
                yes(!fluid.is_empty())
            } else {
                fluid.first().map_or("none", sided).into()
            };
            assert_eq!(seen, gold, "{}: {text}", picture.id);
            checked += 1;
        }
    }
    assert!(checked > 600, "{checked}");
}
