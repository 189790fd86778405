//! Studies that were begun, kept in the browser's IndexedDB until they are finished, so that closing the page loses nothing.

use js_sys::Uint8Array;
use rexie::{Error, KeyRange, ObjectStore, Rexie, TransactionMode};
use steady_protocol::{Answered, decode, encode};
use wasm_bindgen::{JsCast, JsValue};

/// The last that was heard of each study, without its group.
const LATEST: &str = "latest";
/// The groups of all studies, in order.
const GROUPS: &str = "groups";

/// The browser's store of studies.
pub(crate) struct Kept(Rexie);

impl Kept {
    /// Opens the store; fails where the browser keeps nothing, as in some private windows.
    pub(crate) async fn open() -> Result<Self, Error> {
        let stores = Rexie::builder("steady").version(1).add_object_store(ObjectStore::new(LATEST));
        stores.add_object_store(ObjectStore::new(GROUPS)).build().await.map(Self)
    }

    /// What is kept of a study: its groups and the last that was heard of it.
    pub(crate) async fn find(&self, study: &str) -> Result<Option<(Vec<Vec<u8>>, Answered)>, Error> {
        let stores = self.0.transaction(&[LATEST, GROUPS], TransactionMode::ReadOnly)?;
        let latest = stores.store(LATEST)?.get(study.into()).await?;
        // what another release of the page left behind is as good as nothing
        let Some(latest) = latest.and_then(|latest| decode::<Answered>(&bytes(latest)).ok()) else { return Ok(None) };
        let groups = stores.store(GROUPS)?.get_all(Some(of(study)?), None).await?;
        Ok(Some((groups.into_iter().map(bytes).collect(), latest)))
    }

    /// Keeps `groups`, of which the first is the study's `first`-th, and the last that was heard.
    pub(crate) async fn keep(&self, study: &str, first: usize, groups: Vec<Vec<u8>>, latest: &Answered) -> Result<(), Error> {
        let Ok(latest) = encode(latest) else { return Ok(()) };
        let stores = self.0.transaction(&[LATEST, GROUPS], TransactionMode::ReadWrite)?;
        let numbered = groups.iter().enumerate().map(|(i, group)| (value(group), Some(name(study, first + i))));
        stores.store(GROUPS)?.put_all(numbered).await?;
        stores.store(LATEST)?.put(&value(&latest), Some(&study.into())).await?;
        stores.done().await.map(drop)
    }

    /// Forgets a study.
    pub(crate) async fn forget(&self, study: &str) -> Result<(), Error> {
        let stores = self.0.transaction(&[LATEST, GROUPS], TransactionMode::ReadWrite)?;
        stores.store(LATEST)?.delete(study.into()).await?;
        stores.store(GROUPS)?.delete(of(study)?.into()).await?;
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
