//! The picture while it is decoded: its components and their coefficients or samples.

use super::{Problem, idct, smoothing};

/// Samples along one side of a block.
pub(super) const SIDE: usize = 8;

/// The coefficients of a block, row by row.
pub(super) type Block = [i16; 64];

/// A frame header and what has been decoded of it.
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// Largest sampling factors of any component.
    pub(super) most: (usize, usize),
    /// Whether the data of the latest scan ended early.
    pub(super) cut: bool,
    scans: usize,
}

/// One colour component.
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors, horizontal and vertical.
    pub(super) sampling: (usize, usize),
    /// Which quantization table it names.
    pub(super) table: usize,
    /// The table as it was when the component's first scan began, row by row.
    pub(super) quantization: Option<[u16; 64]>,
    /// Samples that belong to the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks that belong to the picture.
    pub(super) blocks: (usize, usize),
    /// Blocks of a row as stored: whole minimum coded units.
    pub(super) stride: usize,
    rows: usize,
    /// Row by row; empty where blocks are turned into samples at once.
    pub(super) coefficients: Vec<Block>,
    /// Progressive: up to which bit each coefficient is known, -1 for not at all.
    pub(super) known: [i32; 64],
    /// `stride * 8` samples a row.
    pub(super) samples: Vec<u8>,
}

impl Frame {
    /// A frame of `(id, sampling factors, table)` per component.
    pub(super) fn new(progressive: bool, (width, height): (usize, usize), parts: &[(u8, (usize, usize), usize)]) -> Self {
        let most = parts.iter().fold((1, 1), |most, (_, (h, v), _)| (most.0.max(*h), most.1.max(*v)));
        let units = (width.div_ceil(most.0 * SIDE), height.div_ceil(most.1 * SIDE));
        let components = parts.iter().map(|&(id, sampling, table)| {
            let (part_width, part_height) = ((width * sampling.0).div_ceil(most.0), (height * sampling.1).div_ceil(most.1));
            Component {
                id,
                sampling,
                table,
                quantization: None,
                width: part_width,
                height: part_height,
                blocks: (part_width.div_ceil(SIDE), part_height.div_ceil(SIDE)),
                stride: units.0 * sampling.0,
                rows: units.1 * sampling.1,
                coefficients: Vec::new(),
                known: [-1; 64],
                samples: Vec::new(),
            }
        });
        Self { progressive, width, height, components: components.collect(), most, cut: false, scans: 0 }
    }

    /// Minimum coded units of a scan of several components, across and down.
    pub(super) fn units(&self) -> (usize, usize) {
        (self.width.div_ceil(self.most.0 * SIDE), self.height.div_ceil(self.most.1 * SIDE))
    }

    pub(super) fn scanned(&self) -> bool {
        self.scans > 0
    }

    /// Makes room for the first scan. Whether it is the only one is known from its number of components: then blocks become samples
    /// as they are read.
    pub(super) fn begin_scan(&mut self, components: usize) -> Result<(), Problem> {
        let only = !self.progressive && components == self.components.len();
        if self.scans == 0 {
            for part in &mut self.components {
                let blocks = part.stride * part.rows;
                reserve(&mut part.samples, blocks * SIDE * SIDE, 0)?;
                if !only {
                    reserve(&mut part.coefficients, blocks, [0; SIDE * SIDE])?;
                }
            }
        } else if self.components.iter().all(|part| part.coefficients.is_empty()) {
            return Err("has a second scan where one holds all".to_owned());
        }
        self.scans += 1;
        Ok(())
    }

    /// Turns coefficients that were kept into samples.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        let smooth = self.progressive && smoothing::applies(&self.components);
        if smooth && self.cut {
            return Err("is a progressive JPEG without its last scans, and damaged in the last that it has".to_owned());
        }
        for part in &mut self.components {
            if part.coefficients.is_empty() {
                continue;
            }
            if smooth {
                smoothing::smooth(part);
            }
            let coefficients = std::mem::take(&mut part.coefficients);
            for (index, block) in coefficients.iter().enumerate() {
                part.put(index, block);
            }
        }
        Ok(())
    }
}

impl Component {
    /// The samples of a block.
    pub(super) fn put(&mut self, index: usize, block: &Block) {
        // libjpeg leaves a component without a scan at zero, whatever its table.
        let quantization = self.quantization.unwrap_or([0; 64]);
        let pitch = self.stride * SIDE;
        let at = index / self.stride * SIDE * pitch + index % self.stride * SIDE;
        idct::inverse(block, &quantization, &mut self.samples[at..], pitch);
    }

    /// A row of samples that belong to the picture.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride * SIDE..][..self.width]
    }
}

/// Fills an empty vector, or says that there is no room for it.
fn reserve<T: Clone>(values: &mut Vec<T>, length: usize, value: T) -> Result<(), Problem> {
    values.try_reserve_exact(length).map_err(|_| format!("needs {length} values of memory that is not there"))?;
    values.resize(length, value);
    Ok(())
}
