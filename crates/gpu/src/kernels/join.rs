//! Weights that multiply the same rows, laid one below the other: queries, keys and values, or a gate and what it lets through, are then one
//! product. Each stays a weight by itself, and what is joined is seen from where it lies; so whoever replaces one of them only parts them.

use std::{ops::Range, sync::Arc};

use super::{
    Weight,
    weight::{Intake, Part},
};
use crate::{Gpu, Rows, Words, memory::Allocation};

/// The weights as one, if they lie one below the other.
pub(super) fn joined(weights: &[&Weight]) -> Option<Weight> {
    let (first, others) = weights.split_first()?;
    let [top] = &first.parts[..] else { return None };
    let mut rows = top.rows;
    for weight in others {
        let [part] = &weight.parts[..] else { return None };
        let follows = part.words.memory.id == top.words.memory.id && part.above == top.above + rows;
        if !follows || !alike(first, weight) {
            return None;
        }
        rows += part.rows;
    }
    let part = Part { rows, ..top.clone() };
    Some(Weight { parts: vec![part], shape: [rows, first.shape[1]], ..(*first).clone() })
}

/// One-row matrices as one, if they lie side by side.
pub(super) fn joined_rows(rows: &[&Rows]) -> Option<Rows> {
    let (first, others) = rows.split_first()?;
    let mut width = first.width;
    for row in others {
        if row.memory.id != first.memory.id || row.start != first.start + width {
            return None;
        }
        width += row.width;
    }
    Some(Rows { width, pitch: width, ..(*first).clone() })
}

/// Whether both could be rows of one weight.
fn alike(a: &Weight, b: &Weight) -> bool {
    let taken_in_alike = matches!((&a.intake, &b.intake), (Intake::AsItIs, Intake::AsItIs) | (Intake::E4m3, Intake::E4m3));
    let of_one_form = std::ptr::eq(a.format, b.format) && a.book == b.book && a.threshold == b.threshold;
    of_one_form && taken_in_alike && a.shape[1] == b.shape[1] && a.group == b.group
}

/// Moves weights that are multiplied with the same rows one below the other, where they are of one format and one kernel sees them all.
/// Others stay where they are. Whether they were moved; what they took is given back when nobody else holds it.
pub fn join(gpu: &Gpu, weights: &mut [&mut Weight]) -> bool {
    let seen: Vec<&Weight> = weights.iter().map(|weight| &**weight).collect();
    let Some((first, others)) = seen.split_first() else { return false };
    let whole = seen.iter().all(|weight| weight.parts.len() == 1);
    let bytes: u64 = seen.iter().map(|weight| weight.bytes() as u64).sum();
    if !whole || !others.iter().all(|other| alike(first, other)) || bytes > gpu.max_binding() || joined(&seen).is_some() {
        return false;
    }
    let stretches = |per_row: fn(&Weight) -> usize, of: fn(&Part) -> &Words| -> Vec<_> {
        let stretch = |weight: &&Weight| {
            let (part, per_row) = (&weight.parts[0], per_row(weight));
            (Arc::clone(&of(part).memory), part.above * per_row..(part.above + part.rows) * per_row)
        };
        seen.iter().map(stretch).collect()
    };
    gpu.want(&first.format.kernels(gpu, seen.iter().map(|weight| weight.shape[0]).sum()));
    let words = gather(gpu, &stretches(Weight::words_per_row, |part| &part.words));
    // Scales, in formats that have some; a format has them in each of its weights.
    let scales = (first.scales_per_row() > 0)
        .then(|| gather(gpu, &stretches(Weight::scales_per_row, |part| part.scales.as_ref().unwrap_or(&part.words))));
    let mut above = 0;
    for weight in weights.iter_mut() {
        for part in &mut weight.parts {
            (part.above, part.words, part.scales) = (above, words.clone(), scales.clone());
            above += part.rows;
        }
    }
    true
}

/// As [`join`], for matrices of one row, side by side: biases.
///
/// # Panics
/// When one has more rows.
pub fn join_rows(gpu: &Gpu, rows: &mut [&mut Rows]) {
    assert!(rows.iter().all(|rows| rows.height == 1), "rows side by side");
    let seen: Vec<&Rows> = rows.iter().map(|rows| &**rows).collect();
    if joined_rows(&seen).is_some() {
        return;
    }
    let parts: Vec<_> = seen.iter().map(|rows| (Arc::clone(&rows.memory), rows.start..rows.start + rows.width)).collect();
    let memory = gather(gpu, &parts).memory;
    let mut start = 0;
    for rows in rows {
        (rows.memory, rows.start) = (Arc::clone(&memory), start);
        start += rows.width;
    }
}

/// Stretches of words in one memory that stays.
fn gather(gpu: &Gpu, parts: &[(Arc<Allocation>, Range<usize>)]) -> Words {
    let len = parts.iter().map(|(_, range)| range.len()).sum();
    let memory = gpu.0.pool.keep(&gpu.0.device, 4 * len as u64);
    let mut to = 0;
    for (from, range) in parts {
        gpu.copy_words(from, range.clone(), &memory, to);
        to += range.len();
    }
    // Until it is sent off, what was copied is held as well.
    gpu.submit();
    Words { memory, len }
}
