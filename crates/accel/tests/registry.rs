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
        "fp4:double",
        "w4:hqq,g=16",
        "w3:gptq,g=16,act",
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
            MethodKind::Cache => assert_eq!((quantizer, reducer, acceleration.cache_bits().is_some()), (None, None, true)),
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
    let row = Registry::built_in().methods().into_iter().find(|method| matches!(method.kind, MethodKind::TokenReducer(_))).unwrap();
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

/// Tower and projector on request: in spec, description and sizes.
#[test]
fn what_is_packed_is_wider_on_request() {
    use pollster::FutureExt;
    use steady_accel::memory::stored_bytes;
    use steady_vlm::{Checkpoint, Device, Precision, Vlm};

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-llava");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
    let footprint = checkpoint.footprint().unwrap();
    let [plain, projector, both] = ["w4:rtn", "w4:rtn,projector", "w4:rtn,vision,projector"].map(|spec| Acceleration::parse(spec).unwrap());
    assert_eq!(both.to_string(), "w4:rtn,g=auto,vision,projector");
    let linears = |acceleration: &Acceleration| acceleration.describe(&model).unwrap().quantized.unwrap().linears;
    assert_eq!((linears(&plain).len(), linears(&projector).len()), (28, 30));
    let names: Vec<String> = linears(&both).into_iter().map(|linear| linear.name).collect();
    let of = |part: &str| names.iter().filter(|name| name.starts_with(part)).count();
    assert_eq!((of("language_model."), of("multi_modal_projector."), of("vision_tower.")), (28, 2, names.len() - 30));
    assert!(names.len() > 40 && !names.iter().any(|name| name.contains("embed")), "{names:?}");
    let description = both.describe(&model).unwrap();
    assert!(description.spec.ends_with(",vision,projector"), "{description}");
    assert!(description.to_string().contains("the vision tower's linear layers, the projector's linear layers"), "{description}");
    assert_ne!(description.codes(), plain.describe(&model).unwrap().codes());
    // Half a byte a weight and a word a group in the place of the two bytes that the files have.
    let saved = stored_bytes(&footprint, &plain).unwrap() - stored_bytes(&footprint, &projector).unwrap();
    let expected: usize = linears(&projector)[..]
        .iter()
        .filter(|linear| linear.name.starts_with("multi_modal"))
        .map(|linear| 2 * linear.out * linear.input - linear.out * linear.input / 2 - 4 * linear.out * (linear.input / 128))
        .sum();
    assert_eq!(saved, expected as u64);
    let packed = both.quantize(&model).block_on().unwrap().unwrap();
    assert!(!packed.shares_encoder(&model) && packed.weight_bytes() < model.weight_bytes() / 2);
}

