// What the two steps of a choice share: the best of several candidates, found by the lanes of a workgroup together.

struct Numbers {
    logits: u32,
    vocab: u32,
    // Workgroups of the first step.
    groups: u32,
    // 1: tokens that were seen are penalised, and the chosen one is seen from now on.
    penalised: u32,
    penalty: f32,
}

struct Candidate {
    value: f32,
    // NONE: there is no candidate.
    token: u32,
    // 1: a logit was not finite.
    flag: u32,
}

const NONE = 0xffffffffu;
const LANES = 256u;
var<workgroup> candidates: array<Candidate, LANES>;

// The larger; of two that are equal the one with the smaller token, so that the order of comparisons does not matter.
fn better(a: Candidate, b: Candidate) -> Candidate {
    var best = a;
    if b.token != NONE && (a.token == NONE || b.value > a.value || (b.value == a.value && b.token < a.token)) {
        best = b;
    }
    best.flag = a.flag | b.flag;
    return best;
}

// The best of all lanes, in the first.
fn best(own: Candidate, lane: u32) -> Candidate {
    candidates[lane] = own;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            candidates[lane] = better(candidates[lane], candidates[lane + half]);
        }
        workgroupBarrier();
    }
    return candidates[0];
}
