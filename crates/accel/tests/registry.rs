//! Every row of the methods' table is carried out, and so is a method of one's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use steady_accel::{AccelError, Acceleration, Built, Calibration, Fitted, Implementation, Inputs, LinearShape, Quantizer, Registry};
use steady_kernels::PackedLinear;
use steady_methods::{METHODS, Method, MethodKind, PRESETS, Parameter, ParameterKind, Spec, SpecError, Value};
use steady_vlm::{HostMatrix, TokenReducer};

#[test]
fn both_tables_have_the_same_rows_in_the_same_order() {
    let implemented = Registry::built_in().methods();
    assert_eq!(implemented.len(), METHODS.len());
    for (implemented, row) in implemented.into_iter().zip(METHODS) {
        assert!(std::ptr::eq(implemented, row), "{implemented} where the table has {row}");
    }
}

#[test]
fn what_a_row_says_is_what_is_made_of_it() {
    let settings = [
        "w4:rtn,g=64,sym",
        "w3:rtn,g=32",
        "w8:rtn,sym",
        "nf4:g=32",
        "w4:hqq,g=16",
        "fp8:weights",
        "int8:threshold=4.5",
        "divprune:keep=64",
        "fastv:k=3,keep=0.25",
        "random:keep=0.33,seed=7",
    ];
    let defaults: Vec<String> = METHODS.iter().map(ToString::to_string).collect();
    let presets = PRESETS.iter().flat_map(|preset| preset.specs.iter().copied());
    for text in defaults.iter().map(String::as_str).chain(settings).chain(presets) {
        let acceleration = Acceleration::parse(text).unwrap();
        let quantizer = acceleration.quantizer().map(Quantizer::name);
        let reducer = acceleration.reducer().map(TokenReducer::name);
        let [part] = acceleration.spec().parts() else { panic!("{text}") };
        match part.method().kind {
            MethodKind::Quantizer => assert_eq!((quantizer, reducer), (Some(part.to_string()), None)),
            MethodKind::TokenReducer(_) => assert_eq!((quantizer, reducer), (None, Some(part.to_string()))),
        }
        assert_eq!(acceleration.to_string(), part.to_string());
    }
    let both = Acceleration::parse("fastv+w4:rtn").unwrap();
    assert_eq!(both.to_string(), "w4:rtn,g=auto+fastv:k=2,keep=0.5");
    assert_eq!(both.reducer().unwrap().name(), "fastv:k=2,keep=0.5");
    assert_eq!(both.quantizer().unwrap().name(), "w4:rtn,g=auto");
    assert_eq!(both, Acceleration::parse("w4:rtn,g=auto+fastv:k=2").unwrap());
    assert_ne!(both, Acceleration::parse("fastv").unwrap());
    let none = Acceleration::none();
    assert!(none.is_none() && none.reducer().is_none() && none.quantizer().is_none());
}

/// A method that needs to see what goes into its layers, which nothing shows it yet.
struct Watchful {
    samples: usize,
}

static WATCHFUL: Method = Method {
    name: "watchful",
    kind: MethodKind::Quantizer,
    parameters: &[Parameter { name: "samples", kind: ParameterKind::Seed, default: "8", meaning: "prompts to look at" }],
    summary: "looks before it packs",
    plain: "Looks before it packs.",
    source: "this test",
};

const OWN: Implementation = Implementation {
    method: &WATCHFUL,
    build: |values| match *values {
        [Value::Seed(samples)] => Some(Built::Quantizer(Arc::new(Watchful { samples: samples as usize }))),
        _ => None,
    },
};

impl Quantizer for Watchful {
    fn name(&self) -> String {
        WATCHFUL.spell(&[Value::Seed(self.samples as u64)])
    }

    fn scope(&self) -> &'static str {
        "everything"
    }

    fn takes(&self, _linear: &str) -> bool {
        true
    }

    fn fit(&self, _linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(Self { ..*self }))
    }
}

impl Fitted for Watchful {
    fn method(&self) -> String {
        self.name()
    }

    fn calibration(&self) -> Calibration {
        Calibration::Inputs { samples: self.samples }
    }

    fn packed_bytes(&self, _linear: &LinearShape) -> u64 {
        0
    }

    fn pack(&self, linear: &str, _weight: &HostMatrix, _inputs: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        panic!("{linear} is packed without its inputs")
    }
}

#[test]
fn a_method_of_ones_own_is_read_and_built_beside_the_others() {
    let registry = Registry::built_in().with(OWN);
    let acceleration = registry.parse("fastv+watchful").unwrap();
    assert_eq!(acceleration.to_string(), "watchful:samples=8+fastv:k=2,keep=0.5");
    assert_eq!(acceleration.quantizer().unwrap().name(), "watchful:samples=8");
    assert!(Acceleration::parse("watchful").unwrap_err().to_string().contains("unknown acceleration `watchful`"));
    // read by somebody who knows it, built by somebody who does not
    let spec = Spec::parse_of(&registry.methods(), "watchful:samples=3").unwrap();
    let unknown = Registry::built_in().build(spec).unwrap_err();
    assert_eq!(unknown, SpecError::unknown_method("watchful:samples=3", &METHODS));
}

#[test]
fn a_row_with_the_wrong_code_is_refused() {
    let wrong_values = Implementation { build: |_| None, ..OWN };
    let row = Registry::built_in().methods().into_iter().find(|method| method.kind != MethodKind::Quantizer).unwrap();
    let wrong_kind = Implementation { method: row, build: |_| Some(Built::Quantizer(Arc::new(Watchful { samples: 1 }))) };
    for (implementation, text) in [(wrong_values, "watchful:samples=8".to_owned()), (wrong_kind, row.to_string())] {
        let error = Registry::built_in().with(implementation).parse(&text).unwrap_err();
        assert_eq!(error, SpecError::Mismatched { part: text });
    }
}

/// The embedded model, to be packed by a method that has seen nothing of it.
#[test]
fn what_must_be_seen_first_is_not_packed_unseen() {
    use pollster::FutureExt;
    use steady_vlm::Device;
    use steady_vlm::{Checkpoint, Precision, Vlm};

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    let model = Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let error = Registry::built_in().with(OWN).parse("watchful:samples=3").unwrap().quantize(&model).block_on().err().unwrap();
    assert_eq!(error, AccelError::Uncalibrated { method: "watchful:samples=3".to_owned(), samples: 3 });
}
