//! The text of specs: what is accepted, what it means, what errors say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use steady_methods::{Linears, METHODS, Method, MethodKind, PRESETS, Parameter, ParameterKind, Place, Preset, Spec};

fn canonical(text: &str) -> String {
    Spec::parse(text).unwrap().to_string()
}

#[test]
fn canonical_text_spells_out_every_default() {
    for (text, expected) in [
        ("none", "none"),
        ("int8", "int8:threshold=6"),
        ("int8,threshold=4.5", "int8:threshold=4.5"),
        ("w4:rtn", "w4:rtn,g=auto"),
        ("w4:rtn,sym,g=64", "w4:rtn,g=64,sym"),
        ("w4:rtn,float=layers.0/ down_proj", "w4:rtn,g=auto,float=layers.0/down_proj"),
        ("int8:float=fc1+fastv", "int8:threshold=6,float=fc1+fastv:k=2,keep=0.5"),
        ("divprune", "divprune:keep=0.098"),
        ("divprune:keep=0.330", "divprune:keep=0.33"),
        ("divprune:keep=64", "divprune:keep=64"),
        ("divprune:keep=1", "divprune:keep=1"),
        ("fastv", "fastv:k=2,keep=0.5"),
        ("fastv:keep=0.25,k=3", "fastv:k=3,keep=0.25"),
        ("random:seed=18446744073709551615", "random:keep=0.5,seed=18446744073709551615"),
        ("fastv+blur+divprune+tome", "blur:keep=0.25+tome:keep=0.361+divprune:keep=0.098+fastv:k=2,keep=0.5"),
        (" divprune : keep = 0.5 + int8 ", "int8:threshold=6+divprune:keep=0.5"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn errors_say_what_is_valid() {
    let errors: Vec<String> = [
        "",
        "int7",
        "w4",
        "int8+",
        "int8x",
        "none+int8",
        "int8+w4:rtn",
        "divprune+random",
        "fastv+vtw",
        "fastv:depth=2",
        "w4:rtn,asym",
        "fastv:k",
        "fastv:k=0",
        "fastv:k=two",
        "divprune:keep=0",
        "divprune:keep=1.5",
        "divprune:keep=nan",
        "random:seed=-1",
        "int8:threshold=0",
        "int8:threshold=inf",
        "w4:rtn,g=12",
        "w4:rtn,sym=yes",
        "w4:rtn,float",
        "w4:rtn,float=",
        "w4:rtn,float=a//b",
        "w4:rtn,float=layers.",
        "fastv:float=a",
        "fastv:k=2,k=3",
    ]
    .into_iter()
    .map(|text| format!("{text:24} {}", Spec::parse(text).unwrap_err()))
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn every_method_stands_in_the_list_with_valid_defaults() {
    let listing: Vec<String> = METHODS
        .iter()
        .map(|method| {
            // The name alone means the defaults, and the defaults spelled out mean the same.
            assert_eq!(canonical(method.name), method.to_string());
            assert_eq!(canonical(&method.to_string()), method.to_string());
            format!("{method}  ({:?}) {}. {}", method.kind, method.summary, method.source)
        })
        .collect();
    insta::assert_snapshot!(listing.join("\n"));
}

#[test]
fn presets_hold_valid_distinct_specs() {
    for preset in &PRESETS {
        // On a command line either stands in one place.
        assert!(METHODS.iter().all(|method| method.name != preset.name));
        assert_eq!(Preset::named(preset.name), Some(preset));
        let mut specs: Vec<String> = preset.specs.iter().map(|spec| canonical(spec)).collect();
        specs.sort();
        specs.dedup();
        assert_eq!(specs.len(), preset.specs.len(), "{}", preset.name);
    }
}

#[test]
fn equality_and_serialization_follow_the_canonical_text() {
    let spec = Spec::parse("fastv+w4:rtn").unwrap();
    assert_eq!(spec, Spec::parse("w4:rtn,g=auto+fastv:k=2").unwrap());
    assert_ne!(spec, Spec::parse("fastv").unwrap());
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(json, r#""w4:rtn,g=auto+fastv:k=2,keep=0.5""#);
    assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    assert!(serde_json::from_str::<Spec>(r#""int7""#).is_err());
    assert!(Spec::none().is_none() && Spec::none().part(MethodKind::TokenReducer(Place::Decoder)).is_none());
    assert_eq!(spec.part(MethodKind::TokenReducer(Place::Decoder)).unwrap().to_string(), "fastv:k=2,keep=0.5");
    assert_eq!(spec.part(MethodKind::Quantizer).unwrap().to_string(), "w4:rtn,g=auto");
    assert!(spec.parts().iter().map(|part| part.method().name).eq(["w4:rtn", "fastv"]));
}

/// A method that is not in the table, whose name begins another's.
static W4: Method = Method {
    name: "w4",
    kind: MethodKind::Quantizer,
    parameters: &[Parameter { name: "g", kind: ParameterKind::Group, default: "32", meaning: "inputs per scale" }],
    summary: "one of somebody else's",
    plain: "One of somebody else's.",
    source: "this test",
};

#[test]
fn methods_of_ones_own_are_read_beside_those_of_the_table() {
    let all: Vec<&Method> = [&W4].into_iter().chain(METHODS).collect();
    for (text, expected) in [("w4", "w4:g=32"), ("w4,g=8+fastv", "w4:g=8+fastv:k=2,keep=0.5"), ("w4:rtn,sym", "w4:rtn,g=auto,sym")] {
        assert_eq!(Spec::parse_of(&all, text).unwrap().to_string(), expected, "{text}");
    }
    let unknown = Spec::parse_of(&all, "int7").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "unknown acceleration `int7`; valid: none, w4, w4:rtn, w4:gptq, w4:awq, w4:hqq, nf4, fp4, q4_0, w3:rtn, w3:gptq, w3:awq, w2:rtn, \
         w8:rtn, q8_0, int8, w8a8, \
         w8a8:smooth, fp8, kv8, kv4, tome, divprune, lofi, cdpruner, dart, holov, visionzip, prumerge, fastervlm, vispruner, fastv, pyramiddrop, sparsevlm, vtw, vtw:search, random, \
         blind, blur"
    );
    let two = Spec::parse_of(&all, "w4+int8").unwrap_err().to_string();
    assert_eq!(two, "`w4:g=32` and `int8:threshold=6` are both quantizers: an acceleration has at most one");
}

fn quantizer() -> impl Strategy<Value = String> {
    prop_oneof![
        (0.001_f32..1e6).prop_map(|threshold| format!("int8:threshold={threshold}")),
        (prop::option::of(1..64_usize), any::<bool>()).prop_map(|(eights, sym)| {
            let group = eights.map_or("auto".to_owned(), |eights| (eights * 8).to_string());
            format!("w4:rtn,g={group}{}", if sym { ",sym" } else { "" })
        }),
    ]
}

fn keep() -> impl Strategy<Value = String> {
    prop_oneof![(1e-9..=1.0_f64).prop_map(|share| share.to_string()), (2..100_000_usize).prop_map(|n| n.to_string())]
}

fn reducer() -> impl Strategy<Value = String> {
    prop_oneof![
        keep().prop_map(|keep| format!("divprune:keep={keep}")),
        (1..1000_u32, keep()).prop_map(|(k, keep)| format!("fastv:k={k},keep={keep}")),
        (keep(), any::<u64>()).prop_map(|(keep, seed)| format!("random:keep={keep},seed={seed}")),
        (keep(), any::<bool>(), positions()).prop_map(|(keep, halves, positions)| {
            format!("cdpruner:keep={keep}{},positions={positions}", if halves { ",halves" } else { "" })
        }),
        (keep(), 0..9_usize, 0..9_usize, positions())
            .prop_map(|(keep, image, text, positions)| format!("dart:keep={keep},image={image},text={text},positions={positions}")),
        (layers(3), 0.0..=1.0_f64, positions())
            .prop_map(|(layers, ratio, positions)| format!("pyramiddrop:layers={layers},ratio={ratio},positions={positions}")),
        (layers(1), positions()).prop_map(|(k, positions)| format!("vtw:k={k},positions={positions}")),
        (0.001_f32..1.0, 1..99_usize, positions())
            .prop_map(|(eta, n, positions)| format!("vtw:search,eta={eta},n={n},positions={positions}")),
        Just("blind".to_owned()),
    ]
}

fn positions() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("keep"), Just("renumber")]
}

fn layers(count: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("auto".to_owned()),
        prop::collection::btree_set(1..100_usize, count).prop_map(|layers| layers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("/")),
    ]
}

#[test]
fn layers_are_as_many_as_the_method_has_and_ascend() {
    for good in ["pyramiddrop:layers=1/2/3", "pyramiddrop:layers=auto", "vtw:k=7", "vtw:k=auto", "sparsevlm:layers=3/7/16"] {
        assert!(canonical(good).starts_with(good), "{good}");
    }
    for bad in [
        "pyramiddrop:layers=1/2",
        "pyramiddrop:layers=1/2/3/4",
        "pyramiddrop:layers=2/2/3",
        "pyramiddrop:layers=0/1/2",
        "vtw:k=0",
        "vtw:k=1/2",
    ] {
        let error = Spec::parse(bad).unwrap_err().to_string();
        assert!(error.contains("expected `auto` or"), "{error}");
    }
    let error = Spec::parse("dart:positions=both").unwrap_err().to_string();
    assert_eq!(error, "`dart`: positions=both: expected `keep` or `renumber`");
}

proptest! {
    /// Canonical texts are fixed points, alone and joined in either order.
    #[test]
    fn canonical_text_round_trips(quantizer in quantizer(), reducer in reducer()) {
        prop_assert_eq!(canonical(&quantizer), quantizer.clone());
        prop_assert_eq!(canonical(&reducer), reducer.clone());
        let joined = format!("{quantizer}+{reducer}");
        prop_assert_eq!(canonical(&joined), joined.clone());
        prop_assert_eq!(canonical(&format!("{reducer}+{quantizer}")), joined);
    }

    /// Any text is a spec or an error, never a panic; what is accepted has a canonical text that is accepted.
    #[test]
    fn any_text_is_answered(text in "((none|int8|w4:rtn|fastv|random|divprune|[a-z:]{0,6})([:,+=]|[0-9.]{0,3}|g|k|keep|sym|seed){0,6}){0,3}") {
        if let Ok(spec) = Spec::parse(&text) {
            let canonical = spec.to_string();
            prop_assert_eq!(Spec::parse(&canonical).unwrap().to_string(), canonical);
        }
    }
}

#[test]
fn a_part_of_a_name_is_whole_words() {
    let name = "language_model.layers.10.mlp.down_proj";
    for (part, meets) in [
        ("layers.10", true),
        ("layers.1", false),
        ("10", true),
        ("mlp.down_proj", true),
        ("layers.mlp", false),
        ("down", false),
        (name, true),
        ("x.language_model.layers.10.mlp.down_proj", false),
    ] {
        assert_eq!(Linears::meets(part, name), meets, "{part}");
        assert_eq!(Linears::parse(&format!("nothing/{part}")).unwrap().hold(name), meets, "{part}");
    }
    assert!(!Linears::default().hold(name));
}
