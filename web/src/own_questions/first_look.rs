//! What was understood of the visitor's own questions, as `steady benches show` tells it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_bench::{FirstLook, ShownQuestion};
use steady_report::{Picture, image_address};

use super::reader::Reading;
use super::{OwnFiles, Reader};

/// How far reading is, and what came of it.
#[component]
pub(crate) fn FirstLookView(reader: Reader) -> impl IntoView {
    move || match reader.reading.get() {
        Reading::Nothing => ().into_any(),
        Reading::Begun => view! { <p role="status" class="hint">"Reading the questions and looking at each picture …"</p> }.into_any(),
        Reading::Refused(reason) => view! {
            <div role="alert" class="failed"><strong>"These questions cannot be asked. "</strong><bdi>{reason}</bdi></div>
        }
        .into_any(),
        Reading::Read(own, look) => shown(&own, &look, reader).into_any(),
    }
}

fn shown(own: &OwnFiles, look: &FirstLook, reader: Reader) -> impl IntoView + use<> {
    let columns = look.columns.iter().map(|(role, column)| view! { <dt>{role.clone()}</dt><dd><bdi>{column.clone()}</bdi></dd> });
    let unused = (!look.unused.is_empty()).then(|| view! { <dt>"not used"</dt><dd><bdi>{look.unused.join(", ")}</bdi></dd> });
    let first = look.first.iter().map(|question| row(question, reader));
    let odd = if look.odd.is_empty() {
        view! { <p>"Nothing is odd."</p> }.into_any()
    } else {
        let lines = look.odd.iter().map(|line| view! { <li><bdi>{line.clone()}</bdi></li> });
        view! { <p>"Odd:"</p><ul>{lines.collect_view()}</ul> }.into_any()
    };
    view! {
        <section class="first-look" aria-label="A first look">
            <p role="status"><strong><bdi>{own.name().to_owned()}</bdi></strong> ": " {look.counts()}</p>
            <dl>
                {columns.collect_view()}
                {unused}
                <dt>"forms of answers"</dt><dd>{look.forms()}</dd>
                <dt>"groups"</dt><dd><bdi>{look.sizes_of_groups()}</bdi></dd>
            </dl>
            <ol>{first.collect_view()}</ol>
            {odd}
        </section>
    }
}

/// A question as it is asked, with its picture.
fn row(question: &ShownQuestion, reader: Reader) -> impl IntoView + use<> {
    let address = RwSignal::new(None::<String>);
    let picture = Picture { image: question.picture.clone(), perturbation: None };
    spawn_local(async move {
        if let Some(file) = reader.thumbnail(picture).await {
            // a look that was replaced meanwhile shows none
            let _ = address.try_update(|address| *address = Some(image_address(&file)));
        }
    });
    let alternative = format!("Image {}", question.picture);
    view! {
        <li>
            {move || address.get().map(|address| view! { <img src=address alt=alternative.clone() /> })}
            <span>
                <bdi>{question.question.clone()}</bdi>
                <small>"right answer: " <bdi>{question.golds()}</bdi> " · " <bdi>{question.pictured()}</bdi></small>
            </span>
        </li>
    }
}
