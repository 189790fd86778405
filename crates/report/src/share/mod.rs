//! The share link: a whole report in the fragment of an address, which no server ever sees.
//!
//! `<page>#r=<payload>`, where the payload is base64url of
//!
//! ```text
//! version byte | deflate(postcard(wire form)) | CRC-32 of everything before it, little endian
//! ```
//!
//! and the wire form of version 2 is that of version 1 with what was done to the images behind it, that of version 3 the same with controls, ties and
//! flagged answers behind it, that of version 4 the same with what was left out of the run behind it. Links are written in version 3, or in version 4 where
//! something was left out, so that older pages read what they can; all four are read.
//!
//! The link carries outcomes, from which rates, intervals and tests are derived anew, the words of the answers as far as the budget allows, plan and
//! costs. Questions that belong to a suite which every reader can draw from its seed are carried as positions in it. What a link never carries:
//! margins, divergences and candidates of single answers ([`FirstToken`](crate::FirstToken) says what they come to).
//!
//! Reading takes bytes from anywhere: their number is capped before and while they are inflated, the checksum is compared before anything is inflated,
//! and every index, length and number is checked. A link says once what a report says many times, so every text has a longest length, and what the
//! report takes in memory is added up before any of it is made ([`MOST_EXPANDED`]). Writing keeps to the same limits. postcard: <https://postcard.jamesmunns.com/wire-format>, deflate: RFC 1951.

mod wire;

pub(crate) use wire::NOT_CARRIED;

use std::io::{Read, Write};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::error::ReportError;
use crate::measurements::{AnswerRow, QuestionKind, QuestionRow};
use crate::report::Report;

/// What stands before the payload in an address.
pub const FRAGMENT: &str = "r=";

/// Length in characters that a payload keeps to while it has words to leave out.
pub const BUDGET: usize = 8_000;

/// Most characters of a payload: what browsers still take in an address. Outcomes alone that need more are for a `report.json`.
pub const LONGEST: usize = 64_000;

/// Version of a link about clean images alone, with one control at most.
const CLEAN: u8 = 1;

/// Version of a link about perturbed images too.
const PERTURBED: u8 = 2;

/// Version of a link with any number of controls, of a run that left nothing out.
const CONTROLLED: u8 = 3;

/// Version of a link of a run that left accelerations out. Another layout is another number.
const INCOMPLETE: u8 = 4;

/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// Most bytes that a payload inflates to: about twenty times what the longest one does in earnest.
const MOST_INFLATED: u64 = 1 << 20;

/// Most bytes that a link's report may take in memory, rows and summaries together. The most answers that a link holds take a third of it.
pub const MOST_EXPANDED: u64 = 64 << 20;

/// A question as asked, without an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteQuestion {
    /// Identity, unique in its suite.
    pub id: String,
    /// Task family.
    pub family: String,
    /// Identity of the image.
    pub image: String,
    /// The question as asked.
    pub text: String,
    /// Accepted answers.
    pub gold: Vec<String>,
    /// How it is answered.
    pub kind: QuestionKind,
    /// How much it counts beside others, above 0.
    pub weight: f64,
}

impl SuiteQuestion {
    /// The question's row in a report, given the baseline's answer to it about the clean image.
    pub fn answered(self, baseline: AnswerRow) -> QuestionRow {
        let Self { id, family, image, text, gold, kind, weight } = self;
        QuestionRow { id, family, image, perturbation: None, text, gold, kind, weight, baseline }
    }
}

/// A suite that a reader may be able to draw again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Name of the benchmark.
    pub name: String,
    /// Fingerprint of all its questions and images.
    pub fingerprint: String,
    /// Number of its questions; a report may have asked fewer.
    pub size: usize,
}

/// A report as a link carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Base64url text, to be put behind `#r=`.
    pub payload: String,
    /// Number of questions with a changed answer whose words did not fit; one counts anew under every perturbation.
    pub left_out: usize,
}

/// A report out of a link.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedReport {
    /// The report: its outcomes and all that follows from them are those of the report that was shared.
    pub report: Report,
    /// The suite that its questions belong to, if they were carried as positions in one.
    pub suite: Option<Suite>,
    /// Whether that suite was drawn again, and with it the words of the questions.
    pub rebuilt: bool,
    /// Number of questions with a changed answer whose words were left out of the link; one counts anew under every perturbation.
    pub left_out: usize,
}

