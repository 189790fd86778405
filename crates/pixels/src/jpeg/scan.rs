//! Scans: entropy-coded data to coefficients, sequential (`jdhuff.c`) and progressive (`jdphuff.c`).

use super::frame::{Block, Frame};
use super::huffman::{Bits, Cut, Kind, Table};
use super::markers::{Headers, Scan, ZIGZAG};
use super::{Problem, standard};

/// Most blocks that a minimum coded unit may hold.
const MOST_BLOCKS: usize = 10;

/// What a scan says about its coefficients.
#[derive(Clone, Copy)]
enum Coding {
    Sequential,
    DcFirst { low: u32 },
    DcMore { low: u32 },
    AcFirst { first: usize, last: usize, low: u32 },
    AcMore { first: usize, last: usize, low: u32 },
}

/// Decodes the scan that begins where the headers stand.
pub(super) fn decode(frame: &mut Frame, scan: &Scan, headers: &mut Headers<'_>) -> Result<(), Problem> {
    let coding = Coding::of(frame.progressive, scan)?;
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    for &(id, dc, ac) in &scan.parts {
        let index = frame.components.iter().position(|part| part.id == id);
        let index = index.filter(|index| !parts.iter().any(|(known, ..)| known == index));
        parts.push((index.ok_or_else(|| format!("has a scan of component {id}, which the frame has not or the scan has twice"))?, dc, ac));
    }
    for (index, ..) in &parts {
        let part = &mut frame.components[*index];
        if part.quantization.is_none() {
            let table = headers.quantization.get(part.table).copied().flatten();
            part.quantization = Some(table.ok_or_else(|| format!("lacks the quantization table {} of component {}", part.table, part.id))?);
        }
        coding.note(&mut part.known);
    }
    if !frame.progressive {
        standard::fill(&mut headers.dc, &mut headers.ac)?;
    }
    let tables = parts.iter().map(|&(_, dc, ac)| coding.tables(headers, dc, ac)).collect::<Result<Vec<_>, _>>()?;
    frame.begin_scan(parts.len())?;

    let mut bits = Bits::new(headers.bytes, headers.position);
    let mut state = State { dc: [0; 4], run: 0 };
    let (units, blocks) = plan(frame, &parts)?;
    let mut left = headers.restart;
    let mut number = 0;
    for down in 0..units.1 {
        for across in 0..units.0 {
            if headers.restart > 0 {
                if left == 0 {
                    bits.restart(number)?;
                    number = (number + 1) & 7;
                    state = State { dc: [0; 4], run: 0 };
                    left = headers.restart;
                }
                left -= 1;
            }
            let skipped = bits.starved;
            for &(slot, step, (x, y)) in &blocks {
                let part = &mut frame.components[parts[slot].0];
                let index = (down * step.1 + y) * part.stride + across * step.0 + x;
                if part.coefficients.is_empty() {
                    let mut block = [0; 64];
                    if !skipped {
                        coding.block(&mut block, &tables[slot], &mut state, slot, &mut bits)?;
                    }
                    part.put(index, &block);
                } else if !skipped {
                    coding.block(&mut part.coefficients[index], &tables[slot], &mut state, slot, &mut bits)?;
                }
            }
        }
    }
    frame.cut = bits.starved;
    headers.position = bits.position;
    headers.pending = bits.marker;
    Ok(())
}

/// How many minimum coded units there are, and the blocks of one: which of the scan's components, how many blocks of it a unit
/// has, and which of them.
type Plan = ((usize, usize), Vec<(usize, (usize, usize), (usize, usize))>);

fn plan(frame: &Frame, parts: &[(usize, usize, usize)]) -> Result<Plan, Problem> {
    if let [(only, ..)] = parts {
        return Ok((frame.components[*only].blocks, vec![(0, (1, 1), (0, 0))]));
    }
    let mut blocks = Vec::new();
    for (slot, (index, ..)) in parts.iter().enumerate() {
        let (h, v) = frame.components[*index].sampling;
        blocks.extend((0..v).flat_map(|y| (0..h).map(move |x| (slot, (h, v), (x, y)))));
    }
    if blocks.len() > MOST_BLOCKS {
        return Err(format!("has {} blocks in a unit, more than the {MOST_BLOCKS} that JPEG allows", blocks.len()));
    }
    Ok((frame.units(), blocks))
}

/// What is carried from block to block.
struct State {
    dc: [i32; 4],
    /// Blocks of which nothing more comes.
    run: u32,
}

/// The tables of one component.
#[derive(Clone, Copy, Default)]
struct Tables<'a> {
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
}

impl Coding {
    fn of(progressive: bool, scan: &Scan) -> Result<Self, Problem> {
        if !progressive {
            // The band of a sequential scan is not looked at.
            return Ok(Self::Sequential);
        }
        let ((first, last), (high, low)) = (scan.band, scan.bits);
        let band = if first == 0 { last == 0 } else { first <= last && last < 64 && scan.parts.len() == 1 };
        if !band || (high != 0 && low + 1 != high) || low > 13 {
            return Err(format!("has a progressive scan of coefficients {first} to {last}, bits {high} to {low}"));
        }
        Ok(match (first, high) {
            (0, 0) => Self::DcFirst { low },
            (0, _) => Self::DcMore { low },
            (_, 0) => Self::AcFirst { first, last, low },
            _ => Self::AcMore { first, last, low },
        })
    }

