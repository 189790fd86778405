//! The accelerations that were asked for, and which of them fit the model. What does not fit is left out with its reason, and the rest goes on.

use steady_accel::Acceleration;
use steady_accel::memory::stored_bytes;
use steady_protocol::LeftOut;
use steady_vlm::Footprint;

use crate::desk::Loaded;

/// The accelerations that were asked for.
pub(crate) struct Wanted {
    /// Those that are not known to be unfit, with their specs as they were asked for.
    pub(crate) fitting: Vec<(String, Acceleration)>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Wanted {
    /// Those of them that are accelerations, each once.
    pub(crate) fn of(specs: &[String]) -> Self {
        let mut wanted = Self { fitting: Vec::new(), left_out: Vec::new() };
        for spec in specs {
            match Acceleration::parse(spec) {
                Err(error) => wanted.leave_out(spec, &error),
                Ok(acceleration) => match wanted.fitting.iter().find(|(_, other)| other.to_string() == acceleration.to_string()) {
                    Some((other, _)) => wanted.leave_out(spec, &format!("the same as {}", other.clone())),
                    None => wanted.fitting.push((spec.clone(), acceleration)),
                },
            }
        }
        wanted
    }

    pub(crate) fn accelerations(&self) -> Vec<Acceleration> {
        self.fitting.iter().map(|(_, acceleration)| acceleration.clone()).collect()
    }

    /// Leaves out what the shapes of the model's weights do not allow.
    pub(crate) fn leave_out_misfits(&mut self, footprint: &Footprint) {
        for (spec, acceleration) in std::mem::take(&mut self.fitting) {
            match stored_bytes(footprint, &acceleration) {
                Ok(_) => self.fitting.push((spec, acceleration)),
                Err(error) => self.leave_out(&spec, &error),
            }
        }
    }

    /// Leaves out those that do not do with this model. Its device is ready: each answers once.
    pub(crate) async fn try_on(&mut self, model: &Loaded) {
        let takes = steady_study::fits(&model.vlm, &self.accelerations()).await;
        for ((spec, acceleration), takes) in std::mem::take(&mut self.fitting).into_iter().zip(takes) {
            match takes {
                Ok(()) => self.fitting.push((spec, acceleration)),
                Err(error) => self.leave_out(&spec, &error),
            }
        }
    }

    fn leave_out(&mut self, spec: &str, reason: &dyn std::fmt::Display) {
        self.left_out.push(LeftOut { spec: spec.to_owned(), reason: reason.to_string() });
    }
}