/// The head on request: of a table of its own in its place, of one that is the embedding beside it. The numbers are the quantizer's.
#[test]
fn the_head_is_packed_on_request() {
    use pollster::FutureExt;
    use steady_accel::memory::stored_bytes;
    use steady_accel::{FittedRtn, Grain};
    use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (folder, tied) in [("models/steady-qwen2-vl", false), ("tests/reference/tiny-qwen2-vl/published", true)] {
        let checkpoint = Checkpoint::open(&root.join(folder)).unwrap();
        let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        let [plain, head, float] =
            ["w4:rtn,g=16", "w4:rtn,g=16,head", "w4:rtn,g=16,head,float=lm_head"].map(|spec| Acceleration::parse(spec).unwrap());
        let size = footprint.head().unwrap();
        let (packed, without) = (head.quantize(&model).block_on().unwrap().unwrap(), plain.quantize(&model).block_on().unwrap().unwrap());
        let description = head.describe(&model).unwrap();
        assert!(description.spec.ends_with("g=16,head") && description.to_string().contains("the head"), "{description}");
        let of = |acceleration: &Acceleration| acceleration.describe(&model).unwrap().quantized.unwrap().linears.len();
        assert_eq!((of(&head), of(&float)), (of(&plain) + 1, of(&plain)));
        // Half a byte a weight and a word for each 16; in memory in the place of f32, in files in that of what there is.
        let bytes = (size.out * size.input / 2 + 4 * size.out * (size.input / 16)) as u64;
        let float_bytes = if tied { 0 } else { (4 * size.out * size.input) as u64 };
        assert_eq!(size.stored, if tied { 0 } else { float_bytes / 2 }, "{folder}");
        assert_eq!(packed.weight_bytes() as u64, without.weight_bytes() as u64 - float_bytes + bytes, "{folder}");
        let stored = |acceleration: &Acceleration| stored_bytes(&footprint, acceleration).unwrap();
        assert_eq!(stored(&head), stored(&plain) - size.stored + bytes, "{folder}");
        assert_eq!(stored(&float), stored(&plain), "{folder}");
        // The matrix is the one that the quantizer makes of the table.
        let table = model.with_linear_head().matrix("lm_head").block_on().unwrap().unwrap();
        let codes = FittedRtn { bits: 4, group: 16, symmetric: false }.codes(&table);
        let steady_kernels::Shift::Zeros(zeros) = &codes.shift else { panic!("zero points") };
        let expected: Vec<f32> =
            codes.codes.iter().enumerate().map(|(at, &code)| (f32::from(code) - zeros[at / 16]) * codes.scales[at / 16]).collect();
        assert_eq!(packed.matrix("lm_head").block_on().unwrap().unwrap().data, expected, "{folder}");
        // Only the last product is another one, and with the head back in float none is.
        let image = steady_vlm::image::load(&root.join("tests/reference/tiny-llava/images/square.png")).unwrap();
        let logits = |model: &Vlm| {
            let prepared = model.prepare(&image, &model.prompt("how many circles?").unwrap()).unwrap();
            model.ask(&prepared, None, &Decoding { max_new_tokens: 1, ..Decoding::default() }).block_on().unwrap().first_logits
        };
        let (before, after) = (logits(&without), logits(&packed));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 2.0) && before != after, "{folder}");
        assert_eq!(logits(&float.quantize(&model).block_on().unwrap().unwrap()), before, "{folder}");
        assert_eq!(logits(&model.with_linear_head()), logits(&model), "{folder}");
        let each = head.with_each_in_float(&footprint, Grain::Kind).unwrap();
        assert!(each.last().unwrap().to_string().ends_with("float=lm_head"), "{each:?}");
    }
    let error = Acceleration::parse("w4:gptq,head").unwrap_err().to_string();
    assert!(error.contains("has no parameter `head`"), "{error}");
}

/// Keys and values have a place of their own: a model answers otherwise, its weights are what they were, and its cache is counted as rounded.
#[test]
fn keys_and_values_are_rounded_beside_weights() {
    use pollster::FutureExt;
    use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = Vlm::load(&Checkpoint::open(&root.join("models/steady-llava")).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let image = steady_vlm::image::load(&root.join("tests/reference/tiny-llava/images/square.png")).unwrap();
    let prepared = model.prepare(&image, &model.prompt("how many circles?").unwrap()).unwrap();
    let ask = |model: &Vlm| model.ask(&prepared, None, &Decoding::default()).block_on().unwrap();
    let (base, mut before) = (ask(&model), f32::INFINITY);
    let off = |logits: &[f32]| logits.iter().zip(&base.first_logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    for (spec, head) in [("kv4", 16 + 4), ("kv8", 32 + 4)] {
        let acceleration = Acceleration::parse(spec).unwrap();
        let rounded = acceleration.quantize(&model).block_on().unwrap().unwrap();
        assert!(rounded.shares_encoder(&model) && rounded.weight_bytes() == model.weight_bytes());
        let answer = ask(&rounded);
        // Heads of 32 numbers of four bytes.
        assert_eq!(answer.cost.kv_bytes, base.cost.kv_bytes / 128 * head, "{spec}");
        let moved = off(&answer.first_logits);
        assert!(moved > 0.0 && moved < before, "{spec}: {moved}, before {before}");
        before = moved;
    }
    let all = Acceleration::parse("fastv+kv8+w4:rtn").unwrap();
    assert_eq!(all.to_string(), "w4:rtn,g=auto+kv8+fastv:k=2,keep=0.5");
    let description = all.describe(&model).unwrap();
    assert_eq!(
        (description.spec.as_str(), description.form().as_deref()),
        ("w4:rtn,g=128+kv8+fastv:k=2,keep=0.5", Some("w4:rtn,g=128+kv8"))
    );
    let error = Acceleration::parse("kv8+kv4").unwrap_err().to_string();
    assert!(error.contains("are both quantizers of keys and values"), "{error}");
}
