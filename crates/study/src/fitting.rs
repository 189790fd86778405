//! Whether an acceleration can be carried out on a model, found before anything is asked.

use image::{Rgb, RgbImage};
use steady_accel::Acceleration;
use steady_records::plan::LeftOut;
use steady_vlm::{Decoding, Vlm};

use crate::StudyError;

/// One token is enough to have passed every place where a reducer acts.
const ONE_TOKEN: Decoding = Decoding { max_new_tokens: 1, repetition_penalty: None, ignore_eos: false };

/// Those of `accelerations` that `model` takes, and the others with the reason. A family refuses what no source defines for it, and where in
/// the model that shows differs from method to method: so each reducer is asked about a small picture.
pub(crate) async fn fitting(model: &Vlm, accelerations: &[Acceleration]) -> (Vec<Acceleration>, Vec<LeftOut>) {
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    for acceleration in accelerations {
        match fits(model, acceleration).await {
            Ok(()) => fitting.push(acceleration.clone()),
            Err(error) => left_out.push(LeftOut { spec: acceleration.to_string(), reason: error.to_string() }),
        }
    }
    (fitting, left_out)
}

/// Asks `model` about a small picture under `acceleration`, which takes the time of one short answer.
///
/// # Errors
/// What the model says of it: the reason why it does not take it.
pub async fn fits(model: &Vlm, acceleration: &Acceleration) -> Result<(), StudyError> {
    acceleration.describe(model)?;
    if let Some(reducer) = acceleration.reducer() {
        let picture = RgbImage::from_fn(64, 48, |x, y| Rgb([(3 * x) as u8, (5 * y) as u8, (x * y) as u8]));
        let prepared = model.prepare(&picture, &model.prompt("What is it?")?)?;
        Box::pin(model.ask(&prepared, Some(reducer), &ONE_TOKEN)).await?;
    }
    Ok(())
}
