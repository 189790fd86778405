//! Products of activations and weights.

use std::borrow::Cow;

use bytemuck::{Pod, Zeroable};

use super::{
    Weight,
    join::{joined, joined_rows},
    weight::Intake,
};
use crate::{Gpu, Kernel, Rows, queue::Bound};

/// Most rows of x for which reading the weight takes longer than multiplying: there the few-rows kernel is faster.
const FEW: usize = 8;
/// Rows and columns of `y` that a workgroup of the few-rows kernel takes.
const BLOCK: usize = 4;
/// Those that a workgroup of the tiled kernel takes.
const TILE: usize = 64;
/// Those that a workgroup of the tiled kernel for large products takes.
const LARGE_TILE: usize = 128;
/// Fewest rows of a weight that the large tiles are for, and fewest of these tiles: with fewer, small ones fill more of a GPU.
pub(super) const LARGE: usize = 1024;
const LARGE_TILES: usize = 96;
/// Bytes that such a workgroup shares: 256 rows of five vectors of four numbers.
pub(super) const LARGE_SHARED: u32 = 256 * 5 * 16;

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
    above: u32,
    outs: u32,
    packs: u32,
    group: u32,
    added: u32,
    count: u32,
    book: u32,
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
    product_into(gpu, x, weight, epilogue, &y);
    y
}

/// A weight, and what is added to every row of a product with it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[out, in]`
    pub weight: &'a Weight,
    /// `[1, out]`
    pub bias: Option<&'a Rows>,
}

/// The products of one `x` with several layers, side by side in one matrix whose columns they are: in one launch where the weights were
/// [joined](super::join()), and the biases if there are any. The bits are those of [`product`].
///
/// # Panics
/// As [`product`].
pub fn products<const N: usize>(gpu: &Gpu, x: &Rows, layers: [Layer<'_>; N]) -> [Rows; N] {
    let mut width = 0;
    let ranges = layers.map(|layer| {
        width += layer.weight.shape()[0];
        width - layer.weight.shape()[0]..width
    });
    let y = gpu.empty([x.dims()[0], width]);
    let columns = ranges.map(|range| y.columns(range));
    let biases: Vec<&Rows> = layers.iter().filter_map(|layer| layer.bias).collect();
    let bias = joined_rows(&biases);
    // Of each a bias or of none, and one behind the other.
    let at_once = if biases.is_empty() || (biases.len() == N && bias.is_some()) { joined(&layers.map(|layer| layer.weight)) } else { None };
    if let Some(weight) = at_once {
        product_into(gpu, x, &weight, &Epilogue { bias: bias.as_ref(), residual: None }, &y);
    } else {
        for (Layer { weight, bias }, y) in layers.into_iter().zip(&columns) {
            product_into(gpu, x, weight, &Epilogue { bias, residual: None }, y);
        }
    }
    columns
}

/// As [`product`], into `y [rows, out]`, which may be columns of a wider matrix: its other columns stay as they are.
///
/// # Panics
/// When the shapes do not fit, or `y` shares memory with what is read.
pub fn product_into(gpu: &Gpu, x: &Rows, weight: &Weight, epilogue: &Epilogue<'_>, y: &Rows) {
    let ([rows, width], [out, input]) = (x.dims(), weight.shape());
    assert_eq!(width, input, "columns of x and of the weight {:?}", weight.shape());
    assert_eq!(y.dims(), [rows, out], "a product");
    let Epilogue { bias, residual } = *epilogue;
    assert!(bias.is_none_or(|bias| bias.dims() == [1, out]), "a bias {:?} of {out} columns", bias.map(Rows::dims));
    assert!(residual.is_none_or(|rest| rest.dims() == [rows, out]), "a residual {:?} of [{rows}, {out}]", residual.map(Rows::dims));

    let way = Way::of(gpu, x, weight);
    let x = &way.x;
    // What a launch does not need is bound all the same: x is as good as anything.
    let start = |rows: Option<&Rows>| rows.map_or(0, Rows::start);
    for part in &weight.parts {
        let count = rows.div_ceil(way.tile) * part.rows.div_ceil(way.tile);
        let numbers = Numbers {
            x: (x.start() / 4) as u32,
            bias: (start(bias) + part.first) as u32,
            residual: (start(residual) + part.first) as u32,
            y: (y.start + part.first) as u32,
            residual_pitch: residual.map_or(out, |rest| rest.pitch) as u32,
            y_pitch: y.pitch as u32,
            rows: rows as u32,
            above: part.above as u32,
            outs: part.rows as u32,
            packs: weight.packs() as u32,
            group: weight.group as u32,
            added: u32::from(bias.is_some()) + 2 * u32::from(residual.is_some()),
            count: count as u32,
            book: weight.book as u32,
        };
        let scales = way.scales.as_ref().map(Bound::from).or(part.scales.as_ref().map(Bound::from)).unwrap_or((&part.words).into());
        let [rounded, bias, residual] = [way.rounded.as_ref(), bias, residual].map(|rows| rows.unwrap_or(x).into());
        let reads = [(&**x).into(), (&part.words).into(), scales, rounded, bias, residual];
        gpu.launch(way.kernel, &reads, &[y.into()], numbers, super::spread(count));
    }
}

/// How a product is computed: by its shape and its weight's format, and on devices that are told so by matrix units.
struct Way<'a> {
    kernel: &'static Kernel,
    /// Rows and columns of a workgroup.
    tile: usize,
    x: Cow<'a, Rows>,
    /// x as it is multiplied, where that is not as it is.
    rounded: Option<Rows>,
    /// Of rounded x, a number a row, where they are not among it.
    scales: Option<Rows>,
}

