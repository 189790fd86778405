//! What libjpeg-turbo guesses where a progressive file ends before all its scans (`decompress_smooth_data` of `jdcoefct.c`): low
//! frequencies of a block from the means of the 5 x 5 blocks around it.

use super::frame::{Block, Component};

/// How many coefficients count, in the order of the file.
const GUESSED: usize = 10;

/// Weights of the 25 means, row by row.
type Weights = [i32; 25];

/// A coefficient: where it stands, and its weights.
type Guess = (usize, Weights);

/// Where only means are known. The first is the mean itself.
#[rustfmt::skip]
const FROM_MEANS: [Guess; GUESSED] = [
    (0, [-2, -6, -8, -6, -2,  -6, 6, 42, 6, -6,  -8, 42, 152, 42, -8,  -6, 6, 42, 6, -6,  -2, -6, -8, -6, -2]),
    (1, [-1, -1, 0, 1, 1,  -3, 13, 0, -13, 3,  -3, 38, 0, -38, 3,  -3, 13, 0, -13, 3,  -1, -1, 0, 1, 1]),
    (8, [-1, -3, -3, -3, -1,  -1, 13, 38, 13, -1,  0, 0, 0, 0, 0,  1, -13, -38, -13, 1,  1, 3, 3, 3, 1]),
    (16, [0, 0, 1, 0, 0,  0, 2, 7, 2, 0,  0, -5, -14, -5, 0,  0, 2, 7, 2, 0,  0, 0, 1, 0, 0]),
    (9, [-1, 0, 0, 0, 1,  0, 9, 0, -9, 0,  0, 0, 0, 0, 0,  0, -9, 0, 9, 0,  1, 0, 0, 0, -1]),
    (2, [0, 0, 0, 0, 0,  0, 2, -5, 2, 0,  1, 7, -14, 7, 1,  0, 2, -5, 2, 0,  0, 0, 0, 0, 0]),
    (3, [0, 0, 0, 0, 0,  0, 1, 0, -1, 0,  0, 2, 0, -2, 0,  0, 1, 0, -1, 0,  0, 0, 0, 0, 0]),
    (10, [0, 0, 0, 0, 0,  0, 1, -3, 1, 0,  0, 0, 0, 0, 0,  0, -1, 3, -1, 0,  0, 0, 0, 0, 0]),
    (17, [0, 0, 0, 0, 0,  0, 1, 0, -1, 0,  0, -3, 0, 3, 0,  0, 1, 0, -1, 0,  0, 0, 0, 0, 0]),
    (24, [0, 0, 0, 0, 0,  0, 1, 2, 1, 0,  0, 0, 0, 0, 0,  0, -1, -2, -1, 0,  0, 0, 0, 0, 0]),
];

/// Where more than means is known of some coefficient.
#[rustfmt::skip]
const FROM_MORE: [Guess; 6] = [
    (0, [0; 25]),
    (1, [0, 0, 0, 0, 0,  0, 0, 0, 0, 0,  -7, 50, 0, -50, 7,  0, 0, 0, 0, 0,  0, 0, 0, 0, 0]),
    (8, [0, 0, -7, 0, 0,  0, 0, 50, 0, 0,  0, 0, 0, 0, 0,  0, 0, -50, 0, 0,  0, 0, 7, 0, 0]),
    (16, [0, 0, -1, 0, 0,  0, 0, 13, 0, 0,  0, 0, -24, 0, 0,  0, 0, 13, 0, 0,  0, 0, -1, 0, 0]),
    (9, [0, -1, 0, 1, 0,  -1, 10, 0, -10, 1,  0, 0, 0, 0, 0,  1, -10, 0, 10, -1,  0, 1, 0, -1, 0]),
    (2, [0, 0, 0, 0, 0,  0, 0, 0, 0, 0,  -1, 13, -24, 13, -1,  0, 0, 0, 0, 0,  0, 0, 0, 0, 0]),
];

/// Whether libjpeg guesses at all.
pub(super) fn applies(components: &[Component]) -> bool {
    let possible = components.iter().all(|part| {
        let quantization = part.quantization.unwrap_or([0; 64]);
        part.known[0] >= 0 && FROM_MEANS.iter().all(|(place, _)| quantization[*place] != 0)
    });
    possible && components.iter().any(|part| part.known[1..GUESSED].iter().any(|bit| *bit != 0))
}

/// Fills in the coefficients of one component that are 0 and not known to be.
pub(super) fn smooth(part: &mut Component) {
    let Some(quantization) = part.quantization else { return };
    let known = part.known;
    let means_only = known[1..GUESSED].iter().all(|bit| *bit == -1);
    let guesses: &[Guess] = if means_only { &FROM_MEANS } else { &FROM_MORE };
    let (across, down) = part.blocks;
    let stride = part.stride;
    let means: Vec<i32> = part.coefficients.iter().map(|block| i32::from(block[0])).collect();
    for y in 0..down {
        let rows = window(y, part);
        for x in 0..across {
            let columns = [x.saturating_sub(2), x.saturating_sub(1), x, (x + 1).min(across - 1), (x + 2).min(across - 1)];
            let around: Weights = std::array::from_fn(|i| means[rows[i / 5] * stride + columns[i % 5]]);
            let block: &mut Block = &mut part.coefficients[y * stride + x];
            for (k, (place, weights)) in guesses.iter().enumerate() {
                let sum: i64 = weights.iter().zip(&around).map(|(weight, mean)| i64::from(*weight) * i64::from(*mean)).sum();
                let value = rounded(sum * i64::from(quantization[0]), i64::from(quantization[*place]), if k == 0 { 0 } else { known[k] });
                let replace = if k == 0 { means_only } else { known[k] != 0 && block[*place] == 0 };
                if replace {
                    block[*place] = value;
                }
            }
        }
    }
}

/// `sum / 256` in units of `step`; no larger than what is known to be missing, the bits below `low`.
fn rounded(sum: i64, step: i64, low: i32) -> i16 {
    let size = ((step << 7) + sum.abs()) / (step << 8);
    let size = if low > 0 { size.min((1 << low) - 1) } else { size };
    (if sum < 0 { -size } else { size }) as i16
}

/// The five rows of blocks around row `y`. libjpeg counts rows by its own units of output, of which the last may be lower: there it
/// takes a row for the first or the last of the picture that is not.
fn window(y: usize, part: &Component) -> [usize; 5] {
    let high = part.sampling.1;
    let units = part.coefficients.len() / part.stride / high;
    let unit = y / high;
    let rows = if unit + 1 < units { high } else { part.blocks.1.saturating_sub((units - 1) * high).max(1) };
    let (row, all) = (unit * rows + y % high, units * rows);
    let before = if row > 0 { y - 1 } else { y };
    let after = if row + 1 < all { y + 1 } else { y };
    [if row > 1 { y - 2 } else { before }, before, y, after, if row + 2 < all { y + 2 } else { after }]
}
