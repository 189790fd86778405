//! Products by matrix units: f16 in, sums in `f32`. A weight that is kept as f16 is read as it is; activations are rounded to f16 row by row.
//!
//! That rounding is what such a product differs by from the others: by at most half a unit in the eleventh binary digit of each activation,
//! which is what every program does that computes in f16. So a device does it only where it is told to ([`MatrixUnits`]), and says so.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Who multiplies matrices of 16 × 16 where a device was opened with matrix units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixUnits {
    /// Those of the device, through cooperative matrices.
    Cooperative,
    /// Nobody: kernels without them compute the same, slowly, on every device. For tests, and to find out what the rounding does to answers.
    Plain,
}

/// Reads `x`; writes `rounded` and `scales`.
static ROUND: Kernel = Kernel { name: "units_round", source: &[include_str!("units_round.wgsl")], reads: 1, writes: 2 };

/// Bindings as of every product: in the places of scales and of rounded x are those that [`ROUND`] writes.
const fn product(name: &'static str, source: &'static [&'static str]) -> Kernel {
    Kernel { name, source, reads: 6, writes: 1 }
}

static COOPERATIVE: Kernel = product(
    "units_cooperative",
    &[
        include_str!("units_cooperative.wgsl"),
        include_str!("product.wgsl"),
        include_str!("units.wgsl"),
        include_str!("units_main_cooperative.wgsl"),
    ],
);

static PLAIN: Kernel = product(
    "units_plain",
    &[include_str!("units_plain.wgsl"), include_str!("product.wgsl"), include_str!("units.wgsl"), include_str!("units_main_plain.wgsl")],
);

/// Rows and columns that a workgroup takes.
pub(super) const TILE: usize = 128;
/// Bytes that a workgroup shares: two tiles of 128 rows of 80 bytes, and 16 × 16 sums of each of eight subgroups.
pub(crate) const SHARED_BYTES: u32 = 2 * 128 * 80 + 8 * 1024;
/// Lanes of the subgroups that the kernel is written for.
pub(crate) const LANES: u32 = 32;

impl MatrixUnits {
    /// The product's kernel.
    pub(super) fn kernel(self) -> &'static Kernel {
        match self {
            Self::Cooperative => &COOPERATIVE,
            Self::Plain => &PLAIN,
        }
    }

    /// Every kernel that such products need.
    pub fn kernels(self) -> [&'static Kernel; 2] {
        [&ROUND, self.kernel()]
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    pitch: u32,
    width: u32,
    rows: u32,
    packs: u32,
}

/// `x` in f16, in whole packs of eight columns, and what the sums of each of its rows are to be multiplied with.
pub(super) fn round(gpu: &Gpu, x: &Rows) -> [Rows; 2] {
    let [rows, width] = x.dims();
    let packs = width.div_ceil(8);
    let (rounded, scales) = (gpu.empty([rows, 4 * packs]), gpu.empty([1, rows]));
    let numbers = Numbers { x: x.start as u32, pitch: x.pitch as u32, width: width as u32, rows: rows as u32, packs: packs as u32 };
    gpu.launch(&ROUND, &[x.into()], &[(&rounded).into(), (&scales).into()], numbers, super::spread(rows));
    [rounded, scales]
}
