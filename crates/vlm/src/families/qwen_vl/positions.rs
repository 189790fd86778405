//! M-RoPE: positions that tell rows from columns.

use crate::layout::VisualLayout;
use crate::nn::{Position, in_line};

/// Positions of a prompt of `len` tokens with `images` in it, and the position of the token that follows. Text counts on from the largest
/// position before it; a visual token has the time at which its image begins, and its row and column added to that.
pub(super) fn positions(len: usize, images: &[&VisualLayout]) -> (Vec<Position>, usize) {
    let mut positions = Vec::with_capacity(len);
    let mut next = 0;
    for layout in images {
        let text = layout.start() - positions.len();
        positions.extend(in_line(next..next + text));
        next += text;
        positions.extend(layout.cells().shown().iter().flatten().map(|cell| [next, next + cell.row, next + cell.column]));
        next += layout.cells().views().iter().map(|view| view.rows.max(view.columns)).max().unwrap_or(0);
    }
    let text = len - positions.len();
    positions.extend(in_line(next..next + text));
    (positions, next + text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::positions;
    use crate::layout::{Cells, View, VisualLayout};

    fn image(run: std::ops::Range<usize>, (rows, columns): (usize, usize)) -> VisualLayout {
        VisualLayout::new(vec![run], Cells::of(View { rows, columns, frame: None })).unwrap()
    }

    #[test]
    fn two_images_by_hand() {
        let (found, next) = positions(11, &[&image(1..3, (1, 2)), &image(4..10, (2, 3))]);
        let expected =
            [[0, 0, 0], [1, 1, 1], [1, 1, 2], [3, 3, 3], [4, 4, 4], [4, 4, 5], [4, 4, 6], [4, 5, 4], [4, 5, 5], [4, 5, 6], [7, 7, 7]];
        assert_eq!((found.as_slice(), next), (expected.as_slice(), 8));
    }

    /// `get_rope_index` of transformers, with and without images.
    #[test]
    fn positions_are_those_of_transformers() {
        let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        let mut compared = 0;
        for file in ["tiny-qwen2-vl/resaved", "tiny-qwen2-vl/published", "tiny-qwen2_5-vl/resaved", "tiny-qwen2_5-vl/published"] {
            let read = |path: &str| -> Value { serde_json::from_slice(&std::fs::read(reference.join(path)).unwrap()).unwrap() };
            let placeholder = read(&format!("{file}/config.json"))["image_token_id"].clone();
            for case in read(&format!("{file}.json"))["cases"].as_array().unwrap() {
                let ids = case["input_ids"].as_array().unwrap();
                let mut at = 0;
                let images: Vec<_> = case["grids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|grid| {
                        let side = |index: usize| grid[index].as_u64().unwrap() as usize / 2;
                        let start = at + ids[at..].iter().position(|id| *id == placeholder).unwrap();
                        at = start + side(1) * side(2);
                        image(start..at, (side(1), side(2)))
                    })
                    .collect();
                let (found, next) = positions(ids.len(), &images.iter().collect::<Vec<_>>());
                assert_eq!(next as u64, case["next_position"].as_u64().unwrap(), "{file} {}", case["id"]);
                for (axis, expected) in case["positions"].as_array().unwrap().iter().enumerate() {
                    let found: Vec<usize> = found.iter().map(|position| position[axis]).collect();
                    assert_eq!(serde_json::json!(found), *expected, "{file} {} {axis}", case["id"]);
                }
                compared += 1;
            }
        }
        assert_eq!(compared, 64);
    }
}
