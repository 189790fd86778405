//! The HTML page: what it holds, and that it loads nothing and runs nothing but itself.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::Value;
use steady_report::{AccelerationReport, AnswerRow, Measurements, PICTURES, Picture, PlanSummary, QuestionRow, Report};

use crate::fixture;

/// The text between the first `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap() + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

fn picture(image: &str, perturbation: Option<&str>) -> Picture {
    Picture { image: image.to_owned(), perturbation: perturbation.map(str::to_owned) }
}

fn images() -> BTreeMap<Picture, Vec<u8>> {
    BTreeMap::from([(picture("a", None), b"PNG of a".to_vec()), (picture("c", None), b"PNG of c".to_vec())])
}

#[test]
fn skeleton() {
    let page = fixture::report().html(&images());
    let hash = between(&page, "'sha256-", "'").to_owned();
    let lines = page
        .replace(between(&page, "<style>", "</style>"), "STYLE")
        .replace(between(&page, "<script>", "</script>"), "SCRIPT")
        .replace(&hash, "HASH")
        .replace("><", ">\n<");
    assert_snapshot!(lines);
}

#[test]
fn loads_nothing() {
    let page = fixture::report().html(&images());
    for way in ["http:", "https:", "//cdn", "@import", "url(", " src=", "<link", "<iframe", "<base", "fetch(", "import("] {
        assert!(!page.contains(way), "{way} in the page");
    }
    let targets: Vec<&str> = page.match_indices(" href=\"").map(|(i, start)| &page[i + start.len()..]).collect();
    assert!(targets.len() > 7);
    for target in targets {
        assert!(target.starts_with('#') || target.starts_with("data:image/png;base64,"), "{}", &target[..40]);
    }
    assert!(page.contains("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"));
}

#[test]
fn an_image_is_embedded_once_and_only_if_it_is_shown() {
    let page = fixture::report().html(&images());
    // base64 of "PNG of a" and "PNG of c" by coreutils; two questions about a changed, none about c
    assert_eq!(page.matches("UE5HIG9mIGE=").count(), 1);
    assert_eq!(page.matches("href=\"#image-0\"").count(), 2);
    assert_eq!(page.matches("UE5HIG9mIGM=").count(), 0);
    // the question about b that changed
    assert_eq!(page.matches("no image").count(), 1);
}

#[test]
fn broken_questions_come_first() {
    let page = fixture::report().html(&BTreeMap::new());
    let position = |id: &str| page.find(id).unwrap();
    assert!(position("existence/0") < position("existence/2"), "broken before repaired");
    assert!(position("existence/2") < position("reading/1"), "repaired before changed");
    assert!(!page.contains("existence/1"), "a question that kept its answer is left out");
}

const HOSTILE: &str = "<script>alert(1)</script></style><img src=x onerror=alert(2)>\"'&\0\u{202e}";

/// Puts a numbered hostile text in place of every text and every free name, and lists those that the page must show.
fn poison(value: &mut Value, at: &str, shown: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let name = at.rsplit('.').next();
            if matches!(name, Some("kind" | "outcome")) {
                return;
            }
            *text = format!("{at}{HOSTILE}");
            if name != Some("parsed") && !at.starts_with(".controls.0.answers") {
                shown.push(at.to_owned());
            }
        }
        Value::Array(items) => items.iter_mut().enumerate().for_each(|(i, item)| poison(item, &format!("{at}.{i}"), shown)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, field)| poison(field, &format!("{at}.{name}"), shown));
            if [".plan.processor", ".plan.decoding", ".plan.versions", ".plan.seeds"].contains(&at) {
                *fields = std::mem::take(fields).into_iter().map(|(name, field)| (format!("{name}{HOSTILE}"), field)).collect();
            }
        }
        _ => {}
    }
}

