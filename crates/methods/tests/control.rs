//! The table of controls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use steady_methods::{Baseline, CONTROLS, Change, Control, METHODS, Spec};

const BASELINE: Baseline<'_> = Baseline { precision: "f32", published: "f16", pixels: "torchvision", small: true };

fn usual(baseline: Baseline<'_>) -> Vec<&'static str> {
    Control::usual(baseline).into_iter().map(|control| control.name).collect()
}

/// Records hold both in one column.
#[test]
fn no_control_is_called_like_an_acceleration() {
    let names: BTreeSet<&str> = CONTROLS.iter().map(|control| control.name).collect();
    assert_eq!(names.len(), CONTROLS.len());
    for control in &CONTROLS {
        assert!(Spec::parse(control.name).is_err(), "{}", control.name);
        assert!(METHODS.iter().all(|method| method.name != control.name));
        assert_eq!(Control::named(control.name).unwrap().name, control.name);
    }
}

#[test]
fn the_order_is_the_order() {
    assert_eq!((Control::order().name, Control::order().change), ("order", Change::Order));
}

#[test]
fn an_unknown_control_is_told_which_there_are() {
    let error = Control::named("bf17").unwrap_err().to_string();
    assert!(error.contains("`bf17`") && CONTROLS.iter().all(|control| error.contains(control.name)), "{error}");
}

#[test]
fn the_usual_controls_change_something_and_fit() {
    assert_eq!(usual(BASELINE), ["order", "split", "bf16", "pixels=pil"]);
    assert_eq!(usual(Baseline { pixels: "pil", small: false, ..BASELINE }), ["order", "split", "pixels=torchvision"]);
    // what is published in bf16 loses nothing to it
    assert_eq!(usual(Baseline { published: "bf16", ..BASELINE }), ["order", "split", "f16", "pixels=pil"]);
    assert_eq!(usual(Baseline { precision: "f16", published: "bf16", ..BASELINE }), ["order", "split", "pixels=pil"]);
}