/// Why a report does not fit into a link, or why a text is not a link.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Nothing behind `r=`.
    #[error("the link carries no report")]
    Empty,
    /// Longer than any link.
    #[error("the link's report has {found} characters, more than the {LONGEST} that a link may have")]
    TooLong {
        /// Characters found.
        found: usize,
    },
    /// A character that base64url does not have, or a length that it cannot have.
    #[error("the link is damaged: {0}")]
    Base64(base64::DecodeError),
    /// Its end is missing.
    #[error("the link is cut off: its end is missing, as where a program broke it into lines; copy all of it")]
    Cut,
    /// Too few bytes for version and checksum.
    #[error("the link is cut off: {found} bytes are too few for a report")]
    Short {
        /// Bytes found.
        found: usize,
    },
    /// A layout of another release.
    #[error("the link has version {found}, this program reads versions {CLEAN} to {INCOMPLETE}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Changed or cut off on its way.
    #[error("the link is damaged or cut off: its checksum does not fit its content")]
    Checksum,
    /// Not a deflate stream.
    #[error("the link's report cannot be inflated: {0}")]
    Inflate(std::io::Error),
    /// A small payload that inflates to something huge.
    #[error("the link's report inflates to more than {MOST_INFLATED} bytes")]
    Inflated,
    /// A small link of a report that would take much.
    #[error("the link's report would take {found} bytes, more than the {MOST_EXPANDED} that one may")]
    Expanded {
        /// Bytes that it would take.
        found: u64,
    },
    /// Not the wire form.
    #[error("the link's report cannot be read: {0}")]
    Wire(postcard::Error),
    /// Bytes after the wire form.
    #[error("the link's report is followed by {0} bytes that do not belong to it")]
    Trailing(usize),
    /// A field of the wire form that contradicts another, or is out of its range.
    #[error("the link's `{field}` is {found}, expected {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A report that contradicts itself.
    #[error("the link's report is not one: {0}")]
    Report(#[from] ReportError),
    /// More outcomes than a link holds.
    #[error(
        "the report needs a link of {needed} characters without any words, more than the {LONGEST} that a link may have; pass its report.json on"
    )]
    TooLarge {
        /// Characters that it would take.
        needed: usize,
    },
}

