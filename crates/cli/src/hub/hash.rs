//! The hash by which the hub, and its cache, name a file's content.

use std::fmt;
use std::io::{self, Read};

use data_encoding::HEXLOWER;
use sha1::Sha1;
use sha2::Sha256;
use sha2::digest::Digest;

/// In hexadecimal digits. Files in git are named by git's hash, large ones by their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-1 of `blob <length>`, a zero byte and the content, as git computes it.
    Git(String),
    /// SHA-256 of the content.
    Large(String),
}

impl Hash {
    /// The digits that name the file in the cache.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Git(digits) | Self::Large(digits) => digits,
        }
    }

    /// Whether these are as many hexadecimal digits as such a hash has: they become the name of a file here.
    pub(super) fn is_one(&self) -> bool {
        match self {
            Self::Git(digits) => is_hexadecimal(digits, 40),
            Self::Large(digits) => is_hexadecimal(digits, 64),
        }
    }

    /// The hash of this kind of some content, which is `size` bytes long.
    pub(super) fn of(&self, content: impl Read, size: u64) -> io::Result<Self> {
        Ok(match self {
            Self::Git(_) => Self::Git(digest(Sha1::new().chain_update(format!("blob {size}\0")), content)?),
            Self::Large(_) => Self::Large(digest(Sha256::new(), content)?),
        })
    }
}

/// What kind of hash it is, and its digits.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(digits) => write!(f, "git's SHA-1 {digits}"),
            Self::Large(digits) => write!(f, "SHA-256 {digits}"),
        }
    }
}

fn digest(mut hash: impl Digest, mut content: impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Whether a text is so many hexadecimal digits.
pub(super) fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `git hash-object` and `sha256sum` print.
    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        let git = |content: &[u8]| Hash::Git(String::new()).of(content, content.len() as u64).unwrap();
        assert_eq!(git(b""), Hash::Git("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".into()));
        assert_eq!(git(b"hello\n"), Hash::Git("ce013625030ba8dba906f756967f9e9ca394464a".into()));
        let large = Hash::Large(String::new()).of(&b"hello\n"[..], 6).unwrap();
        assert_eq!(large, Hash::Large("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".into()));
        assert!(git(b"").is_one() && large.is_one());
        assert!(!Hash::Git(large.digits().into()).is_one() && !Hash::Large("../x".into()).is_one());
    }
}
