//! Typed access to a JSON object that remembers where it is, so that errors name the file and the dotted field.

use serde_json::{Map, Value};

use crate::VlmError;

/// One JSON object of a configuration file. A field set to `null` counts as absent, as it does in transformers.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    file: &'a str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(crate) fn root(file: &'a str, value: &'a Value) -> Result<Self, VlmError> {
        let map = value.as_object().ok_or_else(|| VlmError::field(file, "(the whole file)", expected("an object", value)))?;
        Ok(Self { file, path: String::new(), map })
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is set to `null`. For a few fields that is not the same as being absent.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Value::is_null)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str)
    }

    /// An error about a field.
    pub fn error(&self, name: &str, problem: impl Into<String>) -> VlmError {
        VlmError::field(self.file, format!("{}{name}", self.path), problem)
    }

    /// A value that is not one of those known, with the list of those that are.
    pub fn unknown(&self, name: &str, found: &str, known: &[&str]) -> VlmError {
        self.error(name, format!("`{found}` is not known; known: {}", known.join(", ")))
    }

    /// Refuses a field that is neither one of `settings` nor one of those that are known to do nothing.
    pub(crate) fn only(&self, settings: &[&str], without_effect: &[&str]) -> Result<(), VlmError> {
        match self.keys().find(|key| self.get(key).is_some() && !settings.contains(key) && !without_effect.contains(key)) {
            Some(key) => Err(self.error(key, format!("is not a known setting; known: {}", settings.join(", ")))),
            None => Ok(()),
        }
    }

    fn typed<T>(&self, name: &str, kind: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, VlmError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.error(name, expected(kind, value)))
    }

    /// An object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>, VlmError> {
        let map = self.typed(name, "an object", Value::as_object)?;
        Ok(map.map(|map| Fields { file: self.file, path: format!("{}{name}.", self.path), map }))
    }

    /// A string.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, VlmError> {
        self.typed(name, "a string", Value::as_str)
    }

    /// True or false.
    ///
    /// # Errors
    /// When it is something else.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, VlmError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A number.
    ///
    /// # Errors
    /// When it is something else.
    pub fn f64(&self, name: &str) -> Result<Option<f64>, VlmError> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// An integer.
    ///
    /// # Errors
    /// When it is something else.
    pub fn i64(&self, name: &str) -> Result<Option<i64>, VlmError> {
        self.typed(name, "an integer", Value::as_i64)
    }

    /// A count that must be at least one and small enough that sizes made of a few of them cannot overflow.
    pub fn size(&self, name: &str) -> Result<Option<usize>, VlmError> {
        self.typed(name, "an integer from 1 to 16777216", size)
    }

    /// A side in pixels, written as one number or as two equal ones.
    ///
    /// # Errors
    /// When it is something else, or larger than 65536.
    pub fn side(&self, name: &str, default: usize) -> Result<usize, VlmError> {
        const MOST: usize = 1 << 16;
        match self.get(name) {
            Some(Value::Array(sides)) => match sides.as_slice() {
                [height, width] if height == width => {
                    size(height).filter(|side| *side <= MOST).ok_or_else(|| self.error(name, expected("a size in pixels", height)))
                }
                _ => Err(self.error(name, "expected one size or two equal ones: only square images and patches are known")),
            },
            _ => match self.size(name)? {
                Some(side) if side > MOST => Err(self.error(name, format!("expected at most {MOST} pixels, found {side}"))),
                side => Ok(side.unwrap_or(default)),
            },
        }
    }

    /// Checks that a width is a whole number of heads.
    pub(crate) fn heads_divide(&self, width_name: &str, width: usize, heads_name: &str, heads: usize) -> Result<(), VlmError> {
        if width.is_multiple_of(heads) {
            return Ok(());
        }
        Err(self.error(heads_name, format!("{heads} does not divide `{width_name}` {width}")))
    }

    /// A list of `N` sizes as [`Self::size`] reads them.
    pub fn sizes<const N: usize>(&self, name: &str) -> Result<Option<[usize; N]>, VlmError> {
        self.typed(name, &format!("a list of {N} sizes"), |value| {
            let sizes: Option<Vec<usize>> = value.as_array()?.iter().map(size).collect();
            sizes?.try_into().ok()
        })
    }

    /// A token id.
    pub fn id(&self, name: &str) -> Result<Option<u32>, VlmError> {
        self.typed(name, "a token id", token_id)
    }

    /// A token id, where a negative number stands for none.
    pub(crate) fn id_or_none(&self, name: &str) -> Result<Option<u32>, VlmError> {
        Ok(self.typed(name, "a token id", signed_id)?.and_then(|id| u32::try_from(id).ok()))
    }

    /// A token id or a list of them; empty when absent.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>, VlmError> {
        Ok(self.list(name, token_id)?.unwrap_or_default())
    }

    /// A token id or a list of them, where negative numbers stand for none; `None` when absent.
    pub(crate) fn ids_or_none(&self, name: &str) -> Result<Option<Vec<u32>>, VlmError> {
        Ok(self.list(name, signed_id)?.map(|ids| ids.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()))
    }

    fn list<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>, VlmError> {
        self.typed(name, "a token id or a list of token ids", |value| match value {
            Value::Array(list) => list.iter().map(read).collect(),
            one => read(one).map(|id| vec![id]),
        })
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().filter(|n| (1..=1 << 24).contains(n)).and_then(|n| usize::try_from(n).ok())
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A token id, or a negative number.
fn signed_id(value: &Value) -> Option<i64> {
    value.as_i64().filter(|id| *id <= i64::from(u32::MAX))
}

/// "expected KIND, found VALUE", the value cut short.
pub(crate) fn expected(kind: &str, value: &Value) -> String {
    let mut found = value.to_string();
    if let Some((end, _)) = found.char_indices().nth(60) {
        found.truncate(end);
        found.push('…');
    }
    format!("expected {kind}, found {found}")
}
