//! The page. For now it says what steady is and how to run a study natively; the viewer and the in-browser study grow here.

use leptos::prelude::*;

fn main() {
    mount_to_body(Page);
}

#[component]
fn Page() -> impl IntoView {
    view! {
        <main>
            <h1>"steady"</h1>
            <p>"Does an accelerated vision-language model still give the same answers to the same questions?"</p>
            <p>"The study does not run in the browser yet. Run it natively: " <code>"cargo run --release"</code></p>
        </main>
    }
}
