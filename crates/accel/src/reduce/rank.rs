//! Order by score: the highest first, equal scores by index, so that no tie ever makes a flip.

/// Indices from the highest score to the lowest. Equal scores go by index.
pub(crate) fn ranked(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

/// Indices of the `count` highest scores, ascending. Equal scores go to the lower index.
pub(crate) fn highest(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order = ranked(scores);
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Index of the highest score, of equal ones the lowest; `None` of nothing.
pub(crate) fn best(scores: impl IntoIterator<Item = f32>) -> Option<usize> {
    let scores = scores.into_iter().enumerate();
    scores.reduce(|best, next| if next.1.total_cmp(&best.1).is_gt() { next } else { best }).map(|(index, _)| index)
}

/// The indices below `n` that are not among `chosen`, ascending.
pub(crate) fn others(n: usize, chosen: &[usize]) -> Vec<usize> {
    let mut is_chosen = vec![false; n];
    for &index in chosen {
        is_chosen[index] = true;
    }
    (0..n).filter(|&index| !is_chosen[index]).collect()
}
