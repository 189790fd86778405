//! What a model takes, known from its files' headers, is what it takes when it is loaded; and what is said when there is too little.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use pollster::FutureExt;
use proptest::prelude::*;
use steady_accel::Acceleration;
use steady_accel::memory::{Budget, Need, Run, Shortage, misfit, shortage, stored_bytes};
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Extent, Footprint, Precision, Vlm};

/// Every family, both layouts, one file and several.
fn checkpoints() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reference = [
        "tiny-llava/checkpoint",
        "tiny-llava-med/checkpoint",
        "tiny-llava-next-vicuna/checkpoint",
        "tiny-llava-next-mistral/checkpoint",
        "tiny-qwen2-vl/resaved",
        "tiny-qwen2-vl/published",
        "tiny-qwen2_5-vl/resaved",
        "tiny-qwen2_5-vl/published",
    ];
    reference.iter().map(|folder| root.join("tests/reference").join(folder)).chain([root.join("models/steady-llava")]).collect()
}

fn embedded() -> Checkpoint {
    Checkpoint::open(&checkpoints().pop().unwrap()).unwrap()
}

fn parse(specs: &[&str]) -> Vec<Acceleration> {
    specs.iter().map(|spec| Acceleration::parse(spec).unwrap()).collect()
}

const NO_IMAGE: Extent = Extent { views: 0, values: 0, tokens: 0 };

/// A run that asks nothing.
const NOTHING: Run<'static> =
    Run { precision: Precision::F32, accelerations: &[], copies: &[], beside: 0, image: NO_IMAGE, prompt: 0, tokens: 0 };

/// One that remembers so many tokens.
fn asking(tokens: usize) -> Run<'static> {
    Run { image: Extent { views: 1, values: 3 * 72 * 72, tokens: 81 }, prompt: tokens / 2, tokens, ..NOTHING }
}

#[test]
fn headers_say_what_loading_takes() {
    for folder in checkpoints() {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            let model = Vlm::load(&checkpoint, &Device::Cpu, precision).unwrap();
            assert_eq!(footprint.weight_bytes(precision), model.weight_bytes() as u64, "{} {precision}", folder.display());
        }
    }
}

/// What is kept as published is half of what it is in f32: all but norms, biases and position embeddings, and a half word a row where
/// widths are odd.
#[test]
fn bf16_is_half_of_f32() {
    for folder in checkpoints() {
        let footprint = Checkpoint::open(&folder).unwrap().footprint().unwrap();
        let (kept, wide) = (footprint.weight_bytes(Precision::Bf16), footprint.weight_bytes(Precision::F32));
        assert!(2 * kept >= wide, "{}", folder.display());
        assert!(kept <= wide * 6 / 10, "{}: {kept} of {wide}", folder.display());
        assert_eq!(2 * footprint.passing_bytes(Precision::Bf16), footprint.passing_bytes(Precision::F32));
    }
    let embedded = embedded().footprint().unwrap();
    assert!(embedded.weight_bytes(Precision::Bf16) * 100 <= embedded.weight_bytes(Precision::F32) * 51);
    assert_eq!(embedded.cache_bytes(Precision::Bf16, 100), embedded.cache_bytes(Precision::F32, 100));
}

#[test]
fn formulas_say_what_packing_takes() {
    let mut compared = 0;
    for folder in checkpoints() {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
        for acceleration in parse(&["w4:rtn,g=8", "w4:rtn", "int8", "divprune"]) {
            let run = Run { accelerations: std::slice::from_ref(&acceleration), ..NOTHING };
            // Some of the tiny models have widths that no usual group divides.
            let (Ok(need), Ok(packed)) = (Need::of(&footprint, run), acceleration.quantize(&model).block_on()) else {
                assert!(Need::of(&footprint, run).is_err() && acceleration.quantize(&model).block_on().is_err());
                continue;
            };
            let Some(packed) = packed else {
                assert_eq!(need.packed, 0);
                continue;
            };
            let description = acceleration.describe(&model).unwrap();
            let dense: usize = description.quantized.unwrap().linears.iter().map(|linear| 4 * linear.out * linear.input).sum();
            let left = model.weight_bytes() - dense;
            assert_eq!(need.packed, (packed.weight_bytes() - left) as u64, "{} {acceleration}", folder.display());
            compared += 1;
        }
    }
    assert!(compared >= 18, "{compared}");
}

/// Weight files without their headers.
fn tensor_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let weights = files.filter(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
    let bytes = weights.map(|file| {
        let content = std::fs::read(file).unwrap();
        let header = u64::from_le_bytes(content[..8].try_into().unwrap());
        content.len() as u64 - 8 - header
    });
    bytes.sum()
}

