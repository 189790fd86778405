//! Studies that were begun, and the one that was finished last, kept in the browser's IndexedDB, so that closing the page loses nothing.

use js_sys::Uint8Array;
use rexie::{Error, KeyRange, ObjectStore, Rexie, TransactionMode};
use steady_protocol::{Answered, decode, encode};
use wasm_bindgen::{JsCast, JsValue};

/// The plan of each study, with its questions.
const PLANS: &str = "plans";
/// The last that was heard of each, without its group.
const HEARD: &str = "heard";
/// The groups of all, in order.
const ANSWERS: &str = "answers";
/// The report that came from a file last: its name and its text.
const FILES: &str = "files";
const NAME: &str = "name";
const CONTENT: &str = "text";

/// What is kept of a study.
pub(crate) struct Begun {
    /// Its plan with its questions.
    pub(crate) work: Vec<u8>,
    /// Its groups, in order.
    pub(crate) groups: Vec<Vec<u8>>,
    /// The last that was heard of it.
    pub(crate) latest: Answered,
}

/// The browser's store of studies.
pub(crate) struct Kept(Rexie);

impl Kept {
    /// Opens the store; fails where the browser keeps nothing, as in some private windows.
    pub(crate) async fn open() -> Result<Self, Error> {
        // an earlier version's stores, which had no plans, go with the step to this one
        let stores = Rexie::builder("steady").version(3);
        [PLANS, HEARD, ANSWERS, FILES]
            .into_iter()
            .fold(stores, |stores, name| stores.add_object_store(ObjectStore::new(name)))
            .build()
            .await
            .map(Self)
    }

    /// What is kept of a study, if anything is.
    pub(crate) async fn find(&self, study: &str) -> Result<Option<Begun>, Error> {
        let stores = self.0.transaction(&[PLANS, HEARD, ANSWERS], TransactionMode::ReadOnly)?;
        let latest = stores.store(HEARD)?.get(study.into()).await?;
        // what another release of the page left behind is as good as nothing
        let Some(latest) = latest.and_then(|latest| decode::<Answered>(&bytes(latest)).ok()) else { return Ok(None) };
        let Some(work) = stores.store(PLANS)?.get(study.into()).await?.map(bytes) else { return Ok(None) };
        let groups = stores.store(ANSWERS)?.get_all(Some(of(study)?), None).await?;
        Ok(Some(Begun { work, groups: groups.into_iter().map(bytes).collect(), latest }))
    }

    /// Keeps `groups`, of which the first is the study's `first`-th, and the last that was heard; with the very first the plan too, which stays the same.
    pub(crate) async fn keep(&self, study: &str, work: &[u8], first: usize, groups: Vec<Vec<u8>>, latest: &Answered) -> Result<(), Error> {
        let Ok(latest) = encode(latest) else { return Ok(()) };
        let stores = self.0.transaction(&[PLANS, HEARD, ANSWERS], TransactionMode::ReadWrite)?;
        if first == 0 {
            stores.store(PLANS)?.put(&value(work), Some(&study.into())).await?;
        }
        let numbered = groups.iter().enumerate().map(|(i, group)| (value(group), Some(name(study, first + i))));
        stores.store(ANSWERS)?.put_all(numbered).await?;
        stores.store(HEARD)?.put(&value(&latest), Some(&study.into())).await?;
        stores.done().await.map(drop)
    }

    /// Keeps a report that came from a file, in place of the one before.
    pub(crate) async fn keep_file(&self, name: &str, text: &str) -> Result<(), Error> {
        let stores = self.0.transaction(&[FILES], TransactionMode::ReadWrite)?;
        let files = stores.store(FILES)?;
        files.put(&name.into(), Some(&NAME.into())).await?;
        files.put(&text.into(), Some(&CONTENT.into())).await?;
        stores.done().await.map(drop)
    }

    /// Name and text of the report that came from a file last.
    pub(crate) async fn file(&self) -> Result<Option<(String, String)>, Error> {
        let files = self.0.transaction(&[FILES], TransactionMode::ReadOnly)?.store(FILES)?;
        let name = files.get(NAME.into()).await?.and_then(|name| name.as_string());
        let text = files.get(CONTENT.into()).await?.and_then(|text| text.as_string());
        Ok(name.zip(text))
    }

    /// Forgets a study.
    pub(crate) async fn forget(&self, study: &str) -> Result<(), Error> {
        let stores = self.0.transaction(&[PLANS, HEARD, ANSWERS], TransactionMode::ReadWrite)?;
        stores.store(PLANS)?.delete(study.into()).await?;
        stores.store(HEARD)?.delete(study.into()).await?;
        stores.store(ANSWERS)?.delete(of(study)?.into()).await?;
        stores.done().await.map(drop)
    }
}

/// Names of groups sort by study, then by number.
fn name(study: &str, number: usize) -> JsValue {
    format!("{study}\n{number:08}").into()
}

fn of(study: &str) -> Result<KeyRange, Error> {
    let (first, last) = (name(study, 0), name(study, 99_999_999));
    Ok(KeyRange::bound(&first, &last, None, None)?)
}

fn value(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn bytes(value: JsValue) -> Vec<u8> {
    value.dyn_into::<Uint8Array>().map(|array| array.to_vec()).unwrap_or_default()
}