#[test]
fn hostile_text_is_only_text() {
    let mut measurements = fixture::measurements();
    // so that every question and every answer is on the page
    measurements.accelerations.truncate(1);
    let diverged: Vec<usize> = vec![0, 2, 4];
    measurements.plan.questions = diverged.len();
    let keep = |answers: &mut Vec<steady_report::AnswerRow>| *answers = diverged.iter().map(|&i| answers[i].clone()).collect();
    keep(&mut measurements.accelerations[0].answers);
    keep(&mut measurements.controls[0].answers);
    measurements.questions = diverged.iter().map(|&i| measurements.questions[i].clone()).collect();
    let mut document = serde_json::to_value(&measurements).unwrap();
    let mut shown = Vec::new();
    poison(&mut document, "", &mut shown);
    let report = Report::new(serde_json::from_value::<Measurements>(document).unwrap()).unwrap();
    let images = report.questions().iter().map(|question| (question.picture(), b"PNG".to_vec())).collect();

    let page = report.html(&images);
    for (tag, times) in [("<script", 1), ("</script", 1), ("<style", 1), ("</style", 1), ("<img", 0)] {
        assert_eq!(page.to_lowercase().matches(tag).count(), times, "{tag}");
    }
    assert!(!page.contains('\0') && !page.contains('\u{202e}'));
    assert!(shown.len() > 45, "{}", shown.len());
    for at in shown {
        let escaped =
            format!("{at}&lt;script&gt;alert(1)&lt;/script&gt;&lt;/style&gt;&lt;img src=x onerror=alert(2)&gt;&quot;'&amp;␀⟨U+202E⟩");
        assert!(page.contains(&escaped), "{at} is not on the page, or not escaped");
    }
    assert!(page.contains("resample&lt;script&gt;"));
    assert!(!report.table().contains('\0') && !report.table().contains('\u{202e}'));
}

/// The part of the page about one thing that was asked.
fn cards(page: &str) -> Vec<&str> {
    page.split("<article").skip(1).collect()
}

#[test]
fn a_perturbed_question_is_one_more_card_with_its_own_picture() {
    let mut images = images();
    images.insert(picture("a", Some("noise=20")), b"\xff\xd8 noisy a".to_vec());
    let page = fixture::perturbed_report().html(&images);
    let clean_page = fixture::report().html(&images);
    let (cards, clean) = (cards(&page), cards(&clean_page));
    // three changed about clean images as ever, then three under noise, the two that broke first
    assert_eq!((clean.len(), cards.len()), (3, 6));
    let about: Vec<&str> = cards.iter().map(|card| between(card, "data-condition=\"", "\"")).collect();
    assert_eq!(about, ["0", "0", "0", "1", "1", "1"]);
    let ids: Vec<&str> = cards
        .iter()
        .map(|card| {
            ["existence/0", "existence/1", "existence/2", "reading/0", "reading/1"].into_iter().find(|id| card.contains(id)).unwrap()
        })
        .collect();
    assert_eq!(ids, ["existence/0", "existence/2", "reading/1", "existence/1", "reading/0", "existence/0"]);
    // base64 of "\xff\xd8 noisy a" by coreutils
    assert!(page.contains("data:image/jpeg;base64,/9ggbm9pc3kgYQ=="));
    let shown: Vec<bool> = cards.iter().map(|card| card.contains("<use href")).collect();
    assert_eq!(shown, [true, true, false, true, false, true]);
    assert!(cards[3].contains("aria-label=\"Image a under noise=20\"") && cards[0].contains("aria-label=\"Image a\""));
    // the baseline's own answer changed there, and what it was is told
    assert!(cards[5].contains("without perturbation") && !cards[3].contains("without perturbation"));
    assert!(cards.iter().take(3).all(|card| !card.contains("under <code")));
    for option in ["<option value=\"0\">clean</option>", "<option value=\"1\">noise=20</option>", "<option value=\"2\">blur=1.5</option>"] {
        assert!(page.contains(option) && !clean_page.contains(option), "{option}");
    }
}

