//! The GPU that the suite runs on, numbers to feed it, and what counts as equal.

use std::sync::OnceLock;

use steady_gpu::{Adapter, Gpu, Rows};

static GPU: OnceLock<Gpu> = OnceLock::new();

/// Makes functions tests: of this machine, where each waits, and of a browser, which goes on meanwhile. A condition keeps one of them from
/// browsers.
#[macro_export]
macro_rules! suite {
    ($($(#[$condition:meta])* $name:ident),* $(,)?) => {
        mod suite {
            $(
                $(#[$condition])*
                #[cfg(not(target_family = "wasm"))]
                #[test]
                fn $name() {
                    pollster::block_on(async {
                        $crate::support::open().await;
                        super::$name().await;
                    });
                }

                $(#[$condition])*
                #[cfg(target_family = "wasm")]
                #[wasm_bindgen_test::wasm_bindgen_test]
                async fn $name() {
                    $crate::support::open().await;
                    super::$name().await;
                }
            )*
        }
    };
}

/// Whatever there is; a software rasterizer where there is nothing else.
pub(crate) async fn best() -> Adapter {
    Adapter::best().await.unwrap()
}

/// Opens the GPU that most tests share.
pub(crate) async fn open() {
    if GPU.get().is_none() {
        let gpu = best().await.open(None).await.unwrap();
        GPU.get_or_init(|| gpu);
    }
}

/// The GPU that most tests share.
pub(crate) fn gpu() -> &'static Gpu {
    GPU.get().unwrap()
}

/// `count` numbers between -1 and 1 that depend on `seed` alone.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    // A linear congruential generator: the suite needs variety, not quality.
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// What a kernel left.
pub(crate) async fn read(rows: &Rows) -> Vec<f32> {
    gpu().read(rows).await.unwrap()
}

/// What several launches left.
pub(crate) async fn read_all<const N: usize>(gpu: &Gpu, rows: [Rows; N]) -> [Vec<f32>; N] {
    gpu.read_all(&rows.each_ref()).await.unwrap().try_into().unwrap()
}

/// Whether `found` is `expected` but for rounding in `f32`: within `tolerance` of the largest number expected.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: how many");
    let scale = expected.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= tolerance * scale, "{what}: {found} instead of {expected} at {at}");
    }
}
