//! How to add a visual-token reducer.
//!
//! 1. Give the method a row in `crates/methods/src/table.rs`: name, parameters with their defaults, source. What is typed, listed and
//!    reported follows from it.
//! 2. Write what carries it out in a file of its own, `crates/accel/src/reduce/<name>.rs`: something that implements [`TokenReducer`], and
//!    the [`Implementation`] that makes it of the row's values.
//! 3. Name the file in `crates/accel/src/reduce/mod.rs`, and its implementation in `REDUCERS` there, in the order of the rows.
//!
//! A reducer is a list of [`Step`]s. Each says where it acts, what it must see there, and what becomes of the positions. It answers with
//! indices; the model does the rest. Order is by score descending, then index ascending, so that equal scores never make a flip.
//!
//! This file does so from outside: [`Registry::with`] takes the row and its implementation, reads specs that name it and builds it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use pollster::FutureExt;
use steady_accel::{Acceleration, Built, Implementation, Keep, Registry};
use steady_methods::{Method, MethodKind, Parameter, ParameterKind, Place, Value};
use steady_vlm::Device;
use steady_vlm::{
    Answer, Cell, Checkpoint, Decoding, Evidence, PositionPolicy, Precision, Prepared, Reduction, Site, Step, TokenReducer, Vlm, VlmError,
};

/// This would be a row of `METHODS`.
static CENTRE: Method = Method {
    name: "centre",
    kind: MethodKind::TokenReducer(Place::BeforeDecoder),
    parameters: &[Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" }],
    summary: "keeps the projected visual tokens nearest to the middle of the image",
    plain: "Keeps the middle of the picture.",
    source: "a control: photographers put things into the middle",
};

/// This and what follows would be `crates/accel/src/reduce/centre.rs`.
const IMPLEMENTATION: Implementation = Implementation {
    method: &CENTRE,
    build: |values| match *values {
        [Value::Keep(keep)] => Some(Built::Reducer(Arc::new(Centre { keep }))),
        _ => None,
    },
};

/// Keeps the visual tokens that show the middle.
struct Centre {
    keep: Keep,
}

impl TokenReducer for Centre {
    fn name(&self) -> String {
        CENTRE.spell(&[Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(Site::AfterProjector, PositionPolicy::Renumber)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let cells = evidence.cells;
        // Twice the distance in rows and in columns, squared: whole numbers. What shows nothing of the image comes last.
        let distance = |shown: &Option<Cell>| {
            shown.map_or(usize::MAX, |Cell { view, row, column }| {
                let view = cells.views()[view];
                (2 * row + 1).abs_diff(view.rows).pow(2) + (2 * column + 1).abs_diff(view.columns).pow(2)
            })
        };
        let distances: Vec<usize> = cells.shown().iter().map(distance).collect();
        let mut kept: Vec<usize> = (0..evidence.visual_tokens).collect();
        kept.sort_by_key(|&token| (distances[token], token));
        kept.truncate(self.keep.of(evidence.visual_tokens));
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

fn parse(spec: &str) -> Acceleration {
    Registry::built_in().with(IMPLEMENTATION).parse(spec).unwrap()
}

/// The reference checkpoint, whose images become a class token and 5 rows of 5 patches, and a question about one.
fn asked() -> (Vlm, Prepared) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava");
    let model = Vlm::load(&Checkpoint::open(&folder.join("checkpoint")).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let image = steady_vlm::image::load(&folder.join("images/square.png")).unwrap();
    let prepared = model.prepare(&image, &model.prompt("how many?").unwrap()).unwrap();
    (model, prepared)
}

fn ask(model: &Vlm, prepared: &Prepared, acceleration: &Acceleration) -> Answer {
    model.ask(prepared, acceleration.reducer(), &Decoding { max_new_tokens: 4, ..Decoding::default() }).block_on().unwrap()
}

#[test]
fn a_spec_that_names_it_is_read() {
    assert_eq!(parse("centre").to_string(), "centre:keep=0.5");
    assert_eq!(parse("centre:keep=7+w4:rtn").to_string(), "w4:rtn,g=auto+centre:keep=7");
    assert!(Acceleration::parse("centre").unwrap_err().to_string().contains("unknown acceleration `centre`"));
}

#[test]
fn it_keeps_what_it_should() {
    let (model, prepared) = asked();
    // Token 0 is the class token, 1 to 5 are the first row, and so on; 13 is in the middle.
    for (keep, kept) in
        [("2", &[8, 13][..]), ("5", &[8, 12, 13, 14, 18]), ("7", &[7, 8, 9, 12, 13, 14, 18]), ("9", &[7, 8, 9, 12, 13, 14, 17, 18, 19])]
    {
        let answer = ask(&model, &prepared, &parse(&format!("centre:keep={keep}")));
        assert_eq!(answer.kept(), Some(kept));
        assert_eq!(answer.visual_tokens, 26);
        // Both layers of the decoder hold the question and what was kept.
        let tokens = prepared.input_ids.len() - 26 + kept.len();
        assert_eq!(answer.kv_lengths, [tokens; 2]);
    }
    // All but the class token.
    let answer = ask(&model, &prepared, &parse("centre:keep=25"));
    assert_eq!(answer.kept(), Some(&(1..26).collect::<Vec<_>>()[..]));
}

#[test]
fn keeping_everything_is_the_baseline() {
    let (model, prepared) = asked();
    let baseline = ask(&model, &prepared, &Acceleration::none());
    let all = ask(&model, &prepared, &parse("centre:keep=1"));
    assert_eq!((&all.first_logits, &all.output_ids), (&baseline.first_logits, &baseline.output_ids));
    assert_ne!(ask(&model, &prepared, &parse("centre:keep=5")).first_logits, baseline.first_logits);
}
