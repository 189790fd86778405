use steady_gpu::kernels::{beside, dense, gather, stack};

use crate::support::{gpu, numbers, read};

async fn rows_are_gathered_in_the_order_asked_for() {
    let x = numbers(7 * 5, 1);
    let ids = [6, 0, 0, 3];
    let expected: Vec<f32> = ids.iter().flat_map(|&id| x[id as usize * 5..][..5].to_vec()).collect();
    assert_eq!(read(&gather(gpu(), &gpu().rows(&x, [7, 5]), &gpu().words(&ids))).await, expected);
    let behind = gpu().rows(&numbers(35, 2).into_iter().chain(x).collect::<Vec<_>>(), [14, 5]).slice(7..14);
    assert_eq!(read(&gather(gpu(), &behind, &gpu().words(&ids))).await, expected);
}

async fn what_is_put_side_by_side_is_found_again() {
    let parts: Vec<_> = [3, 64, 1].into_iter().zip(1..).map(|(width, seed)| (width, numbers(5 * width, seed))).collect();
    let on_gpu: Vec<_> = parts.iter().map(|(width, values)| gpu().rows(values, [5, *width])).collect();
    let all = beside(gpu(), &on_gpu.iter().collect::<Vec<_>>());
    assert_eq!(all.dims(), [5, 68]);
    let expected: Vec<f32> =
        (0..5).flat_map(|row| parts.iter().flat_map(move |(width, values)| values[row * width..][..*width].to_vec())).collect();
    assert_eq!(read(&all).await, expected);
    let found = all.columns(3..67);
    assert!(!found.is_dense() && dense(gpu(), &found).is_dense());
    assert_eq!(read(&found).await, parts[1].1);
    assert_eq!(read(&all.slice(1..4).columns(67..68)).await, parts[2].1[1..4]);
    // Columns of columns, and rows of those.
    assert_eq!(read(&found.columns(10..30).slice(2..3)).await, parts[1].1[2 * 64 + 10..][..20]);
    assert_eq!(read(&gather(gpu(), &found, &gpu().words(&[4, 0]))).await, [&parts[1].1[4 * 64..], &parts[1].1[..64]].concat());
    assert_eq!(read(&stack(gpu(), &[&found.slice(3..4), &found])).await, [&parts[1].1[3 * 64..4 * 64], &parts[1].1].concat());
}

#[cfg(not(target_family = "wasm"))]
#[test]
#[should_panic(expected = "columns of a wider matrix in another shape")]
fn columns_have_no_other_shape() {
    pollster::block_on(crate::support::open());
    let _ = gpu().rows(&numbers(12, 1), [3, 4]).columns(1..3).reshape([2, 3]);
}

async fn what_is_stacked_is_one_below_the_other() {
    let (a, b) = (numbers(3 * 4, 1), numbers(70_000 * 4, 2));
    let [above, below] = [(&a, 3), (&b, 70_000)].map(|(values, rows)| gpu().rows(values, [rows, 4]));
    let all = stack(gpu(), &[&above, &below.slice(1..70_000)]);
    assert_eq!(read(&all).await, [a.as_slice(), &b[4..]].concat());
}

crate::suite! {
    rows_are_gathered_in_the_order_asked_for,
    what_is_put_side_by_side_is_found_again,
    what_is_stacked_is_one_below_the_other,
}
