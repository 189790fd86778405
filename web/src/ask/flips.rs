//! Where along a slider an answer flips: what was said under which amounts. Plain data.

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
    /// Whether it differs from the answer to the image as it is.
    pub(crate) flipped: bool,
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

    /// The answers of one model along slider `slider` while the others stand as in `amounts`, by amount; `clean` are the amounts that leave the image as it is.
    pub(crate) fn along(
        &self,
        slider: usize,
        model: usize,
        amounts: &[f64],
        clean: &[f64],
        same: impl Fn(&str, &str) -> bool,
    ) -> Vec<Mark> {
        let Some(as_it_is) = self.at(clean).and_then(|answers| answers.get(model)) else { return Vec::new() };
        let others_equal =
            |tried: &&Try| tried.amounts.iter().zip(amounts).enumerate().all(|(i, (a, b))| i == slider || a.total_cmp(b).is_eq());
        let mark = |tried: &Try| Some(Mark { amount: *tried.amounts.get(slider)?, flipped: !same(as_it_is, tried.answers.get(model)?) });
        let mut marks: Vec<Mark> = self.tries.iter().filter(others_equal).filter_map(mark).collect();
        marks.sort_by(|a, b| a.amount.total_cmp(&b.amount));
        marks
    }
}

/// The flipped mark that is closest to the amount that changes nothing.
pub(crate) fn first_flip(marks: &[Mark], neutral: f64) -> Option<f64> {
    let distance = |amount: &f64| (amount - neutral).abs();
    marks.iter().filter(|mark| mark.flipped).map(|mark| mark.amount).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(a: &str, b: &str) -> bool {
        a == b
    }

    fn tried(tries: &[(&[f64], &[&str])]) -> Tried {
        let mut tried = Tried::default();
        for (amounts, answers) in tries {
            tried.add(amounts.to_vec(), answers.iter().map(|answer| (*answer).to_owned()).collect());
        }
        tried
    }

    #[test]
    fn marks_lie_along_their_slider_alone() {
        let tried = tried(&[
            (&[0.0, 1.0], &["yes", "yes"]),
            (&[30.0, 1.0], &["no", "no"]),
            (&[10.0, 1.0], &["yes", "no"]),
            (&[20.0, 0.5], &["no", "no"]),
        ]);
        let clean = [0.0, 1.0];
        let of = |slider, model, amounts: &[f64]| -> Vec<(f64, bool)> {
            tried.along(slider, model, amounts, &clean, exactly).iter().map(|mark| (mark.amount, mark.flipped)).collect()
        };
        assert_eq!(of(0, 0, &[10.0, 1.0]), [(0.0, false), (10.0, false), (30.0, true)]);
        assert_eq!(of(0, 1, &[10.0, 1.0]), [(0.0, false), (10.0, true), (30.0, true)]);
        assert_eq!(of(1, 0, &[20.0, 1.0]), [(0.5, true)]);
        assert_eq!(of(0, 2, &[10.0, 1.0]), []);
    }

    #[test]
    fn nothing_flips_before_the_clean_answer_is_known() {
        let tried = tried(&[(&[10.0], &["yes"]), (&[20.0], &["no"])]);
        assert!(tried.along(0, 0, &[10.0], &[0.0], exactly).is_empty());
    }

    #[test]
    fn the_first_flip_is_the_closest_on_either_side() {
        let marks = |all: &[(f64, bool)]| all.iter().map(|&(amount, flipped)| Mark { amount, flipped }).collect::<Vec<_>>();
        assert_eq!(first_flip(&marks(&[(-20.0, true), (0.0, false), (5.0, false), (15.0, true), (30.0, true)]), 0.0), Some(15.0));
        assert_eq!(first_flip(&marks(&[(40.0, true), (90.0, true), (100.0, false)]), 100.0), Some(90.0));
        assert_eq!(first_flip(&marks(&[(0.0, false)]), 0.0), None);
    }

    #[test]
    fn a_second_answer_under_the_same_amounts_counts() {
        let tried = tried(&[(&[0.0], &["yes"]), (&[0.0], &["no"])]);
        assert_eq!(tried.at(&[0.0]), Some(["no".to_owned()].as_slice()));
    }
}
