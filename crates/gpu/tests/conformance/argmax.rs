use steady_gpu::{
    Weight, Words,
    kernels::{Seen, choose},
};

use crate::support::{gpu, numbers, read};

async fn words(words: &Words) -> Vec<u32> {
    gpu().request(words).wait().await.unwrap()
}

/// What is chosen of `logits`, which are in the middle of a buffer.
async fn chosen(logits: &[f32], seen: Option<Seen<'_>>) -> [u32; 2] {
    let around = numbers(logits.len(), 9).into_iter().map(|value| value + 1e6);
    let three: Vec<f32> = around.clone().chain(logits.iter().copied()).chain(around).collect();
    let rows = gpu().rows(&three, [3, logits.len()]).slice(1..2);
    let [token, row, flag] = words(&choose(gpu(), &rows, seen)).await.try_into().unwrap();
    assert_eq!(row, 0);
    [token, flag]
}

/// The first of the largest, after the penalty.
fn by_definition(logits: &[f32], seen: &[u32], penalty: f32) -> u32 {
    let penalised = logits.iter().zip(0u32..).map(|(&logit, token)| match logit {
        logit if !seen.contains(&token) => logit,
        logit if logit > 0.0 => logit / penalty,
        logit => logit * penalty,
    });
    penalised.zip(0..).reduce(|best, next| if next.0 > best.0 { next } else { best }).unwrap().1
}

fn bitset(tokens: &[u32], vocab: usize) -> Vec<u32> {
    let mut bits = vec![0; vocab.div_ceil(32)];
    for token in tokens {
        bits[*token as usize / 32] |= 1 << (token % 32);
    }
    bits
}

async fn the_largest_logit_wherever_it_is() {
    for vocab in [1, 2, 255, 257, 1024, 1025, 32_064, 151_936, 300_001] {
        let mut logits = numbers(vocab, vocab as u64);
        assert_eq!(chosen(&logits, None).await, [by_definition(&logits, &[], 1.0), 0], "{vocab} logits");
        for at in [0, vocab / 3, vocab - 1] {
            let before = std::mem::replace(&mut logits[at], 2.0);
            assert_eq!(chosen(&logits, None).await, [at as u32, 0], "{at} of {vocab}");
            logits[at] = before;
        }
    }
}

async fn the_first_of_equals() {
    for [first, second] in [[0, 1], [3, 259], [300, 32_000], [1023, 1024], [255, 31_744]] {
        for value in [7.0, 0.0, -1e30] {
            let mut logits = vec![f32::MIN; 32_064];
            logits[first] = value;
            logits[second] = value;
            assert_eq!(chosen(&logits, None).await, [first as u32, 0], "{value} at {first} and {second}");
        }
    }
    assert_eq!(chosen(&[f32::MIN; 2000], None).await, [0, 0]);
    assert_eq!(chosen(&[-1.0, -0.0, 0.0], None).await, [1, 0]);
}

async fn what_is_not_finite_is_seen_and_not_chosen() {
    for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 777, 4999] {
            let mut logits = numbers(5000, 1);
            logits[1234] = 3.0;
            logits[at] = wrong;
            assert_eq!(chosen(&logits, None).await, [1234, 1], "{wrong} at {at}");
        }
        assert_eq!(chosen(&[wrong; 300], None).await, [0, 1]);
    }
    assert_eq!(chosen(&[f32::MIN, f32::MAX, 1e-45], None).await, [1, 0]);
}

async fn repetitions_are_penalised_and_choices_remembered() {
    // Few tokens share words of the set, many are in words of their own.
    for (vocab, penalty, shift) in [(70, 4.0, 0.0), (70, 1.5, -5.0), (4099, 1.3, 0.0), (4099, 1.3, -5.0)] {
        let logits: Vec<f32> = numbers(vocab, 5).iter().map(|value| value + shift).collect();
        let mut seen = vec![by_definition(&logits, &[], 1.0), vocab as u32 - 1, 31, 32];
        let tokens = gpu().words(&bitset(&seen, vocab));
        // The same logits again and again: every choice is one that the penalty has not yet made less likely.
        for _ in 0..5 {
            let token = by_definition(&logits, &seen, penalty);
            assert_eq!(chosen(&logits, Some(Seen { tokens: &tokens, penalty })).await, [token, 0]);
            assert!(!seen.contains(&token));
            seen.push(token);
            assert_eq!(words(&tokens).await, bitset(&seen, vocab));
        }
    }
}

async fn a_penalty_leaves_logits_as_they_are() {
    let logits = numbers(100, 6);
    let rows = gpu().rows(&logits, [1, 100]);
    let tokens = gpu().words(&[u32::MAX; 4]);
    choose(gpu(), &rows, Some(Seen { tokens: &tokens, penalty: 2.0 }));
    assert_eq!(read(&rows).await, logits);
}

/// Widths within, at and beyond a pack of eight.
async fn a_choice_is_a_row_that_the_host_has_not_seen() {
    for width in [3, 8, 21] {
        let table = numbers(50 * width, 7);
        let weight = Weight::f32(gpu(), &table, [50, width]);
        for at in [0, 13, 49] {
            let mut logits = numbers(50, 8);
            logits[at] = 2.0;
            let choice = choose(gpu(), &gpu().rows(&logits, [1, 50]), None);
            assert_eq!(read(&weight.chosen(gpu(), &choice)).await, table[width * at..width * (at + 1)], "{at} of {width} columns");
        }
    }
}

/// What is asked for first comes back as it was then, also when more is launched and asked for before anybody waits; one that nobody waits for
/// disturbs none.
async fn requests_do_not_wait_for_what_follows() {
    let tokens = gpu().words(&[0]);
    let logits = gpu().rows(&[3.0, 2.0, 1.0, 0.5], [1, 4]);
    let choices: Vec<Words> = (0..4).map(|_| choose(gpu(), &logits, Some(Seen { tokens: &tokens, penalty: 100.0 }))).collect();
    let mut requests: Vec<_> = choices.iter().map(|choice| gpu().request(choice)).collect();
    drop(requests.remove(1));
    for (request, token) in requests.into_iter().zip([0, 2, 3]).rev() {
        assert_eq!(request.wait().await, Ok(vec![token, 0, 0]));
    }
    assert_eq!(words(&tokens).await, [0b1111]);
}

crate::suite! {
    the_largest_logit_wherever_it_is,
    the_first_of_equals,
    what_is_not_finite_is_seen_and_not_chosen,
    repetitions_are_penalised_and_choices_remembered,
    a_penalty_leaves_logits_as_they_are,
    a_choice_is_a_row_that_the_host_has_not_seen,
    requests_do_not_wait_for_what_follows,
}