#[test]
fn what_is_saved_is_judged_against_what_is_published() {
    // in that layout the tower is a folder of its own
    for folder in checkpoints().iter().filter(|folder| !folder.ends_with("tiny-llava-med/checkpoint")) {
        let footprint = Checkpoint::open(folder).unwrap().footprint().unwrap();
        assert_eq!(stored_bytes(&footprint, &Acceleration::none()).unwrap(), tensor_bytes(folder), "{}", folder.display());
    }

    let (checkpoint, elements) = (embedded(), |bytes: usize| bytes as u64 / 4);
    let footprint = checkpoint.footprint().unwrap();
    let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
    for acceleration in
        parse(&["w4:rtn", "w4:rtn,g=16", "int8", "w4:rtn+divprune", "int8:float=language_model.layers.1/fc1", "nf4:w8=mlp,float=layers.0"])
    {
        let linears = acceleration.describe(&model).unwrap().quantized.unwrap().linears;
        let dense: usize = linears.iter().map(|linear| 4 * linear.out * linear.input).sum();
        let packed = acceleration.quantize(&model).block_on().unwrap().unwrap().weight_bytes() - (model.weight_bytes() - dense);
        // it is published in f16: a weight that is packed took two bytes
        let expected = tensor_bytes(&checkpoints().pop().unwrap()) - 2 * elements(dense) + packed as u64;
        assert_eq!(stored_bytes(&footprint, &acceleration).unwrap(), expected, "{acceleration}");
    }
    let pruned = stored_bytes(&footprint, &parse(&["divprune"])[0]).unwrap();
    assert_eq!(pruned, footprint.stored_bytes());
}

#[test]
fn a_quantizer_packs_once_whatever_stands_beside_it() {
    let footprint = embedded().footprint().unwrap();
    let packed = |specs: &[&str]| {
        let accelerations = parse(specs);
        Need::of(&footprint, Run { accelerations: &accelerations, ..NOTHING }).unwrap().packed
    };
    let (w4, int8) = (packed(&["w4:rtn"]), packed(&["int8"]));
    assert!(w4 > 0 && int8 > 0);
    assert_eq!(packed(&["w4:rtn", "divprune", "w4:rtn+divprune", "w4:rtn+fastv"]), w4);
    // `auto` comes to 128 here, and another group size is another matrix
    assert_eq!(packed(&["w4:rtn+fastv", "int8", "w4:rtn,g=128"]), w4 + int8);
    assert_eq!(packed(&["w4:rtn", "w4:rtn,g=16"]), w4 + packed(&["w4:rtn,g=16"]));
    assert_eq!(packed(&["int8", "int8:threshold=7"]), 2 * int8);
}

/// Four layers of four heads of 32, keys and values.
#[test]
fn a_cache_by_hand() {
    let footprint = embedded().footprint().unwrap();
    assert_eq!(footprint.cache_bytes(Precision::F32, 100), 2 * 4 * 4 * 32 * 100 * 4);
    assert_eq!(footprint.cache_bytes(Precision::F16, 100), 2 * 4 * 4 * 32 * 100 * 2);
}

/// A GPU keeps weights as they are asked for, and computes in `f32`.
#[cfg(feature = "gpu")]
#[test]
fn on_a_gpu_activations_keys_and_values_are_wide() {
    let device = steady_vlm::DeviceChoice::Gpu.open().expect("a wgpu adapter; on a machine without a GPU install Mesa's lavapipe").device;
    for folder in checkpoints() {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        let there = footprint.on(&device);
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            let model = Vlm::load(&checkpoint, &device, precision).unwrap();
            assert_eq!(there.weight_bytes(precision), model.weight_bytes() as u64, "{} {precision}", folder.display());
        }
        let run = |precision| Run { precision, ..asking(400) };
        let wide = Need::of(&footprint, run(Precision::F32)).unwrap();
        let narrow = Need::of(&footprint, run(Precision::F16)).unwrap();
        let found = Need::of(&there, run(Precision::F16)).unwrap();
        assert_eq!((found.cache, found.activations), (wide.cache, wide.activations), "{}", folder.display());
        assert!(found.cache == 2 * narrow.cache && found.weights < wide.weights, "{}", folder.display());
    }
}

#[test]
fn a_shortage_says_what_would_fit() {
    // Each thread takes some memory.
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(shortages);
}

fn shortages() {
    let footprint = embedded().footprint().unwrap();
    let accelerations = parse(&["w4:rtn", "fastv:k=2,keep=0.5", "int8"]);
    let run = Run { accelerations: &accelerations, ..asking(400) };
    let total = Need::of(&footprint, run).unwrap().total();
    let said = |available: u64| lacking(&footprint, run, available).unwrap().to_string();
    let messages = [said(total - 1), said(8_000_000), said(5_300_000), said(1_000_000)];
    insta::assert_snapshot!("a_shortage_says_what_would_fit", messages.join("\n\n"));
    let alone = Run { precision: Precision::F16, ..asking(400) };
    insta::assert_snapshot!("a_shortage_says_what_would_fit-2", lacking(&footprint, alone, 1_000_000).unwrap());
}

