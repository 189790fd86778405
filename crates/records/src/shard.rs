//! A shard: the part of a study that one of several processes answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Group, RecordsError};

/// Most shards that a study is cut into.
const MOST: u32 = 100_000;

/// One of so many shards, written `2/4` and counted from 1. Which groups are in it depends on the id of their image and on nothing else: all questions
/// about an image, under all perturbations, are asked by one process, because they share its visual tokens; and an image stays in its shard when
/// questions are added or left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    of: u32,
    number: u32,
}

impl Shard {
    /// The study as a whole.
    pub const WHOLE: Self = Self { of: 1, number: 1 };

    /// The `number`-th of `of` shards, from 1.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if there is no such shard.
    pub fn new(number: u32, of: u32) -> Result<Self, RecordsError> {
        if (1..=of).contains(&number) && of <= MOST {
            return Ok(Self { of, number });
        }
        Err(RecordsError::Plan(format!("shard {number}/{of}: expected I/N with I from 1 to N, and N at most {MOST}")))
    }

    /// Which one it is, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether a group is in it: the first eight bytes of the SHA-256 of its image's id, as a big-endian number, leave `number - 1` when they are
    /// divided by the number of shards.
    pub fn holds(self, group: &Group) -> bool {
        let hash = Sha256::digest(&group.image);
        let first = hash.iter().take(8).fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        first % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = RecordsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let (number, of) = numbers.ok_or_else(|| RecordsError::Plan(format!("shard {text:?}: expected I/N, such as 2/4")))?;
        Self::new(number, of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = RecordsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(image: &str) -> Group {
        Group { image: image.into(), perturbation: "none".into(), questions: vec![0] }
    }

    /// Python's `int(hashlib.sha256(id).hexdigest()[:16], 16) % 4 + 1`.
    #[test]
    fn an_image_is_where_its_hash_says() {
        for (image, number) in [("i0", 1), ("i3", 2), ("image0", 3), ("photos/cat.jpg", 4)] {
            let holders: Vec<u32> = (1..=4).filter(|&n| Shard::new(n, 4).unwrap().holds(&group(image))).collect();
            assert_eq!(holders, [number], "{image}");
            assert!(Shard::WHOLE.holds(&group(image)));
        }
    }

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        let shard: Shard = "2/4".parse().unwrap();
        assert_eq!((shard, shard.to_string()), (Shard::new(2, 4).unwrap(), "2/4".to_owned()));
        assert_eq!(serde_json::from_str::<Shard>("\"2/4\"").unwrap(), shard);
        for wrong in ["0/4", "5/4", "1/0", "2", "2/4/1", "-1/4", "1/100001", "a/b", ""] {
            let refused = wrong.parse::<Shard>().unwrap_err().to_string();
            assert!(refused.contains("expected I/N"), "{wrong}: {refused}");
        }
    }
}
