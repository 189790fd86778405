//! Whether an acceleration can be carried out on a model, found before anything is asked.

use image::{Rgb, RgbImage};
use steady_accel::Acceleration;
use steady_methods::MethodKind;
use steady_records::plan::LeftOut;
use steady_vlm::{Decoding, Vlm};

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
    for acceleration in accelerations {
        let takes = match fits(model, acceleration).await {
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

/// Asks `model` about a small picture under `acceleration`, which takes the time of one short answer.
///
/// # Errors
/// What the model says of it: the reason why it does not take it.
pub async fn fits(model: &Vlm, acceleration: &Acceleration) -> Result<(), StudyError> {
    acceleration.describe(model)?;
    if let Some(reducer) = acceleration.unsearched(model).reducer() {
        let prepared = model.prepare(&picture(), &model.prompt("What is it?")?)?;
        Box::pin(model.ask(&prepared, Some(reducer), &ONE_TOKEN)).await?;
    }
    Ok(())
}
