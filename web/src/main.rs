//! The page. It shows stability reports: from a link, from an address, from a file. Nothing that is opened here leaves the machine.

#![allow(unreachable_pub, reason = "leptos makes public items of components")]

mod app;
mod hand_on;
mod landing;
mod opened;
mod questions;
mod source;
mod viewer;
#[allow(dead_code, reason = "the views that run a study come next")]
mod worker;

use leptos::prelude::*;

fn main() {
    mount_to_body(app::App);
}
