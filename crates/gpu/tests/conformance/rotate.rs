use steady_gpu::{
    Rows,
    kernels::{KeyValues, remember, rotate},
};

use crate::support::{assert_close, gpu, numbers, read};

/// Cosines and sines of angles up to a full turn, `[tokens, half]` each.
fn angles(tokens: usize, half: usize, seed: u64) -> [Vec<f32>; 2] {
    let angles: Vec<f32> = numbers(tokens * half, seed).iter().map(|value| value * std::f32::consts::PI).collect();
    [angles.iter().map(|angle| angle.cos()).collect(), angles.iter().map(|angle| angle.sin()).collect()]
}

/// Head by head in `f64`: number `i` turns with number `i + half`.
fn by_definition(x: &[f32], heads: usize, cos: &[f32], sin: &[f32], half: usize) -> Vec<f64> {
    let mut y = Vec::with_capacity(x.len());
    for (index, head) in x.chunks(2 * half).enumerate() {
        let token = index / heads;
        let angle = |i: usize| (f64::from(cos[token * half + i]), f64::from(sin[token * half + i]));
        let pair = |i: usize| (f64::from(head[i]), f64::from(head[i + half]));
        y.extend((0..half).map(|i| pair(i).0 * angle(i).0 - pair(i).1 * angle(i).1));
        y.extend((0..half).map(|i| pair(i).1 * angle(i).0 + pair(i).0 * angle(i).1));
    }
    y
}

/// `x [rows, width]` between other columns and behind other rows.
fn amid(x: &[f32], [rows, width]: [usize; 2], before: usize) -> Rows {
    let total = before + width + 3;
    let mut wide = numbers((rows + 2) * total, 99);
    for row in 0..rows {
        let at = (row + 2) * total + before;
        wide[at..at + width].copy_from_slice(&x[row * width..(row + 1) * width]);
    }
    gpu().rows(&wide, [rows + 2, total]).slice(2..rows + 2)
}

async fn heads_of_every_width() {
    // The last has more pairs than one axis of workgroups takes.
    for (tokens, heads, half) in [(1, 1, 1), (3, 5, 4), (7, 2, 10), (33, 3, 64), (4100, 8, 128)] {
        let x = numbers(tokens * heads * 2 * half, 1);
        let [cos, sin] = angles(tokens, half, 2);
        let expected = by_definition(&x, heads, &cos, &sin, half);
        let table = |values: &[f32]| gpu().rows(values, [tokens, half]);
        let wide = amid(&x, [tokens, heads * 2 * half], 5);
        let columns = &wide.columns(5..5 + heads * 2 * half);
        let (cos, sin) = (table(&cos), table(&sin));
        let found = read(&rotate(gpu(), columns, heads, &cos, &sin)).await;
        let mut held = KeyValues::new(gpu(), heads * 2 * half, tokens);
        // Queries of the last two thirds of the tokens.
        let first = tokens / 3;
        let turned = remember(gpu(), [&columns.slice(first..tokens), columns, columns], &cos, &sin, &mut held);
        assert_eq!(read(&turned).await, found[first * heads * 2 * half..], "queries turn with the last of the tokens");
        assert_eq!(read(&held.keys()).await, found, "keys turn as queries do");
        assert_eq!(read(&held.values()).await, x, "values do not");
        assert_close(&found, &expected, 1e-6, &format!("{tokens} tokens of {heads} heads of {}", 2 * half));
    }
}

/// Keys rotated and values as they are, chunk behind chunk, through a growth and in a branch.
async fn tokens_are_remembered() {
    let (heads, half) = (2, 5);
    let width = heads * 2 * half;
    let mut held = KeyValues::new(gpu(), width, 4);
    let (mut keys, mut values): (Vec<f64>, Vec<f32>) = (Vec::new(), Vec::new());
    let append = async |held: &mut KeyValues, tokens: usize, seed: u64| {
        let (k, v) = (numbers(tokens * width, seed), numbers(tokens * width, seed + 1));
        let [cos, sin] = angles(tokens, half, seed + 2);
        let table = |values: &[f32]| gpu().rows(values, [tokens, half]);
        let (wide_k, wide_v) = (amid(&k, [tokens, width], 7), amid(&v, [tokens, width], 0));
        let [k_columns, v_columns] = [wide_k.columns(7..7 + width), wide_v.columns(0..width)];
        // More heads of queries than of keys, and no query but the last.
        let q = numbers(3 * width, seed + 3);
        let turned = remember(gpu(), [&gpu().rows(&q, [1, 3 * width]), &k_columns, &v_columns], &table(&cos), &table(&sin), held);
        let last = (tokens - 1) * half..;
        assert_close(&read(&turned).await, &by_definition(&q, 3 * heads, &cos[last.clone()], &sin[last], half), 1e-6, "a query");
        (by_definition(&k, heads, &cos, &sin, half), v)
    };
    assert!(held.is_empty());
    // Fills the room, goes beyond it, stays within what was added, goes beyond that by more than a step.
    for (tokens, seed) in [(3, 10), (1, 20), (1, 30), (40, 40), (100, 50)] {
        let (k, v) = append(&mut held, tokens, seed).await;
        keys.extend(k);
        values.extend(v);
        assert_eq!(held.len() * width, keys.len());
        assert_close(&read(&held.keys()).await, &keys, 1e-6, "keys");
        assert_eq!(read(&held.values()).await, values);
    }
    let mut branches = [held.branch(gpu(), 0), held.branch(gpu(), 9)];
    for (branch, seed) in branches.iter_mut().zip([60, 70]) {
        let (k, v) = append(branch, 2, seed).await;
        assert_close(&read(&branch.keys()).await, &[&keys[..], &k].concat(), 1e-6, "keys of a branch");
        assert_eq!(read(&branch.values()).await, [&values[..], &v].concat());
    }
    assert_eq!(branches.map(|branch| branch.len()), [held.len() + 2; 2]);
    assert_close(&read(&held.keys()).await, &keys, 1e-6, "keys that were branched off");
    assert_eq!(read(&held.values()).await, values);
}

async fn a_clone_does_not_see_what_another_remembers() {
    let (width, half) = (8, 2);
    let remember_in = |held: &mut KeyValues, tokens: usize, seed: u64| {
        let [keys, values] = [seed, seed + 1].map(|seed| numbers(tokens * width, seed));
        // Angles of 0 leave keys as they are.
        let [cos, sin] = [1.0, 0.0].map(|value| gpu().rows(&vec![value; tokens * half], [tokens, half]));
        let [on_keys, on_values] = [&keys, &values].map(|rows| gpu().rows(rows, [tokens, width]));
        remember(gpu(), [&on_keys.slice(0..0), &on_keys, &on_values], &cos, &sin, held);
        [keys, values]
    };
    // Room for more than is remembered first, so that nothing grows by itself.
    let mut trunk = KeyValues::new(gpu(), width, 100);
    let first = remember_in(&mut trunk, 5, 10);
    let mut clone = trunk.clone();
    let of_clone = remember_in(&mut clone, 1, 20);
    let of_trunk = remember_in(&mut trunk, 2, 30);
    for (held, second) in [(clone, of_clone), (trunk, of_trunk)] {
        assert_eq!(read(&held.keys()).await, [first[0].as_slice(), &second[0]].concat());
        assert_eq!(read(&held.values()).await, [first[1].as_slice(), &second[1]].concat());
    }
}

crate::suite! {
    heads_of_every_width,
    tokens_are_remembered,
    a_clone_does_not_see_what_another_remembers,
}
