//! Whether an acceleration can be carried out on a model, found before anything is asked.

use image::{Rgb, RgbImage};
use steady_accel::Acceleration;
use steady_methods::MethodKind;
use steady_records::plan::LeftOut;
use steady_vlm::{Decoding, EncodedImage, Needs, Prepared, Vlm, changes_the_image};

use crate::StudyError;

/// One token is enough to have passed every place where a reducer acts.
const ONE_TOKEN: Decoding = Decoding { max_new_tokens: 1, repetition_penalty: None, ignore_eos: false };

/// Those of `accelerations` that `model` takes where at most so many images are shown together, and the others with the reason. A family refuses
/// what no source defines for it, and where in the model that shows differs from method to method: so each reducer is asked about a small picture.
///
/// # Errors
/// When the model does not take so many images.
pub(crate) async fn fitting(
    model: &Vlm,
    accelerations: &[Acceleration],
    images: usize,
) -> Result<(Vec<Acceleration>, Vec<LeftOut>), StudyError> {
    let several = images > 1;
    if several {
        model.processor().interleave(&vec![picture(); images], &model.prompt_about("What are they?", images)?)?;
    }
    let tried: Vec<Acceleration> = accelerations.iter().map(|acceleration| acceleration.unsearched(model)).collect();
    // Most of what a try takes is the vision tower's, which need not look at the picture for each reducer. Where it cannot show what one of them asks for, each is asked by itself.
    let needs = Needs::of(tried.iter().filter_map(Acceleration::reducer).filter(|reducer| !changes_the_image(*reducer)));
    let prepared = prepared(model)?;
    let seen = if tried.iter().any(|acceleration| acceleration.reducer().is_some()) {
        Box::pin(model.encode_for(&prepared.pixels, &needs)).await.ok()
    } else {
        None
    };
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    for (acceleration, tried) in accelerations.iter().zip(&tried) {
        let takes = match fits_here(model, tried, &prepared, seen.as_ref()).await {
            Ok(()) if several => takes_several(acceleration),
            takes => takes,
        };
        match takes {
            Ok(()) => fitting.push(acceleration.clone()),
            Err(error) => left_out.push(LeftOut { spec: acceleration.to_string(), reason: error.to_string() }),
        }
    }
    Ok((fitting, left_out))
}

/// Whether an acceleration is defined where several images are shown together.
///
/// # Errors
/// [`StudyError::Plan`] for one that drops visual tokens: its source speaks of the tokens of one image.
pub(crate) fn takes_several(acceleration: &Acceleration) -> Result<(), StudyError> {
    let reduces = acceleration.spec().parts().iter().any(|part| matches!(part.method().kind, MethodKind::TokenReducer(_)));
    if reduces {
        return Err(StudyError::Plan(format!(
            "{acceleration} drops visual tokens of one image, and there are questions that show several; expected a quantizer"
        )));
    }
    Ok(())
}

fn picture() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| Rgb([(3 * x) as u8, (5 * y) as u8, (x * y) as u8]))
}

fn prepared(model: &Vlm) -> Result<Prepared, StudyError> {
    Ok(model.prepare(&picture(), &model.prompt("What is it?")?)?)
}

/// Asks `model` about a small picture under `acceleration`, which takes the time of one short answer.
///
/// # Errors
/// What the model says of it: the reason why it does not take it.
pub async fn fits(model: &Vlm, acceleration: &Acceleration) -> Result<(), StudyError> {
    fits_here(model, &acceleration.unsearched(model), &prepared(model)?, None).await
}

/// As [`fits`], where `seen` may be the picture as the vision tower sees it.
async fn fits_here(model: &Vlm, acceleration: &Acceleration, prepared: &Prepared, seen: Option<&EncodedImage>) -> Result<(), StudyError> {
    acceleration.describe(model)?;
    let Some(reducer) = acceleration.reducer() else { return Ok(()) };
    match seen.filter(|seen| model.takes(seen, Some(reducer))) {
        Some(seen) => {
            let (ids, layout) = (&prepared.input_ids, &prepared.layout);
            let prefix = Box::pin(model.prefix(ids, layout, seen, Some(reducer))).await?;
            Box::pin(model.answer(&prefix, &ids[layout.end()..], &ONE_TOKEN)).await?;
        }
        None => {
            Box::pin(model.ask(prepared, Some(reducer), &ONE_TOKEN)).await?;
        }
    }
    Ok(())
}
