use steady_gpu::kernels::{Norm, norm};

use crate::support::{assert_close, gpu, numbers, read};

/// Row by row in `f64`.
fn by_definition(x: &[f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f64) -> Vec<f64> {
    let width = weight.len();
    x.chunks(width)
        .flat_map(|row| {
            let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
            let mean = if bias.is_some() { row.iter().sum::<f64>() / width as f64 } else { 0.0 };
            let square = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / width as f64;
            let scale = (square + epsilon).sqrt().recip();
            (0..width).map(move |at| (row[at] - mean) * scale * f64::from(weight[at]) + bias.map_or(0.0, |bias| f64::from(bias[at])))
        })
        .collect()
}

async fn rows_of_every_width() {
    for (rows, width) in [(1, 1), (1, 64), (3, 65), (7, 128), (2, 1000), (70_000, 3)] {
        for layer in [false, true] {
            let x: Vec<f32> = numbers(rows * width, 1).iter().map(|value| value * 3.0 + 0.5).collect();
            let (weight, bias) = (numbers(width, 2), numbers(width, 3));
            let of = |values: &[f32]| gpu().rows(values, [1, width]);
            let by = Norm { weight: of(&weight), bias: layer.then(|| of(&bias)), epsilon: 1e-5 };
            let expected = by_definition(&x, &weight, layer.then_some(&bias[..]), 1e-5);
            let found = read(&norm(gpu(), &gpu().rows(&x, [rows, width]), &by)).await;
            assert_close(&found, &expected, 1e-5, &format!("{rows} rows of {width}, layer norm {layer}"));
        }
    }
}

async fn a_slice_of_rows_is_those_rows() {
    let x = numbers(5 * 8, 4);
    let by = Norm { weight: gpu().rows(&numbers(8, 5), [1, 8]), bias: None, epsilon: 1e-6 };
    let all = read(&norm(gpu(), &gpu().rows(&x, [5, 8]), &by)).await;
    let some = read(&norm(gpu(), &gpu().rows(&x, [5, 8]).slice(2..4), &by)).await;
    assert_eq!(some, all[2 * 8..4 * 8]);
}

async fn columns_of_a_wider_matrix() {
    let wide = gpu().rows(&numbers(5 * 20, 6), [5, 20]);
    let by = Norm { weight: gpu().rows(&numbers(8, 7), [1, 8]), bias: None, epsilon: 1e-6 };
    let columns = wide.columns(7..15);
    let dense = gpu().rows(&read(&columns).await, [5, 8]);
    assert_eq!(read(&norm(gpu(), &columns, &by)).await, read(&norm(gpu(), &dense, &by)).await);
}

crate::suite! {
    rows_of_every_width,
    a_slice_of_rows_is_those_rows,
    columns_of_a_wider_matrix,
}
