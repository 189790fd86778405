//! Published benchmarks against lmms-eval 0.7.3: prompts, right answers and scores, made by `tests/reference/lmms_eval_cases.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use steady_bench::{AnswerKind, BENCHMARKS, OfficialScorer, Origin, PostPrompts, Question, same_answer, score};

use crate::support::{Place, open};

#[derive(Deserialize)]
struct Reference {
    prompts: BTreeMap<String, Vec<Prompt>>,
    scorers: BTreeMap<String, Vec<Case>>,
}

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    target: Target,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Case {
    gold: Vec<String>,
    reply: String,
    score: f32,
    options: Option<Vec<String>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn reference() -> Reference {
    serde_json::from_str(&std::fs::read_to_string(folder().join("lmms_eval.json")).unwrap()).unwrap()
}

fn question(scorer: &str, Case { gold, options, .. }: &Case) -> Question {
    let scorer = match options {
        Some(options) => serde_json::json!({ scorer: { "options": options } }),
        None => scorer.into(),
    };
    let scorer: OfficialScorer = serde_json::from_value(scorer).unwrap();
    Question {
        id: "q".into(),
        benchmark: "b".into(),
        family: "f".into(),
        image: "i".into(),
        text: "t".into(),
        gold: gold.clone(),
        kind: AnswerKind::Official(scorer),
        weight: 1.0,
    }
}

#[test]
fn replies_are_worth_what_lmms_eval_gives_them() {
    let counts: Vec<(String, usize)> = reference().scorers.iter().map(|(name, cases)| (name.clone(), cases.len())).collect();
    let expected = [
        ("ai2d", 62),
        ("anls", 224),
        ("chart_qa", 585),
        ("exact_match", 105),
        ("mm_bench", 261),
        ("mm_star", 261),
        ("mme", 70),
        ("mmmu", 348),
        ("mmmu_open", 780),
        ("pope", 70),
        ("real_world_qa", 612),
        ("science_qa", 62),
        ("seed", 62),
        ("slake", 186),
        ("vqa", 340),
        ("vqa_v2", 340),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
    let mut wrong = Vec::new();
    for (scorer, cases) in reference().scorers {
        for case in cases {
            let Case { gold, reply, score: expected, .. } = &case;
            let verdict = score(&question(&scorer, &case), reply);
            if (verdict.score - expected).abs() > 1e-6 || verdict.correct != (*expected >= 0.5) {
                wrong.push(format!("{scorer}: {reply:?} of {gold:?}: {} for {expected}", verdict.score));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_same_answer_is_worth_the_same() {
    for (scorer, cases) in reference().scorers {
        for (n, a) in cases.iter().enumerate() {
            let question = question(&scorer, a);
            for b in cases[n..].iter().filter(|b| b.gold == a.gold && same_answer(&question, &a.reply, &b.reply)) {
                assert!((a.score - b.score).abs() < 1e-6, "{scorer}: {:?} and {:?} of {:?}", a.reply, b.reply, a.gold);
            }
        }
    }
}

#[test]
fn prompts_and_right_answers_are_lmms_evals() {
    let prompts = reference().prompts;
    assert_eq!(prompts.len(), 19);
    for (name, expected) in prompts {
        let bench = open(&name, &folder().join("published").join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let questions = bench.questions();
        assert_eq!((bench.name(), questions.len()), (name.as_str(), expected.len()));
        for (question, Prompt { prompt, target }) in questions.iter().zip(expected) {
            // nothing is put behind: the prompt is whole
            assert_eq!(PostPrompts::standard().behind(question), prompt, "{name}");
            let target = match target {
                // yes and no have no other spelling
                Target::One(one) if ["pope", "mme"].contains(&name.as_str()) => vec![one.to_lowercase()],
                Target::One(one) => vec![one],
                Target::Several(several) => several,
            };
            assert_eq!(question.gold, target, "{name}");
            assert_eq!([bench.image(&question.image).unwrap().dimensions()].as_slice(), bench.sizes(&question.image).unwrap(), "{name}");
        }
        // Questions about one picture are known to be.
        let images: std::collections::BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
        assert_eq!(images.len(), 2, "{name}");
    }
}

#[test]
fn a_missing_file_says_what_to_fetch() {
    let place = Place::with_pictures();
    let mut asked = 0;
    for row in BENCHMARKS.0 {
        let Origin::Files { wanted, .. } = row.origin else { continue };
        if !wanted.contains("hf download") {
            continue;
        }
        asked += 1;
        let error = place.without_path(&open(row.name, &place.path("x")).err().unwrap().to_string());
        assert!(error.starts_with("x: has no ") && error.contains(&format!("the files are {wanted}")), "{error}");
    }
    assert_eq!(asked, 19);
    // rows of another kind are counted
    for (name, odd) in [
        ("seed-bench", "1 rows are about videos, which are not asked"),
        ("slake", "1 rows are in another language, which are not asked"),
        ("mmmu", "1 rows are about several pictures, which are not asked"),
    ] {
        assert_eq!(open(name, &folder().join("published").join(name)).unwrap().understood().unwrap().odd, [odd]);
    }
    // a file of something else
    let other = folder().join("published/chartqa/data/test-00000-of-00001.parquet");
    let error = open("pope", &other).err().unwrap().to_string();
    assert!(error.contains("has no column `id`, only type, question, answer, image; the files are those of lmms-lab/POPE"), "{error}");
}
