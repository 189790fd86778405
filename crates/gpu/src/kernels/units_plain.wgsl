// What units_cooperative.wgsl does, by lanes of a workgroup: for devices without matrix units, to test the walk of units.wgsl on them. A lane
// of 32 has eight of the 256 sums, and reads of x and W what it needs.

// Four numbers in f16.
alias Four = vec2<u32>;
// Where 16 rows of x, and of W, begin.
struct OfX {
    at: u32,
}
struct OfW {
    at: u32,
}
struct Sums {
    eight: array<f32, 8>,
}

var<private> plain_lane: u32;

fn number(four: Four, at: u32) -> f32 {
    return unpack2x16float(four[at / 2u])[at % 2u];
}

fn of_x(at: u32) -> OfX {
    return OfX(at);
}

fn of_w(at: u32) -> OfW {
    return OfW(at);
}

fn multiply_add(x: OfX, w: OfW, sums: Sums) -> Sums {
    var more = sums;
    for (var index = 0u; index < 8u; index++) {
        let at = 8u * plain_lane + index;
        for (var k = 0u; k < 16u; k++) {
            let left = number(tile_x[x.at + at / 16u * PITCH + k / 4u], k % 4u);
            more.eight[index] += left * number(tile_w[w.at + at % 16u * PITCH + k / 4u], k % 4u);
        }
    }
    return more;
}

fn take_sums(at: u32) -> Sums {
    var sums = Sums();
    for (var index = 0u; index < 8u; index++) {
        sums.eight[index] = scratch[at + 8u * plain_lane + index];
    }
    return sums;
}

fn put_sums(sums: Sums, at: u32) {
    for (var index = 0u; index < 8u; index++) {
        scratch[at + 8u * plain_lane + index] = sums.eight[index];
    }
}