impl Report {
    /// The report as a link of at most [`BUDGET`] characters, as far as leaving words out can achieve that; the questions that broke most keep theirs.
    ///
    /// `suite` holds the questions of a suite that readers can draw themselves; where this report's are among them, the link carries their positions.
    ///
    /// # Errors
    /// [`ShareError::TooLarge`] if the outcomes alone need more than [`LONGEST`] characters.
    pub fn share(&self, suite: Option<(&Suite, &[SuiteQuestion])>) -> Result<Link, ShareError> {
        let positions = suite.and_then(|(suite, asked)| Some((suite.size, wire::positions(self, suite, asked)?)));
        // the order in which words are given up, from its end
        let mut order = self.worst_first();
        let changed = order.len();
        let mut seen = vec![false; self.questions().len()];
        for &i in &order {
            seen[i] = true;
        }
        order.extend((0..seen.len()).filter(|&i| !seen[i]));
        let payload = |words: usize| {
            let mut carried = vec![false; seen.len()];
            for &i in &order[..words] {
                carried[i] = true;
            }
            seal(&wire::Wire::of(self, positions.as_ref(), &carried)?, suite.map(|(_, asked)| asked))
        };
        let link = |payload, words: usize| Link { payload, left_out: changed.saturating_sub(words) };
        let fitting = |words: usize| match payload(words) {
            Ok(payload) => Ok(Some(payload).filter(|payload| payload.len() <= BUDGET)),
            Err(ShareError::Expanded { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        if let Some(whole) = fitting(order.len())? {
            return Ok(link(whole, order.len()));
        }
        // most words that fit
        let (mut fits, mut best) = (0, payload(0)?);
        let mut too_many = order.len();
        while too_many - fits > 1 {
            let words = usize::midpoint(fits, too_many);
            match fitting(words)? {
                Some(tried) => (fits, best) = (words, tried),
                None => too_many = words,
            }
        }
        if best.len() > LONGEST { Err(ShareError::TooLarge { needed: best.len() }) } else { Ok(link(best, fits)) }
    }
}

/// Opens the payload of a link, the part behind `#r=`, which may come from anywhere.
///
/// `rebuild` draws a suite again and gives all of its questions in order, or `None` if it cannot draw exactly that one; without them the report has its
/// numbers all the same.
///
/// # Errors
/// [`ShareError`] says what is wrong with the link.
pub fn open(payload: &str, rebuild: impl FnOnce(&Suite) -> Option<Vec<SuiteQuestion>>) -> Result<SharedReport, ShareError> {
    unseal(payload)?.open(rebuild)
}

/// `drawn` are the questions of the suite that a reader draws again.
fn seal(wire: &wire::Wire, drawn: Option<&[SuiteQuestion]>) -> Result<String, ShareError> {
    wire.check(drawn)?;
    let mut plain = postcard::to_stdvec(&(&wire.answered, &wire.perturbed, &wire.controlled)).map_err(ShareError::Wire)?;
    let complete = wire.incomplete.is_complete();
    if !complete {
        plain = postcard::to_extend(&wire.incomplete, plain).map_err(ShareError::Wire)?;
    }
    let mut deflate = DeflateEncoder::new(vec![if complete { CONTROLLED } else { INCOMPLETE }], Compression::best());
    let mut sealed = deflate.write_all(&plain).and_then(|()| deflate.finish()).map_err(ShareError::Inflate)?;
    let checksum = crc32fast::hash(&sealed);
    sealed.extend(checksum.to_le_bytes());
    Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
}

fn unseal(payload: &str) -> Result<wire::Wire, ShareError> {
    // what mail programs and people leave around an address
    let payload = payload.trim().trim_end_matches('=');
    if payload.is_empty() {
        return Err(ShareError::Empty);
    }
    if payload.len() > LONGEST {
        return Err(ShareError::TooLong { found: payload.len() });
    }
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|error| if is_cut(payload) { ShareError::Cut } else { ShareError::Base64(error) })?;
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(ShareError::Short { found: bytes.len() })?;
    let (&version, deflated) = content.split_first().ok_or(ShareError::Short { found: bytes.len() })?;
    // first, so that a later layout is called that, whatever its checksum is
    if !(CLEAN..=INCOMPLETE).contains(&version) {
        return Err(ShareError::Version { found: version });
    }
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(if is_cut(payload) { ShareError::Cut } else { ShareError::Checksum });
    }
    let mut plain = Vec::new();
    DeflateDecoder::new(deflated).take(MOST_INFLATED + 1).read_to_end(&mut plain).map_err(ShareError::Inflate)?;
    if plain.len() as u64 > MOST_INFLATED {
        return Err(ShareError::Inflated);
    }
    let (answered, rest) = postcard::take_from_bytes(&plain).map_err(ShareError::Wire)?;
    let (perturbed, rest) = behind(version >= PERTURBED, rest)?;
    let (controlled, rest) = behind(version >= CONTROLLED, rest)?;
    let (incomplete, rest) = behind(version >= INCOMPLETE, rest)?;
    if rest.is_empty() { Ok(wire::Wire { answered, perturbed, controlled, incomplete }) } else { Err(ShareError::Trailing(rest.len())) }
}

/// Whether a payload that is none is the beginning of one: its deflate stream has no end, or less than a checksum follows it. What is inflated is thrown away.
fn is_cut(payload: &str) -> bool {
    // a last character alone is no byte
    let Some(bytes) = payload.get(..payload.len() / 4 * 4).and_then(|whole| BASE64_URL_SAFE_NO_PAD.decode(whole).ok()) else {
        return false;
    };
    let Some(deflated) = bytes.split_first().filter(|(version, _)| (CLEAN..=INCOMPLETE).contains(version)).map(|(_, deflated)| deflated)
    else {
        return false;
    };
    let (mut inflate, mut piece) = (Decompress::new(false), [0; 4096]);
    while inflate.total_out() <= MOST_INFLATED {
        let (taken, given) = (inflate.total_in(), inflate.total_out());
        match inflate.decompress(&deflated[taken as usize..], &mut piece, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return deflated.len() < inflate.total_in() as usize + CHECKSUM,
            Ok(_) if (inflate.total_in(), inflate.total_out()) != (taken, given) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// What a later version has behind an earlier one, and the bytes behind that.
fn behind<T: Default + for<'de> serde::Deserialize<'de>>(there: bool, bytes: &[u8]) -> Result<(T, &[u8]), ShareError> {
    if there { postcard::take_from_bytes(bytes).map_err(ShareError::Wire) } else { Ok((T::default(), bytes)) }
}
