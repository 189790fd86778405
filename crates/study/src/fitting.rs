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
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    for (acceleration, takes) in accelerations.iter().zip(fits(model, accelerations).await) {
        let takes = match takes {
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

/// Whether `model` takes each of `accelerations`, or why not. Under each that drops visual tokens it is asked about a small picture, at which its vision tower looks once for all
/// of them: that is most of what a short answer takes.
pub async fn fits(model: &Vlm, accelerations: &[Acceleration]) -> Vec<Result<(), StudyError>> {
    let tried: Vec<Acceleration> = accelerations.iter().map(|acceleration| acceleration.unsearched(model)).collect();
    let looking = || tried.iter().filter_map(Acceleration::reducer).filter(|reducer| !changes_the_image(*reducer));
    // Where the tower cannot show what one of them asks for, each is asked by itself and says so.
    let seen = if looking().next().is_some() { Box::pin(look(model, &Needs::of(looking()))).await.ok() } else { None };
    let mut takes = Vec::with_capacity(tried.len());
    for acceleration in &tried {
        takes.push(is_taken(model, acceleration, seen.as_ref()).await);
    }
    takes
}

fn prepared(model: &Vlm) -> Result<Prepared, StudyError> {
    Ok(model.prepare(&picture(), &model.prompt("What is it?")?)?)
}

/// The picture with its prompt, and as the vision tower sees it.
async fn look(model: &Vlm, needs: &Needs) -> Result<(Prepared, EncodedImage), StudyError> {
    let prepared = prepared(model)?;
    let image = model.encode_for(&prepared.pixels, needs).await?;
    Ok((prepared, image))
}

/// Asks about the picture, which may have been `seen`.
async fn is_taken(model: &Vlm, acceleration: &Acceleration, seen: Option<&(Prepared, EncodedImage)>) -> Result<(), StudyError> {
    acceleration.describe(model)?;
    let Some(reducer) = acceleration.reducer() else { return Ok(()) };
    if let Some((prepared, image)) = seen.filter(|(_, image)| model.takes(image, Some(reducer))) {
        let (ids, layout) = (&prepared.input_ids, &prepared.layout);
        let prefix = Box::pin(model.prefix(ids, layout, image, Some(reducer))).await?;
        Box::pin(model.answer(&prefix, &ids[layout.end()..], &ONE_TOKEN)).await?;
    } else {
        Box::pin(model.ask(&prepared(model)?, Some(reducer), &ONE_TOKEN)).await?;
    }
    Ok(())
}
