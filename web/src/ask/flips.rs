//! Where along a slider an answer flips. That is a fact about image, question and model, so it does not depend on how somebody drags: every slider is tried at the
//! same points while all others leave the image as it is, and between the last answer that stayed and the first that flipped the distance is halved until it is
//! one step of the slider. Plain data.

use steady_bench::perturb::{PERTURBATIONS, Perturbation};
use steady_report::Outcome;

/// Points of a slider that are tried before it is known where anything flips.
const POINTS: u32 = 12;

/// Everything that was tried on one image and question.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tried {
    tries: Vec<Try>,
}

/// The answers under one set of amounts.
#[derive(Clone, Debug, PartialEq)]
struct Try {
    amounts: Vec<f64>,
    /// The baseline's first.
    answers: Vec<String>,
}

/// One answer along a slider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) amount: f64,
    /// What became of the answer to the image as it is.
    pub(crate) became: Outcome,
}

/// The flip that is closest to the image as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flip {
    /// The last amount before it under which the answer stayed.
    pub(crate) stayed: f64,
    /// The first under which it did not.
    pub(crate) flipped: f64,
    pub(crate) became: Outcome,
}

/// Amounts that leave the image as it is.
pub(crate) fn neutral() -> Vec<f64> {
    PERTURBATIONS.iter().map(|perturbation| perturbation.neutral).collect()
}

/// Those in which one slider stands elsewhere.
fn alone(slider: usize, amount: f64) -> Vec<f64> {
    let mut amounts = neutral();
    amounts[slider] = amount;
    amounts
}

impl Tried {
    /// Remembers what was said; saying something new under the same amounts replaces it.
    pub(crate) fn add(&mut self, amounts: Vec<f64>, answers: Vec<String>) {
        self.tries.retain(|tried| tried.amounts != amounts);
        self.tries.push(Try { amounts, answers });
    }

    /// What was said under exactly these amounts.
    pub(crate) fn at(&self, amounts: &[f64]) -> Option<&[String]> {
        self.tries.iter().find(|tried| tried.amounts == amounts).map(|tried| tried.answers.as_slice())
    }

    /// The answers of one model along a slider while all others leave the image as it is, by amount; `became` compares one with that to the image as it is.
    pub(crate) fn along(&self, slider: usize, model: usize, became: impl Fn(&str, &str) -> Outcome) -> Vec<Mark> {
        let clean = neutral();
        let Some(as_it_is) = self.at(&clean).and_then(|answers| answers.get(model)) else { return Vec::new() };
        let others_neutral =
            |tried: &&Try| tried.amounts.iter().zip(&clean).enumerate().all(|(i, (a, b))| i == slider || a.total_cmp(b).is_eq());
        let mark = |tried: &Try| Some(Mark { amount: *tried.amounts.get(slider)?, became: became(as_it_is, tried.answers.get(model)?) });
        let mut marks: Vec<Mark> = self.tries.iter().filter(others_neutral).filter_map(mark).collect();
        marks.sort_by(|a, b| a.amount.total_cmp(&b.amount));
        marks
    }

    /// What to try next, slider by slider, so that it is known where the answers of `models` models first flip; nothing when it is.
    pub(crate) fn next(&self, models: usize, became: impl Fn(&str, &str) -> Outcome) -> Option<Vec<f64>> {
        if self.at(&neutral()).is_none() {
            return Some(neutral());
        }
        PERTURBATIONS.iter().enumerate().find_map(|(slider, perturbation)| {
            let untried = |amount: &f64| self.at(&alone(slider, *amount)).is_none();
            let point = points(perturbation).into_iter().find(untried);
            let halves = || {
                let marks = (0..models).map(|model| self.along(slider, model, &became));
                marks.flat_map(|marks| first_flips(&marks, perturbation.neutral)).find_map(|flip| between(perturbation, flip))
            };
            Some(alone(slider, point.or_else(halves)?))
        })
    }

