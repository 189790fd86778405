// Rounds rows of x to f16 for matrix units. f16 ends at 65,504 and is coarse below 2^-14, so a row is first multiplied with a power of two,
// which changes no digit: the largest number of the row then lies between 2^14 and 2^15. So what is lost are the digits behind the eleventh,
// and whatever is smaller than 2^-38 of the largest. Sums are multiplied with the inverse, which `scales` has. A row in which a number is not
// finite has a scale that is none, so that its sums stay visible.
// A workgroup takes a row; its lanes take every 64th pack of eight numbers.

struct Numbers {
    x: u32,
    pitch: u32,
    width: u32,
    rows: u32,
    packs: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> rounded: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scales: array<f32>;
@group(0) @binding(3) var<uniform> n: Numbers;

const LANES = 64u;
var<workgroup> largest: array<u32, LANES>;

// Eleven digits, half to even: what is left has an exact f16, so that it does not matter how a device rounds.
fn eleven_digits(value: f32) -> f32 {
    let bits = bitcast<u32>(value);
    return bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = id.y * ids.x + id.x;
    if row >= n.rows {
        return;
    }
    let first = n.x + row * n.pitch;
    // Magnitudes of floats are ordered as their bits are.
    var most = 0u;
    for (var at = lane; at < n.width; at += LANES) {
        most = max(most, bitcast<u32>(x[first + at]) & 0x7fffffffu);
    }
    largest[lane] = most;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            largest[lane] = max(largest[lane], largest[lane + half]);
        }
        workgroupBarrier();
    }
    let exponent = largest[0] >> 23u;
    // 2^(141 - exponent), whose inverse is a float as well.
    let raised = min(268u - min(exponent, 254u), 253u);
    let factor = bitcast<f32>(raised << 23u);
    if lane == 0u {
        scales[row] = bitcast<f32>(select((254u - raised) << 23u, 0x7fc00000u, exponent == 255u));
    }
    for (var pack = lane; pack < n.packs; pack += LANES) {
        var words = vec4<u32>();
        for (var word = 0u; word < 4u; word++) {
            var two = vec2<f32>();
            for (var index = 0u; index < 2u; index++) {
                let column = 8u * pack + 2u * word + index;
                if column < n.width && exponent < 255u {
                    two[index] = eleven_digits(x[first + column] * factor);
                }
            }
            words[word] = pack2x16float(two);
        }
        rounded[row * n.packs + pack] = words;
    }
}
