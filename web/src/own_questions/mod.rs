//! The visitor's own questions: a table and the pictures that it names, from their disk. A worker reads them, where they are; the browser lets go of them
//! when the page is left.

mod dropped;
mod files;
mod first_look;
mod reader;
mod view;

pub(crate) use files::OwnFiles;
pub(crate) use reader::Reader;
pub(crate) use view::{FilesAgain, OwnQuestions};