    /// Notes up to which bit coefficients are known after this scan.
    fn note(self, known: &mut [i32; 64]) {
        match self {
            Self::Sequential => known.fill(0),
            Self::DcFirst { low } | Self::DcMore { low } => known[0] = low as i32,
            Self::AcFirst { first, last, low } | Self::AcMore { first, last, low } => known[first..=last].fill(low as i32),
        }
    }

    fn tables<'a>(self, headers: &'a Headers<'_>, dc: usize, ac: usize) -> Result<Tables<'a>, Problem> {
        let find = |kind: Kind, tables: &'a [Option<Table>; 4], which: usize| {
            let table = tables.get(which).and_then(Option::as_ref);
            let name = if kind == Kind::Dc { "DC" } else { "AC" };
            let table = table.ok_or_else(|| format!("lacks the {name} Huffman table {which}"))?;
            if table.is_sound() { Ok(Some(table)) } else { Err(format!("has a {name} Huffman table {which} with sizes above 15")) }
        };
        Ok(match self {
            Self::Sequential => Tables { dc: find(Kind::Dc, &headers.dc, dc)?, ac: find(Kind::Ac, &headers.ac, ac)? },
            Self::DcFirst { .. } => Tables { dc: find(Kind::Dc, &headers.dc, dc)?, ac: None },
            Self::DcMore { .. } => Tables::default(),
            Self::AcFirst { .. } | Self::AcMore { .. } => Tables { dc: None, ac: find(Kind::Ac, &headers.ac, ac)? },
        })
    }

    fn block(self, block: &mut Block, tables: &Tables<'_>, state: &mut State, slot: usize, bits: &mut Bits<'_>) -> Result<(), Cut> {
        match (self, tables.dc, tables.ac) {
            (Self::Sequential, Some(dc), Some(ac)) => {
                block[0] = difference(dc, state, slot, bits)? as i16;
                let mut k = 1;
                while k < 64 {
                    let value = bits.value(ac)?;
                    let (run, size) = (usize::from(value >> 4), u32::from(value & 15));
                    if size > 0 {
                        k += run;
                        block[place(k)] = bits.signed(size)? as i16;
                    } else if run == 15 {
                        k += 15;
                    } else {
                        break;
                    }
                    k += 1;
                }
            }
            (Self::DcFirst { low }, Some(dc), _) => block[0] = (difference(dc, state, slot, bits)? << low) as i16,
            (Self::DcMore { low }, ..) => block[0] |= (bits.take(1)? << low) as i16,
            (Self::AcFirst { first, last, low }, _, Some(ac)) => ac_first(block, ac, state, bits, (first, last), low)?,
            (Self::AcMore { first, last, low }, _, Some(ac)) => ac_more(block, ac, state, bits, (first, last), low)?,
            // `tables` has found what each coding needs
            _ => {}
        }
        Ok(())
    }
}

fn difference(table: &Table, state: &mut State, slot: usize, bits: &mut Bits<'_>) -> Result<i32, Cut> {
    let size = bits.value(table)?;
    state.dc[slot] = state.dc[slot].wrapping_add(bits.signed(u32::from(size))?);
    Ok(state.dc[slot])
}

/// Where the coefficient of this number stands; numbers past the last one are the last, as in libjpeg.
fn place(k: usize) -> usize {
    usize::from(ZIGZAG[k.min(63)])
}

/// The number of blocks that a code for "no more of this band" speaks of.
fn end_of_band(run: u32, bits: &mut Bits<'_>) -> Result<u32, Cut> {
    Ok((1 << run) + bits.take(run)?)
}

fn ac_first(block: &mut Block, table: &Table, state: &mut State, bits: &mut Bits<'_>, band: (usize, usize), low: u32) -> Result<(), Cut> {
    if state.run > 0 {
        state.run -= 1;
        return Ok(());
    }
    let mut k = band.0;
    while k <= band.1 {
        let value = bits.value(table)?;
        let (run, size) = (value >> 4, u32::from(value & 15));
        if size > 0 {
            k += usize::from(run);
            block[place(k)] = (bits.signed(size)? << low) as i16;
        } else if run == 15 {
            k += 15;
        } else {
            state.run = end_of_band(u32::from(run), bits)? - 1;
            break;
        }
        k += 1;
    }
    Ok(())
}

fn ac_more(block: &mut Block, table: &Table, state: &mut State, bits: &mut Bits<'_>, band: (usize, usize), low: u32) -> Result<(), Cut> {
    let bit = 1_i16 << low;
    let mut k = band.0;
    if state.run == 0 {
        while k <= band.1 {
            let value = bits.value(table)?;
            let (mut run, size) = (value >> 4, value & 15);
            // A new coefficient has one bit; libjpeg takes any other size for it.
            let new = if size > 0 {
                if bits.take(1)? == 1 { bit } else { -bit }
            } else {
                if run < 15 {
                    state.run = end_of_band(u32::from(run), bits)?;
                    break;
                }
                0
            };
            while k <= band.1 {
                let known = &mut block[place(k)];
                if *known != 0 {
                    correct(known, bit, bits)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if new != 0 {
                block[place(k)] = new;
            }
            k += 1;
        }
    }
    if state.run > 0 {
        for k in k..=band.1 {
            let known = &mut block[place(k)];
            if *known != 0 {
                correct(known, bit, bits)?;
            }
        }
        state.run -= 1;
    }
    Ok(())
}

/// One more bit of a coefficient that is known to be other than 0.
fn correct(known: &mut i16, bit: i16, bits: &mut Bits<'_>) -> Result<(), Cut> {
    if bits.take(1)? == 1 && *known & bit == 0 {
        *known = known.wrapping_add(if *known >= 0 { bit } else { -bit });
    }
    Ok(())
}
