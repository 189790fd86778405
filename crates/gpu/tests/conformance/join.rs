use steady_gpu::{
    Gpu, Rows,
    kernels::{Epilogue, Layer, Weight, join, join_rows, product, products},
};

use crate::{
    support::{best, gpu, numbers, read_all},
    weight::{Format, some},
};

const FORMATS: [Format; 5] = [Format::F32, Format::F16, Format::Bf16, Format::W4(8), Format::Int8(0.7)];
const OUTS: [usize; 3] = [70, 5, 9];
const INPUT: usize = 64;

fn layers<'a>(weights: &'a [Weight; 3], biases: Option<&'a [Rows; 3]>) -> [Layer<'a>; 3] {
    [0, 1, 2].map(|at| Layer { weight: &weights[at], bias: biases.map(|biases| &biases[at]) })
}

async fn of_all(x: &Rows, weights: &[Weight; 3], biases: Option<&[Rows; 3]>) -> [Vec<f32>; 3] {
    read_all(gpu(), products(gpu(), x, layers(weights, biases))).await
}

async fn of_each(x: &Rows, weights: &[Weight; 3], biases: Option<&[Rows; 3]>) -> [Vec<f32>; 3] {
    read_all(gpu(), layers(weights, biases).map(|Layer { weight, bias }| product(gpu(), x, weight, &Epilogue { bias, residual: None })))
        .await
}

fn join_all(weights: &mut [Weight; 3]) {
    join(gpu(), &mut weights.iter_mut().collect::<Vec<_>>());
}

/// Joined or not, all at once or one by one: the same bits, and as many bytes.
async fn joined_weights_give_the_same() {
    for format in FORMATS {
        for rows in [2, 66] {
            let x = gpu().rows(&numbers(rows * INPUT, 1), [rows, INPUT]);
            let mut weights = [0, 1, 2].map(|at| some(format, [OUTS[at], INPUT], 2 + at as u64).0);
            let mut biases = OUTS.map(|out| gpu().rows(&numbers(out + 1, out as u64), [out + 1, 1]).slice(1..out + 1).reshape([1, out]));
            let (bytes, ids) = (weights.each_ref().map(Weight::bytes), [3, 0, 4]);
            let plain = of_each(&x, &weights, None).await;
            let biased = of_each(&x, &weights, Some(&biases)).await;
            let rows_of = async |weights: &[Weight; 3]| match format {
                Format::Int8(_) => None,
                _ => Some(read_all(gpu(), weights.each_ref().map(|weight| weight.rows(gpu(), &ids))).await),
            };
            let gathered = rows_of(&weights).await;
            assert_eq!(of_all(&x, &weights, Some(&biases)).await, biased, "{format:?}, {rows} rows, apart");
            join_all(&mut weights);
            join_rows(gpu(), &mut biases.iter_mut().collect::<Vec<_>>());
            for (what, found) in
                [("at once", of_all(&x, &weights, Some(&biases)).await), ("each", of_each(&x, &weights, Some(&biases)).await)]
            {
                assert_eq!(found, biased, "{format:?}, {rows} rows, {what}");
            }
            assert_eq!(of_all(&x, &weights, None).await, plain, "{format:?}, {rows} rows");
            assert_eq!(weights.each_ref().map(Weight::bytes), bytes);
            assert_eq!(rows_of(&weights).await, gathered, "{format:?}");
            // One of them is replaced, as a quantizer does; then all are joined anew.
            weights[1] = some(format, [OUTS[1], INPUT], 9).0;
            let replaced = of_each(&x, &weights, Some(&biases)).await;
            assert_ne!(replaced[1], biased[1]);
            assert_eq!((&replaced[0], &replaced[2]), (&biased[0], &biased[2]));
            assert_eq!(of_all(&x, &weights, Some(&biases)).await, replaced, "{format:?}, {rows} rows, parted");
            join_all(&mut weights);
            assert_eq!(of_all(&x, &weights, Some(&biases)).await, replaced, "{format:?}, {rows} rows, joined anew");
        }
    }
}

async fn weights_of_several_formats_stay_apart() {
    let x = gpu().rows(&numbers(3 * INPUT, 1), [3, INPUT]);
    let of = |format, at: usize| some(format, [OUTS[at], INPUT], 2 + at as u64).0;
    let others = [Format::F16, Format::W4(64), Format::Int8(0.5)];
    for (format, other) in [Format::F32, Format::W4(8), Format::Int8(0.7)].into_iter().zip(others) {
        let mut weights = [of(format, 0), of(other, 1), of(format, 2)];
        let expected = of_each(&x, &weights, None).await;
        join_all(&mut weights);
        assert_eq!(of_all(&x, &weights, None).await, expected, "{format:?} {other:?}");
    }
}

/// Launches of three products of one row.
fn launches(gpu: &Gpu, weights: [&Weight; 3], biases: [Option<&Rows>; 3]) -> u64 {
    let x = gpu.rows(&numbers(INPUT, 1), [1, INPUT]);
    let before = gpu.counts().dispatches;
    let _ = products(gpu, &x, [0, 1, 2].map(|at| Layer { weight: weights[at], bias: biases[at] }));
    gpu.counts().dispatches - before
}

async fn what_is_joined_is_one_launch() {
    let gpu = &best().await.open(None).await.unwrap();
    let mut weights = [0, 1, 2].map(|at| Weight::f32(gpu, &numbers(OUTS[at] * INPUT, 2), [OUTS[at], INPUT]));
    let mut biases = OUTS.map(|out| gpu.rows(&numbers(out, 3), [1, out]));
    let count = |weights: &[Weight; 3], biases: &[Rows; 3]| launches(gpu, weights.each_ref(), biases.each_ref().map(Some));
    assert_eq!(count(&weights, &biases), 3);
    join(gpu, &mut weights.iter_mut().collect::<Vec<_>>());
    assert_eq!(count(&weights, &biases), 3, "biases are apart");
    join_rows(gpu, &mut biases.iter_mut().collect::<Vec<_>>());
    assert_eq!(count(&weights, &biases), 1);
    let [a, b, c] = &weights;
    let [of_a, of_b, of_c] = &biases;
    assert_eq!(launches(gpu, [a, b, c], [None; 3]), 1);
    assert_eq!(launches(gpu, [a, b, c], [Some(of_a), Some(of_b), None]), 3, "a bias is missing");
    assert_eq!(launches(gpu, [a, c, b], [Some(of_a), Some(of_c), Some(of_b)]), 3, "in another order");
    assert_eq!(launches(gpu, [b, c, c], [Some(of_b), Some(of_c), Some(of_c)]), 3, "one twice");
    // What was joined before is left as it is.
    let submissions = gpu.counts().submissions;
    join(gpu, &mut weights.iter_mut().collect::<Vec<_>>());
    assert_eq!(gpu.counts().submissions, submissions);
    // What was launched did not fail.
    assert!(gpu.read(&biases[0]).await.is_ok());
}

crate::suite! {
    joined_weights_give_the_same,
    weights_of_several_formats_stay_apart,
    what_is_joined_is_one_launch,
}
