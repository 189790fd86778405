//! Visual-token reducers: a file each, in the order in which a prompt passes the places where they act.

mod blind;
mod blur;
mod cdpruner;
mod dart;
mod direction;
mod divprune;
mod fastervlm;
mod fastv;
mod greedy;
mod holov;
mod lofi;
mod prumerge;
mod pyramiddrop;
mod random;
mod rank;
mod sparsevlm;
mod tome;
mod visionzip;
mod vispruner;
mod vtw;

use steady_methods::{Layers, Positions};
use steady_vlm::{PositionPolicy, Site, VlmError};

pub use blind::Blind;
pub use blur::Blur;
pub use cdpruner::CdPruner;
pub use dart::Dart;
pub use divprune::DivPrune;
pub use fastervlm::FasterVlm;
pub use fastv::FastV;
pub use holov::HoloV;
pub use lofi::Lofi;
pub use prumerge::PruMerge;
pub use pyramiddrop::PyramidDrop;
pub use random::RandomKeep;
pub use sparsevlm::SparseVlm;
pub use tome::ToMe;
pub use visionzip::VisionZip;
pub use vispruner::VisPruner;
pub use vtw::{Vtw, VtwSearch};

use crate::Implementation;

/// For every token reducer of [`steady_methods::METHODS`], in that order, what carries it out.
pub(crate) const REDUCERS: &[Implementation] = &[
    tome::IMPLEMENTATION,
    divprune::IMPLEMENTATION,
    lofi::IMPLEMENTATION,
    cdpruner::IMPLEMENTATION,
    dart::IMPLEMENTATION,
    holov::IMPLEMENTATION,
    visionzip::IMPLEMENTATION,
    prumerge::IMPLEMENTATION,
    fastervlm::IMPLEMENTATION,
    vispruner::IMPLEMENTATION,
    fastv::IMPLEMENTATION,
    pyramiddrop::IMPLEMENTATION,
    sparsevlm::IMPLEMENTATION,
    vtw::IMPLEMENTATION,
    vtw::SEARCH,
    random::IMPLEMENTATION,
    blind::IMPLEMENTATION,
    blur::IMPLEMENTATION,
];

/// The model did not hand over what the method asked for.
fn missing(method: &str, what: &str) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {method}"), problem: format!("was not given the {what} it asked for") }
}

/// What a spec's positions are to the model.
fn policy(positions: Positions) -> PositionPolicy {
    match positions {
        Positions::Keep => PositionPolicy::Keep,
        Positions::Renumber => PositionPolicy::Renumber,
    }
}

/// Before which layers a method acts: those of the spec, or the `published` ones in 32nds of the depth.
fn sites<const N: usize>(layers: Layers, published: [usize; N]) -> Vec<Site> {
    match layers {
        Layers::Auto => published.map(Site::PartWay).to_vec(),
        Layers::At(layers, count) => layers[..count].iter().map(|&layer| Site::BeforeLayer(layer)).collect(),
    }
}