    /// How far [`Tried::next`] has come: points that were tried, and all of them. Those between two points come on top.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let all = PERTURBATIONS
            .iter()
            .enumerate()
            .flat_map(|(slider, perturbation)| points(perturbation).into_iter().map(move |amount| alone(slider, amount)));
        all.fold((0, 0), |(done, of), amounts| (done + usize::from(self.at(&amounts).is_some()), of + 1))
    }
}

/// The points of a slider, each on a step of it, the closest to the image as it is first.
fn points(perturbation: &Perturbation) -> Vec<f64> {
    let Perturbation { low, high, neutral, .. } = *perturbation;
    let place = |i: u32| on_step(perturbation, low + (high - low) * f64::from(i) / f64::from(POINTS - 1));
    let mut points: Vec<f64> = (0..POINTS).map(place).filter(|amount| (amount - neutral).abs() > f64::EPSILON).collect();
    points.sort_by(|a, b| (a - neutral).abs().total_cmp(&(b - neutral).abs()));
    points
}

/// The closest amount that the slider can stand at.
fn on_step(perturbation: &Perturbation, amount: f64) -> f64 {
    let Perturbation { low, high, step, .. } = *perturbation;
    let steps = ((amount - low) / step).round();
    // as the slider's own text reads, so that both are the same number
    format!("{:.4}", low + steps * step).parse().unwrap_or(amount).min(high)
}

/// Half-way between what stayed and what flipped; nothing where no step of the slider lies between.
fn between(perturbation: &Perturbation, Flip { stayed, flipped, .. }: Flip) -> Option<f64> {
    let half = on_step(perturbation, f64::midpoint(stayed, flipped));
    let strictly = |a: f64, b: f64| (a - b).abs() > perturbation.step / 2.0;
    (strictly(half, stayed) && strictly(half, flipped)).then_some(half)
}

/// The first flips to both sides of the image as it is.
fn first_flips(marks: &[Mark], neutral: f64) -> Vec<Flip> {
    let side = |above: bool| {
        let mut side: Vec<&Mark> =
            marks.iter().filter(|mark| if above { mark.amount >= neutral } else { mark.amount <= neutral }).collect();
        side.sort_by(|a, b| (a.amount - neutral).abs().total_cmp(&(b.amount - neutral).abs()));
        let first = side.iter().position(|mark| mark.became.diverged())?;
        let stayed = first.checked_sub(1).and_then(|before| side.get(before))?.amount;
        side.get(first).map(|mark| Flip { stayed, flipped: mark.amount, became: mark.became })
    };
    [side(true), side(false)].into_iter().flatten().collect()
}