#[test]
fn the_text_of_a_perturbation_is_only_text() {
    let mut measurements = fixture::perturbed_measurements();
    let hostile = format!("noise{HOSTILE}");
    measurements.plan.perturbations[0].clone_from(&hostile);
    for row in measurements.questions.iter_mut().filter(|row| row.perturbation.as_deref() == Some("noise=20")) {
        row.perturbation = Some(hostile.clone());
    }
    let report = Report::new(measurements).unwrap();
    let page = report.html(&report.questions().iter().map(|question| (question.picture(), b"PNG".to_vec())).collect());
    for (tag, times) in [("<script", 1), ("<img", 0)] {
        assert_eq!(page.to_lowercase().matches(tag).count(), times, "{tag}");
    }
    assert!(!page.contains('\0') && !page.contains('\u{202e}'));
    assert!(!report.table().contains('\0') && !report.table().contains('\u{202e}'));
}

/// The fixture's six questions again and again, about other images, and its first acceleration under eight names.
fn many(questions: usize) -> Report {
    let small = fixture::measurements();
    let mut large = Measurements { plan: PlanSummary { questions, ..small.plan.clone() }, ..small.clone() };
    let row = |i: usize| {
        let row = &small.questions[i % small.questions.len()];
        QuestionRow { id: format!("question/{i}"), image: format!("image {i}"), ..row.clone() }
    };
    let again = |answers: &[AnswerRow]| answers.iter().cycle().take(questions).cloned().collect::<Vec<_>>();
    large.questions = (0..questions).map(row).collect();
    let w4 = &small.accelerations[0];
    large.accelerations =
        (0..8).map(|n| AccelerationReport { spec: format!("w4:rtn,g={}", 8 << n), answers: again(&w4.answers), ..w4.clone() }).collect();
    large.plan.specs = large.accelerations.iter().map(|acceleration| acceleration.spec.clone()).collect();
    large.controls = vec![fixture::control("none", "batch order", again(&small.controls[0].answers))];
    Report::new(large).unwrap()
}

/// Half of ten thousand questions changed under eight accelerations, about as many pictures of 12 kB.
#[test]
fn a_page_of_many_questions_stays_small_and_has_its_pictures_beside_it() {
    let report = many(10_000);
    let images = (0..10_000).map(|i| (picture(&format!("image {i}"), None), vec![0; 12_000])).collect();
    let page = report.page(&images);
    assert!(page.html.len() < 5_000_000, "{}", page.html.len());
    let (embedded, cards) = (page.html.matches("data:image/png;base64,").count(), page.html.matches("<article").count());
    assert!(embedded > 100 && cards > 400, "{embedded} pictures and {cards} questions");
    assert_eq!(page.beside.len(), cards - embedded, "each question has its picture in the page or beside it");
    // the reader is told how many are left out and where they are, also beside what a filter finds
    assert!(page.html.contains(&format!("The first {cards} are shown")));
    let left = report.worst_first().len() - cards;
    assert!(left > 1000, "{left}");
    assert!(
        page.html.contains(&format!("The other {left} count in every number above"))
            && page.html.contains(&format!("data-left=\"{left}\""))
    );
    for name in page.beside.keys() {
        assert!(page.html.contains("loading=\"lazy\" alt=\"Image image ") && page.html.contains(&format!("src=\"{PICTURES}/{name}\"")));
    }
    assert!(page.html.contains("default-src 'none'; img-src data: 'self' file:;"));
    // by itself it says where it has none, and asks for nothing
    let alone = report.html(&images);
    assert_eq!((alone.matches("no image").count(), alone.matches("src=").count()), (cards - embedded, 0));
    assert!(alone.contains("img-src data:;"));
    // where all fit, there is nothing beside
    assert!(fixture::report().page(&self::images()).html.contains("img-src data: 'self' file:;"), "b has no picture at hand");
    let all = ["a", "b", "c"].map(|image| (picture(image, None), b"PNG".to_vec())).into();
    let small = fixture::report().page(&all);
    assert!(small.beside.is_empty() && small.html == fixture::report().html(&all));
    assert!(!small.html.contains("are shown") && !small.html.contains("data-left="));
}
