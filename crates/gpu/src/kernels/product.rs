//! Products of activations and weights.

use std::borrow::Cow;

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, kernels::Weight};

/// Reads `x`; writes `y`.
pub(crate) static PAD: Kernel = Kernel { name: "pad", source: &[include_str!("pad.wgsl")], reads: 1, writes: 1 };

/// Most rows of x for which reading the weight takes longer than multiplying: there the few-rows kernel is faster.
const FEW: usize = 8;
/// Rows and columns of `y` that a workgroup of the few-rows kernel takes.
const BLOCK: usize = 4;
/// Those that a workgroup of the tiled kernel takes.
const TILE: usize = 64;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    bias: u32,
    residual: u32,
    y: u32,
    residual_pitch: u32,
    y_pitch: u32,
    rows: u32,
    outs: u32,
    packs: u32,
    group: u32,
    added: u32,
    count: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PadNumbers {
    x: u32,
    width: u32,
    padded: u32,
    numbers: u32,
}

/// What is added to a product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// To every row, `[1, out]`.
    pub bias: Option<&'a Rows>,
    /// Number by number, `[rows, out]`.
    pub residual: Option<&'a Rows>,
}

/// `x Wᵀ + bias + residual`, `[rows, out]`, of `x [rows, in]` and a weight `W [out, in]`.
///
/// The sums are in `f32`, but for those of LLM.int8() ([`Weight::int8`]). Of up to eight rows, a row's numbers have the same bits whichever rows
/// share its call; so they have of more than eight. The two cases add up in different order.
///
/// # Panics
/// When the shapes do not fit.
pub fn product(gpu: &Gpu, x: &Rows, weight: &Weight, epilogue: &Epilogue<'_>) -> Rows {
    let y = gpu.empty([x.dims()[0], weight.shape()[0]]);
    product_into(gpu, x, weight, epilogue, &y, 0);
    y
}

/// As [`product`], into the columns of `y` that begin at `column`; the other columns stay as they are. So queries, keys and values stand side by
/// side in one matrix.
///
/// # Panics
/// When the shapes do not fit, or `y` shares memory with what is read.
pub fn product_into(gpu: &Gpu, x: &Rows, weight: &Weight, epilogue: &Epilogue<'_>, y: &Rows, column: usize) {
    let ([rows, width], [out, input]) = (x.dims(), weight.shape());
    assert_eq!(width, input, "columns of x and of the weight {:?}", weight.shape());
    assert!(y.dims()[0] == rows && column + out <= y.dims()[1], "a product [{rows}, {out}] at column {column} of {:?}", y.dims());
    let Epilogue { bias, residual } = *epilogue;
    assert!(bias.is_none_or(|bias| bias.dims() == [1, out]), "a bias {:?} of {out} columns", bias.map(Rows::dims));
    assert!(residual.is_none_or(|rest| rest.dims() == [rows, out]), "a residual {:?} of [{rows}, {out}]", residual.map(Rows::dims));

    let format = weight.format;
    let x = &*in_packs(gpu, x, format.columns);
    let rounded = weight.threshold.map(|threshold| super::int8::round(gpu, x, threshold));
    let (kernel, tile) = if rows <= FEW { (&format.few, BLOCK) } else { (&format.tiled, TILE) };
    // What a launch does not need is bound all the same: x is as good as anything.
    let start = |rows: Option<&Rows>| rows.map_or(0, Rows::start);
    for part in &weight.parts {
        let count = rows.div_ceil(tile) * part.rows.div_ceil(tile);
        let numbers = Numbers {
            x: (x.start() / 4) as u32,
            bias: (start(bias) + part.first) as u32,
            residual: (start(residual) + part.first) as u32,
            y: (y.start() + column + part.first) as u32,
            residual_pitch: out as u32,
            y_pitch: y.dims()[1] as u32,
            rows: rows as u32,
            outs: part.rows as u32,
            packs: weight.packs() as u32,
            group: weight.group as u32,
            added: u32::from(bias.is_some()) + 2 * u32::from(residual.is_some()),
            count: count as u32,
        };
        let scales = part.scales.as_ref().unwrap_or(&part.words);
        let [rounded, bias, residual] = [rounded.as_ref(), bias, residual].map(|rows| rows.unwrap_or(x).into());
        let reads = [x.into(), (&part.words).into(), scales.into(), rounded, bias, residual];
        gpu.launch(kernel, &reads, &[y.into()], numbers, super::spread(count));
    }
}

/// `x` itself where kernels can read whole packs of `columns` from it, else a copy whose rows are padded with zeros.
fn in_packs<'a>(gpu: &Gpu, x: &'a Rows, columns: usize) -> Cow<'a, Rows> {
    let [rows, width] = x.dims();
    // Four numbers are read at once.
    if width.is_multiple_of(columns) && x.start().is_multiple_of(4) {
        return Cow::Borrowed(x);
    }
    let copy = gpu.empty([rows, width.next_multiple_of(columns)]);
    let [_, padded] = copy.dims();
    let numbers = PadNumbers { x: x.start() as u32, width: width as u32, padded: padded as u32, numbers: (rows * padded) as u32 };
    gpu.launch(&PAD, &[x.into()], &[(&copy).into()], numbers, super::spread((rows * padded).div_ceil(64)));
    Cow::Owned(copy)
}
