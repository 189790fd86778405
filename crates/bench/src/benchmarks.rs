//! The benchmarks that this program brings.

#[cfg(feature = "files")]
mod ai2d;
#[cfg(feature = "files")]
mod chart_qa;
#[cfg(feature = "files")]
mod doc_vqa;
#[cfg(feature = "files")]
mod easy_vqa;
#[cfg(feature = "files")]
mod gqa;
#[cfg(feature = "files")]
mod mm_bench;
#[cfg(feature = "files")]
mod mm_star;
#[cfg(feature = "files")]
mod mme;
#[cfg(feature = "files")]
mod mmmu;
#[cfg(feature = "files")]
mod ok_vqa;
#[cfg(feature = "tables")]
mod own;
#[cfg(feature = "files")]
mod path_vqa;
#[cfg(feature = "files")]
mod pope;
#[cfg(feature = "files")]
mod real_world_qa;
#[cfg(feature = "files")]
mod science_qa;
#[cfg(feature = "files")]
mod seed_bench;
#[cfg(feature = "files")]
mod slake;
#[cfg(feature = "files")]
mod textvqa;
#[cfg(feature = "files")]
mod vizwiz;
#[cfg(feature = "files")]
mod vqa_rad;
#[cfg(feature = "files")]
mod vqav2;

use crate::Benchmarks;
use crate::world::EMBEDDED;

#[cfg(feature = "tables")]
pub use own::own_questions;

/// What the command line and the page offer, and what reports that name a benchmark are read with. The first one is the default.
pub const BENCHMARKS: Benchmarks<'static> = Benchmarks(&[
    EMBEDDED,
    #[cfg(feature = "tables")]
    own::FILE,
    #[cfg(feature = "files")]
    easy_vqa::EASY_VQA,
    #[cfg(feature = "files")]
    pope::POPE,
    #[cfg(feature = "files")]
    mme::MME,
    #[cfg(feature = "files")]
    gqa::GQA,
    #[cfg(feature = "files")]
    textvqa::TEXTVQA,
    #[cfg(feature = "files")]
    vqav2::VQAV2,
    #[cfg(feature = "files")]
    vizwiz::VIZWIZ,
    #[cfg(feature = "files")]
    ok_vqa::OK_VQA,
    #[cfg(feature = "files")]
    science_qa::SCIENCE_QA,
    #[cfg(feature = "files")]
    ai2d::AI2D,
    #[cfg(feature = "files")]
    chart_qa::CHART_QA,
    #[cfg(feature = "files")]
    seed_bench::SEED_BENCH,
    #[cfg(feature = "files")]
    mm_bench::MM_BENCH,
    #[cfg(feature = "files")]
    mm_star::MM_STAR,
    #[cfg(feature = "files")]
    mmmu::MMMU,
    #[cfg(feature = "files")]
    real_world_qa::REAL_WORLD_QA,
    #[cfg(feature = "files")]
    doc_vqa::DOC_VQA,
    #[cfg(feature = "files")]
    vqa_rad::VQA_RAD,
    #[cfg(feature = "files")]
    slake::SLAKE,
    #[cfg(feature = "files")]
    path_vqa::PATH_VQA,
]);
