//! Which column is what, in a file that follows no published layout.

use std::collections::{BTreeMap, BTreeSet};

use crate::BenchError;
use crate::benchmark::{Place, Understood};

/// What a column can be.
pub(crate) struct Role {
    /// Its name, which is also the option that says which column it is.
    pub(crate) name: &'static str,
    /// What columns of that role are called, in lower case and without `_`, `-` and spaces.
    names: &'static [&'static str],
}

/// The roles, in the order in which they are shown.
pub(crate) const ROLES: [Role; 8] = [
    Role {
        name: "image",
        names: &[
            "image",
            "images",
            "img",
            "picture",
            "photo",
            "imagepath",
            "imgpath",
            "imagefile",
            "imagename",
            "imgname",
            "imageurl",
            "filename",
            "filepath",
            "file",
        ],
    },
    Role { name: "question", names: &["question", "questions", "query", "prompt", "instruction"] },
    Role {
        name: "gold",
        names: &[
            "gold",
            "answer",
            "answers",
            "label",
            "labels",
            "target",
            "groundtruth",
            "gt",
            "expected",
            "expectedanswer",
            "correctanswer",
            "reference",
        ],
    },
    Role { name: "choices", names: &["choices", "options", "candidates"] },
    Role { name: "id", names: &["id", "questionid", "qid", "uid"] },
    Role { name: "group", names: &["group", "category", "family", "task"] },
    Role { name: "kind", names: &["kind"] },
    Role { name: "weight", names: &["weight"] },
];

/// Letters of options that have a column each, as in `A`, `option_a` or `choice_a`.
const LETTERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Which column has which role.
pub(crate) struct Roles {
    columns: BTreeMap<&'static str, String>,
    /// Columns of the options A, B, C, .., where each has its own.
    pub(crate) options: Vec<String>,
}

fn plain(column: &str) -> String {
    column.to_lowercase().chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect()
}

/// Whether a column of this name has a role.
pub(crate) fn known(column: &str) -> bool {
    ROLES.iter().any(|role| role.names.contains(&plain(column).as_str()))
}

/// A name that occurs twice.
pub(crate) fn repeated(columns: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    columns.iter().find(|column| !seen.insert(*column))
}

/// The column of the option with this letter.
fn option_column(columns: &[String], letter: &str) -> Option<String> {
    let names = [letter.to_owned(), format!("option{letter}"), format!("choice{letter}")];
    columns.iter().find(|column| names.contains(&plain(column))).cloned()
}

impl Roles {
    /// Those that the place's options name, and those that names tell. Left empty, `group=`, a role is nobody's.
    ///
    /// # Errors
    /// [`BenchError::Spec`] where a column that was named does not exist, two could have a role, or none can be the image or the question.
    pub(crate) fn of(place: &Place, columns: &[String]) -> Result<Self, BenchError> {
        let fail = |problem: String| BenchError::File { path: place.path.clone(), problem };
        let mut found = BTreeMap::new();
        for role in &ROLES {
            if let Some(named) = place.options.get(role.name) {
                if named.is_empty() {
                    continue;
                }
                let Some(column) = columns.iter().find(|column| *column == named) else {
                    return Err(fail(format!(
                        "has no column `{named}`, which `{}={named}` names; there are {}",
                        role.name,
                        columns.join(", ")
                    )));
                };
                found.insert(role.name, column.clone());
                continue;
            }
            let named_otherwise = |column: &String| place.options.values().any(|named| named == column);
            let could: Vec<&String> =
                columns.iter().filter(|column| role.names.contains(&plain(column).as_str()) && !named_otherwise(column)).collect();
            match could.as_slice() {
                [] => {}
                [column] => {
                    found.insert(role.name, (*column).clone());
                }
                several => {
                    let several: Vec<String> = several.iter().map(|column| format!("`{column}`")).collect();
                    let (name, several) = (role.name, several.join(" and "));
                    return Err(fail(format!(
                        "{several} could each be the {name}; say which, as `,{name}=COLUMN` behind the file, or `,{name}=` for none"
                    )));
                }
            }
        }
        for needed in ["image", "question"] {
            if !found.contains_key(needed) {
                let names = ROLES.iter().find(|role| role.name == needed).map(|role| role.names.join(", ")).unwrap_or_default();
                let columns = columns.join(", ");
                return Err(fail(format!(
                    "has no column for the {needed} among {columns}; expected one called {names}, or `,{needed}=COLUMN` behind the file"
                )));
            }
        }
        let mut options = Vec::new();
        if !found.contains_key("choices") && place.options.get("choices").is_none_or(|named| !named.is_empty()) {
            options = LETTERS.iter().map_while(|letter| option_column(columns, letter)).collect();
            if options.len() < 2 {
                options.clear();
            }
        }
        Ok(Self { columns: found, options })
    }

    /// The column of this role.
    pub(crate) fn column(&self, role: &str) -> Option<&str> {
        self.columns.get(role).map(String::as_str)
    }

    /// For people.
    pub(crate) fn understood(&self, columns: &[String]) -> Understood {
        let mut taken: Vec<(String, String)> =
            ROLES.iter().filter_map(|role| Some((role.name.to_owned(), self.columns.get(role.name)?.clone()))).collect();
        if !self.options.is_empty() {
            taken.push(("choices".to_owned(), self.options.join(", ")));
        }
        let used = |column: &String| self.options.contains(column) || self.columns.values().any(|used| used == column);
        let unused = columns.iter().filter(|column| !used(column)).cloned().collect();
        Understood { columns: taken, unused, odd: Vec::new() }
    }
}
