// The first step of a choice: each workgroup finds the best of every so many logits.

// Whole words: whether a number is finite shows in its bits, while compilers may take it for granted.
@group(0) @binding(0) var<storage, read> logits: array<u32>;
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<Candidate>;
@group(0) @binding(3) var<uniform> n: Numbers;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var own = Candidate(0.0, NONE, 0u);
    for (var token = group.x * LANES + lane; token < n.vocab; token += n.groups * LANES) {
        let bits = logits[n.logits + token];
        if (bits & 0x7f800000u) == 0x7f800000u {
            own.flag = 1u;
            continue;
        }
        var value = bitcast<f32>(bits);
        if n.penalised == 1u && ((seen[token / 32u] >> (token % 32u)) & 1u) == 1u {
            value = select(value * n.penalty, value / n.penalty, value > 0.0);
        }
        own = better(own, Candidate(value, token, 0u));
    }
    let chosen = best(own, lane);
    if lane == 0u {
        found[group.x] = chosen;
    }
}
