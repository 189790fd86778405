//! The page. It runs studies, and it shows stability reports: its own, or those from a link, from an address, from a file. Nothing leaves the machine.

#![allow(unreachable_pub, reason = "leptos makes public items of components")]

mod address;
mod app;
mod ask;
mod engine;
mod evidence;
mod folder;
mod guard;
mod hand_on;
mod landing;
mod loading;
mod opened;
mod own_questions;
mod pictures;
mod playground;
mod question;
mod questions;
mod runs;
mod source;
mod spec;
mod study;
mod viewer;
mod worker;

use leptos::prelude::*;

fn main() {
    mount_to_body(app::App);
}