/// A control that keeps the weights otherwise holds them once more; whoever has no room for that is told to leave it out.
#[test]
fn copies_for_controls_are_counted() {
    let footprint = embedded().footprint().unwrap();
    let accelerations = parse(&["int8"]);
    let run = Run { accelerations: &accelerations, ..asking(400) };
    let controlled = Run { copies: &[Precision::Bf16], ..run };
    let (need, more) = (Need::of(&footprint, run).unwrap(), Need::of(&footprint, controlled).unwrap());
    assert_eq!((need.copies, more.copies), (0, footprint.weight_bytes(Precision::Bf16)));
    // and what its tower makes of an image is held beside the others'
    assert!(more.activations > need.activations);
    let said = lacking(&footprint, controlled, more.total() - 1).unwrap();
    assert_eq!(said.instead, Some(("without controls that copy the weights".to_owned(), need.total())));
    let least = lacking(&footprint, controlled, 1_000_000).unwrap().least.unwrap().0;
    assert!(least.ends_with("without int8:threshold=6 and without controls that copy the weights"), "{least}");
}

/// What lacks where so many bytes are free, tensors on their way among them.
fn lacking(footprint: &Footprint, run: Run<'_>, available: u64) -> Option<Shortage> {
    shortage(footprint, run, Budget { free: Some(available), ..ENDLESS }).unwrap()
}

fn refused(budget: Budget, precision: Precision) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-qwen2-vl/resaved");
    let footprint = Checkpoint::open(&folder).unwrap().footprint().unwrap();
    misfit(&footprint, Run { precision, ..asking(100) }, budget).unwrap().map(|misfit| misfit.to_string())
}

const ENDLESS: Budget = Budget { free: None, host: None };

/// The largest tensor is the embedding of 296 tokens, 48 wide: 56,832 bytes in f32.
#[test]
fn the_largest_tensor_must_pass_through() {
    let budget = |host| Budget { host: Some(host), ..ENDLESS };
    assert_eq!(refused(budget(56_832), Precision::F16), None);
    let message = refused(budget(56_831), Precision::F16).unwrap();
    assert!(message.contains("56.8 kB on its way") && message.contains("may take 56.8 kB more"), "{message}");
}

#[test]
fn what_is_free_is_compared_where_it_is_known() {
    let budget = |free| Budget { free, ..ENDLESS };
    assert_eq!(refused(budget(None), Precision::F32), None);
    assert_eq!(refused(budget(Some(10_000_000)), Precision::F32), None);
    let message = refused(budget(Some(200_000)), Precision::F32).unwrap();
    assert!(message.contains("200 kB are free"), "{message}");
}

/// Where the model is in another memory than the program, tensors pass through the program's, and the two are judged apart.
#[test]
fn a_card_of_its_own_holds_no_tensor_on_its_way() {
    let footprint = embedded().footprint().unwrap();
    let run = asking(100);
    let (total, passing) = (Need::of(&footprint, run).unwrap().total(), footprint.passing_bytes(Precision::F32));
    let judged = |free, host| misfit(&footprint, run, Budget { free: Some(free), host: Some(host) }).unwrap();
    assert_eq!(judged(total - passing, passing), None);
    let message = judged(total - passing - 1, passing).unwrap().to_string();
    assert!(message.contains("keys and values") && !message.contains("loading"), "{message}");
    assert!(judged(total, passing - 1).unwrap().to_string().contains("on its way to the device"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is named as fitting fits, whatever does not fit is short by the difference, and where nothing is named nothing fits.
    #[test]
    fn budgets(
        picks in prop::sample::subsequence(vec!["w4:rtn", "int8", "divprune", "fastv"], 0..=4),
        half in any::<bool>(), tokens in 0usize..5000, available in 0u64..30_000_000,
    ) {
        let footprint = embedded().footprint().unwrap();
        let accelerations = parse(&picks);
        let precision = if half { Precision::F16 } else { Precision::F32 };
        let run = Run { precision, accelerations: &accelerations, ..asking(tokens) };
        let total = |run: Run<'_>| Need::of(&footprint, run).unwrap().total();
        match lacking(&footprint, run, available) {
            None => prop_assert!(total(run) <= available),
            Some(shortage) => {
                prop_assert_eq!(available + shortage.short_by(), total(run));
                let light: Vec<_> = accelerations.iter().filter(|acceleration| acceleration.quantizer().is_none()).cloned().collect();
                let precisions = if half { vec![Precision::F16] } else { vec![Precision::F32, Precision::F16, Precision::Bf16] };
                let smallest = precisions.into_iter().map(|precision| total(Run { precision, accelerations: &light, ..asking(tokens) })).min();
                prop_assert_eq!(shortage.instead.is_some(), smallest.unwrap() <= available);
                if let Some((way, bytes)) = shortage.instead {
                    prop_assert!(bytes <= available);
                    let precision = match way.strip_prefix("in ").and_then(|way| way.split(' ').next()) {
                        Some(precision) => precision.parse().unwrap(),
                        None => precision,
                    };
                    let accelerations = if way.contains("without") { &light } else { &accelerations };
                    prop_assert_eq!(bytes, total(Run { precision, accelerations, ..asking(tokens) }));
                }
            }
        }
    }
}