impl<'a> Way<'a> {
    fn of(gpu: &Gpu, x: &'a Rows, weight: &Weight) -> Self {
        let (format, [rows, _], out) = (weight.format, x.dims(), weight.shape()[0]);
        if let Some(units) = gpu.matrix_units().filter(|_| format.for_units && rows > FEW) {
            let [rounded, scales] = super::units::round(gpu, x);
            let (x, tile) = (Cow::Borrowed(x), super::units::TILE);
            return Self { kernel: units.kernel(), tile, x, rounded: Some(rounded), scales: Some(scales) };
        }
        let room = gpu.shared() >= LARGE_SHARED;
        let large = || room && out >= LARGE && rows.div_ceil(LARGE_TILE) * out.div_ceil(LARGE_TILE) >= LARGE_TILES;
        let (kernel, tile) = match &format.large {
            _ if rows <= FEW => (&format.few, BLOCK),
            Some(kernel) if large() => (kernel, LARGE_TILE),
            _ => (&format.tiled, TILE),
        };
        let x = match taken_in(gpu, x, &weight.intake) {
            None => in_packs(gpu, x, format.columns),
            Some(x) => Cow::Owned(in_packs(gpu, &x, format.columns).into_owned()),
        };
        let rounded = weight.threshold.map(|threshold| super::int8::round(gpu, &x, threshold));
        Self { kernel, tile, x, rounded, scales: None }
    }
}

/// What a weight makes of `x` before it is multiplied; `None` where that is `x`.
fn taken_in(gpu: &Gpu, x: &Rows, intake: &Intake) -> Option<Rows> {
    match intake {
        Intake::AsItIs => None,
        Intake::Ordered(order) => Some(super::place::columns(gpu, x, order)),
        Intake::E4m3 => Some(super::e4m3::round(gpu, x)),
        Intake::Scaled(by) => Some(super::multiply(gpu, x, by)),
    }
}

/// `x` itself where kernels can read whole packs of `columns` from it, else a copy whose rows are padded with zeros.
fn in_packs<'a>(gpu: &Gpu, x: &'a Rows, columns: usize) -> Cow<'a, Rows> {
    let [_, width] = x.dims();
    // Four numbers are read at once.
    if width.is_multiple_of(columns) && x.start().is_multiple_of(4) && x.is_dense() {
        return Cow::Borrowed(x);
    }
    Cow::Owned(super::place::padded(gpu, x, width.next_multiple_of(columns)))
}