/// The flip that is closest to the amount that changes nothing.
pub(crate) fn first_flip(marks: &[Mark], neutral: f64) -> Option<Flip> {
    let distance = |flip: &Flip| (flip.flipped - neutral).abs();
    first_flips(marks, neutral).into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn became(a: &str, b: &str) -> Outcome {
        if a == b { Outcome::Same } else { Outcome::Changed }
    }

    fn slider(name: &str) -> usize {
        PERTURBATIONS.iter().position(|perturbation| perturbation.name == name).unwrap()
    }

    /// Tries until nothing is left to be tried, of models that answer by the amounts; gives how many tries it took.
    fn sweep(tried: &mut Tried, answer: impl Fn(&[f64]) -> Vec<String>) -> usize {
        (0..10_000)
            .find(|_| match tried.next(answer(&neutral()).len(), became) {
                Some(amounts) => {
                    assert!(tried.at(&amounts).is_none(), "{amounts:?} a second time");
                    tried.add(amounts.clone(), answer(&amounts));
                    false
                }
                None => true,
            })
            .unwrap()
    }

    /// The second model says `no` from noise 33 on, and under a rotation by more than 20 degrees to the left.
    fn answer(amounts: &[f64]) -> Vec<String> {
        let no = amounts[slider("noise")] >= 33.0 || amounts[slider("rotation")] < -20.0;
        vec!["yes".to_owned(), if no { "no" } else { "yes" }.to_owned()]
    }

    fn flips(tried: &Tried) -> Vec<(&'static str, f64, f64)> {
        let of = |(i, perturbation): (usize, &Perturbation)| {
            let flip = first_flip(&tried.along(i, 1, became), perturbation.neutral)?;
            Some((perturbation.name, flip.stayed, flip.flipped))
        };
        PERTURBATIONS.iter().enumerate().filter_map(of).collect()
    }

    #[test]
    fn a_flip_is_found_to_the_step_whatever_was_tried_before() {
        let (mut fresh, mut dragged) = (Tried::default(), Tried::default());
        let tries = sweep(&mut fresh, answer);
        for amount in [50.0, 11.0, 47.0] {
            let mut amounts = neutral();
            amounts[slider("noise")] = amount;
            amounts[slider("jpeg")] = 40.0;
            dragged.add(amounts.clone(), answer(&amounts));
            amounts[slider("jpeg")] = neutral()[slider("jpeg")];
            dragged.add(amounts.clone(), answer(&amounts));
        }
        sweep(&mut dragged, answer);
        let noise = PERTURBATIONS[slider("noise")].step;
        let found = flips(&fresh);
        assert_eq!(found, flips(&dragged));
        let [(_, left, right), (_, stayed, flipped)] = found[..] else { panic!("{found:?}") };
        assert_eq!((left, right), (-20.0, -21.0));
        assert!(stayed < 33.0 && flipped >= 33.0 && flipped - stayed <= noise + 1e-9, "{stayed} {flipped}");
        // twelve points a slider, the clean image once, and few between
        assert!((75..100).contains(&tries), "{tries}");
        assert_eq!(fresh.progress().0, fresh.progress().1);
    }

    #[test]
    fn two_sliders_at_once_say_nothing_of_either() {
        let mut tried = Tried::default();
        tried.add(neutral(), vec!["yes".to_owned()]);
        let mut both = neutral();
        (both[slider("noise")], both[slider("blur")]) = (20.0, 2.0);
        tried.add(both, vec!["no".to_owned()]);
        for slider in [slider("noise"), slider("blur")] {
            assert_eq!(first_flip(&tried.along(slider, 0, became), 0.0), None);
        }
    }

    #[test]
    fn nothing_flips_before_the_clean_answer_is_known() {
        let mut tried = Tried::default();
        tried.add(alone(slider("noise"), 10.0), vec!["yes".to_owned()]);
        tried.add(alone(slider("noise"), 20.0), vec!["no".to_owned()]);
        assert!(tried.along(slider("noise"), 0, became).is_empty());
        assert_eq!(tried.next(1, became), Some(neutral()));
    }

    #[test]
    fn the_first_flip_is_the_closest_on_either_side() {
        let marks = |all: &[(f64, Outcome)]| all.iter().map(|&(amount, became)| Mark { amount, became }).collect::<Vec<_>>();
        let (same, broken, repaired) = (Outcome::Same, Outcome::Broken, Outcome::Repaired);
        let found = first_flip(&marks(&[(-20.0, broken), (0.0, same), (5.0, same), (15.0, repaired), (30.0, broken)]), 0.0);
        assert_eq!(found, Some(Flip { stayed: 5.0, flipped: 15.0, became: repaired }));
        let found = first_flip(&marks(&[(40.0, broken), (90.0, broken), (100.0, same)]), 100.0);
        assert_eq!(found, Some(Flip { stayed: 100.0, flipped: 90.0, became: broken }));
        assert_eq!(first_flip(&marks(&[(0.0, same)]), 0.0), None);
    }

    #[test]
    fn a_second_answer_under_the_same_amounts_counts() {
        let mut tried = Tried::default();
        tried.add(neutral(), vec!["yes".to_owned()]);
        tried.add(neutral(), vec!["no".to_owned()]);
        assert_eq!(tried.at(&neutral()), Some(["no".to_owned()].as_slice()));
    }
}
