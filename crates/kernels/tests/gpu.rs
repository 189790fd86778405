//! The CubeCL kernels against the CPU ones, on whatever wgpu finds (a software rasterizer will do).
#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used, reason = "codes made here are valid")]

use std::io::Write;

use burn::tensor::{DType, Device, DeviceKind, Tensor, TensorData};
use half::bf16;
use steady_kernels::{Bf16Weight, Int8Codes, Int8Weight, PackedLinear, W4Codes, W4Weight};

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.cast(DType::F32).into_data().iter::<f32>().collect()
}

fn wave(count: usize, frequency: f32) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * frequency).sin()).collect()
}

fn matrix(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn w4([out, input]: [usize; 2], group: usize, scales: &[f32]) -> PackedLinear {
    let groups = out * input / group;
    let codes = W4Codes {
        out,
        input,
        group,
        codes: wave(out * input, 0.7).iter().map(|v| (v * 7.9 + 8.0) as u8).collect(),
        scales: scales.iter().copied().cycle().take(groups).collect(),
        zeros: (0..groups).map(|at| (at % 16) as f32 - 0.5).collect(),
    };
    W4Weight::new(&codes, &Device::flex()).unwrap().into()
}

fn int8([out, input]: [usize; 2], outlier_threshold: f32) -> PackedLinear {
    let codes = wave(out * input, 0.7).iter().map(|v| (v * 127.0) as i8).collect();
    let absmax = wave(out, 0.3).iter().map(|v| v.abs() + 0.1).collect();
    Int8Weight::new(&Int8Codes { out, input, codes, absmax, outlier_threshold }, &Device::flex()).unwrap().into()
}

fn kept([out, input]: [usize; 2]) -> Bf16Weight {
    let values: Vec<bf16> = wave(out * input, 0.7).into_iter().map(bf16::from_f32).collect();
    Bf16Weight::new(&values, [out, input], &Device::flex()).unwrap()
}

/// Both devices' results lie within `tolerance` of each other, relative to the largest result of the row.
fn assert_same(weight: &PackedLinear, x: &Tensor<2>, gpu: &Device, tolerance: f32, what: &str) {
    let on_gpu = weight.to_device(gpu).forward(x.clone().to_device(gpu));
    assert_equal(weight.forward(x.clone()), on_gpu, x, tolerance, what);
}

fn assert_same_bf16(weight: &Bf16Weight, x: &Tensor<2>, gpu: &Device, tolerance: f32, what: &str) {
    let on_gpu = weight.to_device(gpu);
    assert_equal(weight.forward(x.clone()), on_gpu.forward(x.clone().to_device(gpu)), x, tolerance, what);
    assert_eq!(values(on_gpu.widen()), values(weight.widen()), "{what}");
}

fn assert_equal(on_cpu: Tensor<2>, on_gpu: Tensor<2>, x: &Tensor<2>, tolerance: f32, what: &str) {
    let [rows, width] = on_cpu.dims();
    assert_eq!((on_gpu.dims(), on_gpu.dtype()), ([rows, width], x.dtype()), "{what}");
    let (on_cpu, on_gpu) = (values(on_cpu), values(on_gpu));
    for (row, (cpu, gpu)) in on_cpu.chunks(width).zip(on_gpu.chunks(width)).enumerate() {
        let largest = cpu.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
        for (feature, (cpu, gpu)) in cpu.iter().zip(gpu).enumerate() {
            let near = (cpu - gpu).abs() <= tolerance * largest;
            assert!(near, "{what}, row {row}, feature {feature}: {cpu} on the CPU, {gpu} on the GPU");
        }
    }
}

/// One test, so that one process compiles each kernel once: on a software rasterizer that takes seconds.
#[test]
fn gpu_equals_cpu() {
    let gpu = Device::wgpu(DeviceKind::DefaultDevice);
    // Rows below, at and above a block of four; widths that fill and do not fill 32 lanes; features that do not fill eight.
    for (rows, out, input, group) in [(1, 19, 96, 32), (4, 8, 64, 64), (7, 33, 320, 16), (21, 200, 1536, 128)] {
        let x = matrix(wave(rows * input, 0.37), [rows, input]);
        let shape = format!("{rows} x [{out}, {input}]");
        assert_same(&w4([out, input], group, &[0.003, 0.25, 1.0]), &x, &gpu, 1e-4, &format!("w4 {shape}"));
        // The smallest scale that round-to-nearest gives is a subnormal number in f16.
        assert_same(&w4([out, input], group, &[1.001_358e-5]), &x, &gpu, 1e-4, &format!("w4 of tiny weights {shape}"));
        assert_same_bf16(&kept([out, input]), &x, &gpu, 1e-4, &format!("bf16 {shape}"));
        // Without and with outliers; a width that is not a multiple of the four codes in a word.
        assert_same(&int8([out, input], 6.0), &x, &gpu, 1e-4, &format!("int8 {shape}"));
        assert_same(&int8([out, input], 0.999), &x, &gpu, 1e-4, &format!("int8 with outliers {shape}"));
        let ragged = x.clone().slice([0..rows, 0..input - 3]);
        assert_same(&int8([out, input - 3], 0.999), &ragged, &gpu, 1e-4, &format!("int8 ragged {shape}"));
        assert_same_bf16(&kept([out, input - 3]), &ragged, &gpu, 1e-4, &format!("bf16 ragged {shape}"));
        if gpu.supports_dtype(DType::F16) {
            let half = x.cast(DType::F16);
            assert_same(&w4([out, input], group, &[0.003, 0.25, 1.0]), &half, &gpu, 2e-3, &format!("w4 in f16 {shape}"));
            assert_same(&int8([out, input], 0.999), &half, &gpu, 2e-3, &format!("int8 in f16 {shape}"));
        } else {
            // past the test runner, which shows nothing of a test that passes
            writeln!(std::io::stderr(), "LEFT OUT: {shape} in f16, which this GPU lacks").unwrap();
        }
    }
    let weight = w4([19, 96], 32, &[0.5, 1e-5]);
    assert_eq!(values(weight.to_device(&gpu).dequantize()), values(weight.dequantize()));
}
