//! A browser is asked for a weight's kernels when the weight comes, all at once, and no kernel is compiled when it is first launched.

use std::sync::Mutex;

use steady_gpu::kernels::{Epilogue, Weight, product};

use crate::support::best;

/// Counts the kernels that a browser is asked to compile beside what it does.
const COUNT: &str = "(() => {
    const device = GPUDevice.prototype, compile = device.createComputePipelineAsync;
    globalThis.asked = 0;
    device.createComputePipelineAsync = function (kernel) {
        globalThis.asked += 1;
        return compile.call(this, kernel);
    };
})()";

fn asked() -> Option<f64> {
    js_sys::Reflect::get(&js_sys::global(), &"asked".into()).unwrap().as_f64()
}

#[wasm_bindgen_test::wasm_bindgen_test]
async fn kernels_are_asked_for_before_they_are_launched() {
    js_sys::eval(COUNT).unwrap();
    let gpu = best().await.open(None).await.unwrap();
    let weight = Weight::f32(&gpu, &[1.0, 2.0, 3.0, 4.0], [2, 2]);
    let before = asked().unwrap();
    assert_eq!(gpu.counts().pipelines, 0, "none is waited for while weights come");
    let heard = Mutex::new(Vec::new());
    gpu.prepare_wanted(&|ready, of| heard.lock().unwrap().push((ready, of))).await;
    let wanted = gpu.counts().pipelines;
    assert!(wanted > 0, "a weight needs kernels");
    assert_eq!(before, wanted as f64, "all were asked for when the weight came");
    let all = wanted as usize;
    assert_eq!(heard.into_inner().unwrap(), (0..=all).map(|ready| (ready, all)).collect::<Vec<_>>());
    let x = gpu.rows(&[1.0, 10.0], [1, 2]);
    assert_eq!(gpu.read(&product(&gpu, &x, &weight, &Epilogue::default())).await, Ok(vec![21.0, 43.0]));
    assert_eq!([gpu.counts().pipelines, asked().unwrap() as u64], [wanted; 2], "nothing is compiled late");
}
